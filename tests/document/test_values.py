"""The value and key codecs: equal in, equal out, type included; one text for keys that Python holds for equal."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.document.exactness import identical
from tests.document.replicas import Replica, settle
from tinysync.crdt.engine import Engine
from tinysync.crdt.entries import dict_cell, set_cell
from tinysync.crdt.keys import equal_key, key_text, text_key
from tinysync.crdt.values import (
    KINDS,
    MAX_DEPTH,
    TOMBSTONE,
    TOMBSTONE_CELL,
    At,
    Ext,
    Keyed,
    Reference,
    decode,
    encode,
    encode_at,
    encode_reference,
    pack,
    unpack,
)
from tinysync.errors import BadUpdate, InvalidValue, TinySyncError, UnsupportedValue

FIXED_OFFSETS = st.integers(-86399, 86399).map(lambda seconds: dt.timezone(dt.timedelta(seconds=seconds)))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
EDGES = st.sampled_from(
    [2**53, 2**53 + 1, -(2**53), -(2**53) - 1, 2**63, 2**64, -(2**63) - 1, 2**200, 1.0, -0.0, 1e300, 2.0**53]
)
MOMENTS = st.datetimes(timezones=st.none() | FIXED_OFFSETS)
TIMES = st.times(timezones=st.none() | FIXED_OFFSETS)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), EDGES, TEXTS, st.binary(max_size=10), st.dates(), TIMES,
    MOMENTS, st.timedeltas(), st.decimals(allow_nan=None), st.uuids(), st.complex_numbers(),
)  # fmt: skip
SCALARS = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)

NUMBERS = st.one_of(
    st.booleans(), st.integers(-3, 3), st.integers(), EDGES, st.floats(allow_nan=False),
    st.decimals(allow_nan=False, min_value=-(10**20), max_value=10**20),
    st.complex_numbers(allow_nan=False), st.integers(-3, 3).map(float), st.integers(-3, 3).map(Decimal),
    st.integers(-3, 3).map(complex), st.sampled_from([Decimal("0.5"), 0.5, Decimal("0.1"), 0.1, Decimal("inf")]),
)  # fmt: skip
PLAIN_KEYS = NUMBERS | PLAIN.filter(lambda value: not _is_nan(value))
KEYS = st.recursive(
    PLAIN_KEYS,
    lambda inner: st.lists(inner, max_size=2).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)


def _is_nan(value):
    return value.is_nan() if isinstance(value, Decimal) else value != value


@st.composite
def equal_twins(draw):
    """Two keys that are often equal though not the same."""
    number = draw(st.integers(-(2**60), 2**60) | st.integers(-3, 3) | st.floats(-1e6, 1e6))
    forms = st.sampled_from([int, float, complex, Decimal, bool]).map(lambda form: _try(form, number))
    moment = draw(MOMENTS.filter(lambda moment: dt.datetime(2, 1, 1) < moment.replace(tzinfo=None)))  # noqa: DTZ001
    assume(moment.year < 9999)
    shifted = FIXED_OFFSETS.map(lambda zone: moment.astimezone(zone) if moment.tzinfo else moment)
    twins = draw(st.sampled_from([forms, shifted, st.tuples(forms, shifted), st.frozensets(forms)]))
    return draw(twins), draw(twins)


def _try(form, number):
    try:
        return form(number)
    except (ValueError, OverflowError):
        return number


@given(SCALARS)
def test_a_value_comes_back_as_it_went_in(value):
    assert identical(decode(encode(value)), value)
    assert identical(unpack(pack(value)), value)


@given(st.frozensets(KEYS, max_size=4))
def test_a_frozenset_has_one_encoding(value):
    assert identical(decode(encode(value)), value)
    assert pack(frozenset(sorted(value, key=repr))) == pack(frozenset(sorted(value, key=repr, reverse=True)))


@given(SCALARS)
def test_a_value_comes_back_from_the_engine_of_another_replica(value):
    one, other = Engine(1), Engine(2)
    one.begin()
    one.put("c", "x", encode(value))
    one.insert("l", 0, encode(value))
    one.commit()
    applied = other.apply([one.diff()], ["l"])
    with other.reading():
        assert identical(decode(other.get("c", "x")), value)
        assert [identical(decode(cell), value) for cell in other.elements("l")] == [True]
    assert identical(decode(applied.cells["c"]["x"]), value)
    assert identical(decode(applied.deltas[0][1][0]["insert"][0]), value)


STRUCTURES = st.recursive(
    SCALARS | st.sets(KEYS, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@given(STRUCTURES, STRUCTURES, KEYS, STRUCTURES)
def test_any_structure_comes_out_on_another_replica_as_it_went_in(default, chosen, key, assigned):
    one, other = Replica({"default": default, "list": [0]}), Replica({})
    one.root["chosen"] = chosen
    one.root.list[0] = assigned
    one.root.setdefault("seeded", assigned)
    one.root["under"] = {key: chosen}
    settle(one, other)
    expected = {
        "default": default, "list": [assigned], "chosen": chosen, "seeded": assigned, "under": {key: chosen}
    }  # fmt: skip
    assert identical(other.root, expected)
    one.reopen()
    assert identical(one.root, expected)


@given(st.sampled_from(KINDS), st.integers(0, 2**31) | st.binary(max_size=16))
def test_references_come_back(kind, nonce):
    assert decode(encode_reference(Reference(kind, nonce))) == Reference(kind, nonce)


def test_other_cells_come_back():
    at = At((2**40, 3), (1_700_000_000_000, 2**50))
    assert decode(encode_at(at)) == at
    assert decode(TOMBSTONE_CELL) is TOMBSTONE
    assert decode(dict_cell(1.0, encode(2**70))) == Keyed(1.0, 2**70)
    assert decode(dict_cell((1, True), encode_reference(Reference("set", 4)))) == Keyed((1, True), ("set", 4))
    assert identical(decode(set_cell((1.0, True))), (1.0, True))


# --- keys -------------------------------------------------------------------------------------------------


@given(KEYS, KEYS)
def test_keys_have_one_text_exactly_if_they_are_equal(one, other):
    assert (key_text(one) == key_text(other)) == (one == other)


@given(equal_twins())
def test_keys_that_are_made_equal_have_one_text(twins):
    one, other = twins
    assert (key_text(one) == key_text(other)) == (one == other)


@given(KEYS)
def test_a_text_gives_back_an_equal_key(key):
    text = key_text(key)
    again = equal_key(text)
    assert again == key
    assert hash(again) == hash(key)
    assert key_text(key) == text
    encode(again)
    if type(key) is str:
        assert text_key(text) == key
    else:
        assert text_key(text) is None


@given(TEXTS)
def test_texts_as_keys_are_kept_apart_from_all_others(text):
    assert text_key(key_text(text)) == text
    assert key_text("~" + text) == "~~" + text


# --- refusals ---------------------------------------------------------------------------------------------


class Color(IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


class Point(tuple):
    __slots__ = ()


REFUSED = [
    ("\ud800", InvalidValue),
    ("a\udfffb", InvalidValue),
    (("\ud800",), InvalidValue),
    (frozenset({"\udc00"}), InvalidValue),
    (Color.RED, UnsupportedValue),
    (Name("x"), UnsupportedValue),
    (Point((1, 2)), UnsupportedValue),
    ((1, [2]), UnsupportedValue),
    ((Color.RED,), UnsupportedValue),
    (Fraction(1, 2), UnsupportedValue),
    (bytearray(b"x"), UnsupportedValue),
    (memoryview(b"x"), UnsupportedValue),
    (object(), UnsupportedValue),
    (int, UnsupportedValue),
    (print, UnsupportedValue),
    (..., UnsupportedValue),
    (range(3), UnsupportedValue),
]
NAN_KEYS = [float("nan"), Decimal("NaN"), complex(1, float("nan")), complex(float("nan"), 0), (1, float("nan"))]
NAMES = [type(value).__name__ + str(number) for number, (value, _) in enumerate(REFUSED)]


def _deep(depth):
    value = ()
    for _ in range(depth):
        value = (value,)
    return value


@pytest.mark.parametrize(("value", "error"), REFUSED, ids=NAMES)
def test_a_value_that_cannot_be_held_is_refused(value, error):
    with pytest.raises(error):
        encode(value)


@pytest.mark.parametrize(("value", "error"), REFUSED, ids=NAMES)
@pytest.mark.parametrize(
    "put",
    [
        lambda root, value: root.__setitem__("x", value),
        lambda root, value: root.__setitem__("x", {"deep": [1, value]}),
        lambda root, value: root.update(a=2, x=value),
        lambda root, value: root.setdefault("x", [value]),
        lambda root, value: root.l.append(value),
        lambda root, value: root.l.__setitem__(0, value),
        lambda root, value: root.l.extend([1, value, 2]),
        lambda root, value: root.__setitem__("l", [1, 5, value]),
    ],
    ids=["assign", "inside", "update", "setdefault", "append", "slot", "extend", "reconcile"],
)
def test_an_assignment_that_is_refused_changes_nothing(put, value, error):
    replica = Replica({"a": 1, "l": [1, 2]})
    before, state = replica.replica.snapshot(), replica.document.diff()
    with pytest.raises(error):
        put(replica.root, value)
    assert replica.document.diff() == state
    assert identical(replica.root, before)
    replica.check()
    assert not replica.outbox.published


@pytest.mark.parametrize("key", NAN_KEYS, ids=repr)
def test_a_key_that_is_not_equal_to_itself_is_refused(key):
    with pytest.raises(InvalidValue, match="NaN"):
        key_text(key)
    replica = Replica({"d": {}, "s": set()})
    state = replica.document.diff()
    for change in (lambda root: root.d.__setitem__(key, 1), lambda root: root.s.add(key)):
        with pytest.raises(InvalidValue, match="NaN"):
            change(replica.root)
    assert replica.document.diff() == state
    assert identical(replica.root, {"d": {}, "s": set()})


@pytest.mark.parametrize("number", ["1e5000", "-1E-5000"])
def test_a_number_that_would_take_megabytes_as_a_key_is_refused(number):
    with pytest.raises(InvalidValue, match="key"):
        key_text(Decimal(number))
    assert identical(decode(encode(Decimal(number))), Decimal(number))


def test_values_nest_only_so_deep():
    assert decode(encode(_deep(MAX_DEPTH - 1))) == _deep(MAX_DEPTH - 1)
    with pytest.raises(InvalidValue, match="deep"):
        encode(_deep(MAX_DEPTH))


# --- bytes that are no cells ------------------------------------------------------------------------------


CELLS = [pack(value) for value in (1, 2**80, 1.0, "text", b"x", (1, (2,)), frozenset({1}), dt.date(2026, 1, 2),
         dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.time(1), dt.timedelta(1), Decimal("1.1"), UUID(int=1), 1j)] + [
    encode_reference(Reference("dict", 1)), encode_reference(Reference("list", b"12345678")),
    encode_at(At((1, 2), (3, 4))), TOMBSTONE_CELL, dict_cell((1, 2), encode(1.0)),
]  # fmt: skip


@given(st.binary(max_size=40))
def test_any_bytes_are_a_cell_or_refused(data):
    _unpack_or_refuse(data)


@given(st.sampled_from(list(Ext)), st.binary(max_size=30))
def test_any_content_of_an_extension_is_a_cell_or_refused(code, data):
    _unpack_or_refuse(b"\xc7" + bytes([len(data), code]) + data)


@given(st.data())
def test_a_damaged_cell_is_a_cell_or_refused(data):
    cell = bytearray(data.draw(st.sampled_from(CELLS)))
    for _ in range(data.draw(st.integers(1, 3))):
        cell[data.draw(st.integers(0, len(cell) - 1))] = data.draw(st.integers(0, 255))
    _unpack_or_refuse(bytes(cell))


def _unpack_or_refuse(data):
    try:
        value = unpack(data)
    except BadUpdate:
        return
    try:
        encode(value)
    except TinySyncError:
        return


def test_a_fraction_that_no_key_is_equal_to_is_refused():
    with pytest.raises(BadUpdate, match="neither"):
        equal_key(key_text(Fraction(1, 3)))


@given(st.text(st.sampled_from("~AQEBkQg=-_+/ \n"), max_size=12).map("~{}".format))
def test_any_text_is_a_key_or_refused(text):
    try:
        equal_key(text)
    except BadUpdate:
        return
