import os
import stat
import sys

import pytest

from tinysync.storage.atomic import replace_file

unix = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of Unix")


@pytest.fixture(params=["os", "disk"])
def durability(request):
    return request.param


def test_creates_replaces_and_leaves_nothing_else(tmp_path, durability):
    path = tmp_path / "a" / "b" / "file"
    assert replace_file(path, b"one", durability)
    assert path.read_bytes() == b"one"
    assert replace_file(path, b"two", durability)
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_check_that_says_no_leaves_the_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert not replace_file(path, b"new", "os", check=lambda _: False)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def edit_in_place(path):
    path.write_bytes(b"edit")


def edit_by_renaming(path):
    aside = path.with_name("aside")
    aside.write_bytes(b"edit")
    aside.replace(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="two files change names at once on Linux")
@pytest.mark.parametrize("edit", [edit_in_place, edit_by_renaming])
def test_what_is_edited_between_the_check_and_the_replacement_stays(tmp_path, edit):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def check(place):
        is_old = place.read_bytes() == b"old"
        if place == path:
            edit(path)
        return is_old

    assert not replace_file(path, b"new", "os", check)
    assert path.read_bytes() == b"edit"
    assert list(tmp_path.iterdir()) == [path]


def test_a_check_that_fails_leaves_the_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        replace_file(path, b"new", "os", check=lambda _: 1 // 0)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "file"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        replace_file(path, b"new", "os")
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_swept(tmp_path):
    path = tmp_path / "file"
    (tmp_path / ".file.tmp").write_bytes(b"half of som")
    assert replace_file(path, b"new", "os")
    assert list(tmp_path.iterdir()) == [path]


@unix
def test_the_mode_stays(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o600)
    replace_file(path, b"new", "os")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@unix
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", b"new", "os")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@unix
def test_a_symbolic_link_stays_one(tmp_path):
    target, link = tmp_path / "dotfiles" / "conf.yaml", tmp_path / "conf.yaml"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link.symlink_to(target)
    replace_file(link, b"new", "os")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
