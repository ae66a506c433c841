"""Time and memory of img-clean on 200,000 leftovers, beside `find ... -delete` on the same files.

    python -m benchmarks.img_clean [--place DIR] [--rounds 5]

Needs root. The files are made anew for every run, in a bare image below DIR (default: /dev/shm, a
tmpfs, where removing a file costs the kernel least, so that our own work shows most). The two take
turns; medians are shown.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.img_check import MB, Row
from tests.conftest import BASE
from tests.rootfs import running
from tests.support import build

FILES = 200_000
GOAL = 1.5  # times what find takes
MORE_MEMORY = 6  # MB more than for an image with nothing to clean


def deep(top: Path) -> None:
    """A build's tree in /tmp: directories in directories, 500 files in each."""
    for number in range(FILES // 500):
        _fill(top / f"tmp/build/d{number % 20}/e{number // 20}", 500, "f{}.o")


def flat(top: Path) -> None:
    """All files directly in /tmp."""
    _fill(top / "tmp", FILES, "sess_{}")


def rotated(top: Path) -> None:
    """Old logs of one service."""
    _fill(top / "var/log/app", FILES, "app{}.log.1")


KINDS: dict[Callable[[Path], None], tuple[str, str]] = {
    deep: ("temp-files", "tmp"), flat: ("temp-files", "tmp"), rotated: ("logs", "var/log/app"),
}


def _fill(directory: Path, count: int, name: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number in range(count):
            file = os.open(name.format(number), os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd)
            os.write(file, b"x\n")
            os.close(file)
    finally:
        os.close(fd)


def main() -> int:
    """Measure and print; 1 when a goal was missed."""
    args = _arguments()
    for package in ("img_tools", "cleaners"):  # as pip leaves an installed package
        compileall.compile_dir(running.SOURCE / package, quiet=1)
    place = Path(tempfile.mkdtemp(dir=args.place))
    missed = 0
    try:
        build(place, BASE)
        for row in _rows(place, args.rounds):
            print(row, flush=True)
            missed += row.goal is not None and row.figure > row.goal
    finally:
        shutil.rmtree(place)
    return int(missed > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.img_clean", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", default="/dev/shm",  # noqa: S108  (with mkdtemp)
                        help="a directory to make the files in")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind")
    return parser.parse_args()


def _rows(top: Path, rounds: int) -> Iterator[Row]:
    print(f"{FILES:,} files in {top} ({rounds} rounds, median)")
    for make, (topic, where) in KINDS.items():
        ours = [_command(), "--root", str(top), "--yes", "--quiet", "--only", topic]
        theirs = ["find", str(top / where), "-mindepth", "1", "-delete"]
        _measure(ours)  # warm
        least = _measure(ours)[1]
        pairs = []
        for _ in range(rounds):
            times = []
            for command in (ours, theirs):
                make(top)
                times.append(_measure(command))
                if any((top / where).iterdir()):
                    raise RuntimeError(f"{command} left something")
            pairs.append((times[0][0], times[1][0], times[0][1]))
        mine, other, memory = (statistics.median(column) for column in zip(*pairs, strict=True))
        yield Row(make.__name__, f"img-clean --only {topic}", mine, "s", GOAL * other)
        yield Row(make.__name__, "find -delete", other, "s")
        yield Row(make.__name__, "  more memory than with no files", (memory - least) / MB, "MB",
                  MORE_MEMORY)
        print(f"{make.__name__:10} ratio: {mine / other:.2f}")


def _command() -> str:
    return str(Path(sys.executable).with_name("img-clean"))


def _measure(command: list[str]) -> tuple[float, float]:
    """Seconds that COMMAND takes, and the bytes of memory it has at its peak."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return seconds, usage.ru_maxrss * 1024.0


if __name__ == "__main__":
    sys.exit(main())
