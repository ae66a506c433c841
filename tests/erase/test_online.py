"""Every kind of file system, erased while it is mounted, then read raw: nothing deleted is left."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from img_tools.actions import Erased
from img_tools.erase import claim, engine, ioctls
from img_tools.erase.ioctls import Extent
from img_tools.erase.ranges import Ranges
from tests.erase.conftest import MakeDisk
from tests.erase.disks import MB, Disk, dirty, run

EXT4 = [
    (), ("-b", "1024"), ("-O", "bigalloc"), ("-O", "inline_data"),
    ("-O", "^64bit,^metadata_csum"), ("-I", "128"),
]


@pytest.fixture
def no_discard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not discard; that of a loop device does."""
    def refused(fd: int) -> int:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(ioctls, "trim", refused)


def erased(disk: Disk, mode: str = "auto") -> Erased:
    """DISK dirtied, erased, unharmed and without a canary; returns what was told."""
    with disk.mounted():
        dirty(disk, 80)
        before = disk.free
        result = disk.erase(mode)
        run("sync", "-f", disk.top)
        assert abs(disk.free - before) < 4 * MB, "all that was claimed is free again"
        disk.demand_unharmed()
    disk.check()
    return result


@pytest.mark.parametrize("options", EXT4, ids=lambda options: " ".join(options) or "default")
@pytest.mark.usefixtures("no_discard")
def test_ext4_holds_nothing_of_what_was_deleted(disk: MakeDisk, options: tuple[str, ...]) -> None:
    made = disk("ext4", 256, *options)
    result = erased(made)
    assert made.canaries() == {}
    assert (result.method, result.left, result.inodes_left) == ("sparse", 0, 0)
    assert result.journal == "zeroed"
    assert result.written < 110 * MB


@pytest.mark.usefixtures("no_discard")
def test_ext4_without_a_journal_holds_no_data(disk: MakeDisk) -> None:
    """Freed blocks are used again at once, inodes not for some seconds: what is left is told."""
    made = disk("ext4", 256, "-O", "^has_journal")
    result = erased(made)
    left = made.canaries()
    assert result.journal is None
    assert "data" not in left
    assert (result.left != 0) == bool({"small", "name"} & set(left))
    assert (result.inodes_left != 0) == bool({"attr", "link"} & set(left))


@pytest.mark.usefixtures("no_discard")
def test_xfs_holds_nothing_of_what_was_deleted(disk: MakeDisk) -> None:
    made = disk("xfs", 512)
    result = erased(made)
    assert made.canaries() == {}
    assert (result.method, result.left, result.journal) == ("sparse", 0, "overwritten")
    assert result.written < 110 * MB


@pytest.mark.usefixtures("no_discard")
def test_btrfs_holds_no_data_of_what_was_deleted(disk: MakeDisk) -> None:
    """What is left of its trees is told: no file can reach all of it."""
    made = disk("btrfs", 512)
    result = erased(made)
    assert "data" not in made.canaries()
    assert sum(made.canaries().values()) < 100
    assert (result.method, result.left) == ("sparse", 0)
    assert result.journal in ("overwritten", "mostly overwritten")


@pytest.mark.usefixtures("no_discard")
def test_btrfs_with_data_and_metadata_in_one_is_told_to_keep_some(disk: MakeDisk) -> None:
    """Its trees have no other space, so that not all of it can be claimed."""
    made = disk("btrfs", 320, "--mixed")
    result = erased(made)
    assert result.method == "sparse"
    assert result.left is not None
    assert made.canaries().get("data", 0) <= result.left


