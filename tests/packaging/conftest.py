"""This ring runs what `make dist` built: it needs root, and trees for the packages."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.packaging import el
from tests.rootfs import trees

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
Tree = Callable[..., Path]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("rootfs")


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
    """tree("bookworm") -> a copy of that tree without a Python; tree("el") -> one with rpm."""
    with contextlib.ExitStack() as stack:
        def lend(suite: str) -> Path:
            place = tmp_path / suite
            place.mkdir()
            source = el.pristine() if suite == "el" else trees.pristine(suite, "stale")
            top = stack.enter_context(trees.copy(source, place))
            if suite != "el":  # there dnf needs it
                for path in top.glob("usr/bin/python3*"):
                    path.rename(top / "srv" / path.name)
            return top

        yield lend


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
