"""img-clean itself on a mounted file system: reports, signals, kill -9, other writers, memory."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from img_tools.cleaning import MOST_LEFT
from img_tools.erase import targets
from tests.conftest import BASE
from tests.container.machine import until
from tests.erase.conftest import MakeDisk
from tests.erase.disks import MB, Disk, dirty, run
from tests.support import build, needs, validated_clean

COMMAND = str(Path(sys.executable).parent / "img-clean")
CHECK = str(Path(sys.executable).parent / "img-check")
KILLS = 20


def start(disk: Disk, *more: str, command: str = COMMAND) -> subprocess.Popen[str]:
    """Erase DISK; the guard is that nothing else is mounted there."""
    assert disk.device.startswith("loop")
    assert [one.path for one in targets.find(str(disk.top)).targets] == ["/"]
    action = ["--yes"] if command == COMMAND else []
    return subprocess.Popen(
        [command, "--root", str(disk.top), "--only", "free-space", *action, *more],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def image(disk: Disk) -> None:
    """Make what is mounted look like an image."""
    build(disk.top, BASE)


def test_the_report_says_what_became_of_it(disk: MakeDisk) -> None:
    made = disk("ext4", 256)
    with made.mounted():
        image(made)
        dirty(made, 60)
        found = start(made, "--format", "json", command=CHECK)
        (before,) = json.loads(found.communicate()[0])["checks"]
        cleaning = start(made, "--format", "json")
        out, said = cleaning.communicate()
        found = start(made, "--format", "json", command=CHECK)
        (after,) = json.loads(found.communicate()[0])["checks"]
        made.demand_unharmed()
    assert cleaning.returncode == 0
    ((step,),) = [one["actions"] for one in validated_clean(out)["cleaners"]]
    assert (step["action"], step["path"], step["outcome"]) == ("erase", "/", "done")
    assert (step["erase"]["method"], step["erase"]["blocks_left"]) == ("sparse", 0)
    assert step["erase"]["journal"] == "zeroed"
    assert "erasing, 50 %" in said
    assert "MB/s" in said
    assert (before["status"], before["findings"][0]["code"]) == ("warn", "not-zero")
    assert after["status"] == "pass"
    assert made.canaries() == {}


def test_a_plan_is_a_plan(disk: MakeDisk) -> None:
    made = disk("ext4", 64)
    with made.mounted():
        image(made)
        written = made.written()
        done = subprocess.run([COMMAND, "--root", str(made.top), "--only", "free-space",
                               "--dry-run"], capture_output=True, text=True, check=False)
        assert made.written() == written
    assert done.returncode == 0
    assert "planned erase / (ext4, " in done.stdout
    assert "overwritten where it is not zero" in done.stdout


def test_a_tree_on_a_disk_of_this_machine_is_left_alone(tmp_path: Path) -> None:
    needs(os.geteuid() == 0, "root")
    build(tmp_path, BASE)
    done = subprocess.run([COMMAND, "--root", str(tmp_path), "--only", "free-space", "--yes", "-v"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "SKIP" in done.stdout
    assert "directory of a larger file system" in done.stdout.replace("\n        ", " ")


@pytest.mark.parametrize("options", [("ro",), ()], ids=["read-only", "bound"])
def test_what_cannot_be_erased_is_told(
    disk: MakeDisk, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Read-only, or mounted elsewhere too: then it is not the image's alone."""
    made = disk("ext4", 64)
    with made.mounted():
        image(made)
        other = tmp_path / "other"
        other.mkdir()
        if options:
            run("mount", "-o", "remount,ro", made.top)
        else:
            run("mount", "--bind", made.top, other)
        try:
            (left,) = targets.find(str(made.top)).left_out
            assert targets.find(str(made.top)).targets == ()
        finally:
            if not options:
                run("umount", other)
    assert left.why == ("read-only" if options else f"it is this machine's, where {other} is")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_gives_everything_back(
    disk: MakeDisk, number: signal.Signals
) -> None:
    made = disk("ext4", 1024)
    with made.mounted():
        image(made)
        dirty(made, 500)
        before = made.free
        process = start(made, "--erase", "full", "--format", "json")
        while made.free > before - 100 * MB:
            assert process.poll() is None
        sent = time.monotonic()
        process.send_signal(number)
        out, _ = process.communicate()
        assert time.monotonic() - sent < 20
        assert made.free > before - 8 * MB
        made.demand_unharmed()
    assert process.returncode == 128 + number
    ((step,),) = [one["actions"] for one in validated_clean(out)["cleaners"]]
    assert step["outcome"] == "stopped"
    made.check()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_killed_at_any_time_it_leaves_a_sound_file_system(disk: MakeDisk, kind: str) -> None:
    made = disk(kind, 320)
    rng = random.Random(6)
    for _ in range(KILLS):
        with made.mounted():
            if not made.live:
                image(made)
                dirty(made, 120)
            before = made.free
            process = start(made, "--erase", rng.choice(["auto", "full"]), "-q")
            try:
                process.wait(timeout=rng.uniform(0.1, 2.0))
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate()
            # xfs and btrfs free what was removed in the background.
            until(partial(_has_free, made, before - 16 * MB), 30)
            made.demand_unharmed()
        made.check()


