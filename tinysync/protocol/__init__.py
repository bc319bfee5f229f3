"""The sync protocol without I/O: frames in, events out; no clock, no socket."""
