"""The shadow document: the only package that knows the CRDT engine."""
