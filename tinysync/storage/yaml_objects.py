"""YAML of any Python objects, with the values exact that yaml's own dumper or loader gets wrong."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml

if TYPE_CHECKING:
    from yaml import Dumper as _BaseDumper
    from yaml import UnsafeLoader
else:
    _BaseDumper = getattr(yaml, "CDumper", yaml.Dumper)
    UnsafeLoader = getattr(yaml, "CUnsafeLoader", yaml.UnsafeLoader)

_APPLY = "tag:yaml.org,2002:python/object/apply:"


class ObjectDumper(_BaseDumper):
    """Writes objects by what pickle calls their reduction."""


def dump_objects(value: Any) -> bytes:
    """Return a structure as YAML with Python's tags, in UTF-8; raises what the objects raise.

    It is loaded once, because there are objects that can be written and not be loaded.
    """
    dumped: bytes = yaml.dump(value, Dumper=ObjectDumper, allow_unicode=True, sort_keys=False, encoding="utf-8")
    load_objects(dumped)
    return dumped


def load_objects(data: bytes) -> Any:
    """Return what a YAML file holds; this can execute any code."""
    return yaml.load(data, Loader=UnsafeLoader)  # noqa: S506 - it is what the program asked for


def _represent_datetime(dumper: ObjectDumper, value: dt.datetime) -> yaml.Node:
    if value.tzinfo is None and not value.fold:
        return dumper.represent_datetime(value)
    return dumper.represent_object(value)


def _represent_uuid(dumper: ObjectDumper, value: UUID) -> yaml.Node:
    # By its state it would have no hash yet when it is put into a dict.
    return dumper.represent_sequence(_APPLY + "uuid.UUID", [str(value)])


def _represent_complex(dumper: ObjectDumper, value: complex) -> yaml.Node:
    # The text of a complex number does not say the sign of every zero.
    return dumper.represent_sequence(_APPLY + "builtins.complex", [value.real, value.imag])


def _represent_zone(dumper: ObjectDumper, value: ZoneInfo) -> yaml.Node:
    # Its reduction is a class method, whose name yaml does not write in full.
    return dumper.represent_sequence(_APPLY + "zoneinfo.ZoneInfo", [value.key])


ObjectDumper.add_representer(dt.datetime, _represent_datetime)
ObjectDumper.add_representer(UUID, _represent_uuid)
ObjectDumper.add_representer(complex, _represent_complex)
ObjectDumper.add_representer(ZoneInfo, _represent_zone)
