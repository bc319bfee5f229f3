import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.lengths import many
from tinysync.errors import UnreadableFile, UnsupportedValue
from tinysync.storage.format import MAX_BYTES
from tinysync.storage.plain import identity, to_readable
from tinysync.storage.yaml_check import MAX_DEPTH
from tinysync.storage.yaml_dump import dump_yaml, register_plain_types
from tinysync.storage.yaml_load import load_yaml

from .values import LIVE, READABLE


def load(data):
    return load_yaml(data if isinstance(data, bytes) else data.encode(), "conf.yaml")


def refusal(data):
    with pytest.raises(UnreadableFile) as caught:
        load(data)
    message = str(caught.value)
    assert message.startswith("conf.yaml, line ")
    assert "left as it was" in message or "left as it is" in message
    return message


# --- writing ----------------------------------------------------------------------------------------------


def test_the_first_example():
    conf = {"retry_intervals": [1, 3, 5, 10], "endpoint": {"protocol": "HTTP", "address": "docs.python.org"}}
    assert dump_yaml(conf).decode() == (
        "endpoint:\n  address: docs.python.org\n  protocol: HTTP\nretry_intervals:\n- 1\n- 3\n- 5\n- 10\n"
    )


def test_text_reads_well():
    value = {
        "long": "word " * 100 + "end",
        "lines": "first\n\n  not so indented".replace("  ", "") + "\nlast\n",
        "unicode": "Grüße",
        "number": "12",
        "date": "2026-01-01",
        "bell": "\a",
    }
    assert dump_yaml(value).decode() == (
        'bell: "\\a"\n'
        "date: '2026-01-01'\n"
        "lines: |\n  first\n\n  not so indented\n  last\n"
        f"long: {'word ' * 100}end\n"
        "number: '12'\n"
        "unicode: Grüße\n"
    )


@pytest.mark.parametrize(
    "value", ["a\nb\n\n", "a\n\n\n", "\n", "a\n", "a", "...", ["a\n\n"], {"a\n\n"}, {"a\n\n": 1}]
)
def test_a_line_can_be_added_by_hand(value):
    assert load(dump_yaml({"a": value, "b": 1}) + b"c: 2\n") == {"a": value, "b": 1, "c": 2}
    assert load(dump_yaml({"a": value}) + b"c: 2\n") == {"a": value, "c": 2}


def test_equal_structures_make_equal_files():
    assert dump_yaml({"a": {3, 1, 2}, "b": 1}) == dump_yaml({"b": 1, "a": {2, 1, 3}})
    mixed = {None: 1, 1: 1, "1": 1, b"1": 1, (1,): 1, True and 2.5: 1}
    assert dump_yaml(mixed) == dump_yaml(dict(reversed(mixed.items())))


def test_sets_empty_containers_and_shared_values():
    shared = [1]
    data = dump_yaml({"s": {"b", "a"}, "e": set(), "l": [], "d": {}, "x": shared, "y": shared}).decode()
    assert data == "d: {}\ne: !!set {}\nl: []\ns: !!set\n  a: null\n  b: null\nx:\n- 1\ny:\n- 1\n"


def test_what_no_structure_holds_is_refused():
    with pytest.raises(UnsupportedValue):
        dump_yaml({"a": object()})


@settings(max_examples=many(60))
@given(READABLE)
@example({"a": math.nan, "b": -math.inf, "c": -0.0, "d": 1e17, "e": 5e-324})
def test_readable_values_come_back_type_and_all(value):
    if value or isinstance(value, set):
        assert identity(load(dump_yaml(value))) == identity(value)


def test_ints_of_any_length_come_back():
    value = {10**5000: [-(10**5000), 2**64], (10**5000, "x"): {-(10**6000)}, "x": 1}
    assert identity(load(dump_yaml(value))) == identity(to_readable(value))


@settings(max_examples=many(60))
@given(LIVE)
def test_live_values_come_back_as_the_nearest(value):
    assert identity(load(dump_yaml(value))) == identity(to_readable(value))


@settings(max_examples=many(60))
@given(READABLE)
def test_what_is_written_is_plain_safe_yaml(value):
    ours, theirs = load(dump_yaml(value)), yaml.safe_load(dump_yaml(value))
    assert identity(ours) == identity(theirs)


