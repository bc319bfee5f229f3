import datetime as dt
import math
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings

from tests.lengths import many
from tinysync.errors import UnsupportedValue
from tinysync.storage.plain import identity, in_type_of, readable_keys, to_readable

from .values import LIVE, READABLE

UTC = dt.UTC
HOUR = dt.timezone(dt.timedelta(hours=1))
SOMEWHERE = dt.timezone(dt.timedelta(minutes=53, seconds=28))
NAIVE = dt.datetime.fromisoformat("2026-01-02T00:00:00")
ID = UUID("12345678123456781234567812345678")


@pytest.mark.parametrize(
    ("value", "readable"),
    [
        ((1, (2, "x")), [1, [2, "x"]]),
        (frozenset({1, 2}), {1, 2}),
        (Decimal(3), 3),
        (Decimal("1.5"), 1.5),
        (Decimal("-0.1"), -0.1),
        (Decimal("3.0"), 3.0),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1E+3"),
        (Decimal("0.1000000000000000000001"), "0.1000000000000000000001"),
        (Decimal("Infinity"), "Infinity"),
        (Decimal("NaN"), "NaN"),
        (Decimal("9" * 5000), "9" * 5000),
        (dt.time(12, 30), "12:30:00"),
        (dt.timedelta(days=1, seconds=5), "1 day, 0:00:05"),
        (ID, "12345678-1234-5678-1234-567812345678"),
        (1 + 2j, "(1+2j)"),
        (dt.datetime(2026, 1, 2, tzinfo=HOUR), dt.datetime(2026, 1, 2, tzinfo=HOUR)),
        (dt.datetime(2026, 1, 2, tzinfo=SOMEWHERE), "2026-01-02T00:00:00+00:53:28"),
        (NAIVE.replace(fold=1), NAIVE),
        ({(1, 2): 1}, {"(1, 2)": 1}),
        ({(1,): 1}, {"(1,)": 1}),
        ({("a", Decimal("1.5")): 1}, {"('a', 1.5)": 1}),
        ({frozenset({2, 1}): 1}, {"{1, 2}": 1}),
        ({ID: 1, None: 2, True: 3, b"x": 4}, {str(ID): 1, None: 2, True: 3, b"x": 4}),
        ({dt.time(1): 1}, {"01:00:00": 1}),
        ({(1, 2), "x"}, {"(1, 2)", "x"}),
    ],
)
def test_the_nearest(value, readable):
    assert identity(to_readable(value)) == identity(readable)


def test_keys_that_would_be_one_are_told_apart():
    live = {
        "(1, 2)": "text",
        (1, 2): "tuple",
        "(1, 2) (tuple)": "text that looks so",
        0.1: "float",
        Decimal("0.1"): "d",
    }
    readable = to_readable(live)
    assert len(readable) == len(live)
    assert readable == {
        "(1, 2)": "text",
        "(1, 2) (tuple 2)": "tuple",
        "(1, 2) (tuple)": "text that looks so",
        0.1: "float",
        "0.1 (Decimal)": "d",
    }
    assert to_readable(dict(reversed(live.items()))) == readable


@settings(max_examples=many(60))
@given(LIVE)
def test_no_entry_is_dropped(value):
    assert len(to_readable(value)) == len(value)
    if not isinstance(value, list):
        assert set(readable_keys(value).values()) == set(value)


@settings(max_examples=many(60))
@given(LIVE)
def test_it_is_readable_and_stays_so(value):
    readable = to_readable(value)
    assert identity(to_readable(readable)) == identity(readable)


@settings(max_examples=many(60))
@given(READABLE)
def test_readable_values_are_their_own(value):
    assert identity(to_readable(value)) == identity(value)


@pytest.mark.parametrize("value", [object(), bytearray(b"x"), int, range(3)])
def test_what_no_structure_holds_is_refused(value):
    with pytest.raises(UnsupportedValue):
        to_readable({"a": [value]})


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ("1", 1),
        (b"1", "1"),
        (None, False),
        ([1], [1.0]),
        ({1: 2}, {True: 2}),
        ({1}, {1.0}),
        ([], {}),
        (set(), {}),
        (NAIVE.date(), NAIVE),
        (dt.datetime(2026, 1, 1, 1, tzinfo=UTC), dt.datetime(2026, 1, 1, 2, tzinfo=HOUR)),
    ],
)
def test_what_differs_in_type_differs(a, b):
    assert identity(a) != identity(b)


@pytest.mark.parametrize("value", [math.nan, [math.nan], {"x": [{1, None}, b""]}, NAIVE])
def test_what_is_the_same_is_the_same(value):
    assert identity(value) == identity(to_readable(value))


@pytest.mark.parametrize(
    ("example", "readable", "value"),
    [
        (Decimal("1.5"), 2.5, Decimal("2.5")),
        (Decimal("1.50"), "2.50", Decimal("2.50")),
        (Decimal("1.50"), 2, Decimal(2)),
        (Decimal("1.5"), "much", "much"),
        (Decimal("1.5"), True, True),
        (Decimal("1.5"), "2.5", "2.5"),
        (Decimal("1.5"), math.nan, math.nan),
        (ID, "12345678-1234-5678-1234-567812345679", UUID(int=ID.int + 1)),
        (ID, "no id", "no id"),
        (ID, 3, 3),
        (dt.time(1), "02:00:00", dt.time(2)),
        (dt.time(1), "2:00", "2:00"),
        (1j, "(1+1j)", 1 + 1j),
        (1j, 1, 1),
        ((1, 2), [1, 2, 3], (1, 2, 3)),
        ((1, 2), [1, [2]], [1, [2]]),
        ((1, 2), "text", "text"),
        ((1, 2), {"a": 1}, {"a": 1}),
        (frozenset({1}), {2}, frozenset({2})),
        (1.0, 2, 2),
        ("1", 1, 1),
        (None, 1, 1),
    ],
)
def test_an_edited_value_keeps_its_type_where_that_says_the_same(example, readable, value):
    got = in_type_of(example, readable)
    assert type(got) is type(value)
    assert repr(got) == repr(value)
