"""What a program starts with, against what people chose: new devices, other versions, copied files."""

from __future__ import annotations

import pytest

from tests.document.replicas import Replica, same, settle

SETTINGS = {"theme": "light", "size": 10, "net": {"host": "a", "port": 1}, "plugins": ["x", {"n": 1}], "on": {"p"}}


def test_the_same_start_on_both_is_one(pair):
    a, b = pair.start(SETTINGS, meet=False)
    a.plugins.append("a")
    b.net.port = 2
    pair.finish({**SETTINGS, "plugins": ["x", {"n": 1}, "a"], "net": {"host": "a", "port": 2}})


@pytest.mark.parametrize("start", [[1, {"x": [2]}, 3], {1, "x"}], ids=["list", "set"])
def test_the_same_start_of_another_kind_of_root_is_one(pair, start):
    pair.start(start, meet=False)
    pair.finish(start)


def test_a_fresh_device_does_not_bring_defaults_back(pair):
    a, _b = pair.start(SETTINGS, meet=False)
    a.theme = "dark"
    a.net = {"host": "b"}
    del a["size"]
    del a.plugins[0]
    a.on.discard("p")
    pair.finish({"theme": "dark", "net": {"host": "b"}, "plugins": [{"n": 1}], "on": set()})


def test_what_was_set_to_the_default_again_is_chosen(pair):
    a, _b = pair.start({"x": 1}, {"x": 2}, versions=(0, 1), meet=False)
    a.x = 5
    a.x = 1
    pair.finish({"x": 1})


def test_a_newer_version_brings_new_defaults_but_not_over_what_was_chosen(pair):
    newer = {"theme": "blue", "size": 12, "net": {"host": "a", "port": 9, "tls": True}, "new": [1], "on": {"q"}}
    a, _b = pair.start(SETTINGS, newer, versions=(0, 1), meet=False)
    a.theme = "dark"
    del a["size"]
    del a.net["host"]
    a.plugins.append("mine")
    pair.finish(
        {
            "theme": "dark",
            "net": {"port": 9, "tls": True},
            "plugins": ["x", {"n": 1}, "mine"],
            "new": [1],
            "on": {"p", "q"},
        },
    )


def test_an_older_version_joins_later_and_changes_nothing(pair):
    _a, _b = pair.start({"x": 2, "new": 1}, {"x": 1, "old": 1}, versions=(1, 0), meet=False)
    pair.finish({"x": 2, "new": 1, "old": 1})


def test_what_was_chosen_on_the_newer_version_stays_too(pair):
    _a, b = pair.start({"x": 1, "l": [1]}, {"x": 2, "l": [1, 2]}, versions=(0, 1), meet=False)
    b.x = 3
    del b["l"]
    pair.finish({"x": 3})


def test_the_default_list_of_the_newer_version_shows_while_nobody_edited_it(pair):
    pair.start({"l": [1, 2]}, {"l": [1, 2, 3]}, versions=(0, 1), meet=False)
    pair.finish({"l": [1, 2, 3]})


def test_a_default_list_that_was_edited_stays_though_a_newer_version_has_another(pair):
    a, _b = pair.start({"l": [1, 2]}, {"l": [1, 2, 3]}, versions=(0, 1), meet=False)
    a.l.append("mine")
    pair.finish({"l": [1, 2, "mine"]})


def test_a_default_list_that_was_edited_deep_inside_stays_too(pair):
    old, new = {"l": [1, {"k": {"deep": [1]}}]}, {"l": [2]}
    a, _b = pair.start(old, new, versions=(0, 1), meet=False)
    a.l[1]["k"].deep.append(2)
    pair.finish({"l": [1, {"k": {"deep": [1, 2]}}]})


def test_a_default_list_edited_in_both_versions_is_one_of_them(pair):
    a, b = pair.start({"l": [1]}, {"l": [2]}, versions=(0, 1), meet=False)
    a.l.append("a")
    b.l.append("b")
    pair.finish({"l": [1, "a"] if pair.winner is pair.a else [2, "b"]})


def test_a_default_list_that_was_assigned_or_deleted_wins_over_an_edit_of_the_other_versions_list(pair):
    a, b = pair.start({"l": [1], "m": [1]}, {"l": [2], "m": [2]}, versions=(0, 1), meet=False)
    del a["l"]
    a.m = "none"
    b.l.append(3)
    b.m.append(3)
    pair.finish({"m": "none"})


def test_a_list_that_both_versions_have_takes_edits_of_both(pair):
    a, b = pair.start({"l": [1], "x": 1}, {"l": [1], "y": 1}, versions=(0, 1), meet=False)
    a.l.insert(0, "a")
    b.l.append("b")
    pair.finish({"l": ["a", 1, "b"], "x": 1, "y": 1})


