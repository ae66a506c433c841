"""Another process is at work with dpkg: it is waited for, and named when it does not end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.container import server
from tests.container.machine import LENT, Machine

HOLDER = """
import fcntl
lock = open("/var/lib/dpkg/lock-frontend", "r+")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
input()
"""
# In the tests no one waits for five minutes. "late": nobody looks before apt-get has tried.
SHORT = """
import sys
sys.path[:0] = ["{lent}/lib", "{lent}/site"]
from img_tools.cli import clean
from img_tools.packages import apt, apt_actions
clean.LOCK_WAIT = 1
apt_actions._OPTIONS = tuple(
    part.replace(f"={{apt_actions.LOCK_WAIT}}", "=1") for part in apt_actions._OPTIONS)
def late(self, upgrade=apt.Apt.upgrade, idle=apt.Apt.require_idle):
    apt.Apt.require_idle = lambda self: None
    yield from upgrade(self)
    apt.Apt.require_idle = idle
if "{when}" == "late":
    apt.Apt.require_settled, apt.Apt.upgrade = lambda self: None, late
clean.main()
"""


@pytest.fixture(scope="module")
def box(make: Callable[[str], Machine]) -> Iterator[Machine]:
    made = make("bookworm")
    made.boot("one", server.USER_DATA)
    yield made
    made.pull_the_plug()


@pytest.fixture
def holder(box: Machine) -> Iterator[str]:
    """The pid, in BOX, of a process that holds dpkg's lock."""
    process = box.start("python3", "-c", HOLDER)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield box.run("pgrep", "--full", "--newest", "lock-frontend").strip()
    process.communicate("\n", timeout=30)


def clean(box: Machine, when: str, only: str) -> subprocess.CompletedProcess[str]:
    return box.finished("python3", "-c", SHORT.format(lent=LENT, when=when), "--yes", "--only",
                        only)


def test_img_clean_waits_then_changes_nothing(box: Machine, holder: str) -> None:
    kept = box.tree / "var/tmp/kept"
    kept.touch()
    done = clean(box, "early", "temp-files,package-upgrade")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"python3 (pid {holder})" in done.stderr
    assert "nothing was changed" in done.stderr
    assert kept.exists()


def test_apt_waits_then_says_who_it_was(box: Machine, holder: str) -> None:
    """Cleanup defect 20: upstream's apt does not wait, and its failure does not matter to it."""
    done = clean(box, "late", "package-upgrade")
    assert done.returncode == 1
    assert "FAILED  package-upgrade" in done.stdout
    assert f"python3 (pid {holder}) is changing packages" in done.stdout


def test_held_no_longer_it_upgrades(box: Machine) -> None:
    assert clean(box, "early", "package-upgrade").returncode == 0
    assert Path(box.tree / "usr/share/toy/version").read_text() == "1.1"
