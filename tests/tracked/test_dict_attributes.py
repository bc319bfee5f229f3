"""Keys of a dict as attributes."""

from __future__ import annotations

import pytest

from tinysync.tracked.dicts import DictWrapper

from .structure import track


def test_keys_are_read_written_and_deleted():
    live = track({"endpoint": {"protocol": "HTTP"}})
    live.endpoint.protocol = "HTTPS"
    live.retry = [1]
    assert live == {"endpoint": {"protocol": "HTTPS"}, "retry": [1]}
    del live.endpoint
    assert live == {"retry": [1]}
    assert [name for name, *_ in live._recorder.calls] == ["__setitem__", "__setitem__", "__delitem__"]


def test_a_missing_key_is_named():
    live = track({"endpoint": 1})
    with pytest.raises(AttributeError, match="no key 'endpiont'") as caught:
        _ = live.endpiont
    assert caught.value.name == "endpiont"
    assert caught.value.obj is live
    with pytest.raises(AttributeError, match="no key 'gone'"):
        del live.gone
    assert not hasattr(live, "gone")
    assert getattr(live, "gone", 5) == 5


@pytest.mark.parametrize(
    "name", ["items", "update", "_private", "__dict__", "_node", "_recorder", "_tracker", "__class__"]
)
def test_names_of_the_type_and_private_ones_point_to_brackets(name):
    live = track({})
    with pytest.raises(AttributeError, match=rf"write \['{name}'\] = "):
        setattr(live, name, 1)
    live[name] = 1
    with pytest.raises(AttributeError, match=rf"write del \['{name}'\]"):
        delattr(live, name)
    assert live == {name: 1}
    assert getattr(live, name, None) != 1


def test_a_private_key_is_read_with_brackets():
    live = track({"_private": 1})
    with pytest.raises(AttributeError, match=r"write \['_private'\]"):
        _ = live._private
    with pytest.raises(AttributeError, match="no key '_other'"):
        _ = live._other


def test_a_key_with_a_name_of_the_type_does_not_hide_the_method():
    live = track({"items": 1, "get": 2})
    assert list(live.items()) == [("items", 1), ("get", 2)]


def test_dir_has_the_keys_that_can_be_attributes():
    live = track({"good": 1, "not one": 2, "_private": 3, 4: 5})
    assert "good" in dir(live)
    assert "items" in dir(live)
    assert not {"not one", "_private", 4} & set(dir(live))


def test_detached_ones_have_attributes_too():
    made = DictWrapper(a=1)
    made.b = object
    del made.a
    assert made == {"b": object}


def test_lists_and_sets_have_no_attributes():
    live = track({"l": [], "s": set()})
    for container in (live.l, live.s):
        with pytest.raises(AttributeError):
            container.name = 1


def test_a_misspelt_key_is_not_taken_for_something_private():
    live = track({"node": 1, "other": 2})
    names = dir(live)
    assert {"node", "other", "items", "__len__"} <= set(names)
    assert not [name for name in names if name.startswith("_") and not name.startswith("__")]
