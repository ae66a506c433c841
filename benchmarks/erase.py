"""Free space erased by img-clean, beside dd, fstrim and zerofree on the same file systems.

    python -m benchmarks.erase [--place DIR] [--size 4096] [--rounds 5] [--only ext4-half,xfs-half]
                               [--program dist/img-tools-0.1.0-linux-x86_64]

Needs root. The file systems are in files below DIR, on loop devices of our own, which do not
discard but for the methods that say so. Each method gets a copy, in turns; medians are shown.
Canaries (data, names, small files, links, attributes) are counted in the raw file after umount.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import BASE
from tests.erase.disks import MB, Disk, dirty
from tests.rootfs import trees
from tests.support import build

LOOP_ADD, LOOP_REMOVE = 0x4C80, 0x4C81
LOOPS = {False: 211, True: 212}  # by whether it discards
Method = Callable[[Path], object]


@dataclass(frozen=True)
class Taken:
    """Seconds, processor seconds, bytes written to the device, canaries left."""

    wall: float
    cpu: float
    written: float
    canaries: float


def _dd(size: str) -> Method:
    """What cleanup scripts do: fill, and remove; here the zeros reach the disk at least."""
    def fill(top: Path) -> None:
        subprocess.run(["dd", "if=/dev/zero", f"of={top}/zerofile", f"bs={size}", "conv=fsync"],
                       check=False, capture_output=True)
        os.unlink(top / "zerofile")

    return fill


def _as_scripts_do(top: Path) -> None:
    subprocess.run(["dd", "if=/dev/zero", f"of={top}/zerofile", "bs=4096"], check=False,
                   capture_output=True)
    os.unlink(top / "zerofile")


def _ours(program: Path | None) -> Method:
    command = [program, "img-clean"] if program else [Path(sys.executable).with_name("img-clean")]

    def erase(top: Path) -> None:
        subprocess.run([*command, "--root", top, "--yes", "--quiet", "--only", "free-space"],
                       check=True, stdout=subprocess.DEVNULL)

    return erase


def _fstrim(top: Path) -> None:
    subprocess.run(["fstrim", top], check=True)


def _methods(kind: str, program: Path | None) -> dict[str, tuple[Method, bool]]:
    """Each with whether it is given a device that discards."""
    ours = _ours(program)
    methods: dict[str, tuple[Method, bool]] = {
        "dd bs=4096": (_as_scripts_do, False),
        "dd bs=1M, fsync": (_dd("1M"), False),
        "fstrim": (_fstrim, True),
        "img-clean": (ours, False),
        "img-clean, discarding": (ours, True),
    }
    if kind == "ext4" and shutil.which("zerofree"):
        methods["zerofree, unmounted"] = (lambda top: None, False)
    return methods


# (time, bytes) at most, as shares of what dd bs=4096 takes
GOALS = {
    ("ext4-fresh", "img-clean"): (0.25, 0.05), ("ext4-half", "img-clean"): (0.6, 0.55),
    ("ext4-half", "img-clean, discarding"): (0.4, 0.05),
    ("xfs-fresh", "img-clean"): (1.2, 0.05), ("xfs-half", "img-clean"): (0.8, 0.6),
    ("btrfs-half", "img-clean"): (0.5, 0.6),
}
CASES = ("ext4-fresh", "ext4-half", "xfs-fresh", "xfs-half", "btrfs-half")


def main() -> int:
    """Measure and print; 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.erase", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", default=tempfile.gettempdir(),
                        help="a directory to make the disks in")
    parser.add_argument("--size", type=int, default=4096, help="MB of each file system")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each method")
    parser.add_argument("--program", type=Path, help="the packaged program, for the one beside "
                        "this Python")
    parser.add_argument("--only", default=",".join(CASES), help="kinds and states")
    args = parser.parse_args()
    trees.own_mounts()
    missed = 0
    with _loops():
        for case in args.only.split(","):
            place = Path(tempfile.mkdtemp(dir=args.place))
            try:
                missed += _case(place, case, args)
            finally:
                shutil.rmtree(place)
    return int(missed > 0)


@contextmanager
def _loops() -> Iterator[None]:
    control = os.open("/dev/loop-control", os.O_RDWR)
    try:
        for discards, number in LOOPS.items():
            with suppress(FileExistsError):  # a run before this one was killed
                fcntl.ioctl(control, LOOP_ADD, number)
            if not discards:  # stays so until the device is removed, so it is one of our own
                limit = Path(f"/sys/block/loop{number}/queue/discard_max_bytes")
                limit.write_text("0")
        yield
    finally:
        for number in LOOPS.values():
            fcntl.ioctl(control, LOOP_REMOVE, number)
        os.close(control)


def _case(place: Path, case: str, args: argparse.Namespace) -> int:
    kind, _, state = case.partition("-")
    disk = Disk.make(place, kind, args.size)
    with disk.mounted():
        build(disk.top, BASE)
        if state == "half":
            dirty(disk, args.size * 45 // 100)
    methods = _methods(kind, args.program)
    taken: dict[str, list[Taken]] = {name: [] for name in methods}
    for _ in range(args.rounds):
        for name, (method, discards) in methods.items():
            taken[name].append(_once(disk, name, method, discards))
    medians = {name: Taken(*(statistics.median(column) for column in zip(*(
        (one.wall, one.cpu, one.written, one.canaries) for one in runs), strict=True)))
        for name, runs in taken.items()}
    return _show(case, medians)


def _once(disk: Disk, name: str, method: Method, discards: bool) -> Taken:
    copy = Disk(disk.kind, disk.image.with_name("copy.img"), disk.top)
    subprocess.run(["cp", "--sparse=always", disk.image, copy.image], check=True)
    os.sync()
    loop = f"/dev/loop{LOOPS[discards]}"
    stat = Path(f"/sys/block/loop{LOOPS[discards]}/stat")
    subprocess.run(["losetup", "--direct-io=on", loop, copy.image], check=True)
    try:
        offline = name.startswith("zerofree")
        if not offline:
            subprocess.run(["mount", loop, copy.top], check=True)
        before, start, cpu = int(stat.read_text().split()[6]), time.monotonic(), _children()
        try:
            if offline:
                subprocess.run(["zerofree", loop], check=True)
            else:
                method(copy.top)
                subprocess.run(["sync", "-f", copy.top], check=True)
            wall, cpu = time.monotonic() - start, _children() - cpu
            written = (int(stat.read_text().split()[6]) - before) * 512
        finally:
            if not offline:
                subprocess.run(["umount", copy.top], check=True)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)
    copy.check()
    left = sum(copy.canaries().values())
    copy.image.unlink()
    return Taken(wall, cpu, written, left)


def _children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _show(case: str, medians: dict[str, Taken]) -> int:
    missed = 0
    base = medians["dd bs=4096"]
    print(f"{case:14} {'method':22} {'s':>7} {'cpu s':>7} {'MB':>8} {'canaries':>9}  share of dd's")
    for name, one in medians.items():
        time_, bytes_ = one.wall / base.wall, one.written / base.written
        goal = GOALS.get((case, name))
        verdict = ""
        if goal:
            met = time_ <= goal[0] and bytes_ <= goal[1]
            missed += not met
            verdict = f" goal {goal[0]}, {goal[1]}: {'met' if met else 'MISSED'}"
        print(f"{'':14} {name:22} {one.wall:7.2f} {one.cpu:7.2f} {one.written / MB:8.0f} "
              f"{one.canaries:9.0f}  {time_:.2f}, {bytes_:.2f}{verdict}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
