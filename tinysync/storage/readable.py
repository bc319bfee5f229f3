"""The readable file of a structure: a view for people, whose edits count, and are never overwritten."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tinysync.errors import StorageError, UnreadableFile
from tinysync.storage.atomic import replace_file
from tinysync.storage.base import BaseFile, digest
from tinysync.storage.failures import storage_errors
from tinysync.storage.format import MAX_BYTES
from tinysync.storage.json_format import JSON
from tinysync.storage.regular import read_regular
from tinysync.storage.settling import SETTLED, UNFINISHED, StillWritten, looks_unfinished
from tinysync.storage.yaml_format import YAML

if TYPE_CHECKING:
    from pathlib import Path

    from tinysync.storage.atomic import Durability
    from tinysync.storage.format import Format
    from tinysync.storage.names import Paths
    from tinysync.storage.plain import Vocabulary

logger = logging.getLogger("tinysync")

NOTED_BYTES: Final = 4096
"""A smaller file is written faster than it is noted that it need not be."""

_MOST_SECONDS: Final = 2.0
"""Nobody waits longer for a file that is written again and again."""
_ADVICE: Final = "See that the place is there, writable and not full."


@dataclass(frozen=True, slots=True)
class Untouched:
    """The file holds what the program wrote."""


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no file, or one without content: never an edit, to be written again."""


