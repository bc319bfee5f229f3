"""A configuration file: defaults in the program, a readable file beside it, edits from both sides.

python examples/config.py            # run it, edit example-config.yaml, run it again
"""

from tinysync import track, tracker

DEFAULTS = {
    "endpoint": {"protocol": "HTTP", "address": "docs.python.org"},
    "retry_intervals": [1, 3, 5],
    "runs": 0,
}

# A later version of the program that has more defaults says version=2: they are added to what is there.
conf = track(DEFAULTS, "example-config", version=1)

with conf:  # one change: one write of the file, all or nothing
    conf.runs += 1
    conf.endpoint.protocol = "HTTPS"

print(f"run {conf.runs}: {conf.endpoint.protocol.lower()}://{conf.endpoint.address}, retry {conf.retry_intervals}")
tracker(conf).close()
