"""Conflicts name the author of the other write, also where somebody else brought it, and several at once."""

from __future__ import annotations

import pytest

from tests.document.replicas import Replica
from tinysync import NOTHING
from tinysync.model import Author

START = {
    "port": 1,
    "host": "a",
    "tasks": ["a", "b", "c", "d", "e"],
    "servers": {"x": {"on": True}, "y": {}},
    "tags": {"t"},
}


class Chain:
    """Two devices, which have edited while they were apart, and a hub between them."""

    def __init__(self) -> None:
        self.devices = {name: Replica(START) for name in ("laptop", "phone", "desk", "hub")}
        for device in self.devices.values():
            device.root["last"] = 0
        for _ in range(2):
            for one in self.devices.values():
                for other in self.devices.values():
                    one.pull(other)
        for device in self.devices.values():
            device.replica.document.links_were_down()

    def meet(self, *, is_diff):
        """Have all that was edited arrive over the hub; return the conflicts of each device."""
        hub = self.devices["hub"]
        for name, device in self.devices.items():
            for other in self.devices.values():
                author = Author("", name)
                other.replica.known.authors.learn(author, device.document.own - other.document.own)
        for device in self.devices.values():
            hub.pull(device)
        found = {}
        for name, device in self.devices.items():
            if name != "hub":
                updates = hub.document.diff(device.document.state_vector())
                device.outbox.shared.deliver(updates, "hub", lambda _: None, is_diff=is_diff)
                device.replica.conflicts.settle()
                found[name] = {
                    (tuple(one.path), one.kept_device if one.lost_here else one.lost_device, one.via): one
                    for one in device.replica.handle.conflicts()
                }
        return found


@pytest.fixture(params=[False, True], ids=["as made", "a diff"])
def meeting(request):
    chain = Chain()
    return chain.devices, lambda: chain.meet(is_diff=request.param)


def test_each_of_several_names_its_own_author(meeting):
    devices, meet = meeting
    laptop, phone, desk = (devices[name].root for name in ("laptop", "phone", "desk"))
    laptop.port, phone.port = 2, 3
    laptop.host, desk.host = "l", "d"
    laptop.tasks[0], phone.tasks[0] = "l", "p"
    laptop.tasks.move(1, 3)
    desk.tasks.move(1, 4)
    del laptop.servers["x"]
    phone.servers.x.on = False
    laptop.servers.y["here"] = 1
    del desk.servers["y"]
    found = meet()
    between = {
        ("port", "value"): {"laptop", "phone"},
        ("host", "value"): {"laptop", "desk"},
        ("tasks", "value"): {"laptop", "phone"},
        ("tasks", "move"): {"laptop", "desk"},
        "x": {"laptop", "phone"},
        "y": {"laptop", "desk"},
    }
    told = set()
    for name, conflicts in found.items():
        for (path, other, via), conflict in conflicts.items():
            place = path[1] if path[0] == "servers" else (path[0], conflict.kind)
            assert {name, other} == between[place], (name, place, other)
            assert not via
            told.add(place)
    assert told == between.keys()
    assert found["laptop"][("servers", "y"), "desk", False].kept is NOTHING
    assert found["phone"][("servers", "x"), "laptop", False].kept is NOTHING


def test_who_deleted_an_element_of_a_list_is_not_known(meeting):
    devices, meet = meeting
    devices["laptop"].root.tasks[0] = "edited"
    del devices["phone"].root.tasks[0]
    devices["desk"].root.port = 7
    found = meet()
    [conflict] = found["laptop"].values()
    assert (conflict.kept, conflict.kept_device, conflict.via) == (NOTHING, "hub", True)


def test_who_writes_under_an_unknown_client_id_is_not_known(meeting):
    devices, meet = meeting
    devices["laptop"].root.port = 2
    devices["phone"].root.port = 3
    for device in devices.values():
        device.replica.known.authors._earliest = 2**52
    found = meet()
    others = {(name, other, via) for name, conflicts in found.items() for _, other, via in conflicts}
    assert {other for _, other, _ in others} == {"hub"}
    assert {via for _, _, via in others} == {True}
