"""What needs no disk: whose free space it is, ranges, windows, progress."""

from __future__ import annotations

import os
import struct
import threading

import pytest

from img_tools import cleaning, mounts
from img_tools.actions import Erase, Erased, Outcome, Step
from img_tools.cli import gauge, main
from img_tools.erase import btrfs, claim, device, targets
from img_tools.erase.ioctls import Extent
from img_tools.erase.ranges import Ranges, merged, to_verify, without
from img_tools.report import clean
from img_tools.surgery import Surgeon

ROOT = "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"
LINES = {
    "21 20 8:2 / /boot rw - vfat /dev/sda2 rw": ("/boot", None),
    "22 20 8:3 / /data ro,nosuid - xfs /dev/sdb rw": (None, "read-only"),
    "23 20 8:3 / /data rw - xfs /dev/sdb ro": (None, "read-only"),
    "24 20 0:30 / /tmp rw - tmpfs tmpfs rw": (None, "in memory"),
    "25 20 0:31 / /mnt/n rw - nfs4 server:/x rw": (None, "on a server"),
    "26 20 0:32 / /var/lib/o rw - overlay overlay rw,upperdir=/u": (
        None, "it lies in directories of another file system"),
    "27 20 0:33 / /proc rw - proc proc rw": (None, "in memory"),
    "27 20 0:33 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw": (None, None),
    "28 20 8:4 /sub /srv rw - ext4 /dev/sdc rw": (None, "only a part of it is mounted here"),
    "29 20 0:34 / /mnt/f rw - fuse.x x rw": (None, "it does not tell which disk it is on"),
    "32 20 8:6 / /mnt/w rw - fuseblk /dev/sdf rw": (None, "it does not tell which disk it is on"),
    "31 20 7:0 / /snap/x ro - squashfs /dev/loop0 ro": (None, None),
    "30 20 0:35 / /z rw - btrfs /dev/sdd rw": ("/z", None),
}


@pytest.fixture
def found(monkeypatch):
    """found(top, lines of mountinfo...) -> the Storage; every mount point is there."""
    def told(top, *lines):
        read = tuple(mounts._parsed([line.encode() for line in lines]))
        monkeypatch.setattr(mounts, "read", lambda: read)
        monkeypatch.setattr(targets, "_is_whole", lambda mount: mount.root == "/")
        monkeypatch.setattr(targets, "_swap", lambda: iter(()))
        monkeypatch.setattr(targets, "_in_container", lambda: False)
        about = os.statvfs("/")
        monkeypatch.setattr(os, "statvfs", lambda path: about)
        return targets.find(top)

    return told


@pytest.mark.parametrize("line", LINES)
def test_each_kind_of_mount_is_told_from_the_others(found, line):
    storage = found("/", ROOT, line)
    target, why = LINES[line]
    assert [one.path for one in storage.targets] == ["/", *filter(None, [target])]
    assert [one.why for one in storage.left_out] == [*filter(None, [why])]


def test_a_device_counts_once_wherever_it_is_mounted(found):
    storage = found("/", ROOT, "21 20 8:1 /home /srv rw - ext4 /dev/sda1 rw",
                    "22 20 8:1 / /mnt rw - ext4 /dev/sda1 rw")
    assert [(one.path, one.mount) for one in storage.targets] == [("/", "20")]


@pytest.mark.parametrize(("line", "expected"), [
    ("30 20 8:17 / /mnt/i rw - ext4 /dev/sdb1 rw", ["/"]),
    ("30 20 8:17 / /mnt/i/boot rw - ext4 /dev/sdb1 rw", ["/boot"]),
    ("30 20 8:1 / /mnt/i rw - ext4 /dev/sda1 rw", []),  # mount --bind / /mnt/i
    ("30 20 8:1 /var /mnt/i/var rw - ext4 /dev/sda1 rw", []),
    ("30 20 8:17 / /mnt/image rw - ext4 /dev/sdb1 rw", []),
    ("", []),  # a chroot in a directory
])
def test_of_this_machine_nothing_is_erased_for_a_mounted_image(found, line, expected):
    storage = found("/mnt/i", ROOT, *filter(None, [line]))
    assert [one.path for one in storage.targets] == expected


def test_notes_name_what_is_left_out_but_not_what_is_in_memory(found):
    lines = [line for line in LINES if line.startswith(("24", "25"))]
    assert list(found("/", ROOT, *lines).notes) == [
        "free space is not erased in /mnt/n (nfs4: on a server)"]