def _has_free(made: Disk, least: int) -> bool:
    run("sync", "-f", made.top)  # hurries them on
    return made.free > least


# Its directory is the only one below the tests' that it may enter.
WRITER = """
import os, time
os.setuid(65534)
path, worst = "w", 0.0
piece = os.urandom(1 << 20)
print("ready", flush=True)
while not os.path.exists("stop"):
    with open(path, "wb", buffering=0) as file:
        for _ in range(60):
            start, rest = time.monotonic(), memoryview(piece)
            while rest:  # xfs writes a part, and makes room for the rest when asked again
                rest = rest[file.write(rest):]
            worst = max(worst, time.monotonic() - start)
    os.unlink(path)
print(worst)
"""


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_others_can_write_all_the_time(disk: MakeDisk, kind: str) -> None:
    """60 MB over and over, by somebody who is not root: never is there no space."""
    made = disk(kind, 768)
    with made.mounted() as top:
        image(made)
        dirty(made, 300)
        place = top / "writer"
        place.mkdir()
        place.chmod(0o777)
        writer = subprocess.Popen(["python3", "-c", WRITER], cwd=place, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        cleaning = start(made, "-q", "--format", "json")
        out, _ = cleaning.communicate()
        (place / "stop").touch()
        worst, errors = writer.communicate()
    assert errors == ""
    ((step,),) = [one["actions"] for one in validated_clean(out)["cleaners"]]
    # What the writer deleted meanwhile is not zero, and told.
    assert cleaning.returncode == (step["erase"]["blocks_left"] > MOST_LEFT), out
    assert float(worst) < 30, "a write may wait for the disk, which we share"
    made.check()


# A child's peak is at first that of its parent, and pytest is large.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
                     file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
_, status, usage = os.wait4(pid, 0)
assert status == 0, status
print(usage.ru_maxrss * 1024)
"""


def test_a_hundred_gigabytes_need_no_more_memory(disk: MakeDisk, tmp_path: Path) -> None:
    made = disk("ext4", 100 * 1024, "-E", "lazy_itable_init=1,lazy_journal_init=1")
    with made.mounted("noinit_itable"):
        image(made)
        dirty(made, 60)
        report = tmp_path / "report.json"
        argv = [COMMAND, "--root", str(made.top), "--only", "free-space", "--yes", "-q", "-o",
                str(report)]
        peak = int(run(sys.executable, "-c", MEASURE, *argv))
    ((step,),) = [one["actions"] for one in validated_clean(report.read_text())["cleaners"]]
    assert step["erase"]["blocks_left"] == 0
    assert peak < 50 * MB
    assert made.image.stat().st_blocks * 512 < 2048 * MB
