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
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Key]:
    """The key that signs the archives of the machines."""
    made = Key.make(tmp_path_factory.mktemp("key") / "gpg")
    yield made
    subprocess.run(["gpgconf", "--homedir", str(made.home), "--kill", "all"], check=False,
                   capture_output=True)


@pytest.fixture(scope="session")
def make(
    tmp_path_factory: pytest.TempPathFactory, key: Key
) -> Iterator[Callable[[str], Machine]]:
    """make("bookworm") -> a new server of that release, without power; all go at the end."""
    try:
        machine.demand()
        trees.own_mounts()
    except trees.Unavailable as why:
        pytest.skip(str(why))
    with contextlib.ExitStack() as stack:
        def made(suite: str) -> Machine:
            place = tmp_path_factory.mktemp(f"{suite}-server")
            (place / "lent").mkdir()
            tree = stack.enter_context(trees.copy(trees.pristine(suite, "server"), place))
            server.prepare(tree, suite, key)
            return stack.enter_context(machine.machine(tree, place / "lent"))

        yield made
