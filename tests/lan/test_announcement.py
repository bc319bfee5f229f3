"""What devices say on the network: their group understands it, nobody else."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tinysync.discovery.announcement import LABEL_LENGTH, Announcements
from tinysync.model import DeviceId

OURS, THEIRS = Announcements(bytes(32)), Announcements(bytes(31) + b"x")
ME, YOU = DeviceId("0" * 32), DeviceId("1" * 32)


def test_a_group_knows_its_devices():
    label = OURS.make(ME)
    assert OURS.is_of_group(label)
    assert OURS.is_of_device(label, ME)
    assert not OURS.is_of_device(label, YOU)
    assert re.fullmatch(rf"[a-z2-7]{{{LABEL_LENGTH}}}", label)


def test_others_do_not():
    label = THEIRS.make(ME)
    assert not OURS.is_of_group(label)
    assert not OURS.is_of_device(label, ME)


def test_no_two_labels_have_anything_in_common():
    """Neither those of one device, nor those of one group."""
    part = LABEL_LENGTH // 3
    parts = [label[i : i + part] for label in (OURS.make(ME) for _ in range(100)) for i in range(0, 48, part)]
    assert len(set(parts)) == 300


@given(st.one_of(st.text(max_size=60), st.text("abcxyz234567", min_size=48, max_size=48)))
def test_what_is_no_label_is_nobody(text):
    assert not OURS.is_of_group(text)
    assert not OURS.is_of_device(text, ME)


@given(st.integers(0, LABEL_LENGTH - 1), st.sampled_from("abcdefgh234567"))
def test_a_label_that_was_changed_is_nobody(index, letter):
    label = OURS.make(ME)
    changed = label[:index] + letter + label[index + 1 :]
    assert changed == label or not (OURS.is_of_group(changed) and OURS.is_of_device(changed, ME))
