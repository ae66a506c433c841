from types import SimpleNamespace

import psutil
import pytest

from img_tools.host import Host
from img_tools.model import Undecided
from tests.support import Fifo, Link, check, codes

STOCK = "# /etc/fstab\n\nUUID=11-aa / ext4 errors=remount-ro 0 1\n" \
        "LABEL=UEFI /boot/efi vfat umask=0077 0 1\nproc /proc proc defaults 0 0\n"


@pytest.fixture
def live(monkeypatch):
    """Make images count as the running system, with / on /dev/vda1."""
    monkeypatch.setattr(Host, "live", property(lambda host: True))
    monkeypatch.setattr(psutil, "disk_partitions", lambda: [
        SimpleNamespace(device="/dev/vda1", mountpoint="/", fstype="ext4")])


DEVICES = {
    "/dev/vda1": "", "/dev/vda15": "", "/dev/vdb": "", "/dev/sda": "", "/dev/mapper/x": "",
    "/dev/disk/by-uuid/11-aa": Link("../../vda1"),
    "/dev/disk/by-uuid/22-bb": Link("../../sda"),
    "/dev/disk/by-uuid/ABCD-EF": Link("../../vda15"),
    "/dev/disk/by-label/UEFI": Link("../../vda15"),
    "/dev/disk/by-label/a\\x20b": Link("../../vda1"),
    "/dev/disk/by-label/s\\x2fl": Link("../../vda1"),
    "/dev/disk/by-label/config-2": Link("../../vdb"),
}


def fstab(image, lines, **files):
    return image({"/etc/fstab": lines, **files})


@pytest.mark.parametrize("lines", ["", STOCK, "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n"])
def test_stock(image, lines):
    assert check("fstab", fstab(image, lines)) == []


def test_no_file(image):
    assert check("fstab", image()) == []


@pytest.mark.parametrize("line", [
    "/dev/sda1 /data ext4 defaults 0 2",
    "/dev/vdb /data ext4 defaults 0 2",
    "/dev/xvda1 / ext4 defaults 0 1",
    "/dev/disk/by-id/scsi-0DO_Volume_v /mnt/v ext4 defaults 0 0",
    "LABEL=v /mnt/volume_nyc1_01 ext4 discard 0 0",
    "/srv/gone /data none bind 0 0",
    "/gone.img /data ext4 loop 0 0",
])
def test_what_a_clone_lacks(image, line):
    host = fstab(image, f"{STOCK}{line}\n")
    (found,) = check("fstab", host)
    assert (found.status, found.code, found.line) == ("fail", "missing", 6)
    words = line.split()
    words[3] += ",nofail"
    assert check("fstab", fstab(image, " ".join(words))) == []


@pytest.mark.parametrize(("line", "found"), [
    ("/swapfile none swap sw 0 0", [("warn", "swap")]),
    ("/there none swap sw 0 0", []),
    ("/there /mnt none bind 0 0", []),
    ("10.0.0.1:/x /nfs nfs defaults 0 0", [("warn", "network")]),
    ("//user:pw@nas/x /mnt cifs defaults 0 0", [("warn", "network")]),
    ("nas:/x /mnt fuse.sshfs _netdev,nofail 0 0", []),
    ("/dev/sda1 /data ext4 noauto 0 0", []),
    ("/dev/sda1 /data ext4 x-systemd.automount 0 0", []),
    ("/dev/vda2 /data ext4 defaults 0 2", []),
    ("/dev/vda1", [("warn", "malformed")]),
])
def test_lines(image, line, found):
    findings = check("fstab", fstab(image, line + "\n", **{"/there": "x"}))
    assert codes(findings) == found
    assert "pw" not in repr(findings)


@pytest.mark.parametrize(("line", "found"), [
    ("UUID=11-AA / ext4 defaults 0 1", []),
    ("UUID=abcd-ef /boot/efi vfat defaults 0 1", []),
    ("LABEL=a\\040b /x ext4 defaults 0 1", []),
    ("/dev/disk/by-label/a\\x20b /x ext4 defaults 0 1", []),
    ("LABEL=s/l /x ext4 defaults 0 1", []),
    ("LABEL=CONFIG-2 /config iso9660 ro 0 0", []),
    ("LABEL=config-2 /config iso9660 ro 0 0", []),
    ("/dev/vda15 /boot/efi vfat defaults 0 1", []),
    ("/dev/mapper/gone /x ext4 defaults 0 1", []),
    ("UUID=33-cc /x ext4 defaults 0 2", [("fail", "missing")]),
    ("PARTUUID=33-cc /x ext4 defaults 0 2", [("fail", "missing")]),
    ("UUID=22-bb /x ext4 defaults 0 2", [("fail", "missing")]),  # a volume that is attached
    ("UUID=33-cc none swap sw 0 0", [("warn", "swap")]),
])
@pytest.mark.usefixtures("live")
def test_devices_of_the_running_system(image, line, found):
    assert codes(check("fstab", fstab(image, line + "\n", **DEVICES))) == found


@pytest.mark.usefixtures("live")
def test_without_dev_disk_labels_are_undecided(image):
    with pytest.raises(Undecided, match="container"):
        check("fstab", fstab(image, STOCK))


def test_hostile(image):
    with pytest.raises(Undecided):
        check("fstab", fstab(image, Fifo()))


def test_what_a_mounted_tree_cannot_tell_is_no_pass(image):
    host = image({"/etc/fstab": "UUID=1 / ext4 defaults 0 1\nUUID=2 /boot/efi vfat defaults 0 1\n"
                                "UUID=3 /data ext4 defaults 0 2\n"})
    assert [(finding.code, finding.line) for finding in check("fstab", host)] == [("not-told", 3)]
