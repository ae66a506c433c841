"""A network of our own: a bridge, where Packer and the others run, and the machines plugged in."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from tests.container.machine import Machine

_LAID = ("ip link set lo up; ip link add bridge type bridge; ip link set bridge up; "
         "ip address add 10.77.0.1/24 dev bridge; echo laid; exec cat")


class Network:
    """The namespace of the process PID, which has the bridge."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._plugged = 1

    def argv(self, *command: str) -> list[str]:
        """What runs COMMAND in it."""
        return ["nsenter", "--target", str(self._pid), "--net", *command]

    def plug(self, box: Machine) -> str:
        """Connect the running BOX; returns its address."""
        self._plugged += 1
        cable, address = f"cable{self._plugged}", f"10.77.0.{self._plugged}"
        for command in (
            self.argv("ip", "link", "add", cable, "type", "veth",
                      "peer", "name", "eth0", "netns", str(box.leader)),
            self.argv("ip", "link", "set", cable, "master", "bridge", "up"),
            box.beside("ip", "address", "add", f"{address}/24", "dev", "eth0"),
            box.beside("ip", "link", "set", "eth0", "up"),
        ):
            subprocess.run(command, check=True, capture_output=True)
        return address


@contextlib.contextmanager
def laid() -> Iterator[Network]:
    """A network with no machine yet; it goes with this process, however that ends."""
    with subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-euc",
                           _LAID], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == b"laid\n"
            yield Network(holder.pid)
        finally:
            holder.kill()
