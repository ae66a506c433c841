"""What the surgeon truncates and writes, and links swapped meanwhile."""

from __future__ import annotations

import contextlib
import os
import stat

import pytest

from tests.engine.surgery.common import CANARY, untouched
from tests.support import Fifo, File, Link, build, flipping

# -- truncating ------------------------------------------------------------------------------------


def test_truncating_keeps_inode_owner_and_mode(surgeon, top):
    build(top, {"/tmp/log": File("12345", mode=0o640)})
    if os.geteuid() == 0:
        os.chown(top / "tmp/log", 12, 34)
    before = os.stat(top / "tmp/log")
    with open(top / "tmp/log", "a") as writer:
        assert surgeon.truncate("/tmp/log") == 5
        writer.write("new")
    after = os.stat(top / "tmp/log")
    assert (after.st_ino, after.st_mode, after.st_uid, after.st_gid) == (
        before.st_ino, before.st_mode, before.st_uid, before.st_gid)
    assert (top / "tmp/log").read_text() == "new"


def test_what_is_no_plain_file_is_not_truncated(surgeon, top, outside):
    build(top, {"/tmp/link": Link(f"{outside}/canary"), "/tmp/pipe": Fifo(), "/tmp/dir/x": "x"})
    for name in ("link", "pipe", "dir"):
        with pytest.raises(OSError, match="not a regular file"):
            surgeon.truncate(f"/tmp/{name}")
    assert untouched(outside)


def test_a_pipe_that_somebody_reads_is_not_opened(surgeon, top):
    build(top, {"/tmp/pipe": Fifo()})
    reader = os.open(top / "tmp/pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="not a regular file"):
        surgeon.truncate("/tmp/pipe")
    os.close(reader)


def test_a_file_with_another_name_is_not_truncated(surgeon, top, outside):
    """Who may make files in a directory of logs could hard-link what root should destroy."""
    build(top, {"/var/log/app/app.log": None, "/var/log/app": {}})
    os.link(outside / "canary", top / "var/log/app/app.log")
    with pytest.raises(OSError, match="has 2 names"):
        surgeon.truncate("/var/log/app/app.log")
    assert untouched(outside)
    surgeon.remove("/var/log/app/app.log")
    assert untouched(outside)


# -- writing ---------------------------------------------------------------------------------------


def test_writing_replaces_whole_and_a_link_as_such(surgeon, top, outside):
    build(top, {"/etc/id": Link(f"{outside}/canary"), "/etc/old": File("old", mode=0o600)})
    assert surgeon.write("/etc/id", b"new", 0o444) == 3
    with open(top / "etc/old") as held:
        surgeon.write("/etc/old", b"", 0o644)
        assert held.read() == "old"
    assert untouched(outside)
    assert not os.path.islink(top / "etc/id")
    assert (top / "etc/id").read_text() == "new"
    assert stat.S_IMODE(os.stat(top / "etc/id").st_mode) == 0o444
    assert sorted(os.listdir(top / "etc")) == ["id", "old"]


def test_a_draft_of_a_killed_run_is_taken_over(surgeon, top, outside):
    build(top, {"/etc/.id.img-clean": Link(f"{outside}/canary")})
    surgeon.write("/etc/id", b"new", 0o444)
    assert os.listdir(top / "etc") == ["id"]
    assert untouched(outside)


def test_what_cannot_be_written_leaves_no_draft(surgeon, top):
    build(top, {"/etc/id/below": "x"})
    with pytest.raises(IsADirectoryError):
        surgeon.write("/etc/id", b"new", 0o444)
    assert os.listdir(top / "etc") == ["id"]
    with pytest.raises(OSError, match="directory is missing") as error:
        surgeon.write("/none/id", b"new", 0o444)
    assert not isinstance(error.value, FileNotFoundError)


# -- races -----------------------------------------------------------------------------------------


def test_no_swapped_link_leads_anywhere(surgeon, top, outside):
    """A user flips a directory and a file with links to what is not theirs, as root works."""
    for name in ("canary2", "deep"):
        (outside / name).write_text(CANARY)
    build(top, {"/tmp/d/deep": "x", "/tmp/other": Link(str(outside)), "/tmp/f": "x",
                "/tmp/g": Link(f"{outside}/canary")})
    with flipping((top / "tmp/d", top / "tmp/other"), (top / "tmp/f", top / "tmp/g")):
        for _ in range(1500):
            for act, path in ((surgeon.truncate, "/tmp/f"), (surgeon.truncate, "/tmp/d/deep"),
                              (surgeon.remove, "/tmp/d/deep"), (surgeon.empty, "/tmp/d")):
                surgeon.forget()
                with contextlib.suppress(OSError):
                    act(path)
            with contextlib.suppress(OSError):
                (top / "tmp/d/x").touch()
    assert untouched(outside)
    assert (outside / "deep").read_text() == CANARY
    assert (outside / "canary2").read_text() == CANARY
