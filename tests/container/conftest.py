"""This ring boots real Debian trees as containers: root, systemd-nspawn, ssh, mmdebstrap."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.container import machine, server
from tests.container.machine import Machine
from tests.rootfs import trees
from tests.rootfs.debrepo import Key

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("rootfs")


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Machine]]:
    """make("bookworm") -> a new server of that release, without power; all go at the end."""
    try:
        machine.demand()
        trees.own_mounts()
    except trees.Unavailable as why:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}, and CI must run this")
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
