"""Private directories: there while they are needed, and no trace of them afterwards."""

from __future__ import annotations

import contextlib
import os
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from img_tools import scratch
from img_tools.model import Undecided
from img_tools.rootfs import RootFS
from img_tools.scratch import Scratch
from tests.support import Link, build

ROOM = 1 << 10


@pytest.fixture
def top(tmp_path) -> Path:
    build(tmp_path, {"/dev/shm": {}, "/run": {}, "/tmp": {}, "/var/tmp": {}})
    return tmp_path


def test_a_directory_is_made_and_removed_with_all_in_it(top):
    put_aside = Scratch(RootFS(str(top)))
    path = put_aside.make(ROOM)
    assert path.startswith("/dev/shm/img-check.")
    build(top, {f"{path}/lists/partial/x": "x", f"{path}/link": Link("/etc")})
    put_aside.close()
    assert os.listdir(top / "dev/shm") == []


def test_every_one_has_a_name_of_its_own_and_is_known(top):
    put_aside = Scratch(RootFS(str(top)))
    one, other = put_aside.make(ROOM), put_aside.make(ROOM)
    assert one != other
    assert put_aside.owns(one)
    assert not put_aside.owns(one + "x")
    assert not put_aside.owns("/tmp/img-check.000000000000")
    assert not put_aside.owns("/etc")
    put_aside.close()
    assert not put_aside.owns(one)


def test_apt_can_read_it_whatever_the_umask_is(top):
    """apt fetches as the user _apt; root's umask may be 077."""
    before = os.umask(0o077)
    try:
        path = Scratch(RootFS(str(top))).make(ROOM)
    finally:
        os.umask(before)
    assert os.stat(f"{top}{path}").st_mode & 0o777 == 0o755


def test_the_times_of_the_directory_above_are_put_back(top):
    os.utime(top / "dev/shm", ns=(1_000_000_001, 2_000_000_002))
    put_aside = Scratch(RootFS(str(top)))
    put_aside.make(ROOM)
    put_aside.make(ROOM)
    put_aside.close()
    found = os.stat(top / "dev/shm")
    assert (found.st_atime_ns, found.st_mtime_ns) == (1_000_000_001, 2_000_000_002)


def test_nothing_is_made_after_the_end_and_the_end_may_come_twice(top):
    put_aside = Scratch(RootFS(str(top)))
    put_aside.close()
    put_aside.close()
    with pytest.raises(Undecided, match="the run is being stopped"):
        put_aside.make(ROOM)
    assert os.listdir(top / "dev/shm") == []


def test_a_link_leads_nowhere_outside_the_image(tmp_path):
    build(tmp_path, {"/outside": {}, "/image/dev/shm": Link(f"{tmp_path}/outside"),
                     "/image/run": Link("run"), "/image/tmp": {}})
    put_aside = Scratch(RootFS(f"{tmp_path}/image"))
    assert put_aside.make(ROOM).startswith("/tmp/")
    assert os.listdir(tmp_path / "outside") == []


def test_a_tmpfs_is_preferred_when_memory_allows(top, monkeypatch):
    part = namedtuple("part", "mountpoint fstype")
    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [part(f"{top}/var/tmp", "tmpfs"),
                                                               part(f"{top}/run", "ext4")])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(3 * ROOM))
    assert Scratch(RootFS(str(top))).make(ROOM).startswith("/var/tmp/")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(ROOM))
    assert Scratch(RootFS(str(top))).make(ROOM).startswith("/dev/shm/")


