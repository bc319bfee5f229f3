"""What a person wrote into the YAML file stays: comments, order, layout."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.tracker.opened import assert_in_agreement, exact, open_in
from tinysync import TinySyncWarning, track, tracker
from tinysync.model import DeviceId
from tinysync.storage.yaml_load import load_yaml

CONF = """\
# The settings of the demo.

name: demo    # shown in the title
servers:      # in order of preference
    # the fast one
    fast: {port: 80, tags: [x, y]}
    # the slow one
    slow:
        port: 81
retry:
  - 1
  # after a while
  - 5

# The end.
"""


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "conf.yaml"
    file.write_text(CONF)
    return file


def test_a_file_written_by_hand_keeps_its_layout_from_the_first_write_on(tmp_path, file):
    conf = track({"name": "default", "extra": 1}, "conf", folder=tmp_path)
    assert file.read_text() == CONF
    conf.servers.slow.port = 8080
    expected = CONF.replace("81", "8080")
    assert file.read_text() == expected
    conf.retry.append(25)
    expected = expected.replace("  - 5\n", "  - 5\n  - 25\n")
    assert file.read_text() == expected
    with conf:
        del conf.servers["fast"]
        conf.name = "x"
        conf.new = {"a": [1]}
    expected = (
        expected.replace("    # the fast one\n    fast: {port: 80, tags: [x, y]}\n", "")
        .replace("demo    #", "x       #")
        .replace("  - 25\n", "  - 25\nnew:\n    a:\n      - 1\n")
    )
    assert file.read_text() == expected
    tracker(conf).close()
    assert file.read_text() == expected
    again = track({}, "conf", folder=tmp_path)
    assert file.read_text() == expected
    assert again == {"name": "x", "servers": {"slow": {"port": 8080}}, "retry": [1, 5, 25], "new": {"a": [1]}}
    again.name = "y"
    assert file.read_text() == expected.replace("x       #", "y       #")
    tracker(again).close()


def test_what_was_taken_back_was_never_written(tmp_path, file):
    replica = open_in(tmp_path, {})
    with pytest.raises(RuntimeError), replica:
        replica.root.clear()
        raise RuntimeError
    assert file.read_text() == CONF
    replica.close()


def test_an_edit_by_hand_keeps_its_comments(tmp_path):
    replica = open_in(tmp_path, {"b": 1, "a": [1, 2]})
    file = tmp_path / "conf.yaml"
    assert file.read_text() == "a:\n- 1\n- 2\nb: 1\n"
    edited = "# now with comments\na: [1, 2, 3]  # a list\n\nb: 1\n"
    file.write_text(edited)
    replica.root.b = 2
    assert file.read_text() == edited.replace("b: 1", "b: 2")
    assert replica.root.a == [1, 2, 3]
    assert_in_agreement(replica)
    replica.close()
    file.write_text(edited.replace("b: 1", "b: 5  # by hand").replace("3]", "3, 4]"))
    replica = open_in(tmp_path, {})
    assert replica.root == {"a": [1, 2, 3, 4], "b": 5}
    replica.root.b = 6
    assert file.read_text() == "# now with comments\na: [1, 2, 3, 4]  # a list\n\nb: 6  # by hand\n"
    replica.close()


def test_both_at_once(tmp_path, file):
    replica = open_in(tmp_path, {})
    file.write_text(CONF.replace("demo ", "edited ").replace("# The end.", "# The very end."))
    replica.root.servers.slow.port = 1
    assert file.read_text() == CONF.replace("demo ", "edited ").replace("# The end.", "# The very end.").replace(
        "81", "1"
    )
    assert replica.root.name == "edited"
    replica.close()


def test_a_change_of_another_device_touches_only_its_lines(tmp_path, file):
    here = open_in(tmp_path, {})
    (tmp_path / "there").mkdir()
    there = open_in(tmp_path / "there", {})
    there.receiver.receive(here.document.diff(), DeviceId("here"), lambda _: None)
    there.root.servers.fast.tags.append("z")
    there.root.servers.slow.host = "b"
    here.receiver.receive(there.document.diff(), DeviceId("there"), lambda _: None)
    assert file.read_text() == CONF.replace("[x, y]", "[x, y, z]").replace("81\n", "81\n        host: b\n")
    assert "#" not in (tmp_path / "there" / "conf.yaml").read_text()
    assert exact(here.root) == exact(there.root)
    here.close()
    there.close()


def test_what_yaml_cannot_say_keeps_its_type(tmp_path):
    replica = open_in(tmp_path, {"price": Decimal("1.10"), "at": (1, 2), "n": 1})
    file = tmp_path / "conf.yaml"
    file.write_text("# prices\nprice: '1.10'  # in euros\nat: [1, 2]\nn: 1\n")
    replica.root.n = 2
    replica.root.price = Decimal("2.50")
    replica.flush()
    assert file.read_text() == "# prices\nprice: '2.50'  # in euros\nat: [1, 2]\nn: 2\n"
    assert exact(replica.root) == exact({"price": Decimal("2.50"), "at": (1, 2), "n": 2})
    replica.close()


@pytest.mark.parametrize("remains", [None, "", "\n"])
def test_a_file_that_was_lost_is_written_again_as_it_was(tmp_path, file, remains):
    replica = open_in(tmp_path, {})
    file.unlink() if remains is None else file.write_text(remains)
    replica.root.name = "x"
    replica.flush()
    assert file.read_text() == CONF.replace("demo    #", "x       #")
    replica.close()
    file.unlink() if remains is None else file.write_text(remains)
    open_in(tmp_path, {}).close()
    assert file.read_text() == CONF.replace("demo    #", "x       #")


def test_comments_are_kept_when_the_file_holds_nothing_else(tmp_path):
    file = tmp_path / "conf.yaml"
    file.write_text("# Fill me in.\n")
    replica = open_in(tmp_path, {"a": 1})
    replica.root.b = [2]
    assert file.read_text() == "# Fill me in.\na: 1\nb:\n- 2\n"
    replica.close()


def test_a_broken_file_is_kept_and_then_its_correction(tmp_path, file):
    replica = open_in(tmp_path, {})
    file.write_text(CONF + "broken: [\n")
    with pytest.warns(TinySyncWarning, match="conf.yaml"):
        replica.root.name = "x"
    assert file.read_text() == CONF + "broken: [\n"
    file.write_text(CONF + "whole: [1]  # now\n")
    replica.flush()
    assert file.read_text() == CONF.replace("demo    #", "x       #") + "whole: [1]  # now\n"
    replica.close()


def test_a_large_file_keeps_its_comments_too(tmp_path):
    file = tmp_path / "conf.yaml"
    text = "".join(f"# of {n}\nkey{n}:   # beside\n    - {n}\n\n" for n in range(2500))
    file.write_text(text)
    replica = open_in(tmp_path, {})
    replica.root.key7[0] = -7
    del replica.root["key8"]
    replica.flush()
    expected = text.replace("- 7\n", "- -7\n").replace("# of 8\nkey8:   # beside\n    - 8\n", "")
    assert file.read_text() == expected
    assert load_yaml(file.read_bytes(), "") == replica.root
    replica.close()


def test_aliases_say_what_they_said(tmp_path):
    file = tmp_path / "conf.yaml"
    file.write_text("base: &base  # for all\n  port: 80\nweb:\n  <<: *base\n  host: w\nmail: *base\n")
    replica = open_in(tmp_path, {})
    replica.root.base.port = 81
    assert file.read_text() == (
        "base: &base  # for all\n  port: 81\nweb:\n  <<: *base\n  host: w\n  port: 80\nmail:\n  port: 80\n"
    )
    assert_in_agreement(replica)
    assert load_yaml(file.read_bytes(), "") == replica.root
    replica.close()
