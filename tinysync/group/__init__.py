"""Who may join: the secret of a group, the identity of a device, and the list of devices that are allowed.

The extra ``tinysync[net]`` brings what this needs; it is imported when it is first used.
"""

from tinysync.group.allowed import default_allowed_path, pair
from tinysync.group.key import Key

__all__ = ["Key", "default_allowed_path", "pair"]