def test_without_proc_it_still_works(top, monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/proc/meminfo")

    monkeypatch.setattr(psutil, "disk_partitions", missing)
    monkeypatch.setattr(psutil, "virtual_memory", missing)
    assert Scratch(RootFS(str(top))).make(ROOM).startswith("/dev/shm/")


GUARDED = "tmpdir.??????"


def test_what_a_command_makes_and_removes_leaves_no_time(top):
    os.utime(top / "tmp", ns=(1_000_000_001, 2_000_000_002))
    with Scratch(RootFS(str(top))).guard("/tmp", GUARDED):
        (top / "tmp/tmpdir.abc123").mkdir()
        (top / "tmp/tmpdir.abc123").rmdir()
    found = os.stat(top / "tmp")
    assert (found.st_atime_ns, found.st_mtime_ns) == (1_000_000_001, 2_000_000_002)


def test_what_a_killed_command_leaves_goes_and_nothing_else(top):
    """Names that were there, names of another kind, and what belongs to somebody else stay."""
    build(top, {"/tmp/tmpdir.before": "x", "/etc/passwd": "x"})
    os.utime(top / "tmp", ns=(1_000_000_001, 2_000_000_002))
    with contextlib.suppress(Undecided), Scratch(RootFS(str(top))).guard("/tmp", GUARDED):
        build(top, {"/tmp/tmpdir.abc123/repomd.xml": "x", "/tmp/other.abc123": "x",
                    "/tmp/tmpdir.abc1234": "x", "/tmp/tmpdir.linked": Link("/etc")})
        if os.geteuid() == 0:
            build(top, {"/tmp/tmpdir.theirs": "x"})
            os.chown(top / "tmp/tmpdir.theirs", 1234, 1234)
        raise Undecided("it was killed")
    stay = {"tmpdir.before", "other.abc123", "tmpdir.abc1234", "tmpdir.linked"}
    assert {*os.listdir(top / "tmp")} - {"tmpdir.theirs"} == stay
    assert (top / "tmp/tmpdir.theirs").exists() == (os.geteuid() == 0)
    assert (top / "etc/passwd").exists()
    assert os.stat(top / "tmp").st_mtime_ns == 2_000_000_002


def test_a_guarded_directory_is_tidied_when_the_run_is_stopped(top):
    put_aside = Scratch(RootFS(str(top)))
    with put_aside.guard("/tmp", GUARDED):
        (top / "tmp/tmpdir.abc123").mkdir()
        put_aside.close()
        assert os.listdir(top / "tmp") == []
        (top / "tmp/late").mkdir()  # of the next command: close() was the end of our business
        before = os.stat(top / "tmp").st_mtime_ns
    assert os.stat(top / "tmp").st_mtime_ns == before


def test_without_the_directory_there_is_nothing_to_guard(tmp_path):
    with Scratch(RootFS(str(tmp_path))).guard("/tmp", GUARDED):
        assert os.listdir(tmp_path) == []


def test_no_room_is_undecided_and_says_what_to_do(top):
    with pytest.raises(Undecided, match=r"/dev/shm.* free for package indexes.*--no-refresh"):
        Scratch(RootFS(str(top))).make(1 << 60)


def test_no_such_directory_at_all_is_undecided(tmp_path):
    with pytest.raises(Undecided, match="free for package indexes"):
        Scratch(RootFS(str(tmp_path))).make(ROOM)


def test_a_directory_that_cannot_be_made_is_undecided(top, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "mkdir", full)
    with pytest.raises(Undecided, match="/dev/shm: cannot make a directory: No space left"):
        Scratch(RootFS(str(top))).make(ROOM)


def test_what_a_killed_command_still_writes_is_removed_as_well(top, monkeypatch):
    put_aside = Scratch(RootFS(str(top)))
    path = f"{top}{put_aside.make(ROOM)}"
    real, rounds = scratch.shutil.rmtree, []

    def rmtree(place: str, ignore_errors: bool) -> None:
        real(place, ignore_errors=ignore_errors)
        rounds.append(place)
        if len(rounds) < 3:
            os.makedirs(f"{place}/late")

    monkeypatch.setattr(scratch.shutil, "rmtree", rmtree)
    put_aside.close()
    assert not os.path.exists(path)
    assert len(rounds) == 3
