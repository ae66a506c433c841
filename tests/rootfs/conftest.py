"""This ring works on real Debian trees: it needs root, mmdebstrap and a mirror."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rootfs import running, trees

HERE = Path(__file__).parent
Tree = Callable[..., Path]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("rootfs")


@pytest.fixture(scope="session")
def _trees_can_be_built() -> None:
    try:
        trees.demand()
        trees.own_mounts()
    except trees.Unavailable as why:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}, and CI must run this")
        pytest.skip(str(why))


@pytest.fixture
def tree(_trees_can_be_built: None, tmp_path: Path) -> Iterator[Tree]:
    """tree("bookworm", "stale") -> a copy of that tree to write to, gone after the test."""
    with contextlib.ExitStack() as stack:
        def lend(suite: str, kind: str = "current") -> Path:
            place = tmp_path / f"{suite}-{kind}"
            place.mkdir()
            return stack.enter_context(trees.copy(trees.pristine(suite, kind), place))

        yield lend


@pytest.fixture
def booted(tree: Tree) -> Iterator[Tree]:
    """Like `tree`, with the file systems of a running system mounted: see running.inside."""
    with contextlib.ExitStack() as stack:
        yield lambda *args: stack.enter_context(running.booted(tree(*args)))


@pytest.fixture(params=trees.SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Each release in turn."""
    return str(request.param)
