"""Time and memory of img-check on real Debian trees, beside DigitalOcean's img_check.sh.

    IMG_CHECK_SH=/path/to/img_check.sh python -m benchmarks.img_check [--suite bookworm]

Needs root, mmdebstrap and a mirror, like tests/rootfs, whose trees it uses: Debian with the day's
updates and indexes, and the cache of them that a machine's own apt leaves. Both tools run in the
same chroot with /proc, /run and /tmp, one after the other, ROUNDS times; medians are shown. Without
IMG_CHECK_SH the comparison is left out.
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
from dataclasses import dataclass
from pathlib import Path

from tests.rootfs import running, trees
from tests.rootfs.planting import crowd

NAMES = {"bullseye": "Debian 11", "bookworm": "Debian 12", "trixie": "Debian 13"}
CROWD = 200_000  # files
ASK_APT = ("package-state", "package-updates", "repositories", "security-updates")
MB = 1e6


@dataclass(frozen=True)
class Row:
    """A figure and what it should be at most; `unit` is s, ms or MB."""

    where: str
    what: str
    figure: float
    unit: str
    goal: float | None = None

    def __str__(self) -> str:
        digits = 2 if self.unit == "s" else 0
        goal, verdict = "", ""
        if self.goal is not None:
            goal = f"{self.goal:.{digits}f} {self.unit}"
            verdict = "ok" if self.figure <= self.goal else "MISSED"
        return (f"{self.where:10} {self.what:44} {self.figure:8.{digits}f} {self.unit:2} "
                f"{goal:>8} {verdict}")


def main() -> int:
    """Measure and print; 1 when a goal was missed."""
    args = _arguments()
    trees.demand()
    trees.own_mounts()
    compiled()
    rows: list[Row] = []
    for row in _rows(args):
        print(row, flush=True)
        rows.append(row)
    return int(any(row.goal is not None and row.figure > row.goal for row in rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.img_check", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", action="append", choices=trees.SUITES,
                        help="a release to measure on (repeat; default: bookworm and trixie)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind")
    parser.add_argument("--script", default=os.environ.get("IMG_CHECK_SH"),
                        help="DigitalOcean's img_check.sh (default: IMG_CHECK_SH)")
    return parser.parse_args()


def _rows(args: argparse.Namespace) -> Iterator[Row]:
    print(f"{'':10} {'':44} {'figure':>11} {'goal':>8}   ({args.rounds} rounds, median)")
    version = _median(args.rounds * 3, lambda: timed([running.program(), "--version"]))
    yield Row("", "img-check --version", version * 1e3, "ms", 80)
    for suite in args.suite or ["bookworm", "trixie"]:
        with tempfile.TemporaryDirectory() as place, \
                trees.copy(trees.pristine(suite), Path(place)) as tree:
            # The tree was made by another apt, whose cache this one would refuse.
            subprocess.run(["chroot", tree, "apt-cache", "gencaches"],
                           stdout=subprocess.DEVNULL, check=True)
            yield from _from_outside(NAMES[suite], tree, args.rounds)
            with running.booted(tree):
                yield from _side_by_side(NAMES[suite], tree, args)
            yield from _crowded(NAMES[suite], tree, args.rounds)


def _from_outside(name: str, tree: Path, rounds: int) -> Iterator[Row]:
    own = running.outside(tree, "--no-refresh", "--skip", ",".join(ASK_APT))
    yield Row(name, "all checks but those that run apt, --root",
              _median(rounds, lambda: timed(own)), "s", 0.35)
    alone = running.outside(tree, "--no-refresh")
    yield Row(name, "all checks, --root, --no-refresh", _median(rounds, lambda: timed(alone)), "s",
              0.35)
    yield Row(name, "  peak memory of its process",
              running.peak_memory(tree, "--no-refresh") / MB, "MB", 60)


def _side_by_side(name: str, tree: Path, args: argparse.Namespace) -> Iterator[Row]:
    with running.inside(tree) as ours, running.inside(tree, "--no-refresh") as ours_offline:
        yield Row(name, "all checks, inside, --no-refresh",
                  _median(args.rounds, lambda: timed(ours_offline)), "s")
        if not args.script:
            yield Row(name, "all checks, inside, refresh",
                      _median(args.rounds, lambda: timed(ours)), "s")
            return
        shutil.copy(args.script, tree / "run/img_check.sh")
        theirs = [*ours[:ours.index("env")], "env", "-i", "TERM=xterm", "HOME=/root",
                  "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "chroot", str(tree),
                  "bash", "/run/img_check.sh"]
        timed(ours)  # warm: caches of files and of the mirror
        timed(theirs)
        pairs = [(timed(ours), timed(theirs)) for _ in range(args.rounds)]
    mine, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    yield Row(name, "all checks, inside, refresh", mine, "s", 0.6 * other)
    yield Row(name, "img_check.sh, inside", other, "s")
    print(f"{name:10} ratio img-check / img_check.sh: {mine / other:.2f}")


def _crowded(name: str, tree: Path, rounds: int) -> Iterator[Row]:
    before = running.peak_memory(tree, "--no-refresh")
    crowd(tree, CROWD)
    command = running.outside(tree, "--no-refresh")
    yield Row(name, f"{CROWD:,} more files, all checks, --no-refresh",
              _median(rounds, lambda: timed(command)), "s", 3)
    after = running.peak_memory(tree, "--no-refresh")
    yield Row(name, "  peak memory of its process", after / MB, "MB", 60)
    yield Row(name, "  more than without them", (after - before) / MB, "MB", 6)


def _median(rounds: int, measure: Callable[[], float]) -> float:
    measure()  # warm
    return statistics.median(measure() for _ in range(rounds))


def compiled() -> None:
    """Compile all modules, as pip leaves an installed package."""
    for package in ("img_tools", "checks"):
        compileall.compile_dir(running.SOURCE / package, quiet=1)
    compileall.compile_dir(running.built(), quiet=1)


def timed(command: list[str]) -> float:
    """Seconds that COMMAND takes, whatever its verdict."""
    start = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
