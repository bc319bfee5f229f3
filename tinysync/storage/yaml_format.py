"""YAML files, safe and not."""

from __future__ import annotations

from typing import Any, ClassVar

from tinysync.storage.format import Format, Writer
from tinysync.storage.layout.keep import YamlWriter
from tinysync.storage.plain import SAFE_YAML, Vocabulary
from tinysync.storage.yaml_dump import dump_yaml
from tinysync.storage.yaml_load import load_yaml
from tinysync.storage.yaml_objects import dump_objects, load_objects


class YAML(Format):
    """Safe YAML, the default: ``<name>.yaml``. It reads well, and is merged when it was edited by hand.

    In a file that has comments, or a layout or an order of keys of its own, only what changed is written anew.
    """

    suffix: ClassVar[str] = ".yaml"
    vocabulary: ClassVar[Vocabulary | None] = SAFE_YAML

    def dump(self, value: Any) -> bytes:
        """Return a structure as safe YAML in UTF-8."""
        return dump_yaml(value)

    def load(self, data: bytes, place: object) -> Any:
        """Return what a YAML file holds; raises UnreadableFile for what is not safe YAML."""
        return load_yaml(data, place)

    def writer(self) -> Writer:
        """Return what writes one file, and keeps its comments and layout."""
        return YamlWriter(self.dump)


class UnsafeYAML(Format):
    """YAML that holds any Python object: ``<name>.unsafe.yaml``.

    Loading such a file can execute any code: open only files that nobody else can write. It is the structure's
    state, written as a whole after each change; there is no document, so that it cannot be synced.
    """

    suffix: ClassVar[str] = ".unsafe.yaml"
    vocabulary: ClassVar[Vocabulary | None] = None

    def dump(self, value: Any) -> bytes:
        """Return a structure as YAML with Python's tags, in UTF-8."""
        return dump_objects(value)

    def load(self, data: bytes, place: object) -> Any:
        """Return what the file holds, executing what it says; raises ValueError if it cannot be read."""
        del place
        try:
            return load_objects(data)
        except Exception as error:
            raise ValueError(f"it cannot be loaded: {error}") from error