@pytest.mark.parametrize(("line", "words"), [
    ("", ["is a directory of a larger file system"]),
    ("30 20 8:17 / /mnt/i/boot rw - ext4 /dev/sdb1 rw", ["is a directory of a larger file system"]),
    ("30 20 8:17 / /mnt/i rw - ext4 /dev/sdb1 rw", []),
    ("30 20 8:1 / /mnt/i rw - ext4 /dev/sda1 rw", ["this machine's, where / is"]),
])
def test_that_an_image_has_no_free_space_of_its_own_is_said_once(found, line, words):
    notes = list(found("/mnt/i", ROOT, *filter(None, [line])).notes)
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))


def test_what_lies_in_a_file_comes_before_the_file_system_of_that_file(found):
    """Or what is discarded there makes free what had been erased here."""
    storage = found("/", ROOT, "21 20 7:3 / /srv/x rw - ext4 /dev/loop3 rw",
                    "22 20 8:2 / /boot rw - ext4 /dev/sda2 rw")
    assert [one.path for one in storage.targets] == ["/srv/x", "/", "/boot"]


def test_the_disk_of_a_container_is_its_hosts_but_an_image_mounted_there_is_erased(
    found, monkeypatch
):
    assert found("/", ROOT).targets
    monkeypatch.setattr(targets, "_in_container", lambda: True)
    (left,) = targets.find("/").left_out
    assert (left.path, left.why) == ("/", "this is a container, and the disk its host's")
    assert targets.find("/").targets == ()
    mounts_seen = tuple(mounts._parsed([ROOT.encode(), b"30 20 7:1 / /mnt/i rw - ext4 /dev/l rw"]))
    monkeypatch.setattr(mounts, "read", lambda: mounts_seen)
    assert [one.path for one in targets.find("/mnt/i").targets] == ["/"]


@pytest.mark.parametrize(("root", "expected"), [
    ("/", ["/dev/vdb", "/a b"]), ("/proc", []), (None, ["/dev/vdb", "/a b"])])
def test_a_chroot_does_not_switch_off_the_swap_of_its_host(monkeypatch, tmp_path, root, expected):
    swaps = tmp_path / "swaps"
    swaps.write_text("Filename Type Size Used Priority\n/dev/vdb partition 100 0 -2\n"
                     "/a\\040b file 100 0 -3\n/dev/zram0 partition 100 0 100\n")
    monkeypatch.setattr("builtins.open", lambda path, *mode, real=open: real(
        swaps if path == "/proc/swaps" else path, *mode))
    monkeypatch.setattr(targets, "_FIRST_PID_NAMESPACE", os.stat("/proc/self/ns/pid").st_ino)
    real = os.stat

    def stat(path):
        if path != "/proc/1/root":
            return real(path)
        if root is None:
            raise PermissionError
        return real(root)

    monkeypatch.setattr(os, "stat", stat)
    assert [target.place for target in targets._swap()] == expected


# -- ranges ----------------------------------------------------------------------------------------


def test_near_ranges_are_one():
    ranges = Ranges(gap=10)
    for start, end in ((0, 5), (14, 20), (31, 40), (35, 38)):
        ranges.add(start, end)
    assert list(ranges) == [(0, 20), (31, 40)]
    assert ranges.size == 29


def test_too_many_ranges_become_coarser_and_lose_nothing():
    ranges = Ranges(gap=0, most=100)
    pieces = [(number * 65536, number * 65536 + 1024) for number in range(5000)]
    for start, end in pieces:
        ranges.add(start, end)
    assert len(ranges) <= 100
    assert all(list(ranges.within(start, end)) == [(start, end)] for start, end in pieces)


def test_what_is_within():
    ranges = Ranges(gap=0)
    for start, end in ((10, 20), (30, 40)):
        ranges.add(start, end)
    assert list(ranges.within(0, 9)) == []
    assert list(ranges.within(15, 35)) == [(15, 20), (30, 35)]
    assert list(ranges.within(20, 30)) == []


def test_parts_are_merged_in_order():
    one, two = Ranges(gap=0), Ranges(gap=0)
    one.add(0, 10)
    two.add(10, 20)
    one.add(1 << 20, (1 << 20) + 1)
    assert list(merged([one, two])) == [(0, 20), (1 << 20, (1 << 20) + 1)]


def test_what_was_seen_is_verified_in_part_and_the_rest_whole():
    seen = Ranges(gap=0)
    seen.add(100, 300)
    seen.add(1000, 2000)
    assert list(to_verify([(0, 1500), (1800, 2500)], seen, 100, 4)) == [
        (0, 100), (300, 1000), (1200, 1300), (2000, 2500)]


def test_ranges_without_others():
    ranges, holes = Ranges(gap=0), Ranges(gap=0)
    for start, end in ((0, 100), (200, 300), (400, 500)):
        ranges.add(start, end)
    for start, end in ((10, 20), (90, 210), (390, 510)):
        holes.add(start, end)
    assert list(without(ranges, holes)) == [(0, 10), (20, 90), (210, 300)]


