"""What does not fit an annotation is refused, with its path, and nothing has changed."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, IntFlag
from fractions import Fraction
from typing import Any, Generic, NewType, Optional, Sequence, TypeVar  # noqa: UP035 - people write so

import pytest

from tinysync import InvalidValue, KindMismatch, UnsupportedValue, track, tracker

from .models import Color, Server, Settings, Tree

T = TypeVar("T")


class Better(Server):
    pass


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (r"\['name'\] must be str, not 3 \(int\)", lambda s: setattr(s, "name", 3)),
        (r"\['name'\] must be str, not None", lambda s: setattr(s, "name", None)),
        (r"\['main'\] must be Server, not None", lambda s: setattr(s, "main", None)),
        (r"\['main'\] must be Server, not {", lambda s: setattr(s, "main", {"port": 1})),
        (r"\['main'\] must be Server, not", lambda s: setattr(s, "main", Better())),
        (r"\['main'\]\['port'\] must be int, not 'x'", lambda s: setattr(s.main, "port", "x")),
        (r"\['main'\]\['port'\] must be int, not 'x'", lambda s: setattr(s, "main", Server(port="x"))),
        (r"\['backup'\] must be Server \| None, not 3", lambda s: setattr(s, "backup", 3)),
        (r"\['retry'\]\[2\] must be int", lambda s: s.retry.append("x")),
        (r"\['retry'\]\[1\] must be int", lambda s: setattr(s, "retry", [1, "x"])),
        (r"\['retry'\]\[0\] must be int", lambda s: s.retry.__setitem__(0, "x")),
        (r"\['retry'\] must be list\[int\]", lambda s: setattr(s, "retry", (1, 2))),
        (r"\['tags'\]\[5\] must be str", lambda s: s.tags.add(5)),
        (r"\['limits'\]\['a'\] must be int", lambda s: s.limits.update(a="x")),
        (r"\['limits'\]\[1\] must be str", lambda s: s.limits.__setitem__(1, 1)),
        (r"\['size'\] must be tuple\[int, int\]", lambda s: setattr(s, "size", (1, 2, 3))),
        (r"\['size'\]\[1\] must be int", lambda s: setattr(s, "size", (1, "2"))),
        (r"\['color'\] must be Color, not 'red'", lambda s: setattr(s, "color", "red")),
        (r"\['colors'\]\[0\] must be Color", lambda s: s.colors.append("red")),
        (r"\['mode'\] must be one of 'fast', 'slow'", lambda s: setattr(s, "mode", "medium")),
        (r"\['ratio'\] must be float", lambda s: setattr(s, "ratio", "1")),
        (r"\['servers'\]\[1\] must be Server", lambda s: s.servers.append({"host": "a"})),
        (r"\['servers'\]\[1\]\['host'\] must be str", lambda s: s.servers.append(Server(5))),
        (r"\['named'\]\['a'\] must be Server", lambda s: s.named.update(a=5)),
        (r"\['name'\] must be str", lambda s: tracker(s).root.update(retry=[5], name=5)),
    ],
)
def test_what_does_not_fit_is_refused(path, change):
    heard = []
    settings = track(Settings(servers=[Server()]), persist=False, callback=heard.append)
    before = tracker(settings).snapshot()
    with pytest.raises(UnsupportedValue, match=path):
        change(settings)
    assert settings == before
    with settings:
        settings.ratio = 1.5
        with pytest.raises(TypeError, match=path):
            change(settings)
    before.ratio = 1.5
    assert settings == before
    assert len(heard) == 1


def test_what_type_checkers_accept_is_accepted():
    settings = track(Settings(), persist=False)
    settings.ratio = 1
    assert type(settings.ratio) is int
    settings.due = datetime(2024, 1, 1)  # noqa: DTZ001
    settings.due = date(2024, 1, 1)
    settings.backup = settings.main
    settings.main.port = 1
    assert settings.backup == Server()


Port = NewType("Port", int)


@dataclass
class Many:
    anything: Any = None
    port: Port = Port(5)
    old: Optional[int] = None  # noqa: UP045
    sequence: Sequence[int] = (1, 2)
    either: int | list[int] | dict[str, Server] = 0
    colors: Color | int = 0
    nested: dict[str, list[Server]] = field(default_factory=dict)
    pair: tuple[int, ...] = ()


def test_more_annotations():
    many = track(Many(), persist=False)
    many.anything = {"a": [1, {2}]}
    many.sequence = [1]
    many.either = [1, 2]
    many.either.append(3)
    with pytest.raises(TypeError, match=r"\['either'\]\[3\] must be int"):
        many.either.append("x")
    many.either = {"a": Server()}
    many.either["a"].port = 5
    assert many.either == {"a": Server(port=5)}
    many.either = 5
    many.colors = Color.RED
    assert many.colors is Color.RED
    many.colors = 3
    many.nested["a"] = [Server("q")]
    many.nested["a"][0].port = 7
    assert many.nested == {"a": [Server("q", 7)]}
    with pytest.raises(TypeError, match=r"\['anything'\]"):
        many.anything = object()
    with pytest.raises(TypeError, match=r"\['sequence'\]\[0\] must be int"):
        many.sequence = ["x"]


class Ratio(Enum):
    HALF = Fraction(1, 2)


@dataclass
class Holder(Generic[T]):
    value: T


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        (Fraction, "a Fraction cannot be held"),
        (list[Fraction], "a Fraction cannot be held"),
        (Server | Many, "could not be told apart"),
        (list[int] | list[str], "could not be told apart"),
        (Color | str, "a stored Color could not be told from a str"),
        (set[Color], "cannot be a Color"),
        (dict[Color, int], "a key cannot be a Color"),
        (tuple[Server, ...], "cannot be a Server"),
        (Ratio, "has a value that cannot be held"),
        (Holder[int], "cannot be held"),
        (T, "not understood"),
    ],
)
def test_annotations_that_cannot_be_held_are_refused_with_their_field(annotation, why):
    cls = dataclass(type("Odd", (), {"__annotations__": {"field": annotation}, "field": None}))
    with pytest.raises(UnsupportedValue, match=r"Odd\.field cannot be tracked: .*" + why):
        track(cls(), persist=False)


def test_a_default_that_does_not_fit_is_refused():
    with pytest.raises(TypeError, match=r"\['main'\]\['port'\] must be int, not None"):
        track(Settings(main=Server(port=None)), persist=False)


@pytest.mark.parametrize(
    ("structure", "where"),
    [
        (object(), "not an object .at the root"),
        (Settings, "not the class Settings .at the root"),
        ({"a": [object()]}, r"\['a'\]\[0\]"),
        ([{"b": Server()}], r"\[0\]\['b'\]"),
    ],
)
def test_anything_else_is_refused_with_its_path(structure, where):
    with pytest.raises(UnsupportedValue, match=where):
        track(structure, persist=False)


def test_a_name_is_open_as_one_thing(tmp_path):
    settings = track(Settings(), "s", folder=tmp_path)
    assert track(Settings(), "s", folder=tmp_path) is settings
    with pytest.raises(KindMismatch, match="open as a Settings, but a dict"):
        track({}, "s", folder=tmp_path)
    with pytest.raises(KindMismatch, match="but a Server"):
        track(Server(), "s", folder=tmp_path)
    tracker(settings).close()


class Rights(IntFlag):
    READ = 1
    WRITE = 2


@dataclass
class File:
    rights: Rights = Rights.READ


def test_combined_flags_are_held():
    file = track(File(), persist=False)
    file.rights = Rights.READ | Rights.WRITE
    assert file.rights == Rights.READ | Rights.WRITE
    assert tracker(file).root == {"rights": 3}


def test_an_instance_inside_itself_is_refused():
    tree = Tree("t")
    tree.children.append(tree)
    with pytest.raises(InvalidValue, match="inside itself"):
        track(tree, persist=False)
