"""Which device it is: its key, its fingerprint, its certificate; and which ones are allowed."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import re
import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tinysync import (
    InsecureFile,
    InvalidFingerprint,
    InvalidKey,
    LinkRefused,
    StorageError,
    UsageError,
    default_allowed_path,
    pair,
)
from tinysync.group.allowed import AllowedDevices, read_allowed
from tinysync.group.certificates import Authority, read_certificate
from tinysync.group.device import device_key, public_fingerprint
from tinysync.group.fingerprint import fingerprint_of, parse_fingerprint

from .members import GROUP, OTHER_GROUP, member, new_member, shown_by

DEVICE = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
FINGERPRINT = public_fingerprint(DEVICE.public_key())


def test_what_follows_from_the_keys_stays_the_same():
    authority = Authority.of(GROUP)
    digests = [
        hashlib.sha256(made.public_bytes(Encoding.DER)).hexdigest()[:16]
        for made in (authority.certificate, authority.issue(DEVICE.public_key()))
    ]
    assert digests == ["a06f038cc14aca40", "24c7d86678ac500e"]
    assert FINGERPRINT == "43671-23021-73416-89183-63161-44367"
    assert Authority.of(OTHER_GROUP).certificate != authority.certificate


def test_no_clock_has_to_be_right():
    authority = Authority.of(GROUP)
    for made in (authority.certificate, authority.issue(DEVICE.public_key())):
        assert made.not_valid_before_utc.timestamp() == 0
        assert made.not_valid_after_utc.year == 9999


def test_a_certificate_says_nothing_about_the_device_but_its_key():
    der = Authority.of(GROUP).issue(DEVICE.public_key()).public_bytes(Encoding.DER)
    places, fingerprint = read_certificate(der)
    assert places == [f"{GROUP.group}.tinysync.internal"]
    assert fingerprint == FINGERPRINT


# --- fingerprints -----------------------------------------------------------------------------------------


@given(st.binary())
def test_a_fingerprint_is_read_in_any_form(public_key):
    text = fingerprint_of(public_key)
    assert [len(part) for part in text.split("-")] == [5] * 6
    for form in (text, text.replace("-", ""), text.replace("-", " "), f" {text}\n"):
        assert parse_fingerprint(form) == text


@given(st.integers(0, 29), st.integers(1, 9))
def test_a_wrong_digit_is_noticed(place, change):
    digits = list(FINGERPRINT.replace("-", ""))
    digits[place] = str((int(digits[place]) + change) % 10)
    with pytest.raises(InvalidFingerprint, match="digit"):
        parse_fingerprint("".join(digits))


def test_swapped_digits_are_noticed():
    digits = FINGERPRINT.replace("-", "")
    for i in range(29):
        if digits[i] != digits[i + 1]:
            with pytest.raises(InvalidFingerprint):
                parse_fingerprint(digits[:i] + digits[i + 1] + digits[i] + digits[i + 2 :])


@pytest.mark.parametrize("text", ["", "laptop", FINGERPRINT[:-1], FINGERPRINT + "0", "\u0661" * 30, 5, None])
def test_what_is_no_fingerprint(text):
    with pytest.raises(InvalidFingerprint):
        parse_fingerprint(text)


# --- the device's key -------------------------------------------------------------------------------------


def test_a_device_stays_the_one_it_is(tmp_path):
    first = member(tmp_path)
    assert first.fingerprint == member(tmp_path).fingerprint == member(tmp_path, OTHER_GROUP).fingerprint
    assert first.fingerprint != new_member().fingerprint
    if os.name == "posix":
        assert (tmp_path / "device.pem").stat().st_mode & 0o077 == 0


def test_the_users_own_folder_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert device_key(None) is not None
    assert (tmp_path / "tinysync" / "device.pem").exists()


def test_a_damaged_key_of_a_device_is_refused_and_kept(tmp_path):
    path = tmp_path / "device.pem"
    whole = member(tmp_path) and path.read_text()
    for content in ("", "something else", whole[: len(whole) // 2]):
        path.write_text(content)
        with pytest.raises(InvalidKey, match="new fingerprint"):
            member(tmp_path)
        assert path.read_text() == content


@pytest.mark.skipif(os.name != "posix", reason="who may read a file is said in another way there")
def test_a_key_of_a_device_that_others_can_read_is_refused(tmp_path):
    member(tmp_path)
    (tmp_path / "device.pem").chmod(0o644)
    with pytest.raises(InsecureFile, match="chmod 600"):
        member(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        member(tmp_path / "file")


# --- TLS --------------------------------------------------------------------------------------------------


def test_the_contexts_are_strict(tmp_path):
    made = member(tmp_path)
    for context in (made.server, made.client):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert [dict(x[0] for x in ca["subject"])["commonName"] for ca in context.get_ca_certs()] == [
            f"tinysync group {GROUP.group}"
        ]
    assert made.server.num_tickets == 0
    # What was needed to hand over the private key is gone.
    assert sorted(path.name for path in tmp_path.iterdir()) == [".device.pem.lock", "device.pem"]


def test_a_certificate_for_another_place_is_refused():
    _, made = shown_by(GROUP)
    der = made.public_bytes(Encoding.DER)
    new_member().admit(der)
    with pytest.raises(LinkRefused, match="another group"):
        new_member(OTHER_GROUP).admit(der)


# --- who is allowed ---------------------------------------------------------------------------------------


def test_a_list_of_allowed_devices():
    private, made = shown_by()
    der = made.public_bytes(Encoding.DER)
    fingerprint = public_fingerprint(private.public_key())
    assert new_member(allow=[FINGERPRINT, fingerprint.replace("-", " ")]).admit(der) == fingerprint
    for allow in ([], [FINGERPRINT]):
        with pytest.raises(LinkRefused, match=fingerprint):
            new_member(allow=allow).admit(der)
    with pytest.raises(InvalidFingerprint):
        AllowedDevices(["laptop"])


def test_pairing_is_seen_by_those_who_have_read_the_list(tmp_path):
    path = tmp_path / "deep" / "allowed"
    allowed = AllowedDevices(path)
    assert FINGERPRINT not in allowed
    assert pair(FINGERPRINT.replace("-", " "), "Ann's laptop", path) == FINGERPRINT
    assert FINGERPRINT in allowed
    other = fingerprint_of(b"other")
    pair(other, "phone", path)
    assert FINGERPRINT in allowed
    assert other in allowed
    assert read_allowed(path) == {FINGERPRINT: "Ann's laptop", other: "phone"}
    path.unlink()
    assert other not in allowed


def test_a_refusal_says_what_allows_the_device_in_this_list(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    private, made = shown_by()
    fingerprint = public_fingerprint(private.public_key())
    for allow, advice in (
        (default_allowed_path(), f"pair it: tinysync.pair('{fingerprint}', 'its name')"),
        (tmp_path / "friends", f"pair it: tinysync.pair('{fingerprint}', 'its name', '{tmp_path}/friends')"),
        ([], f"write '{fingerprint}' into the list given as allow="),
    ):
        with pytest.raises(LinkRefused, match=f"{re.escape(advice)}$"):
            new_member(allow=allow).admit(made.public_bytes(Encoding.DER))


def test_pairing_again_renames_and_keeps_what_people_wrote(tmp_path):
    path = tmp_path / "allowed"
    other = fingerprint_of(b"other")
    path.write_text(f"# ours\n\n{FINGERPRINT} old name # since May\n   {other.replace('-', '')}\n")
    pair(FINGERPRINT, "new name", path)
    assert path.read_text() == f"# ours\n\n   {other.replace('-', '')}\n{FINGERPRINT}  new name\n"
    assert read_allowed(path) == {other: "", FINGERPRINT: "new name"}


def test_a_damaged_list_allows_nobody(tmp_path):
    path = tmp_path / "allowed"
    pair(FINGERPRINT, "laptop", path)
    private, made = shown_by()
    pair(public_fingerprint(private.public_key()), "phone", path)
    guard = new_member(allow=path)
    der = made.public_bytes(Encoding.DER)
    guard.admit(der)
    whole = path.read_text()
    path.write_text(whole + "12345 nonsense\n")
    with pytest.raises(LinkRefused, match="line 4"):
        guard.admit(der)
    for job in (lambda: pair(FINGERPRINT, "x", path), lambda: AllowedDevices(path)):
        with pytest.raises(InvalidFingerprint, match="line 4"):
            job()
    path.write_text(whole)
    guard.admit(der)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a  b", " a", "a#b", "\x1b[2J"])
def test_a_name_is_for_one_line(tmp_path, name):
    with pytest.raises(UsageError, match="name"):
        pair(FINGERPRINT, name, tmp_path / "allowed")
    assert not (tmp_path / "allowed").exists()


def _begin(arguments):
    """What a device does that starts for the first time, and is paired with some others."""
    folder, seed = arguments
    rng = random.Random(seed)
    for _ in range(10):
        pair(fingerprint_of(rng.randbytes(8)), f"device {seed}", folder / "allowed")
    return public_fingerprint(device_key(folder).public_key())


def test_processes_at_the_same_time_are_one_device_and_lose_nobody(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        fingerprints = pool.map(_begin, [(tmp_path, seed) for seed in range(4)], chunksize=1)
    assert len(set(fingerprints)) == 1
    assert len(read_allowed(tmp_path / "allowed")) == 40


def test_the_users_own_list_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    pair(FINGERPRINT, "laptop")
    assert read_allowed(tmp_path / "tinysync" / "allowed") == {FINGERPRINT: "laptop"}
