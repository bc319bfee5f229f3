"""Several hosts on one machine: network namespaces on a switch, made by the test and gone after it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys

import pytest

PREFIX = "tinysync-test"


def ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def remove(*namespaces: str) -> None:
    for namespace in namespaces:
        with contextlib.suppress(OSError):
            ip("netns", "del", namespace)


def remove_those_of_the_dead() -> None:
    """Remove what a test could not that was killed."""
    for namespace, pid in re.findall(rf"({PREFIX}-(\d+)-\S+)", ip("netns", "list")):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            remove(namespace)


class Host:
    """A host with one network card."""

    def __init__(self, namespace: str, switch: str, port: str) -> None:
        self._namespace = namespace
        self._switch = switch
        self._port = port
        self.command = ("ip", "netns", "exec", namespace)
        """What a command begins with that is to run on the host."""

    def set_address(self, address: str) -> None:
        """Give the card another address than before."""
        ip("-n", self._namespace, "addr", "flush", "dev", "eth0", "scope", "global")
        ip("-n", self._namespace, "addr", "add", f"{address}/24", "brd", "+", "dev", "eth0")

    def switch_off_card(self) -> None:
        """Nothing can be sent any more, although the address is still there."""
        ip("-n", self._namespace, "link", "set", "eth0", "down")

    def unplug(self) -> None:
        ip("-n", self._switch, "link", "set", self._port, "down")

    def plug_in(self) -> None:
        ip("-n", self._switch, "link", "set", self._port, "up")


class Network:
    """A switch and its hosts."""

    def __init__(self) -> None:
        self._namespaces: list[str] = []
        self._switch = self._namespace("switch")
        try:
            ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
            ip("-n", self._switch, "link", "set", "br0", "up")
        except BaseException:
            self.close()
            raise

    def _namespace(self, name: str) -> str:
        namespace = f"{PREFIX}-{os.getpid()}-{name}"
        ip("netns", "add", namespace)
        self._namespaces.append(namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        return namespace

    def host(self, address: str) -> Host:
        """Switch on a host with an address."""
        port = f"port{len(self._namespaces)}"
        namespace = self._namespace(f"host{len(self._namespaces)}")
        ip("-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", self._switch)
        ip("-n", self._switch, "link", "set", port, "master", "br0", "up")
        ip("-n", namespace, "link", "set", "eth0", "up")
        host = Host(namespace, self._switch, port)
        host.set_address(address)
        return host

    def close(self) -> None:
        remove(*self._namespaces)


@pytest.fixture
def network():
    """A network of hosts; skips the test where it cannot be made."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        pytest.skip("network namespaces are made by 'ip', on Linux")
    try:
        remove_those_of_the_dead()
        made = Network()
    except OSError as error:
        pytest.skip(f"this user or machine cannot make network namespaces: {error}")
    yield made
    made.close()
