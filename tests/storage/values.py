"""Strategies for what a structure holds, and for what a readable file can say."""

import datetime as dt
from decimal import Decimal

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any text that UTF-8 can carry: control characters, line ends of all kinds, and what looks like YAML."""

YAML_LOOKALIKES = st.sampled_from(
    [
        *"~=-?:!&*%@`|>#'\"{}[], \t\n\r",
        "",
        "null",
        "yes",
        "off",
        "1:30",
        "0x1F",
        "1e3",
        "1_000",
        "<<",
        "---",
        "...",
        ".nan",
        "2026-01-01",
        "a: b",
        "- a",
        "# x",
        "a #b",
        "a\n",
        "\na",
        "a\n\nb\n\n",
        " a\n b",
        "a \nb",
        "\ta",
        "a\r\nb",
        "\x85",
        "\u2028x",
        "\ufeff",
        "\x7f",
        "\x00",
        "👍🏽",
        "\U0010ffff",
        "x" * 200,
        ("word " * 60).strip(),
        "%YAML",
        "!!int 3",
    ]
)
STRINGS = TEXT | YAML_LOOKALIKES | st.text("ab \n", max_size=12)
OFFSETS = st.timezones() | st.integers(-1439, 1439).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))
ODD_OFFSETS = st.integers(-86399, 86399).map(lambda s: dt.timezone(dt.timedelta(seconds=s)))
MINUTE_OFFSETS = st.integers(-1439, 1439).map(lambda m: dt.timezone(dt.timedelta(minutes=m)))

READABLE_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**4000, -(2**12000)]),
    st.floats(),
    STRINGS,
    st.binary(max_size=80),
    st.dates(),
    st.datetimes(timezones=st.none() | MINUTE_OFFSETS).map(lambda moment: moment.replace(fold=0)),
)
READABLE_KEYS = READABLE_SCALARS.filter(lambda key: key == key)


def containers(scalars, keys, leaves=12):
    return st.recursive(
        scalars | st.sets(keys, max_size=4),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=leaves,
    )


def roots(scalars, keys):
    inner = containers(scalars, keys)
    return st.dictionaries(keys, inner, max_size=5) | st.lists(inner, max_size=5) | st.sets(keys, max_size=5)


READABLE = roots(READABLE_SCALARS, READABLE_KEYS)

HASHABLE = st.recursive(
    st.one_of(
        READABLE_KEYS,
        st.decimals(allow_nan=False),
        st.times(),
        st.timedeltas(),
        st.uuids(),
        st.complex_numbers(allow_nan=False),
        st.datetimes(timezones=OFFSETS | ODD_OFFSETS),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
LIVE_SCALARS = HASHABLE | st.floats() | st.decimals() | st.just(Decimal("1.50"))
LIVE = roots(LIVE_SCALARS, HASHABLE)
