"""img-clean killed anywhere on a real tree: the next run finishes, and nothing else is harmed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.rootfs import dirt, trees
from tests.rootfs.clean import clean
from tests.rootfs.conftest import Tree
from tests.rootfs.dirt import holds
from tests.rootfs.planting import plant
from tests.rootfs.test_closed_loop import MEANT

KILLS = 20
SEED = int(os.environ.get("IMG_TOOLS_SEED", "20250417"))
ARGUMENTS = ("--yes", "--skip", dirt.PACKAGES)

# Counts the calls that change something, and dies before the one whose number it got; printed
# otherwise. Commands count as one call each.
KILLER = """
import os, signal, sys
left = count = int(sys.argv.pop(1))
def counted(act):
    def call(*args, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*args, **options)
    return call
for name in ("unlink", "rmdir", "ftruncate", "rename", "fsync", "fchmod"):
    setattr(os, name, counted(getattr(os, name)))
from img_tools.runner import Runner
Runner.__call__ = counted(Runner.__call__)
leave = os._exit
def tell(code):
    os.write(2, str(count - left).encode())
    leave(code)
os._exit = tell
from img_tools.cli import clean
clean.main()
"""


def run(top: Path, kill: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLER, str(kill), "--root", top, "--format", "json", "--quiet",
         *ARGUMENTS], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=dirt.PATIENCE)


def everything(top: Path) -> None:
    dirt.soil(top)
    plant(top, {f"/tmp/build/{n % 9}/{n}": "x" for n in range(300)})
    plant(top, {f"/tmp/sess_{n}": "x" for n in range(300)})  # a crowd: removed at one go
    plant(top, {"/tmp/deep" + "/d" * 150 + "/x": "x"})  # deeper than descriptors are kept open


def test_killed_anywhere_the_next_run_finishes(tree: Tree, tmp_path: Path) -> None:
    """Cleanup defect 23: killed, upstream's dd leaves /zerofile.

    Twenty kills at random calls, the seed is printed; the same tree as without any kill.
    """
    base = clean(tree("bookworm"))
    everything(base)
    with trees.copy(base, place(tmp_path, "whole")) as top:
        planted = trees.manifest(top)
        done = run(top, -1)
        assert done.returncode == 0, dirt.failures(json.loads(done.stdout))
        calls = int(done.stderr)
        wanted = state(top)
    assert calls > 600, "too little was counted"

    chosen = sorted(random.Random(SEED).sample(range(1, calls + 1), KILLS))
    print(f"seed {SEED}: killed before calls {chosen} of {calls}")
    for number in chosen:
        with trees.copy(base, place(tmp_path, str(number))) as top:
            killed = run(top, number)
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            half = trees.manifest(top)
            harmed = [line for line in trees.differences(
                vendors(planted), vendors(half)) if not line.startswith(MEANT)]
            assert harmed == [], number
            again = run(top, -1)
            assert again.returncode == 0, (number, again.stdout[-2000:], again.stderr)
            assert trees.differences(wanted, state(top)) == [], number
            assert dirt.planned(top, "--skip", dirt.PACKAGES) == [], number
            assert [path for path in dirt.residue_files(without="package-cache")
                    if holds(top, path)] == [], number


def place(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.mkdir()
    return path


def state(top: Path) -> dict[bytes, trees.Facts]:
    """What is in TOP but for times, directories' sizes and what apt keeps of its own work."""
    return {name: (*facts[:4], *facts[5:]) for name, facts in trees.manifest(top).items()
            if not os.fsdecode(name).startswith(("/var/lib/dpkg/", "/var/cache/apt/"))}


def vendors(listed: dict[bytes, trees.Facts]) -> dict[bytes, trees.Facts]:
    """Of LISTED all that is no leftover, files alone."""
    mine = {os.fsencode(name) for name in {**dirt.residue_files(), **dirt.TRACES}}
    return {name: facts for name, facts in dirt.files(listed).items()
            if name not in mine and not name.startswith((b"/tmp/", b"/var/tmp/", b"/var/log/",
                                                         b"/etc/ssh/ssh_host_"))}
