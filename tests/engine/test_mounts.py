"""Which mounts below the root of an image are not of the image, from texts of proc(5)."""

from __future__ import annotations

import pytest

from img_tools import mounts

ROOT = "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"
TMP = "21 20 0:30 / /tmp rw - tmpfs tmpfs rw"
DEV = "22 20 0:5 / /dev rw - devtmpfs udev rw"


@pytest.fixture
def foreign(monkeypatch):
    """foreign(top, lines of mountinfo...) -> ids of the mounts that are not of the image."""
    def told(top, *lines):
        read = tuple(mounts._parsed([line.encode() for line in lines]))
        monkeypatch.setattr(mounts, "read", lambda: read)
        return dict(mounts.foreign(top))

    return told


@pytest.mark.parametrize(("lines", "expected"), [
    (["30 20 8:1 /tmp /mnt/i/tmp rw - ext4 /dev/sda1 rw"], {"30": "/"}),
    (["30 20 0:30 / /mnt/i/tmp rw - tmpfs tmpfs rw"], {"30": "/tmp"}),
    (["30 20 0:5 / /mnt/i/dev rw - devtmpfs udev rw"], {"30": "/dev"}),
    (["30 20 8:1 /var/x\\040y /mnt/i/var/x\\040y rw - ext4 /dev/sda1 rw"], {"30": "/"}),
    (["30 20 0:77 / /mnt/i/tmp rw - tmpfs tmpfs rw"], {}),
    (["30 20 8:17 / /mnt/i rw - ext4 /dev/sdb1 rw", "31 30 8:18 / /mnt/i/home rw - ext4 x rw"], {}),
    (["30 20 8:1 /mnt/i/srv/log /mnt/i/var/log rw - ext4 /dev/sda1 rw"], {}),
    (["30 20 0:40 /@ /mnt/i rw - btrfs x rw", "31 30 0:40 /@home /mnt/i/home rw - btrfs x rw"], {}),
    (["30 20 8:17 / /mnt/i rw - ext4 /dev/sdb1 rw", "31 30 8:1 /tmp /mnt/i/tmp rw - ext4 x rw"],
     {"31": "/"}),
    (["30 20 8:1 /tmp /mnt/image2/tmp rw - ext4 /dev/sda1 rw"], {}),
])
def test_what_is_mounted_outside_too_is_not_of_the_image(foreign, lines, expected):
    assert foreign("/mnt/i", ROOT, TMP, DEV, *lines) == expected


def test_of_the_running_system_all_is_its_own(foreign):
    assert foreign("/", ROOT, TMP, "30 20 8:1 /tmp /mnt/tmp rw - ext4 /dev/sda1 rw") == {}


def test_in_a_chroot_whose_top_is_no_mount_point_what_is_mounted_is_told_all_the_same(foreign):
    """`chroot /srv/tree` with its /proc, as `mmdebstrap` leaves it: mountinfo has no line for /."""
    assert foreign("/mnt/i", TMP, "30 20 0:30 / /mnt/i/tmp rw - tmpfs tmpfs rw",
                   "31 20 8:1 / /mnt/i/var rw - ext4 /dev/sda1 rw") == {"30": "/tmp"}


def test_without_proc_nothing_is_mounted(foreign):
    assert foreign("/mnt/i") == {}


AUDIT = "40 20 8:3 / /mnt/i/var/log/audit rw - ext4 /dev/sda3 rw"


@pytest.mark.parametrize(("lines", "expected"), [
    ([AUDIT], {"/var/log/audit"}),
    ([AUDIT, "41 40 8:4 / /mnt/i/var/log/audit/old rw - xfs x rw"],
     {"/var/log/audit", "/var/log/audit/old"}),
    (["40 20 8:3 / /mnt/i/var/log rw - ext4 /dev/sda3 rw"], set()),  # where a walk begins
    (["40 20 8:3 / /mnt/i/var/logs/audit rw - ext4 /dev/sda3 rw"], set()),
    (["40 20 8:1 /srv /mnt/i/var/log/app rw - ext4 /dev/sda1 rw"], set()),  # walked into as it is
    (["40 20 0:9 / /mnt/i/var/log/app rw - tmpfs x rw"], set()),
    (["40 20 0:9 / /mnt/i/var/log/app rw - fuse.x x rw"], set()),  # of any user, without end
    (["40 20 8:9 / /srv/logs rw - ext4 x rw", "41 20 8:9 / /mnt/i/var/log/app rw - ext4 x rw"],
     set()),  # of this machine
])
def test_disks_mounted_below_are_walked_too(monkeypatch, lines, expected):
    read = tuple(mounts._parsed([line.encode() for line in [ROOT, *lines]]))
    monkeypatch.setattr(mounts, "read", lambda: read)
    assert set(mounts.partitions("/mnt/i", "/var/log")) == expected
