"""The key of a group: its text, its file, and that it is shown nowhere."""

from __future__ import annotations

import copy
import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysync import InsecureFile, InvalidKey, Key, Peer, StorageError, UsageError
from tinysync.group.key import as_key

from .members import GROUP

TEXT = "tinysync-key-aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp4joyn"


def test_a_new_key_is_another_one():
    assert Key.new() != Key.new()
    assert Key.new().group != Key.new().group


def test_what_follows_from_a_key_stays_the_same():
    assert GROUP.text().replace("-", "") == TEXT.replace("-", "")
    assert GROUP.group == "kfpgozivjjhvr25cqzesh22x"
    assert GROUP.derive("certificate authority, ed25519", 32) != GROUP.derive("another purpose", 32)


@given(st.binary(min_size=32, max_size=32))
def test_a_key_comes_back_from_its_text(secret):
    key = Key(secret)
    text = key.text()
    for written in (
        text,
        text.upper(),
        text.replace("-", "").replace("tinysynckey", "tinysync-key-"),
        f" {text}\n",
    ):
        assert Key.from_text(written) == key
        assert hash(Key.from_text(written)) == hash(key)


@given(st.integers(0, len(TEXT) - 14), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_mistyped_key_is_refused_and_not_repeated(place, letter):
    letters = list(TEXT.removeprefix("tinysync-key-"))
    if letters[place] == letter:
        return
    letters[place] = letter
    with pytest.raises(InvalidKey) as caught:
        Key.from_text("tinysync-key-" + "".join(letters))
    assert "".join(letters)[:10] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "x", "tinysync-key-", TEXT[:-1], TEXT + "a", TEXT[:-1] + "1", TEXT[13:]])
def test_what_is_no_key_is_refused(text):
    with pytest.raises(InvalidKey):
        Key.from_text(text)


@pytest.mark.parametrize("secret", [b"", b"secret", bytes(31), bytes(33), "x" * 32, bytearray(32)])
def test_a_passphrase_is_no_key(secret):
    with pytest.raises(InvalidKey, match="32 random bytes"):
        Key(secret)


def test_a_key_is_shown_nowhere():
    for shown in (repr(GROUP), str(GROUP), f"{GROUP}", repr([GROUP])):
        assert GROUP.group in shown
        assert GROUP.text().split("-")[2] not in shown
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="text"):
            leak(GROUP)


def test_a_key_is_kept_in_a_file(tmp_path):
    path = tmp_path / "deep" / "key"
    assert GROUP.save(path) == path
    assert Key.load(path) == Key.load(str(path)) == GROUP
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    with pytest.raises(UsageError, match="already"):
        Key.new().save(path)
    assert Key.load(path) == GROUP


@pytest.mark.skipif(os.name != "posix", reason="who may read a file is said in another way there")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o777])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    path = GROUP.save(tmp_path / "key")
    path.chmod(mode)
    with pytest.raises(InsecureFile, match=f"chmod 600 {path}"):
        Key.load(path)


@pytest.mark.parametrize("content", [b"", b"something else", b"\xff\xfe", TEXT[:-3].encode()])
def test_a_file_with_something_else_is_refused(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises((InvalidKey, StorageError), match=str(path)):
        Key.load(path)
    assert path.read_bytes() == content


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match=r"no key in .*Key\.new"):
        Key.load(tmp_path / "key")
    with pytest.raises(StorageError, match="cannot read"):
        Key.load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot"):
        GROUP.save(tmp_path / "file" / "key")


def test_the_environment_comes_before_the_users_file(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TINYSYNC_KEY", raising=False)
    assert Key.from_environment() is None
    with pytest.raises(UsageError, match=r"Key\.new"):
        Key.default()
    other = Key.new()
    assert other.save() == tmp_path / "tinysync" / "key"
    assert Key.default() == Key.load() == other
    monkeypatch.setenv("TINYSYNC_KEY", TEXT)
    assert Key.default() == Key.from_environment() == GROUP
    monkeypatch.setenv("TINYSYNC_KEY", "nonsense")
    with pytest.raises(InvalidKey, match="TINYSYNC_KEY"):
        Key.default()


def test_a_key_is_taken_in_three_forms(tmp_path):
    path = GROUP.save(tmp_path / "key")
    assert {as_key(form) for form in (GROUP, TEXT, f" {TEXT.upper()}\n", path, str(path))} == {GROUP}
    for form in (None, 1, bytes(32)):
        with pytest.raises(InvalidKey, match="Key"):
            as_key(form)


WITHOUT_EXTRA = """
import sys
for name in ("cryptography", "platformdirs"):
    sys.modules[name] = None
from tinysync import Key, Peer, UsageError
Peer(listen="127.0.0.1:0").close()
key = Key.new()
assert Key.from_text(key.text()) == key
for job in (Key.default_path, lambda: key.group, lambda: Peer(key=key)):
    try:
        job()
    except UsageError as error:
        print(error)
"""


def test_without_the_extra_it_is_said_what_to_install():
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_EXTRA],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    lines = answer.stdout.splitlines()
    assert len(lines) == 3
    assert all('pip install "tinysync[net]"' in line for line in lines)


def test_options_about_a_group_take_a_key(tmp_path):
    for options in ({"allow": []}, {"identity": tmp_path}):
        with pytest.raises(UsageError, match="key="):
            Peer(**options)
