import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinysync.errors import InvalidName
from tinysync.storage.names import document_paths


def test_a_name_becomes_a_yaml_file_and_a_state_folder(tmp_path):
    paths = document_paths("example-config", tmp_path)
    assert paths.readable == tmp_path / "example-config.yaml"
    assert paths.state == tmp_path / ".tinysync" / "example-config"
    assert not list(tmp_path.iterdir())


def test_slashes_are_folders_of_the_readable_file_but_not_of_the_state(tmp_path):
    paths = document_paths("home/lights", tmp_path)
    assert paths.readable == tmp_path / "home" / "lights.yaml"
    assert paths.state == tmp_path / ".tinysync" / "home%2Flights"


def test_names_that_look_encoded_do_not_collide(tmp_path):
    names = ["home/lights", "home%2Flights", "home%252Flights", "home%2flights"]
    assert len({document_paths(name, tmp_path).state for name in names}) == len(names)


def test_paths_stay_when_the_program_changes_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = document_paths("todo", "dev1")
    assert paths.readable == tmp_path / "dev1" / "todo.yaml"


@pytest.mark.parametrize(
    "name",
    ["user directory", "Größe", "日本", "a.b", ".hidden", "console", "com10", "100%", "🎉", "x" * 200],
)
def test_good_names(name, tmp_path):
    assert document_paths(name, tmp_path).readable.name == f"{name}.yaml"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/etc/passwd",
        "a/",
        "a//b",
        ".",
        "..",
        "../x",
        "a/../b",
        "a/./b",
        "a\\b",
        "C:x",
        "a<b",
        "a>b",
        'a"b',
        "a|b",
        "a?b",
        "a*b",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "a.",
        "a ",
        "a./b",
        "a /b",
        "con",
        "NUL",
        "aux.txt",
        "x/Com1/y",
        "lpt9.a.b",
        "COM¹",
        "conout$",
        "con .txt",
        ".tinysync",
        ".TinySync/x",
        "x/.tinysync",
        "x" * 201,
        "ä" * 101,
        "a/" * 70 + "a",
        "lone \ud800",
        None,
        3,
        b"name",
    ],
)
def test_bad_names(name, tmp_path):
    with pytest.raises(InvalidName):
        document_paths(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_bad_name_is_a_value_error(tmp_path):
    with pytest.raises(ValueError, match="must be relative"):
        document_paths("../x", tmp_path)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_no_name_leads_out_of_the_folder(name):
    try:
        paths = document_paths(name, "/base/folder")
    except InvalidName:
        return
    assert os.path.normpath(paths.readable) == str(paths.readable)
    assert paths.readable.is_relative_to(document_paths("x", "/base/folder").readable.parent)
    assert paths.state.parent == document_paths("x", "/base/folder").state.parent
    assert len(paths.state.name.encode()) <= 255
