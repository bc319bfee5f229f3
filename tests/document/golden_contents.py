"""What the golden files hold the bytes of: the way of seeding and of encoding is part of the document format.

Run as a module, it prints the current bytes as JSON; ``--write`` replaces the files. That is right only when the
format's version goes up with it.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import sys
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from tinysync.crdt.ids import node_id
from tinysync.crdt.keys import key_text
from tinysync.crdt.seed import seed_document, seed_list
from tinysync.crdt.values import At, Reference, encode, encode_at, encode_reference, pack

FOLDER = Path(__file__).parent / "golden"

EVERYTHING = {
    "none": None, "true": True, "int": 1, "float": 1.0, "half": 0.5, "big": 2**80, "minus": -(2**53) - 1,
    "text": "ä~/\n", "bytes": b"\x00\xff", "tuple": (1, (1.0, "x")), "frozenset": frozenset({1, "b", (2,)}),
    "date": dt.date(2026, 1, 2), "time": dt.time(3, 4, 5, 6), "naive": dt.datetime(2026, 1, 2, 3, 4),  # noqa: DTZ001
    "aware": dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.timezone(dt.timedelta(hours=2))),
    "span": dt.timedelta(days=-1, microseconds=7), "decimal": Decimal("1.10"), "uuid": UUID(int=7),
    "complex": 1 - 2j, "inf": float("inf"), "nan": float("nan"),
}  # fmt: skip
NESTED = {
    "endpoint": {"protocol": "HTTP", "ports": [80, 443, {"name": "x", "tags": {"b", "a", 3}}]},
    "empty": {"dict": {}, "list": [], "set": set()},
    "~tilde": [[], [1, [2]]],
    1: "int", 2.5: "float", None: "none", (1, "a"): "tuple", "set": {1.0, "x"},
}  # fmt: skip
SEEDS = {
    "empty-dict": ({}, 0),
    "empty-list": ([], 0),
    "empty-set": (set(), 0),
    "everything": (EVERYTHING, 0),
    "nested": (NESTED, 0),
    "nested-version-3": (NESTED, 3),
    "nested-version-max": (NESTED, 4095),
    "list": ([1, 1.0, "x", {"a": [1]}, [2, {3}]], 0),
    "set": ({1, "x", (1, 2), 2.5, None}, 1),
    "many-lists": ({f"k{n}": [n, [n]] for n in range(20)}, 0),
}
LISTS = {
    "numbers": ("AAAAAAAAAAA", [1, 2, 3]),
    "long": ("AAAAAAAAAAA", list(range(100))),
    "containers": ("BBBBBBBBBBB", [{"a": [1, {2}]}, [], set(), [[1.0]]]),
}
KEYS = ["", "a", "~", "~a", "a/b", 1, 1.0, True, 0.5, Decimal("0.5"), 2**70, None, b"x", (1, 2.0),
        frozenset({1, "a"}),
        dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.time(1, tzinfo=dt.UTC),
        dt.timedelta(1), UUID(int=7), 1 + 0j, 1 + 2j]  # fmt: skip


def seeds():
    """Return the updates of each seed as hex text."""
    documents = {
        name: [u.hex() for u in seed_document(content, version)] for name, (content, version) in SEEDS.items()
    }
    lists = {f"list-{name}": [seed_list(*arguments).hex()] for name, arguments in LISTS.items()}
    return documents | lists


def encodings():
    """Return cells, key texts and node ids as text."""
    cells = {name: _text(encode(value)) for name, value in EVERYTHING.items()}
    packed = {name: pack(value).hex() for name, value in EVERYTHING.items()}
    references = {
        "dict 0": encode_reference(Reference("dict", 0)).hex(),
        "list bytes": encode_reference(Reference("list", bytes(range(8)))).hex(),
        "set 3": encode_reference(Reference("set", 3)).hex(),
        "at": encode_at(At((2**40, 5), (1_700_000_000_000, 2**41))).hex(),
    }
    ids = {
        "root dict": node_id("", "", "dict", 0),
        "child": node_id("AAAAAAAAAAA", "a", "list", b"12345678"),
        "generation 2": node_id("AAAAAAAAAAA", "~a", "set", 2),
    }
    keys = [[type(key).__name__, key_text(key)] for key in KEYS]
    return {"cells": cells, "packed": packed, "references": references, "node ids": ids, "key texts": keys}


def _text(cell):
    return {"bytes": base64.b64encode(cell).decode()} if isinstance(cell, bytes) else cell


def current():
    """Return all that the golden files hold, by file name."""
    return {"seeds.json": seeds(), "encodings.json": encodings()}


if __name__ == "__main__":
    if "--write" in sys.argv:
        for name, content in current().items():
            (FOLDER / name).write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    else:
        print(json.dumps(current()))
