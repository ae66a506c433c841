"""Swap is switched off, zeroed behind its header, and switched on again as it was."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from img_tools.actions import Erase, Erased
from img_tools.erase import engine, swap, targets
from img_tools.model import Undecided
from img_tools.runner import Runner
from tests.erase.conftest import MakeDisk
from tests.erase.disks import CANARY, MB, run

UUID = "5b5c9f0e-6c1e-4f5e-9c55-0d8f7a4f8f11"

pytestmark = pytest.mark.may_skip("a container may not switch swap on")


@contextlib.contextmanager
def area(tmp_path: Path) -> Iterator[str]:
    """A loop device that is swap in use, with a priority, and full of canaries."""
    image = tmp_path / "swap.img"
    image.write_bytes(b"".join(b"CANARY-swap-%06d" % number + bytes(1000)
                               for number in range(32 * MB // 1018)))
    loop = run("losetup", "--find", "--show", image).strip()
    try:
        run("mkswap", "-L", "spare", "-U", UUID, loop)
        on = subprocess.run(["swapon", "-p", "7", loop], capture_output=True, text=True,
                            check=False)
        if on.returncode:
            pytest.skip(on.stderr)
        yield loop
    finally:
        subprocess.run(["swapoff", loop], check=False, capture_output=True)
        run("losetup", "--detach", loop)


@pytest.fixture(autouse=True)
def _root(_own_mounts: None) -> None:
    """The ring needs root."""


def erase(loop: str, runner: Runner | None = None) -> Erased:
    assert loop.startswith("/dev/loop")
    return engine.erase(Erase(path=loop, place=loop, mount="", kind="swap", mode="auto",
                              free=0, why="test"), runner or Runner(), engine.Watch())


def line_of(loop: str) -> list[str]:
    with open("/proc/swaps") as file:
        return next((line.split() for line in file if line.startswith(f"{loop} ")), [])


def test_nothing_of_it_is_left_but_uuid_label_and_priority(tmp_path: Path) -> None:
    with area(tmp_path) as loop:
        if os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC:
            assert loop in [target.path for target in targets.find("/").targets]
        before = line_of(loop)
        result = erase(loop)
        assert line_of(loop)[:3] == before[:3]
        assert line_of(loop)[4] == "7"
        told = run("blkid", "-p", "-o", "export", loop)
    assert (result.method, result.left) == ("swap", 0)
    assert result.written >= 31 * MB
    assert f"UUID={UUID}" in told
    assert "LABEL=spare" in told
    assert not CANARY.search((tmp_path / "swap.img").read_bytes()[4096:])


def test_zeros_are_not_written_again(tmp_path: Path) -> None:
    with area(tmp_path) as loop:
        erase(loop)
        assert erase(loop).written == 0


def test_without_memory_to_spare_it_stays_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with area(tmp_path) as loop:
        monkeypatch.setattr(swap, "SPARE", 1 << 60)
        with pytest.raises(engine.Unsafe, match="too little memory"):
            erase(loop)
        assert line_of(loop)


def test_a_failure_half_way_switches_it_on_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(fd: int) -> int:
        raise engine.Unsafe("it has no signature of swap")

    with area(tmp_path) as loop:
        monkeypatch.setattr(swap, "_header", broken)
        with pytest.raises(engine.Unsafe, match="signature"):
            erase(loop)
        assert line_of(loop)[4] == "7"


def test_what_is_not_switched_off_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(Runner):
        def __call__(self, *argv: str, **more: object) -> None:  # type: ignore[override]
            raise Undecided(f"{argv[0]}: no")

    with area(tmp_path) as loop:
        with pytest.raises(Undecided, match="swapoff: no"):
            erase(loop, Refusing())
        assert line_of(loop)
    assert CANARY.search((tmp_path / "swap.img").read_bytes()[4096:])


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_file_that_reads_as_zeros_is_overwritten(disk: MakeDisk, kind: str) -> None:
    """Made by fallocate, and of a size that is no whole page: its blocks are not what is read."""
    made = disk(kind, 320)
    with made.mounted() as top:
        content = b"".join((b"CANARY-swap-%06d" % number).ljust(4096) for number in range(256))
        with open(top / "deleted", "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(content)
        run("sync", "-f", top)
        (top / "deleted").unlink()
        run("sync", "-f", top)
        swapfile = top / "swap file"
        swapfile.touch(0o600)
        if kind == "btrfs":
            run("chattr", "+C", swapfile)
        run("fallocate", "-l", str(16 * MB + 100), swapfile)
        run("mkswap", swapfile)
        on = subprocess.run(["swapon", swapfile], capture_output=True, text=True, check=False)
        if on.returncode:
            pytest.skip(on.stderr)
        try:
            result = engine.erase(
                Erase(path=str(swapfile), place=str(swapfile), mount="", kind="swap", mode="auto",
                      free=0, why="test"), Runner(), engine.Watch())
        finally:
            run("swapoff", swapfile)
        assert result.written == 16 * MB - os.sysconf("SC_PAGESIZE")
        assert made.erase().method == "sparse"
    made.check()
    assert made.canaries().get("swap", 0) < 10
