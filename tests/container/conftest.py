"""This ring boots real Debian trees as containers: root, systemd-nspawn, ssh, mmdebstrap.

The machines run the working tree; Debian 11 runs the single file that `make dist` built, as its
users do: its Python 3.9 cannot run img_tools. It is left out when that is missing or out of date.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.container import el_server, machine, server
from tests.container.machine import Machine
from tests.rootfs import trees
from tests.rootfs.debrepo import Key
from tests.rootfs.el import SUITES, El

Make = Callable[..., Machine]
OLD_PYTHON = "bullseye"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Key]:
    """The key that signs what the machines install."""
    made = Key.make(tmp_path_factory.mktemp("key") / "gpg")
    yield made
    subprocess.run(["gpgconf", "--homedir", str(made.home), "--kill", "all"], check=False,
                   capture_output=True)


@pytest.fixture(scope="session")
def _machines(tmp_path_factory: pytest.TempPathFactory, key: Key) -> Iterator[Make]:
    """_machines(suite, kind, prepare, program) -> a machine on that tree, after PREPARE(tree, key).

    PROGRAM is its img-tools; see Machine.
    """
    try:
        machine.demand()
        trees.own_mounts()
    except trees.Unavailable as why:
        pytest.skip(str(why))
    with contextlib.ExitStack() as stack:
        def made(suite: str, kind: str, prepare: Callable[[Path, Key], object],
                 program: Path | None = None) -> Machine:
            place = tmp_path_factory.mktemp(f"{suite}-{kind}")
            (place / "lent").mkdir()
            tree = stack.enter_context(trees.copy(trees.pristine(suite, kind), place))
            prepare(tree, key)
            return stack.enter_context(machine.machine(tree, place / "lent", program))

        yield made


@pytest.fixture(scope="session")
def make(_machines: Make) -> Make:
    """make("bookworm") -> a new server of that release, without power; all go at the end."""
    return lambda suite: _machines(suite, "server",
                                   lambda tree, key: server.prepare(tree, suite, key),
                                   _single_file() if suite == OLD_PYTHON else None)


@pytest.fixture(scope="session")
def make_el(_machines: Make) -> Make:
    """make_el("rocky-9") -> a new EL-like server with that name, without power."""
    return lambda release: _machines(
        SUITES["dnf4"], "dnf4",
        lambda tree, key: el_server.prepare(El(tree, "dnf4", key, release)))


def _single_file() -> Path:
    """The single file in dist/; skips when there is none, or none of the sources as they are."""
    if not (found := list((ROOT / "dist").glob("*-linux-*"))):
        pytest.skip("nothing is built: make dist")
    (path,) = found
    built = path.stat().st_mtime
    for top in ("img_tools", "checks", "cleaners"):
        for source in (ROOT / top).rglob("*"):
            if source.suffix in (".py", ".json") and source.stat().st_mtime > built:
                pytest.skip(f"dist/ is older than {source.relative_to(ROOT)}: make dist")
    return path