def test_no_thread_works_on_when_another_cannot_be_started(monkeypatch):
    """It would write to a descriptor that is closed by then, and its number another file's."""
    real, started, busy = threading.Thread.start, [], threading.Event()

    def start(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)
        busy.wait()

    def deal(item):
        busy.set()

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(device.Unsafe, match="no thread can be started"):
        device.in_parallel(lambda: deal, iter(range(1 << 60)), device.Watch())
    assert not started[0].is_alive()


def test_windows_gather_near_pieces_and_cut_long_ones():
    chunk = device.CHUNK
    pieces = [(4096, 8192), (12288, 16384), (10 * chunk + 512, 12 * chunk)]
    found = list(device.windows(pieces))
    assert found[0] == [(4096, 8192), (12288, 16384)]
    assert [one for window in found for one in window][-1][1] == 12 * chunk
    for window in found:
        assert window[-1][1] - window[0][0] // 4096 * 4096 <= chunk
    sizes = sum(end - start for window in found for start, end in window)
    assert sizes == 8192 + 2 * chunk - 512


def test_a_node_of_an_extent_tree_is_told_from_content():
    node = bytearray(4096)
    node[:8] = b"\x0a\xf3\x04\x00\x54\x01\x00\x00"
    assert device.is_node(memoryview(node))
    assert device.is_node(memoryview(b"BMA3" + bytes(4092)))
    assert not device.is_node(memoryview(b"\x0a\xf3 a text that begins so".ljust(4096)))


@pytest.mark.parametrize("unit", [1024, 4096])
def test_a_block_that_maps_a_file_of_ext2_is_told_from_content(unit):
    """Numbers of blocks side by side; those that map others have a map behind each."""
    def block(*numbers):
        return memoryview(struct.pack(f"<{len(numbers)}I", *numbers).ljust(unit, b"\0"))

    most = unit // 4

    def is_map(*numbers, blocks=1 << 20):
        return device.is_map(block(*numbers), blocks)

    assert is_map(*range(5000, 5000 + most))
    assert is_map(*range(5000, 5400 + 10 * most, most + 1))
    assert is_map(*range(5000, 5020), *range(9000, 9020))
    assert not is_map(*range(0, most))
    assert not is_map(*range(5000, 5000 + most), blocks=5000 + most - 1)
    assert not is_map(5000, 5001), "too few to tell"
    assert not is_map(5000, 5001, *range(5100, 5100 + 7 * (most - 2), 7))
    assert not is_map(*range(5000, 5020), 0, 5020)
    assert not is_map(*range(5000, 5000 + most - 8),
                      *struct.unpack("<8I", b"a secret of 32 letters, in words"))
    text = b"aaaabaaacaaadaaaeaaafaaagaaahaaaiaaajaaa"
    assert not device.is_map(memoryview(text.ljust(unit, b"\0")), 1 << 20)


def test_only_on_ext_numbers_in_a_row_are_a_map():
    block = memoryview(struct.pack("<1024I", *range(1, 1025)))
    for mapped, counts in ((0, (1, 0)), (1 << 20, (0, 1))):
        scan = device.Scan(mapped=mapped)
        scan.take(block, 0, 4096)
        assert (scan.blocks, scan.nodes) == counts


@pytest.mark.parametrize("unit", [512, 1024, 4096])
def test_blocks_that_are_not_zero_are_found_one_by_one(unit):
    content = bytearray(256 * 1024)
    content[5 * unit] = content[40 * unit + 1] = content[-1] = 1
    scan = device.Scan()
    scan.take(memoryview(content), 1 << 30, unit)
    assert (scan.read, scan.blocks) == (len(content), 3)
    assert (1 << 30) + 5 * unit in [start for start, _ in scan.dirty]


def test_the_first_error_ends_all_work():
    seen = []

    def worker():
        def deal(item):
            seen.append(item)
            raise OSError("broken")
        return deal

    with pytest.raises(OSError, match="broken"):
        device.in_parallel(worker, iter(range(1000)), device.Watch())
    assert len(seen) <= device.THREADS


def test_a_wish_to_stop_ends_all_work():
    with pytest.raises(device.Interrupted):
        device.in_parallel(lambda: lambda item: None, iter(range(10)),
                           device.Watch(stop=lambda: True))


# -- btrfs -----------------------------------------------------------------------------------------


def test_an_extent_of_btrfs_may_end_in_a_chunk_that_is_new(monkeypatch):
    """Or all of the free space would be filled; and of a chunk that is there twice both count."""
    volume = object.__new__(btrfs.BtrfsVolume)
    old = [btrfs._Stripe(place, 1000, 500, 1) for place in (5000, 7000)]
    new = [btrfs._Stripe(place, 1500, 500, 1) for place in (9000, 11000)]
    volume._stripes = list(old)
    monkeypatch.setattr(volume, "_load", lambda: volume._stripes.extend(new), raising=False)
    assert sorted(volume.on_device(Extent(0, 1400, 200))) == [
        (0, 5400, 100), (0, 7400, 100), (100, 9000, 100), (100, 11000, 100)]


