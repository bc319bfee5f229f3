"""Opening structures the way the tests of the tracker need it."""

from __future__ import annotations

import math

from tinysync.crdt.values import pack
from tinysync.storage.names import document_paths
from tinysync.tracker import open_replica


def open_in(folder, structure, name="conf", **options):
    """Open a persisted structure; returns its replica."""
    return open_replica(structure, name, paths=document_paths(name, folder), **options)


def in_memory(structure, **options):
    """Track a structure without a disk; returns its replica."""
    return open_replica(structure, None, paths=None, **options)


def exact(value):
    """A form in which values are equal only if they are, type included."""
    if isinstance(value, dict):
        return {"dict": sorted((pack(key), exact(item)) for key, item in value.items())}
    if isinstance(value, list):
        return ["list", *map(exact, value)]
    if isinstance(value, float) and math.isnan(value):
        return "nan"  # of which there are many
    if isinstance(value, set):
        return ["set", *sorted(map(pack, value))]
    return pack(value)


def assert_in_agreement(replica):
    """The live structure is what the document shows."""
    assert exact(replica.root) == exact(replica.document.view())
