"""This ring works on file systems of its own, on loop devices: it needs root."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from img_tools.erase import device
from tests.erase.disks import Disk, Unavailable
from tests.rootfs import trees
from tests.support import needs

MakeDisk = Callable[..., Disk]


@pytest.fixture(scope="session")
def _own_mounts() -> None:
    needs(os.geteuid() == 0, "root")
    try:
        trees.own_mounts()
    except trees.Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture(autouse=True)
def _only_loop_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test does, no disk of this machine is opened."""
    named = device._name

    def guarded(sys: str) -> str:
        name = named(sys)
        assert name.startswith("loop"), name
        return name

    monkeypatch.setattr(device, "_name", guarded)


@pytest.fixture
def disk(_own_mounts: None, tmp_path: Path) -> MakeDisk:
    """disk("ext4", 256, "-b", "1024") -> such a Disk, unmounted."""
    def make(kind: str, size: int, *options: str) -> Disk:
        try:
            return Disk.make(tmp_path, kind, size, *options)
        except Unavailable as why:
            needs(False, str(why))
            raise

    return make
