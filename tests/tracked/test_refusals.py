"""What cannot be held is refused before anything changed, with its path."""

from __future__ import annotations

import enum
from array import array
from fractions import Fraction
from typing import NamedTuple

import pytest

from tinysync.errors import InvalidValue, UnsupportedValue
from tinysync.tracked.adopt import copy_in

from .structure import check_links, state, track


class Color(enum.IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


class Point(NamedTuple):
    x: int
    y: int


def nested(depth, innermost=1):
    value = innermost
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Fraction(1, 2),
        Color.RED,
        Name("a"),
        Point(1, 2),
        bytearray(b"x"),
        memoryview(b"x"),
        array("b", b"x"),
        range(3),
        {}.keys(),
        (1, []),
        print,
        type,
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_value_of_another_type_is_refused_with_its_path(value, inside):
    live = track({"a": [1, {"b": 0}]})
    before = state(live)
    at_b, at_1 = "at ['a'][1]['b']", "at ['a'][1]"
    calls = [
        (lambda v: live.a[1].__setitem__("b", v), at_b),
        (lambda v: setattr(live.a[1], "b", v), at_b),
        (lambda v: live.a[1].update({"c": 1, "b": v}), at_b),
        (lambda v: live.a[1].setdefault("c", v), "at ['a'][1]['c']"),
        (lambda v: live.a.__setitem__(1, v), at_1),
        (lambda v: live.a.__setitem__(slice(1, 2), [v]), at_1),
        (lambda v: live.a.__setitem__(slice(None, None, 2), [v]), "at ['a'][0]"),
        (live.a.append, "at ['a'][2]"),
        (lambda v: live.a.extend([1, v]), "at ['a'][3]"),
        (lambda v: live.a.insert(0, v), "at ['a'][0]"),
    ]
    for call, place in calls:
        with pytest.raises(UnsupportedValue) as caught:
            call([0, {"deep": value}] if inside else value)
        where = f"{place}[1]['deep']" if inside else place
        assert str(caught.value).endswith(f"({where})")
        assert state(live) == before
    assert live._recorder.commits == []


def test_a_hint_says_what_to_do():
    live = track({})
    with pytest.raises(UnsupportedValue, match=r"convert it with bytes\(...\)"):
        live.x = bytearray(b"x")
    with pytest.raises(UnsupportedValue, match=r"convert it with list\(...\)"):
        live.x = array("i")
    with pytest.raises(UnsupportedValue, match=r"convert it with int\(...\)"):
        live.x = Color.RED


def test_keys_and_elements_are_refused_with_the_path_of_their_container():
    live = track({"a": {}, "s": set()})
    before = state(live)
    with pytest.raises(UnsupportedValue, match=r"as a key or element of \['a'\]"):
        live.a[Point(1, 2)] = 1
    with pytest.raises(UnsupportedValue, match=r"as a key or element of \['a'\]\['x'\]"):
        live.a.x = {Fraction(1, 2): 1}
    with pytest.raises(InvalidValue, match=r"as a key or element of \['a'\]"):
        live.a.update({"good": 1, float("nan"): 1})
    with pytest.raises(InvalidValue, match="as a key or element of the root"):
        live.setdefault("\ud800", 1)
    with pytest.raises(UnsupportedValue, match=r"as a key or element of \['s'\]"):
        live.s.add(Color.RED)
    with pytest.raises(UnsupportedValue, match=r"as a key or element of \['s'\]"):
        live.s = {1, Color.RED + Fraction(1, 2)}
    assert state(live) == before


def test_a_text_that_cannot_be_encoded_is_refused():
    live = track({"l": []})
    with pytest.raises(InvalidValue, match=r"lone surrogate .* \(at \['l'\]\[0\]\)"):
        live.l.append("\ud800")
    with pytest.raises(InvalidValue, match=r"lone surrogate .* \(at \['x'\]\['y'\]\)"):
        live.x = {"y": "\ud800"}
    assert live == {"l": []}


def test_a_cycle_is_refused():
    live = track({"a": {}})
    loop: list[object] = [1]
    loop.append({"again": loop})
    with pytest.raises(InvalidValue, match=r"inside itself \(at \['a'\]\['x'\]\[1\]\['again'\]\)"):
        live.a.x = loop
    mapping: dict[str, object] = {}
    mapping["self"] = mapping
    with pytest.raises(InvalidValue, match="inside itself"):
        live.update(mapping)
    assert live == {"a": {}}


def test_one_container_in_two_places_is_no_cycle():
    shared = [1]
    live = track({"x": [shared, shared]})
    live.x[0].append(2)
    assert live == {"x": [[1, 2], [1]]}


def test_depth_is_limited_wherever_the_value_goes():
    assert track({"x": nested(99)})._node.attached
    with pytest.raises(InvalidValue, match="more than 100 deep"):
        track({"x": nested(100)})
    live = track({"x": {"l": []}})
    live.x.l.append(nested(97))
    before = state(live)
    for call in (live.x.l.append, lambda v: live.x.l.__setitem__(0, v)):
        with pytest.raises(InvalidValue, match="more than 100 deep"):
            call(nested(98))
    assert state(live) == before
    check_links(live)


def test_an_error_of_an_iterable_changes_nothing():
    live = track({"l": [1], "s": {1}, "d": {}})
    before = state(live)

    def broken():
        yield "ab"
        raise LookupError("gone")

    for call in (live.l.extend, live.s.update, live.d.update, live.l.__iadd__):
        with pytest.raises(LookupError, match="gone"):
            call(broken())
    with pytest.raises(LookupError, match="gone"):
        live.l[:] = broken()
    assert state(live) == before
    assert live._recorder.commits == []


def test_a_root_is_checked_too():
    with pytest.raises(UnsupportedValue, match=r"\(at \['a'\]\[0\]\)"):
        copy_in({"a": [object()]})
    with pytest.raises(UnsupportedValue, match=r"\(at the root\)"):
        copy_in(object())
