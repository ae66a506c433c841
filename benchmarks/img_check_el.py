"""Time of img-check on an EL-like tree with metadata as large as EL 9's, beside img_check.sh.

    IMG_CHECK_SH=/path/to/img_check.sh python -m benchmarks.img_check_el

By the rules of benchmarks.img_check. The script runs yum once and takes what is in the cache; we
ask every repository for what is new. So there are two cases: a cache that is fresh, and none, as
cleanup.sh leaves it (`yum clean all`), after which DigitalOcean has its script run. The last rows
are what neither can do without: yum with nothing to do, and img-check with nothing to check.
The time of the processors, all processes together, tells more on a machine that has other work.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import el_repository
from benchmarks.img_check import Row, compiled, timed
from tests.rootfs import running, trees
from tests.rootfs.debrepo import Key
from tests.rootfs.el import El

WHERE = "EL-like"
CACHE = "var/cache/dnf"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.img_check_el", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="runs of each kind")
    parser.add_argument("--script", default=os.environ.get("IMG_CHECK_SH"), required=(
        "IMG_CHECK_SH" not in os.environ), help="DigitalOcean's img_check.sh")
    args = parser.parse_args()
    trees.demand()
    trees.own_mounts()
    compiled()
    with tempfile.TemporaryDirectory() as place, _system(Path(place)) as tree, \
            running.booted(tree), running.inside(tree) as img_check, \
            running.inside(tree, "--no-refresh") as offline, \
            running.inside(tree, "--list") as idle:
        shutil.copy(args.script, tree / "run/img_check.sh")
        script = _beside(img_check, tree, "bash", "/run/img_check.sh")
        yum = _beside(img_check, tree, "yum", "--version")
        warm = _medians(args.rounds, lambda: None, img_check, script, offline, yum, idle)
        cold = _medians(args.rounds, lambda: shutil.rmtree(tree / CACHE, ignore_errors=True),
                        img_check, script)
    print(f"{'':55} {'time':>11}    processors   (median of {args.rounds})")
    for what, (wall, processors) in zip(
            ("all checks, refresh, fresh cache", "img_check.sh, fresh cache",
             "all checks, --no-refresh, fresh cache", "  yum --version", "  img-check --list",
             "all checks, refresh, no cache", "img_check.sh, no cache"),
            (*warm, *cold), strict=True):
        print(Row(WHERE, what, wall, "s"), f"{processors:9.2f} s")
    for name, (ours, theirs, *_) in (("fresh cache", warm), ("no cache", cold)):
        print(f"{WHERE:10} ratio img-check / img_check.sh, {name}: {ours[0] / theirs[0]:.2f}, of "
              f"the processors {ours[1] / theirs[1]:.2f}")
    return 0


@contextlib.contextmanager
def _system(place: Path) -> Iterator[Path]:
    """The tree, gone at the end."""
    key = Key.make(place / "key")
    try:
        with trees.copy(trees.pristine("bookworm", "dnf4"), place) as tree:
            el_repository.fill(El(tree, "dnf4", key))
            yield tree
    finally:
        subprocess.run(["gpgconf", "--homedir", str(key.home), "--kill", "gpg-agent"], check=False)


def _beside(inside: list[str], tree: Path, *command: str) -> list[str]:
    """COMMAND in the same namespaces and chroot as INSIDE."""
    return [*inside[:inside.index("env")], "env", "-i", "TERM=xterm", "HOME=/root",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "chroot", str(tree), *command]


Spent = tuple[float, float]  # seconds of the clock, and of all processors


def _spent(command: list[str]) -> Spent:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = timed(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _medians(rounds: int, before: Callable[[], object], *commands: list[str]) -> list[Spent]:
    """What each of COMMANDS takes; they take turns, and BEFORE is called ahead of each run."""
    times: list[list[Spent]] = []
    for number in range(rounds + 1):
        turn = []
        for command in commands:
            before()
            turn.append(_spent(command))
        times += [turn] if number else []  # the first one warms the caches of files
    return [(statistics.median(wall for wall, _ in each), statistics.median(cpu for _, cpu in each))
            for each in zip(*times, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
