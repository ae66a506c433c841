"""This ring boots virtual machines, emulated ones if need be: minutes, not seconds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.container import server
from tests.rootfs import trees
from tests.rootfs.debrepo import Key
from tests.vm import disk, droplet, story
from tests.vm.droplet import Rack
from tests.vm.story import Story

DIST = Path(__file__).parents[2] / "dist"


class _ByRelease(LoadScopeScheduling):  # type: ignore[misc]
    """One process has all tests of a release, and so tells its story; releases go side by side.

    `--dist loadgroup` of xdist 3.8 does not group with pytest 9.2, which keeps a node's id.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((suite for suite in disk.SUITES if f"[{suite}" in nodeid), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByRelease:
    """How `pytest -n 2 tests/vm` shares its tests out."""
    return _ByRelease(config, log)


@pytest.fixture(scope="session", params=disk.SUITES)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The story of a release, told once."""
    suite = str(request.param)
    try:
        droplet.demand()
        trees.own_mounts()
    except trees.Unavailable as why:
        pytest.skip(str(why))
    packages = list(DIST.glob("*.deb"))
    if len(packages) != 1:
        pytest.skip("nothing is built, or more than once: make dist")
    place = tmp_path_factory.mktemp(suite)
    image = _image(suite, place)
    kernel = trees.pristine(suite, "droplet") / "vmlinuz"
    seen = story.tell(image, packages[0], Rack(place, droplet.accelerator(kernel)))
    for path in (*place.glob("*.raw"), *place.glob("*.qcow2")):
        path.unlink()  # half a gigabyte, and pytest keeps the directories of three runs
    return seen


def _image(suite: str, place: Path) -> Path:
    """A disk as the provider offers it, whose security updates lie on it."""
    key = Key.make(place / "gpg")
    try:
        with trees.copy(trees.pristine(suite, "droplet"), place) as tree:
            disk.system(tree)
            server.archives(tree, suite, key)
            disk.assemble(tree, place / "disk.raw")
    finally:
        subprocess.run(["gpgconf", "--homedir", str(key.home), "--kill", "all"], check=False,
                       capture_output=True)
    return place / "disk.raw"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long each part of a story took; workers of xdist show nothing themselves."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
