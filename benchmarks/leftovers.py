"""What DigitalOcean's cleanup.sh leaves of the leftovers of a build, beside img-clean.

    CLEANUP_SH=/path/to/90-cleanup.sh python -m benchmarks.leftovers [--suite bookworm]

Needs root, mmdebstrap and a mirror, like tests/rootfs, whose trees and leftovers it uses: one of
every row of docs/residues.md that is removed or emptied, keys, and copies of password files. Both
clean a copy of the same tree, in a chroot without a network (its updates are installed). All that
is planted is new, which is to the advantage of cleanup.sh: it passes over logs that are a day old.
docs/parity.md shows the outcome.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from img_tools.catalogue import CATALOGUE
from tests import residues
from tests.rootfs import dirt, trees
from tests.rootfs.clean import clean
from tests.rootfs.planting import plant

ROOM = 256  # MiB for cleanup.sh to fill with zeros


def main() -> int:
    """Clean two copies and print what is left of each topic."""
    parser = argparse.ArgumentParser(prog="benchmarks.leftovers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", default=os.environ.get("CLEANUP_SH"),
                        help="DigitalOcean's cleanup.sh (default: CLEANUP_SH)")
    parser.add_argument("--suite", default="bookworm", choices=trees.SUITES)
    args = parser.parse_args()
    if not args.script:
        parser.error("name the script with --script or CLEANUP_SH")
    trees.demand()
    trees.own_mounts()
    script = Path(args.script).read_bytes()
    theirs = _left(args.suite, lambda top: _cleanup(top, script))
    ours = _left(args.suite, lambda top: dirt.img_clean(top, "--yes", "--skip", "package-upgrade"))
    _print(theirs, ours)
    return 0


def _left(suite: str, wipe: Callable[[Path], object]) -> Counter[str]:
    """How many of the leftovers of each topic are there after WIPE, in a tree of SUITE."""
    with _dirty(suite) as top:
        wipe(top)
        return Counter(_topic(path) for path in _planted() if dirt.holds(top, path))


@contextlib.contextmanager
def _dirty(suite: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place, trees.copy(
            trees.pristine(suite), Path(place)) as top:
        clean(top)
        dirt.soil(top)
        yield top


def _planted() -> list[str]:
    return sorted({**dirt.residue_files(), **dirt.TRACES})


def _topic(path: str) -> str:
    """The topic of the catalogue that PATH is an example of, or whose cleaner knows it besides."""
    for row in CATALOGUE:
        if {path, path.removesuffix("/log")} & {*residues.example(row)}:
            return row.topic
    others = {"_history": "shell-history", "/.ssh/": "ssh-keys"}
    return next((topic for part, topic in others.items() if part in path), "accounts")


def _cleanup(top: Path, script: bytes) -> None:
    """Run SCRIPT in TOP, which it fills up."""
    usage = subprocess.run(["du", "-sk", top.parent / "space"], check=True, capture_output=True,
                           text=True).stdout
    size = f"{int(usage.split()[0]) + ROOM * 1024}k"
    trees.mount("-o", f"remount,size={size}", str(top.parent / "space"))
    plant(top, {"/root/cleanup.sh": script})
    done = subprocess.run(
        ["unshare", "--net", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb",
         "LC_ALL=C.UTF-8", "chroot", str(top), "bash", "/root/cleanup.sh"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=dirt.PATIENCE,
        check=False)
    if "'/zerofile': No space left" not in done.stderr:
        raise RuntimeError(f"the script did not come to its end:\n{done.stdout}{done.stderr}")


def _print(theirs: Counter[str], ours: Counter[str]) -> None:
    planted = Counter(map(_topic, _planted()))
    print("| topic | planted | left by `cleanup.sh` | left by `img-clean` |\n|---|---|---|---|")
    for topic in sorted(planted):
        print(f"| {topic} | {planted[topic]} | {theirs[topic]} | {ours[topic]} |")
    print(f"| all | {planted.total()} | {theirs.total()} | {ours.total()} |")


if __name__ == "__main__":
    raise SystemExit(main())
