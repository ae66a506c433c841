"""This ring boots real Debian trees as containers: root, systemd-nspawn, ssh, mmdebstrap."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.container import machine, server
from tests.container.machine import Machine
from tests.rootfs import trees
from tests.rootfs.debrepo import Key


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Machine]]:
    """make("bookworm") -> a new server of that release, without power; all go at the end."""
    try:
        machine.demand()
        trees.own_mounts()
    except trees.Unavailable as why:
        pytest.skip(str(why))
    with contextlib.ExitStack() as stack:
        key = Key.make(tmp_path_factory.mktemp("key") / "gpg")
        stack.callback(subprocess.run, ["gpgconf", "--homedir", str(key.home), "--kill", "all"],
                       check=False, capture_output=True)

        def made(suite: str) -> Machine:
            place = tmp_path_factory.mktemp(f"{suite}-server")
            (place / "lent").mkdir()
            tree = stack.enter_context(trees.copy(trees.pristine(suite, "server"), place))
            server.prepare(tree, suite, key)
            return stack.enter_context(machine.machine(tree, place / "lent"))

        yield made
