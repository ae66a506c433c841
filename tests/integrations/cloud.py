"""An imitation of DigitalOcean in the network of the tests; droplets.py is its server."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.container.machine import Machine
from tests.integrations import droplets
from tests.integrations.network import Network

ROOT = Path(__file__).parents[2]
TOKEN = "dop_v1_" + "0123456789abcdef" * 4
PORT = 8080
ENDPOINT = {"DIGITALOCEAN_API_URL": f"http://{droplets.HOST}:{PORT}/",
            "DIGITALOCEAN_ACCESS_TOKEN": TOKEN}

Call = tuple[str, str, int, dict[str, Any]]  # method, path, status, what was sent


class Host(Protocol):
    """A machine that can be reached."""

    box: Machine
    address: str


class Cloud:
    """An imitation of DigitalOcean."""

    def __init__(self, network: Network, stack: contextlib.ExitStack) -> None:
        self._network, self._stack = network, stack
        self._process: subprocess.Popen[str] | None = None

    def open(self, hosts: Mapping[str, Host]) -> None:
        """Start it; HOSTS are the machines that become the Droplets of these images."""
        facts = {slug: {"address": host.address, "init": host.box.leader,
                        "off": host.box.argv("systemctl", "poweroff"),
                        "keys": str(host.box.tree / "root/.ssh/authorized_keys")}
                 for slug, host in hosts.items()}
        self._process = self._stack.enter_context(subprocess.Popen(
            self._network.argv(sys.executable, "-m", "tests.integrations.droplets", str(PORT),
                               TOKEN),
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        self._stack.callback(self._process.kill)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(facts))
        self._process.stdin.close()
        assert "READY" in self._process.stdout.readline()

    def close(self) -> list[Call]:
        """Stop it; returns the calls it got."""
        assert self._process
        assert self._process.stdout
        self._process.kill()
        return [tuple(json.loads(line)) for line in self._process.stdout]
