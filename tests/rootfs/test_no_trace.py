"""img-check leaves no trace: the whole tree is the same before and after (row S14)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rootfs import running
from tests.rootfs.conftest import Tree
from tests.rootfs.trees import differences, manifest

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REFRESH = pytest.mark.parametrize("refresh", [True, False], ids=["refresh", "no-refresh"])


@REFRESH
def test_a_run_from_outside_changes_nothing(tree: Tree, suite: str, refresh: bool) -> None:
    """Defect 34: upstream runs `apt-get update` in the image that was just cleaned."""
    top = tree(suite)
    before = manifest(top)
    running.check(top, *([] if refresh else ["--no-refresh"]))
    assert differences(before, manifest(top)) == []


@REFRESH
def test_a_run_from_inside_changes_nothing(booted: Tree, suite: str, refresh: bool) -> None:
    top = booted(suite)
    before = manifest(top)
    running.check_inside(top, *([] if refresh else ["--no-refresh"]), network=refresh)
    assert differences(before, manifest(top)) == []


def test_a_change_would_be_seen(tree: Tree) -> None:
    """The comparison itself: what the tests above rely on."""
    top = tree("bookworm")
    before = manifest(top)
    times = os.stat(top / "etc")
    (top / "etc/new").touch()
    (top / "etc/issue").chmod(0o600)
    os.truncate(top / "etc/motd", 0)
    os.setxattr(top / "etc/fstab", "user.mark", b"1")
    os.utime(top / "etc", ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = [line.partition(":")[0] for line in differences(before, manifest(top))]
    assert changed == ["/etc/fstab", "/etc/issue", "/etc/motd", "/etc/new"]


# -- stopped while the package indexes are fetched -----------------------------------------------


@contextlib.contextmanager
def silent_mirror() -> Iterator[tuple[str, threading.Event]]:
    """A web server that takes connections and never answers: its address, and "apt has called"."""
    called = threading.Event()
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])
                    called.set()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/debian", called
    for connection in held:
        connection.close()


@pytest.fixture
def mirror() -> Iterator[tuple[str, threading.Event]]:
    with silent_mirror() as offered:
        yield offered


def stop(command: list[str], number: int, called: threading.Event, *, child: bool) -> int:
    """Start COMMAND, send it (or its CHILD) the signal once apt is fetching, return the code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        assert called.wait(60), "apt did not ask the mirror for anything"
        os.kill(_children(process.pid)[0] if child else process.pid, number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    if number != signal.SIGKILL:
        assert out == ""
        assert "interrupted" in err
        assert "Traceback" not in err
    return process.returncode


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def still_inside(tree: Path) -> list[str]:
    """Command lines of processes that have TREE as their root directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(process / "root").startswith(str(tree)):
                found.append((process / "cmdline").read_text())
    return found


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_stopped_from_outside(tree: Tree, mirror: tuple[str, threading.Event],
                              number: signal.Signals) -> None:
    top = tree("bookworm")
    address, called = mirror
    (top / "etc/apt/sources.list").write_text(f"deb {address} bookworm main\n")
    before = manifest(top)
    assert stop(running.outside(top), number, called, child=False) == 128 + number
    assert still_inside(top) == []
    assert differences(before, manifest(top)) == []


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_stopped_from_inside(booted: Tree, mirror: tuple[str, threading.Event],
                             number: signal.Signals) -> None:
    top = booted("bookworm")
    address, called = mirror
    (top / "etc/apt/sources.list").write_text(f"deb {address} bookworm main\n")
    before = manifest(top)
    with running.inside(top) as command:
        assert stop(command, number, called, child=True) == 128 + number
    assert differences(before, manifest(top)) == []


def test_killed_from_inside_leaves_something_on_a_tmpfs_alone(
    booted: Tree, mirror: tuple[str, threading.Event]
) -> None:
    """Nobody cleans up after SIGKILL; what is left is gone with the next boot, not in the image."""
    top = booted("bookworm")
    address, called = mirror
    (top / "etc/apt/sources.list").write_text(f"deb {address} bookworm main\n")
    before = manifest(top)
    with running.inside(top) as command:
        stop(command, signal.SIGKILL, called, child=True)
    left = differences(before, manifest(top))
    assert [line for line in left if not line.startswith(("/dev/shm", "/run"))] == []


def test_killed_from_outside_leaves_its_own_directory_and_the_next_run_says_so(
    clean_tree: Tree, mirror: tuple[str, threading.Event]
) -> None:
    """A mounted image has no tmpfs over its directories: what SIGKILL leaves there is in it."""
    top = clean_tree("bookworm")
    address, called = mirror
    sources = top / "etc/apt/sources.list"
    usual = sources.read_text()
    sources.write_text(f"deb {address} bookworm main\n")
    before = manifest(top)
    stop(running.outside(top), signal.SIGKILL, called, child=False)
    left = differences(before, manifest(top))
    assert [line for line in left
            if not line.startswith(("/dev/shm: ", "/dev/shm/img-check."))] == []
    sources.write_text(usual)
    findings = running.check(top, "--no-refresh").of("temp-files")["findings"]
    assert {finding["path"] for finding in findings} == {
        f"/dev/shm/{path.name}" for path in (top / "dev/shm").iterdir()} != set()
