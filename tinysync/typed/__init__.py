"""Typed views: a tracked dict, seen and edited as an instance of a dataclass."""

from tinysync.typed.base import Typed
from tinysync.typed.schema import Schema, is_instance_of_dataclass

__all__ = ["Schema", "Typed", "is_instance_of_dataclass"]
