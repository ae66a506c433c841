"""This ring runs Packer, Fabric and Ansible with what `make dist` built, against booted containers.

It needs root, what the ring of the containers needs, and iproute2.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.container import server
from tests.container.conftest import (  # noqa: F401 - fixtures
    _machines,
    key,
    make,
    make_el,
)
from tests.container.machine import Machine
from tests.integrations import network
from tests.integrations.cloud import Cloud
from tests.integrations.network import Network
from tests.packaging.conftest import (  # noqa: F401 - fixtures
    _trees,
    deb,
    dist,
    rocky,
    rpm,
    single,
    tree,
)
from tests.rootfs.conftest import rpm_key  # noqa: F401 - a fixture
from tests.rootfs.planting import plant
from tests.support import File

PATIENCE = 900  # seconds for one run of one of them: QEMU without KVM on a busy machine
ROOT = Path(__file__).parents[2]


@dataclass
class Host:
    """A machine that is up and can be reached."""

    box: Machine
    address: str


@dataclass
class Site:
    """The network, the machines, and the key that opens them."""

    network: Network
    key: Path
    home: Path
    make: Callable[[str], Machine]

    def host(self, suite: str) -> Host:
        """One more machine of SUITE that is up."""
        return self.up(self.make(suite))

    def up(self, box: Machine) -> Host:
        """BOX, booted and plugged in, with the key in root's authorized_keys."""
        plant(box.tree, {"/root/.ssh/authorized_keys": File(
            self.key.with_suffix(".pub").read_text(), mode=0o600)})
        box.boot("one", server.USER_DATA)
        return Host(box, self.network.plug(box))

    def run(self, *command: str | Path, env: dict[str, str] | None = None
            ) -> subprocess.CompletedProcess[str]:
        """COMMAND in the network and in a HOME of its own, however it ends."""
        with self.start(*command, env=env) as process:
            shown, _ = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(command, process.returncode, shown)

    def start(self, *command: str | Path, env: dict[str, str] | None = None
              ) -> subprocess.Popen[str]:
        """COMMAND, under way."""
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                       **(env or {})}
        return subprocess.Popen(
            self.network.argv(*map(str, command)), env=environment, cwd=self.home,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture
def site(make: Callable[[str], Machine], tmp_path: Path) -> Iterator[Site]:  # noqa: F811
    """A network without a machine, and a home for who runs there."""
    demand("ip")
    opener, home = tmp_path / "opener", tmp_path / "home"
    home.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(opener)], check=True)
    with network.laid() as laid:
        yield Site(laid, opener, home, make)


@pytest.fixture
def cloud(site: Site) -> Iterator[Cloud]:
    """DigitalOcean, before it has a Droplet."""
    with contextlib.ExitStack() as stack:
        yield Cloud(site.network, stack)


def demand(*tools: str) -> None:
    """Skip unless TOOLS are installed."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def secrets_of(box: Machine, words: Sequence[bytes]) -> list[str]:
    """Every file on the disk of BOX that holds one of WORDS."""
    found = []
    for top in ("root", "home", "etc", "var", "tmp", "usr/local"):
        for path in (box.tree / top).rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                found += [str(path.relative_to(box.tree)) for word in words if word in data]
    return found