# -- claims ----------------------------------------------------------------------------------------


def test_all_that_is_claimed_is_given_back_though_one_file_fails(tmp_path, monkeypatch):
    """A disk error may come at any time, and what is held then would be held until we end."""
    class Files:
        def file(self):
            return os.open(tmp_path, os.O_TMPFILE | os.O_RDWR, 0o600)

    def broken(fd):
        flushed.append(fd)
        raise OSError("disk error")

    held, flushed = claim.Filled(Files(), device.Watch()), []
    monkeypatch.setattr(held, "_flush", broken)
    held.turn()
    held.turn()
    with pytest.raises(OSError, match="disk error"), held:
        pass
    assert len(flushed) == 3
    for fd in flushed:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


# -- what is told ----------------------------------------------------------------------------------


@pytest.fixture
def said(monkeypatch):
    """What goes to standard error."""
    lines = []
    monkeypatch.setattr(main, "say", lambda text, newline=True: lines.append(text))
    return lines


def test_without_a_terminal_a_slow_disk_is_told_of_each_minute(monkeypatch):
    """What runs a build may end it when it hears nothing for long."""
    lines, now = [], 0.0
    monkeypatch.setattr(gauge.time, "monotonic", lambda: now)
    told = gauge.Gauge(lines.append, quiet=False)
    for now in range(0, 301, 20):
        told("/", "reading", now * 1_000_000, 1_000_000_000_000)
    assert [line.split(", ")[-1] for line in lines] == [
        f"{(1_000_000 - now):.0f} s left" for now in (60, 120, 180, 240, 300)]


def test_without_a_terminal_there_is_a_line_each_tenth(said):
    lines = []
    told = gauge.Gauge(lines.append, quiet=False)
    for done in range(0, 101):
        told("/", "reading", done * 1_000_000, 100_000_000)
    assert [line.split(" %")[0] for line in lines] == [
        f"/: reading, {tenth}" for tenth in range(10, 101, 10)]
    assert all("MB/s" in line for line in lines)
    assert said == []


def test_on_a_terminal_one_line_moves_and_is_taken_away(said, monkeypatch):
    monkeypatch.setattr(gauge.sys, "stderr", type("Terminal", (), {"isatty": lambda self: True})())
    told = gauge.Gauge(lambda line: None, quiet=False)
    told("/", "writing", 50, 100)
    told("/", "writing", 100, 100)
    told.clear()
    assert all(one.startswith("\r") and "\n" not in one for one in said)
    assert "100 %" in said[-2]
    assert said[-1].strip() == ""


def test_quiet_is_quiet_on_a_terminal_too(said, monkeypatch):
    monkeypatch.setattr(gauge.sys, "stderr", type("Terminal", (), {"isatty": lambda self: True})())
    told = gauge.Gauge(lambda line: None, quiet=True)
    told("/", "writing", 100, 100)
    told.clear()
    assert said == []


def test_a_line_of_the_report_says_what_became_of_it():
    action = Erase(path="/", place="/", mount="20", kind="xfs", mode="auto", free=5_000_000_000,
                   why="w")
    done = Erased(method="sparse", free=5_000_000_000, trimmed=4_000_000, written=2_000_000,
                  left=1, journal="overwritten", seconds=3.21, notes=("a note",))
    assert clean._erasing(Step(action, Outcome.DONE, erased=done)) == (
        " (xfs, sparse: 5000.0 MB free, 4.0 MB discarded, 2.0 MB written, 1 block not zero, "
        "journal overwritten, 3.2 s, a note)")
    assert clean._erasing(Step(action, Outcome.PLANNED)) == " (xfs, 5000.0 MB): w"


@pytest.mark.parametrize(("left", "outcome"), [
    (None, Outcome.DONE), (0, Outcome.DONE), (16_384, Outcome.DONE), (16_385, Outcome.FAILED)])
def test_more_than_others_may_have_written_is_a_failure(image, monkeypatch, left, outcome):
    monkeypatch.setattr(cleaning.engine, "erase", lambda *args: Erased(
        method="sparse", free=1 << 30, left=left))
    action = Erase(path="/", place="/", mount="20", kind="ext4", mode="auto", free=1 << 30, why="w")
    host = image()
    with Surgeon(host.root) as surgeon:
        step = cleaning.apply(host, surgeon, action)
    assert (step.outcome, bool(step.error)) == (outcome, outcome is Outcome.FAILED)