def test_a_root_list_of_two_versions(pair):
    _a, _b = pair.start([1], [1, 2], versions=(0, 1), meet=False)
    pair.finish([1, 2])


def test_a_root_list_that_was_edited_stays(pair):
    a, _b = pair.start([1], [1, 2], versions=(0, 1), meet=False)
    a.append("mine")
    pair.finish([1, "mine"])


def test_many_lists_start_as_one_too(pair):
    start = {f"k{n}": [n, {"in": [n]}] for n in range(30)}
    a, b = pair.start(start, meet=False)
    a.k0.append("a")
    b.k0.insert(0, "b")
    b.k29[1]["in"].append("b")
    pair.finish({**start, "k0": ["b", 0, {"in": [0]}, "a"], "k29": [29, {"in": [29, "b"]}]})


def test_a_restart_in_a_newer_version_brings_its_defaults(tmp_path):
    (tmp_path / "d").mkdir()
    replica = Replica({"x": 1, "gone": 1, "l": [1]}, tmp_path / "d")
    replica.root.x = 5
    del replica.root["gone"]
    replica.structure, replica.version = {"x": 2, "gone": 2, "new": {"k": 1}, "l": [1, 2]}, 1
    replica.reopen()
    assert same(replica.root, {"x": 5, "new": {"k": 1}, "l": [1, 2]})
    replica.check()
    replica.structure, replica.version = {"x": 9, "newest": 1}, 1
    replica.reopen()
    assert same(replica.root, {"x": 5, "new": {"k": 1}, "l": [1, 2]}), "a version's defaults are taken once"
    replica.close()


def test_a_fresh_device_that_joins_in_the_middle_of_an_edited_session(pair):
    a, _b = pair.start({"x": {"y": 1}})
    a.x.y = 2
    pair.exchange()
    fresh = Replica({"x": {"y": 1, "z": 3}}, version=2)
    settle(pair.a, pair.b, fresh)
    for replica in (pair.a, pair.b, fresh):
        assert same(replica.root, {"x": {"y": 2, "z": 3}})


FILE = """\
theme: dark
size: 10
plugins:
- x
- n: 2
words:
- b
- a
"""


def test_a_file_copied_without_its_op_log_stays_one_structure(pair, tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        (folder / "conf.yaml").write_text(FILE, encoding="utf-8")
    a, b = pair.start(SETTINGS, folders=folders, meet=False)
    expected = {"theme": "dark", "size": 10, "plugins": ["x", {"n": 2}], "words": ["b", "a"]}
    assert same(a, expected)
    a.words.append("from a")
    b.plugins[1].n = 3
    pair.finish({**expected, "plugins": ["x", {"n": 3}], "words": ["b", "a", "from a"]})
    pair.a.close()
    pair.b.close()


def test_a_copied_file_counts_as_chosen(pair, tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "conf.yaml").write_text("theme: dark\nnet:\n  host: a\n", encoding="utf-8")
    pair.start(SETTINGS, {**SETTINGS, "theme": "blue"}, versions=(0, 1), folders=(folder, None), meet=False)
    pair.finish({"theme": "dark", "net": {"host": "a"}})
    pair.a.close()


def test_an_edit_of_a_root_list_that_arrives_before_what_makes_the_list_show():
    start = [1, {"a": 1}]
    one, editor, newer = Replica(start), Replica(start), Replica([9], version=1)
    editor.root.pop(0)
    newer.pull(editor)
    newer.root[0].b = 2
    one.receive([*newer.started, newer.outbox.published[-1]])
    one.check()
    assert one.root == [9]
    one.receive(editor.updates())
    one.check()
    assert one.root == [{"a": 1, "b": 2}]


@pytest.mark.parametrize(
    ("edit", "result"),
    [
        (lambda made: made.pop(0), [{"n": [2]}]),
        (lambda made: made.clear(), []),
        (lambda made: made.append(3), [1, {"n": [2]}, 3]),
        (lambda made: made.move(0, 1), [{"n": [2]}, 1]),
        (lambda made: made[1]["n"].pop(), [1, {"n": []}]),
        (lambda made: made.__setitem__(0, 0), [0, {"n": [2]}]),
    ],
    ids=["delete", "clear", "append", "move", "delete deeper", "assign"],
)
def test_the_device_that_made_a_default_list_follows_what_others_do_to_it(edit, result):
    one, other = Replica({}), Replica({})
    one.root.setdefault("made", [1, {"n": [2]}])
    other.pull(one)
    edit(other.root.made)
    one.pull(other)
    one.check()
    assert one.root == {"made": result}