@pytest.mark.usefixtures("no_discard")
def test_what_becomes_free_during_a_later_pass_is_seen(
    disk: MakeDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first pass leaves something; while that is treated a process deletes a file."""
    made, real, passes = disk("ext4", 400), engine._Work._pass, 0

    def interfered(work: engine._Work, only: Ranges | None, seen: Ranges) -> None:
        nonlocal passes
        real(work, only, seen)
        passes += 1
        if passes <= 2:
            (made.top / f"held{passes}").unlink()
            run("sync", "-f", made.top)

    monkeypatch.setattr(engine._Work, "_pass", interfered)
    with made.mounted() as top:
        dirty(made, 60)
        content = b"CANARY-held-000001".ljust(4096) * 512
        (top / "held1").write_bytes(2 * content)
        (top / "held2").write_bytes(content)
        run("sync", "-f", top)
        assert made.erase().left == 0
    assert passes == 3
    assert made.canaries() == {}


@pytest.mark.parametrize("kind", ["ext2", "ext3"])
@pytest.mark.usefixtures("no_discard")
def test_what_cannot_claim_space_is_filled(disk: MakeDisk, kind: str) -> None:
    made = disk(kind, 256)
    result = erased(made)
    left = made.canaries()
    assert result.method == "fill"
    assert result.left is not None
    assert set(left) <= {"attr"}
    assert "attr" not in left or (kind == "ext2" and result.inodes_left)
    assert result.left < 16 < result.nodes, "nodes mapped the file it was filled with"


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_disk_that_discards_needs_few_writes(disk: MakeDisk, kind: str) -> None:
    made = disk(kind, 512)
    result = erased(made)
    assert made.canaries() == {}
    assert result.trimmed > 80 * MB
    assert (result.left, result.written < 8 * MB) == (0, True)


def test_trim_alone_looks_at_nothing(disk: MakeDisk) -> None:
    result = erased(disk("ext4", 256), "trim")
    assert (result.method, result.scanned, result.written, result.left) == ("trim", 0, 0, None)


@pytest.mark.usefixtures("no_discard")
def test_trim_alone_fails_where_the_disk_does_not_discard(disk: MakeDisk) -> None:
    made = disk("ext4", 64)
    with made.mounted(), pytest.raises(engine.Unsafe, match="does not discard"):
        made.erase("trim")


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.usefixtures("no_discard")
def test_full_writes_everything(disk: MakeDisk, kind: str) -> None:
    made = disk(kind, 400)
    result = erased(made, "full")
    assert made.canaries() == {}
    assert (result.method, result.left) == ("fill", 0)
    assert result.written > result.free * 9 // 10


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.usefixtures("no_discard")
def test_a_fresh_one_is_read_and_not_written(disk: MakeDisk, kind: str) -> None:
    made = disk(kind, 400)
    with made.mounted():
        result = made.erase()
    made.check()
    assert (result.written < result.free // 8, result.left) == (True, 0), "what xfs's log took"
    assert result.scanned >= result.free * 9 // 10


@pytest.mark.usefixtures("no_discard")
def test_what_is_deleted_and_still_open_is_told(disk: MakeDisk) -> None:
    """Its blocks are not free, and end on the disk as they are."""
    made = disk("ext4", 64)
    with made.mounted() as top:
        gone, kept = top / "secret", top / "kept (deleted)"
        gone.write_bytes(bytes(8192))
        kept.write_bytes(bytes(8192))
        with gone.open() as one, kept.open() as other, subprocess.Popen(
                ["cat"], stdin=subprocess.PIPE,
                pass_fds=[one.fileno(), other.fileno()]) as holder:
            gone.unlink()
            result = made.erase()
            assert holder.stdin
            holder.stdin.close()
        assert result.notes == (
            f"deleted files that are still open keep 8192 bytes: cat ({holder.pid})",)
        assert made.erase().notes == ()


@pytest.mark.usefixtures("no_discard")
def test_thousands_of_gaps_between_small_files_of_xfs_are_reached(disk: MakeDisk) -> None:
    """They are what stays free for others: all of them have the same neighbour among our files."""
    made, number = disk("xfs", 800), 0
    with made.mounted() as top:
        while made.free > 500 * MB:
            number += 1
            (top / f"small{number}").write_bytes(b"between" * (700 + number % 3000))
        run("sync", "-f", top)
        for gap in range(1, number, 2):
            (top / f"small{gap}").unlink()
        dirty(made, 50)
        result = made.erase()
        assert result.left is not None
        assert result.left < 100, "thousands, when each round got one"
        made.demand_unharmed()
    made.check()
    assert sum(made.canaries().values()) < 100


@pytest.mark.usefixtures("no_discard")
def test_a_reflinked_file_stays(disk: MakeDisk) -> None:
    made = disk("xfs", 400)
    with made.mounted() as top:
        (top / "one").write_bytes(os.urandom(8 * MB))
        run("cp", "--reflink=always", top / "one", top / "two")
        with open(top / "two", "r+b") as file:
            file.write(b"changed")
        dirty(made, 60)
        assert made.erase().left == 0
        made.demand_unharmed()
    made.check()
    assert made.canaries() == {}


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
@pytest.mark.usefixtures("no_discard")
def test_a_full_disk_stays_as_it_is(disk: MakeDisk, kind: str) -> None:
    made = disk(kind, 320)
    with made.mounted() as top:
        dirty(made, 30)
        with open(top / "filler", "wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(65536))
                except OSError:
                    break
        made.remember()
        result = made.erase()
        made.demand_unharmed()
    made.check()
    assert result.left is not None


@pytest.mark.usefixtures("no_discard")
def test_a_partition_is_told_from_its_disk(disk: MakeDisk, tmp_path: Path) -> None:
    """Extents count from the start of the partition."""
    made = disk("ext4", 128)
    with open(tmp_path / "whole.img", "wb") as file:
        file.truncate(200 * MB)
    loop = run("losetup", "--find", "--show", "--partscan", tmp_path / "whole.img").strip()
    try:
        run("dd", f"if={made.image}", f"of={loop}", "bs=1M", "seek=8", "conv=fsync")
        run("addpart", loop, "1", str(8 * 2048), str(128 * 2048))
        run("mount", f"{loop}p1", made.top)
        try:
            dirty(made, 60)
            result = made.erase()
            made.demand_unharmed()
        finally:
            run("umount", made.top)
    finally:
        run("losetup", "--detach", loop)
    run("dd", f"if={tmp_path}/whole.img", f"of={made.image}", "bs=1M", "skip=8", "count=128",
        "conv=sparse")
    made.check()
    assert made.canaries() == {}
    assert (result.method, result.left) == ("sparse", 0)


# -- lies and interruptions ------------------------------------------------------------------------


@pytest.fixture(params=[0, 5], ids=["at once", "later"])
def liar(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that says that files lie 3 MB further on than they do."""
    truth, answers = ioctls.fiemap, 0

    def lie(fd: int, start: int, length: int) -> Iterator[Extent]:
        nonlocal answers
        answers += 1
        shift = 0 if answers <= request.param else 3 * MB
        for extent in truth(fd, start, length):
            yield extent._replace(place=max(0, extent.place - shift))

    monkeypatch.setattr(ioctls, "fiemap", lie)
    monkeypatch.setattr(claim, "PIECE", 8 * MB)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.usefixtures("no_discard", "liar")
def test_lies_about_where_files_are_harm_nothing(disk: MakeDisk, kind: str) -> None:
    made = disk(kind, 400)
    result = erased(made)
    assert made.canaries() == {}
    assert result.method == "fill"
    assert "blocks are not where the file system says" in " ".join(result.notes)


def test_a_disk_that_took_the_name_of_that_of_btrfs_is_not_read(
    disk: MakeDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """btrfs tells the path that was mounted, which may be another disk's by now."""
    truth = ioctls.btrfs_device
    monkeypatch.setattr(ioctls, "btrfs_device", lambda fd: (truth(fd)[0], b"of another disk."))
    made = disk("btrfs", 320)
    with made.mounted(), pytest.raises(engine.Unsafe, match="is not the disk it is on"):
        made.erase()


@pytest.mark.parametrize("fault", ["reserve", "fiemap", "free_extents"])
@pytest.mark.usefixtures("no_discard")
def test_what_the_kernel_lacks_is_made_up_for_by_filling(
    disk: MakeDisk, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused_at_once(*args: object) -> Extent:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    def refused(*args: object) -> Iterator[Extent]:
        yield refused_at_once()

    monkeypatch.setattr(ioctls, fault, refused_at_once if fault == "reserve" else refused)
    made = disk("ext4", 256)
    result = erased(made)
    assert (result.method, result.notes != ()) == ("fill", True)
    if fault == "free_extents":  # it cannot be seen what ext4 keeps for its own maps
        assert result.left is None
        assert sum(made.canaries().values()) < 200
    else:
        assert made.canaries() == {}


@pytest.mark.usefixtures("no_discard")
def test_an_old_kernel_cannot_zero_the_journal_so_it_is_overwritten(
    disk: MakeDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(fd: int, *, dry_run: bool = False) -> None:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    monkeypatch.setattr(ioctls, "zero_journal", refused)
    made = disk("ext4", 256)
    assert erased(made).journal == "overwritten"
    assert made.canaries() == {}


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
@pytest.mark.parametrize("patience", [1, 40, 120, 200])
@pytest.mark.usefixtures("no_discard")
def test_when_interrupted_it_gives_back_what_it_holds(
    disk: MakeDisk, kind: str, patience: int
) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > patience

    made = disk(kind, 320)
    with made.mounted():
        dirty(made, 100)
        before = made.free
        with pytest.raises(engine.Interrupted):
            made.erase(watch=engine.Watch(stop=stop))
        run("sync", "-f", made.top)
        assert abs(made.free - before) < 8 * MB
        made.demand_unharmed()
    made.check()


def test_another_file_system_mounted_over_it_is_not_touched(disk: MakeDisk) -> None:
    made = disk("ext4", 64)
    with made.mounted() as top:
        run("mount", "-t", "tmpfs", "none", top)
        try:
            with pytest.raises(ValueError, match="unpack"):  # it is no target any more
                made.erase()
        finally:
            run("umount", top)