@dataclass(frozen=True, slots=True)
class Edited:
    """The file was edited by hand: ``file_value`` is what it says now, ``base_value`` what it said before.

    ``base_value`` is None where that is not known: the file was copied here, or written by hand.
    """

    base_value: Any | None
    file_value: Any
    content: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The file does not parse; ``error`` says where and why."""

    error: UnreadableFile


@dataclass(frozen=True, slots=True)
class Written:
    """The file holds the value now."""


Status = Untouched | Missing | Edited | Unreadable
WriteOutcome = Written | Edited | Unreadable


class ReadableFile:
    """The readable file of a structure, used by the holder of the structure's lock.

    Before the file is replaced, what it holds and what it is to hold are noted, so that after a crash both are
    known for the program's own, and a hand edit is taken as an edit of what the person saw.
    """

    def __init__(
        self, paths: Paths, file_format: Format, vocabulary: Vocabulary, durability: Durability = "os"
    ) -> None:
        self._path = paths.readable
        self._state = paths.state
        self._format = file_format
        self._writer = file_format.writer()
        self._vocabulary = vocabulary
        self._durability: Durability = durability
        self._base = BaseFile(paths.state / base_name(file_format.suffix), durability)
        self._refused: tuple[bytes, Unreadable] | None = None
        self._prepared: tuple[bytes, Any] | None = None
        self._reported_empty: bytes | None = None
        self._most_bytes = MAX_BYTES if isinstance(file_format, (YAML, JSON)) else None
        """What is larger is written, but not read; None: that was said, or there is no such limit."""

    def status(self, *, patient: bool = True) -> Status:
        """Tell what became of the file since it was last written.

        A file that was changed a moment ago is waited for, because it may be half written: a twentieth of a
        second, or one if it looks so. Then raise StillWritten instead if not ``patient``. Raise StorageError if it
        cannot be read, for another reason than its content.
        """
        with storage_errors("read", self._path, "See that it is a file that this program may read."):
            self._base.read()
            content = self._read_settled(patient=patient)
            if content is None:
                return Missing()
            if self._is_unknown(content):
                return self._examine(content)
            if digest(content) != self._base.last:
                self._note_content(content)
            return Untouched()

    def was_edited(self) -> bool:
        """Tell whether the file holds anything that the program did not write: an edit, nothing, or rubbish.

        From any thread, without the structure's lock. What it holds is parsed meanwhile, so that the holder of the
        lock, who asks for ``status``, need not wait for that. Raise OSError and StorageError.
        """
        content = self._read()
        if content is None or not self._is_unknown(content):
            return False
        if self._refused is None or self._refused[0] != content:
            try:
                self._prepared = content, self._load(content, self._path)
            except UnreadableFile as error:
                self._refused = content, Unreadable(error)
        return True

    def looks_unfinished(self) -> bool:
        """Tell, from any thread, whether the file looks as if somebody had not written it to its end yet."""
        try:
            content = self._read()
        except (OSError, StorageError):
            return True
        return content is None or (self._is_unknown(content) and looks_unfinished(content, self._base.text()))

    def accept(self, edit: Edited) -> None:
        """Note that an edit was taken: what it left in the file may be overwritten. Raise StorageError."""
        with storage_errors("note an edit of", self._path, _ADVICE):
            self._note_content(edit.content)

    def value(self) -> Any | None:
        """Return what the file holds, None if it holds nothing; raises UnreadableFile and StorageError."""
        with storage_errors("read", self._path, "See that it is a file that this program may read."):
            content = self._read()
        return None if content is None else self._load(content, self._path)

    def shows(self, position: bytes) -> bool:
        """Tell whether the file, untouched, is known to show the structure up to a position in the op log."""
        return self._base.shows(position)

    def note_shown(self, position: bytes) -> None:
        """Note that the file, untouched, shows the structure up to a position in the op log."""
        with storage_errors("note what was written to", self._path, _ADVICE):
            self._base.note_shown(position)

    def write(
        self,
        value: Any,
        merged: Edited | None = None,
        position: bytes | None = None,
        *,
        patient: bool = True,
    ) -> WriteOutcome:
        """Make the file hold ``value``, unless it was edited by hand.

        ``position`` is the one in the op log that the value is of: so it is known, if the file takes long to
        write, that it need not be.
        Edited and Unreadable say that it was, and was left alone. An edit that has been carried over into
        ``value`` is given back as ``merged``, and only that edit may be overwritten. Raise StorageError if the
        file could not be written; then it is as it was. What is half written is waited for, as by ``status``.
        """
        with storage_errors("write", self._path, _ADVICE):
            self._base.read()
            if self._base.last is not None:
                self._state.stat()  # no file is begun where everything was moved away from
            if merged is not None:
                self._note_content(merged.content)
            replaced = False
            while not replaced:
                content = self._read()
                if self._is_unknown(content):
                    content = self._read_settled(patient=patient)
                if content is not None and self._is_unknown(content):
                    status = self._examine(content)
                    if not isinstance(status, Missing):
                        return status
                layout = content if content and content.strip() else self._layout_before()
                data = self._dump(value, layout)
                replaced = self._replace(content, data)
            self._warn_if_large(len(data))
            if position is not None and len(data) > NOTED_BYTES:
                self._base.note_shown(position)
        return Written()

    def _layout_before(self) -> bytes | None:
        """Return what says how a file that was deleted or emptied was laid out; its last line ends."""
        text = self._base.text()
        return text if text is None or text.endswith(b"\n") else text + b"\n"

    def _dump(self, value: Any, layout: bytes | None) -> bytes:
        try:
            return self._writer(self._vocabulary.readable(value), layout)
        except ValueError as error:
            raise StorageError(f"{self._path} cannot be written in this format: {error}") from error

    def _warn_if_large(self, size: int) -> None:
        if self._most_bytes is not None and size > self._most_bytes:
            logger.warning(
                "%s was written with %s bytes, and over %s bytes are not read: hand edits of it will not be taken."
                " Split it, give it a format of your own, or, if it is not synced, a database (persist=SQLite).",
                self._path,
                f"{size:,}",
                f"{self._most_bytes:,}",
            )
            self._most_bytes = None

    def _load(self, data: bytes, place: Path) -> Any:
        return load_file(self._format, data, place)

    def _replace(self, content: bytes | None, data: bytes) -> bool:
        """Put ``data`` in the place of ``content``; return whether the file did hold that."""
        if content == data:
            self._note_content(data)
            return True
        new = digest(data)
        if content is None:
            self._base.note(new, new, data)
        else:
            known = digest(content)
            self._base.note(known, new, None if known == self._base.last else content)
        if not replace_file(self._path, data, self._durability, lambda place: read_regular(place) == content):
            return False
        self._note_content(data)
        return True

    def _note_content(self, content: bytes) -> None:
        """Note that the file is known to hold ``content``."""
        self._reported_empty = None
        known = digest(content)
        if not known == self._base.last == self._base.intended:
            self._base.note(known, known, content)

    def _examine(self, content: bytes) -> Missing | Edited | Unreadable:
        if self._refused is not None and self._refused[0] == content:
            return self._refused[1]
        prepared, self._prepared = self._prepared, None
        try:
            value = prepared[1] if prepared and prepared[0] == content else self._load(content, self._path)
        except UnreadableFile as error:
            unreadable = Unreadable(error)
            self._refused = content, unreadable
            return unreadable
        if value is None and self._reported_empty != content:
            self._reported_empty = content
            told = "holds nothing. That is no edit, it is written again; to empty the structure write {} or []."
            if self._base.last is None:
                told = "holds no data: the structure begins with its defaults."
            logger.warning("%s %s", self._path, told)
        return Missing() if value is None else Edited(self._base_value(), value, content)

    def _base_value(self) -> Any | None:
        text = self._base.text()
        if text is None:
            return None
        try:
            return self._load(text, self._path)
        except UnreadableFile:
            return None  # the program wrote it, but it is larger or deeper than what may be read

    def _is_unknown(self, content: bytes | None) -> bool:
        return content is not None and digest(content) not in (self._base.last, self._base.intended)

    def _read(self) -> bytes | None:
        return read_regular(self._path)

    def _read_settled(self, *, patient: bool) -> bytes | None:
        """Read the file; if somebody else is just writing it, once it is some time since the last change."""
        content = self._read()
        give_up = time.monotonic() + _MOST_SECONDS
        while content is not None and self._is_unknown(content) and time.monotonic() < give_up:
            is_unfinished = looks_unfinished(content, self._base.text())
            try:
                age = time.time() - self._path.stat().st_mtime
            except FileNotFoundError:
                age = 0.0
            left = (UNFINISHED if is_unfinished else SETTLED) - age
            if age < 0 or left <= 0:
                break
            if is_unfinished and not patient:
                raise StillWritten
            time.sleep(min(left, _MOST_SECONDS / 10))
            content = self._read()
        return content


def base_name(suffix: str) -> str:
    """Return the name of the file that holds what is known of the readable file in one format."""
    return "base" if suffix == ".yaml" else f"base{suffix}"


def load_file(file_format: Format, data: bytes, place: Path) -> Any:
    """Return what a file's content says; raises UnreadableFile if it says nothing sensible."""
    try:
        return file_format.load(data, place)
    except ValueError as error:
        raise refused(place, error) from error


def refused(place: Path, problem: Exception) -> UnreadableFile:
    """Return what to raise for a file that holds what cannot be taken in."""
    return UnreadableFile(
        f"{place}: {problem}. The file was left as it is; correct it, or move it away to have it written anew."
    )
