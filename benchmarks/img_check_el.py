"""Time of img-check on an EL-like tree with metadata as large as EL 9's, beside img_check.sh.

    IMG_CHECK_SH=/path/to/img_check.sh python -m benchmarks.img_check_el

By the rules of benchmarks.img_check. The script runs yum once and takes what is in the cache; we
ask every repository for what is new. So there are two cases: a cache that is fresh, and none, as
cleanup.sh leaves it (`yum clean all`), after which DigitalOcean has its script run. The last rows
are what neither can do without: yum with nothing to do, and img-check with nothing to check.
"""

from __future__ import annotations

import argparse
import contextlib
import os
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
            running.booted(tree), running.inside(tree) as ours, \
            running.inside(tree, "--no-refresh") as offline, \
            running.inside(tree, "--list") as idle:
        shutil.copy(args.script, tree / "run/img_check.sh")
        theirs = _beside(ours, tree, "bash", "/run/img_check.sh")
        yum = _beside(ours, tree, "yum", "--version")
        warm = _medians(args.rounds, lambda: None, ours, theirs, offline, yum, idle)
        cold = _medians(args.rounds, lambda: shutil.rmtree(tree / CACHE, ignore_errors=True),
                        ours, theirs)
    for what, figure in zip(
            ("all checks, refresh, fresh cache", "img_check.sh, fresh cache",
             "all checks, --no-refresh, fresh cache", "  yum --version", "  img-check --list",
             "all checks, refresh, no cache", "img_check.sh, no cache"),
            (*warm, *cold), strict=True):
        print(Row(WHERE, what, figure, "s"))
    print(f"{WHERE:10} ratio img-check / img_check.sh: {warm[0] / warm[1]:.2f} with a fresh cache, "
          f"{cold[0] / cold[1]:.2f} without")
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


def _beside(ours: list[str], tree: Path, *command: str) -> list[str]:
    """COMMAND in the same namespaces and chroot as OURS."""
    return [*ours[:ours.index("env")], "env", "-i", "TERM=xterm", "HOME=/root",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "chroot", str(tree), *command]


def _medians(rounds: int, before: Callable[[], object], *commands: list[str]) -> list[float]:
    """Seconds of each of COMMANDS, which take turns; BEFORE is called ahead of each run."""
    times: list[list[float]] = []
    for number in range(rounds + 1):
        turn = []
        for command in commands:
            before()
            turn.append(timed(command))
        times += [turn] if number else []  # the first one warms the caches of files
    return [statistics.median(each) for each in zip(*times, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
