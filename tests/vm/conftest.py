"""This ring boots virtual machines, emulated ones if need be: minutes, not seconds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.container import server
from tests.rootfs import trees
from tests.rootfs.debrepo import Key
from tests.vm import disk, droplet, story
from tests.vm.droplet import Rack
from tests.vm.story import Story

DIST = Path(__file__).parents[2] / "dist"


# One process plays a release's part, the other releases' are played beside it.
@pytest.fixture(scope="session", params=[
    pytest.param(suite, marks=pytest.mark.xdist_group(suite)) for suite in disk.SUITES])
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
        for name, seconds in report.user_properties:
            terminalreporter.write_line(f"{name}: {seconds}")
