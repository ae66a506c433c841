"""This ring runs what `make dist` built: it needs root, and trees for the packages."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rootfs import trees
from tests.rootfs.conftest import rpm_key  # noqa: F401 - a fixture
from tests.rootfs.debrepo import Key
from tests.rootfs.el import RELEASES, El

# The smallest Debian, of the next release.
trees.RECIPES["minbase"] = f"""
    mmdebstrap --quiet --variant=minbase --components=main \\
        --aptopt='Acquire::Check-Valid-Until "false"' SUITE "$1" \\
        "deb {trees.MIRROR} SUITE main" </dev/null
"""
UBUNTU = """NAME="Ubuntu"
ID=ubuntu
ID_LIKE=debian
VERSION_ID="24.04"
VERSION_CODENAME=noble
"""
SOURCES = {"forky": ("forky", "minbase"), "ubuntu": ("trixie", "stale"),
           "dnf4": ("bookworm", "dnf4"), "dnf5": ("forky", "dnf5")}

ROOT = Path(__file__).parents[2]
Tree = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def dist() -> Path:
    """The directory of what was built."""
    if not (ROOT / "dist/SHA256SUMS").exists():
        pytest.skip("nothing is built: make dist")
    return ROOT / "dist"


def _only(dist: Path, pattern: str) -> Path:
    (path,) = dist.glob(pattern)
    return path


@pytest.fixture(scope="session")
def deb(dist: Path) -> Path:
    return _only(dist, "*.deb")


@pytest.fixture(scope="session")
def rpm(dist: Path) -> Path:
    return _only(dist, "*.rpm")


@pytest.fixture(scope="session")
def single(dist: Path) -> Path:
    """The single file."""
    return _only(dist, "*-linux-*")


@pytest.fixture(scope="session")
def _trees() -> None:
    try:
        trees.demand()
        trees.own_mounts()
    except trees.Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture
def tree(_trees: None, tmp_path: Path) -> Iterator[Tree]:
    """tree("bookworm") -> a copy of that tree without a Python; "ubuntu" has its os-release."""
    with contextlib.ExitStack() as stack:
        def lend(name: str) -> Path:
            place = tmp_path / name
            place.mkdir()
            source = trees.pristine(*SOURCES.get(name, (name, "stale")))
            top = stack.enter_context(trees.copy(source, place))
            if name == "ubuntu":
                (top / "usr/lib/os-release").write_text(UBUNTU)
            if not name.startswith("dnf"):  # whose history is in SQLite, for which it is needed
                for path in top.glob("usr/bin/python3*"):
                    path.rename(top / "srv" / path.name)
            return top

        yield lend


def _el(tree: Tree, tool: str, key: Key, release: str = "rocky-9") -> El:
    """A tree like RELEASE, with real rpm and TOOL and a security update to come."""
    system = El(tree(tool), tool, key, release)
    database = system.tree / "var/lib/rpm"  # an overlay renames no directory that lies below it
    shutil.rmtree(database)
    database.mkdir()
    system.stock()
    system.install("toyssl", "1.0-1.el9")
    updates = system.repo("updates")
    updates.add("toyssl", "1.0-2.el9")
    updates.advise("TOYSA-2026:1", "security", "toyssl", "1.0-2.el9")
    system.publish()
    return system


@pytest.fixture
def rocky(tree: Tree, rpm_key: Key) -> El:  # noqa: F811
    """A tree like Rocky Linux 9."""
    return _el(tree, "dnf4", rpm_key)


@pytest.fixture(params=list(RELEASES))
def el(request: pytest.FixtureRequest, tree: Tree, rpm_key: Key) -> El:  # noqa: F811
    """A tree like each release of the RHEL family."""
    return _el(tree, "dnf4", rpm_key, request.param)


@pytest.fixture(params=["dnf4", "dnf5"])
def managed(request: pytest.FixtureRequest, tree: Tree, rpm_key: Key) -> El:  # noqa: F811
    """A tree with each generation of dnf."""
    return _el(tree, request.param, rpm_key)


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