def test_the_dumpers_of_yaml_know_registered_types():
    class Dict(dict):
        pass

    class List(list):
        pass

    class Set(set):
        pass

    register_plain_types([Dict], [List], [Set])
    value, plain = Dict(a=List([1, Set({2})])), {"a": [1, {2}]}
    for name in ("SafeDumper", "CSafeDumper", "Dumper", "CDumper"):
        if hasattr(yaml, name):
            dumper = getattr(yaml, name)
            assert yaml.dump(value, Dumper=dumper) == yaml.dump(plain, Dumper=dumper)
    assert yaml.safe_dump(value) == yaml.safe_dump(plain)


# --- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nothing", ["", " \n\n", "# only a comment\n", "null", "~", "---\n", "--- # x\n...\n", "\ufeff"]
)
def test_nothing_is_none(nothing):
    assert load(nothing) is None


def test_what_people_write():
    text = """
        # my settings
        defaults: &defaults {colour: red, size: 3}
        kitchen: {<<: *defaults, size: 4}
        again: [*defaults, *defaults]
        on: yes
        when: 2026-01-02 03:04:05+01:00
        equals: =
    """
    value = load(text.replace("\n        ", "\n"))
    assert value["kitchen"] == {"colour": "red", "size": 4}
    assert value["again"] == [{"colour": "red", "size": 3}] * 2
    assert value[True] is True
    assert value["when"].isoformat() == "2026-01-02T03:04:05+01:00"
    assert value["equals"] == "="


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_editors_write(encoding):
    assert load("größe: 3\r\nx: [1, 2]\r\n".encode(encoding)) == {"größe": 3, "x": [1, 2]}


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\nb: [1", "line ", "flow sequence"),
        ("a: 1\n\t- b", "line 2, column 1", "while scanning"),
        ("a: 1\nb: 2\n\na: 3\n", "line 4, column 1", "'a' is there twice, first in line 1"),
        ("x:\n  1: a\n  1.0: b\n", "line 3, column 3", "'1.0' and the key '1' in line 2 are equal in Python"),
        ("1: a\ntrue: b\n", "line 2, column 1", "'true' and the key '1' in line 1 are equal in Python"),
        ("0x1: a\n1: b\n", "line 2, column 1", "a dict can have only one"),
        ("a: 1\n!!set b: 2\n", "line 2, column 1", "a set cannot be a key"),
        ("!!map a: 1\n", "line 1, column 1", "a dict cannot be a key"),
        ("{a: 1, a: 2}", "line 1, column 8", "twice"),
        ("!!set {a, a}", "line 1, column 11", "twice"),
        ("x: {y: [{a: 1, a: 2}]}", "line 1, column 16", "twice"),
        ("b: &b {a: 1, a: 2}\nc: {<<: *b}", "line 1, column 14", "twice"),
        ("a: 1\n--- \nb: 2\n", "line 2, column 1", "second document"),
        ("just text", "line 1, column 1", "mapping, a list or a set was expected here, not one str"),
        ("3", "line 1, column 1", "not one int"),
        ("0x" + "f" * 100_000, "line 1, column 1", "not one int"),
        ("a: !!python/object/apply:os.system [id]", "line 1, column 4", "!!python/object/apply:os.system is not"),
        ("a: !!python/tuple [1]", "line 1, column 4", "!!python/tuple is not"),
        ("a: !mine 1", "line 1, column 4", "!mine is not"),
        ("a: !!omap [b: 1]", "line 1, column 4", "!!omap is not"),
        ("a: !!pairs [b: 1]", "line 1, column 4", "!!pairs is not"),
        ("? [1, 2]\n: 3", "line 1, column 3", "unhashable key"),
        ("x: {.nan: 1}", "line 1, column 5", "NaN cannot be a key"),
        ("!!set {.nan}", "line 1, column 8", "NaN cannot be a key"),
        ("a: 2026-13-45", "line 1, column 4", "'2026-13-45' is not a valid timestamp"),
        ("a: !!int foo", "line 1, column 4", "'foo' is not a valid int"),
        ("a: !!int ''", "line 1, column 4", "not a valid int"),
        ("a: !!float ''", "line 1, column 4", "not a valid float"),
        ("a: !!bool maybe", "line 1, column 4", "not a valid bool"),
        ("a: !!timestamp then", "line 1, column 4", "not a valid timestamp"),
        ("a: !!binary x", "line 1, column 4", "base64"),
        ("a: !!binary ä", "line 1, column 4", "base64"),
        ("a: !!int [1]", "line 1, column 4", "expected a scalar"),
        ("a: !!map 3", "line 1, column 4", "expected a mapping"),
        ("a: 1\nb: x\0y", "line 2, column 5", "'\\x00' is not allowed"),
        ("ä: '\x1b'", "line 1, column 5", "'\\x1b' is not allowed"),
        ('a: "\\ud800"', "line 1", "column"),
        ("a: *b", "line 1, column 4", "*b names nothing above it"),
        ("<<: 3", "line 1, column 5", "expected a mapping"),
        ("- &a 1\n- &a 2", "line 2, column 3", "duplicate anchor"),
    ],
)
def test_refusals_say_where_and_what(text, where, what):
    message = refusal(text)
    assert where in message
    assert what in message


