"""This ring works on real Debian trees: it needs root, mmdebstrap and a mirror."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.rootfs import running, trees
from tests.rootfs.clean import clean
from tests.rootfs.debrepo import Key
from tests.rootfs.el import SUITES, El

Tree = Callable[..., Path]


@pytest.fixture(scope="session")
def _trees_can_be_built() -> None:
    try:
        trees.demand()
        trees.own_mounts()
    except trees.Unavailable as why:
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


@pytest.fixture(scope="session")
def _clean_trees(
    _trees_can_be_built: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Path]]:
    with contextlib.ExitStack() as stack:
        @cache
        def lend(suite: str) -> Path:
            place = tmp_path_factory.mktemp(f"{suite}-clean")
            return clean(stack.enter_context(trees.copy(trees.pristine(suite), place)))

        yield lend


@pytest.fixture
def clean_tree(_clean_trees: Callable[[str], Path], tmp_path: Path) -> Iterator[Tree]:
    """clean_tree("bookworm") -> a copy of that tree, publishable; see clean.py."""
    with contextlib.ExitStack() as stack:
        def lend(suite: str) -> Path:
            place = tmp_path / f"{suite}-clean"
            place.mkdir()
            return stack.enter_context(trees.copy(_clean_trees(suite), place))

        yield lend


@pytest.fixture
def pristine_clean(_clean_trees: Callable[[str], Path]) -> Tree:
    """pristine_clean("bookworm") -> the clean tree itself, which nobody may change."""
    return _clean_trees


@pytest.fixture
def booted_clean(clean_tree: Tree) -> Iterator[Tree]:
    """A clean tree with the file systems of a running system mounted: see running.inside."""
    with contextlib.ExitStack() as stack:
        yield lambda *args: stack.enter_context(running.booted(clean_tree(*args)))


@pytest.fixture
def booted(tree: Tree) -> Iterator[Tree]:
    """Like `tree`, with the file systems of a running system mounted: see running.inside."""
    with contextlib.ExitStack() as stack:
        yield lambda *args: stack.enter_context(running.booted(tree(*args)))


@pytest.fixture(params=trees.SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Each release in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def rpm_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Key]:
    """The key that signs the toy packages."""
    made = Key.make(tmp_path_factory.mktemp("rpm-keys") / "known")
    yield made
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(["gpgconf", "--homedir", str(made.home), "--kill", "gpg-agent"],
                       check=False, capture_output=True)


@pytest.fixture
def make(tree: Tree, rpm_key: Key) -> Callable[..., El]:
    """make("dnf4", "rocky-9") -> such a system without a package."""
    def made(tool: str, release: str = "rocky-9") -> El:
        return El(tree(SUITES[tool], tool), tool, rpm_key, release)

    return made
