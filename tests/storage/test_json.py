"""JSON files that do not parse: where, why, and what to do."""

from __future__ import annotations

import pytest

from tinysync import JSON, UnreadableFile, track


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1,\n "b" 2}', "line 2, column 6: expecting ':' delimiter"),
        ('{"a": "text', "line 1, column 7: unterminated string. The"),
        ('{"a": 1} x', "line 1, column 10: extra data"),
        ('{"a": {"x": 1,\n\n  "\\u0078": 2}}', "line 3, column 3: the key 'x' is there twice in one object"),
        ('{"a": [{"b": 1, "c": ["b", "b"]}, "a"],\n"a": 1}', "line 2, column 1: the key 'a' is there twice"),
        ('["1e999",\n 1e999]', "line 2, column 2: the number 1e999 is too large"),
        ('["NaN",\n NaN]', "line 2, column 2: NaN is no number of JSON"),
        (f"[1,\n {'9' * 5000}]", "line 2, column 2: a number of 5,000 digits is too long"),
        ("\n 5", "line 2, column 2: an object or an array was expected here, not one int"),
        ("[\n" * 300 + "]" * 300, "line 201, column 1: more than 200 objects and arrays"),
        ("[" * 100_000 + "]" * 100_000, "line 1, column 201: more than 200 objects and arrays"),
        ('["a",\n "\\ud800"]', "line 2, column 2: half of a character"),
        (b'{"a":\n "\xff"}', "line 2, column 3: not UTF-8 text"),
    ],
)
def test_a_file_that_does_not_parse_is_refused_as_one_of_yaml_is(tmp_path, text, told):
    file = tmp_path / "conf.json"
    content = text if isinstance(text, bytes) else text.encode()
    file.write_bytes(content)
    with pytest.raises(UnreadableFile) as refused:
        track({}, "conf", folder=tmp_path, persist=JSON)
    assert str(refused.value).startswith(f"{file}, {told}")
    assert str(refused.value).endswith(
        ". The file was left as it is; correct it there, or move it away to have it written anew."
    )
    assert file.read_bytes() == content