@pytest.mark.parametrize(
    ("text", "line"),
    [("{}\na: 1\n", 1), ("# none yet\n{}  # so\na: 1\n", 2), ("a: 1\n{}\n", 2), ("[]\n- a\n", 1), ("- a\n[]", 2)],
)
def test_entries_beside_what_says_that_there_are_none(text, line):
    bracket = "{}" if "{}" in text else "[]"
    assert f"'{bracket}' in line {line} says that there is nothing: take it out" in refusal(text)


@pytest.mark.parametrize("text", ["a: [1\n", "a: |\n  {}\nb: [", "{}\n{}\n]"])
def test_only_a_line_of_its_own_says_so(text):
    assert ("take it out" in refusal(text)) == text.startswith("{}")


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"a: 1\nb: \xff", "line 2, column 4"),
        ("ä: 1\nb: é".encode("latin-1"), "line 1, column 1"),
        (b"\xff\xfea", "line 1"),
    ],
)
def test_what_is_not_text_is_told(data, where):
    message = refusal(data)
    assert where in message
    assert "text" in message


def nested(depth):
    return "[" * depth + "]" * depth


def laughs(count):
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, count)]
    return "\n".join(lines)


def merges(count):
    lines = ["a0: &a0 {k: x}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}], k{i}: 1}}" for i in range(1, count)]
    return "\n".join(lines)


def chain(count):
    return "\n".join(["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, count)])


@pytest.mark.parametrize(
    ("bomb", "what"),
    [
        (laughs(12), "stand for more than is allowed"),
        (merges(20), "stand for more than is allowed"),
        (chain(2 * MAX_DEPTH), "inside one another"),
        (nested(MAX_DEPTH + 1), "inside one another"),
        ("[" * 1_000_000, "inside one another|maximum nesting"),  # newer versions of libyaml have a limit as well
        ("- " * 200_000 + "x", "inside one another"),
        ("{a: " * 100_000, "inside one another"),
        ("&a [*a]", "stands inside of what it names"),
        ("&a {x: [{y: *a}]}", "stands inside of what it names"),
        ("&a {? *a : 1}", "stands inside of what it names"),
        ("a: " + "9" * 100_000, "not a valid int"),
        ("a: 1" + ":59" * 100_000, "not a valid int"),
        ("a: 1" + ":59" * 1_000 + ".0", "not a valid float"),
    ],
)
def test_bombs_are_refused(bomb, what):
    assert re.search(what, refusal(bomb))


@settings(max_examples=many(300))
@given(st.binary(max_size=60) | st.text("ab1:-?!&*<{}[],|>'\"#%@. \n\t~=", max_size=60).map(str.encode))
def test_no_file_makes_reading_fail_otherwise(data):
    try:
        value = load(data)
    except UnreadableFile:
        return
    assert identity(to_readable(value)) == identity(value)


def test_a_file_that_is_too_large_is_refused():
    assert "the limit" in refusal(b"#" * (MAX_BYTES + 1))


def test_what_a_person_needs_of_anchors_and_depth_is_fine():
    assert len(load(laughs(5))) == 5
    assert load(nested(MAX_DEPTH))
    many = "base: &b {a: 1, b: 2}\nall:\n" + "- *b\n" * 20_000
    assert len(load(many)["all"]) == 20_000
    assert load("a: 1" + "_" * 100_000 + "x")


def test_without_libyaml_everything_is_the_same():
    # The same tests once more, in a Python that cannot import libyaml's binding.
    block = "import sys; sys.modules['yaml._yaml'] = None; sys.modules['_yaml'] = None; import yaml, pytest;"
    block += "assert not yaml.__with_libyaml__;"
    run = "sys.exit(pytest.main(['-q', '-x', '-p', 'no:cacheprovider', sys.argv[1], '-k', 'not libyaml']))"
    done = subprocess.run(
        [sys.executable, "-c", block + run, __file__],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
