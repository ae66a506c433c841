"""The disk of a Droplet: a Debian as providers offer it, copies of it, and what can be read off it.

A raw image with one partition, GRUB and a kernel of its own, made without a mount or a loop device,
so that it is made anywhere. What boots is on the disk: the snapshot is the very file.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.rootfs import trees
from tests.rootfs.clean import chroot
from tests.rootfs.planting import plant, remove

PACKAGES = (
    "linux-image-cloud-amd64", "grub-pc", "cloud-init", "cloud-guest-utils", "openssh-server",
    "systemd-sysv", "libpam-systemd", "ufw", "iptables", "rsyslog", "logrotate", "cron", "nginx",
    "dbus", "ca-certificates", "iproute2", "procps", "udev", "e2fsprogs", "python3",
)
# The two ways by which a Debian gets its address: a client that keeps leases and a DUID on the
# disk, and networkd, which derives its DUID from the machine-id.
SUITES = ("bookworm", "trixie")
trees.RECIPES["droplet"] = f"""
    case SUITE in
        bookworm) network=ifupdown,isc-dhcp-client ;;
        *) network=netplan.io ;;
    esac
    mmdebstrap --quiet --variant=minbase --components=main \\
        --include={','.join(PACKAGES)},$network \\
        SUITE "$1" "deb {trees.MIRROR} SUITE main" </dev/null
"""

MIB = 1 << 20
SIZE = 2048 * MIB
SECTOR = 512
CHUNK = 8 * MIB
LONGEST = 100  # bytes of what is looked for on a disk
START = MIB  # of the partition: GRUB has the space in front of it
KERNEL = "root=LABEL=root ro console=ttyS0 net.ifnames=0"
SYSTEM: Mapping[str, object] = {
    "/etc/fstab": "LABEL=root / ext4 defaults,errors=remount-ro 0 1\n",
    "/etc/hostname": "debian\n",
    "/etc/machine-id": "",
    "/etc/default/grub": f'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="{KERNEL}"\n',
    "/boot/grub/grub.cfg":
        f"linux /vmlinuz {KERNEL}\ninitrd /initrd.img\nboot\n",
    "/etc/cloud/cloud.cfg.d/90_dpkg.cfg":
        "datasource_list: [ConfigDrive, DigitalOcean, NoCloud, None]\nlocale: C.UTF-8\n",
    "/etc/resolv.conf": "nameserver 10.0.2.3\n",
}
GRUB = ("biosdisk", "part_msdos", "ext2", "normal", "linux")


def system(tree: Path) -> None:
    """Make TREE, as mmdebstrap left it, what a provider offers."""
    for path in tree.glob("etc/ssh/ssh_host_*"):
        remove(bytes(path))
    plant(tree, SYSTEM)


def assemble(tree: Path, image: Path) -> None:
    """Make IMAGE, a disk that boots what is in TREE."""
    modules = "/usr/lib/grub/i386-pc"
    chroot(tree, "grub-mkimage", "--format=i386-pc", f"--directory={modules}",
           "--prefix=(hd0,msdos1)/boot/grub", "--output=/boot/grub/core.img", *GRUB)
    core = (tree / "boot/grub/core.img").read_bytes()
    assert len(core) <= START - SECTOR
    with open(image, "wb") as file:
        file.truncate(SIZE)
    _run("mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(tree),
         "-E", f"offset={START},root_owner=0:0", str(image), f"{(SIZE - START) // 1024}k")
    _run("sfdisk", "--quiet", "--no-reread", str(image),
         stdin=f"label: dos\nstart={START // SECTOR}, type=83, bootable\n")
    boot = (tree / modules[1:] / "boot.img").read_bytes()
    with open(image, "r+b") as file:
        file.write(boot[:440])  # up to the table of partitions; it loads what is in sector 1
        file.seek(SECTOR)
        file.write(core)


def read(image: Path, path: str) -> bytes:
    """The content of the file PATH on the raw IMAGE, which is not mounted; b"" if there is none."""
    return subprocess.run(["debugfs", "-R", f"cat {path}", f"{image}?offset={START}"],
                          capture_output=True, check=True).stdout


def overlay(image: Path, name: Path) -> Path:
    """NAME, a disk that reads as IMAGE and keeps what is written to it for itself."""
    _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image), str(name))
    return name


def _run(*argv: str, stdin: str = "") -> None:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"


def found(image: Path, *patterns: re.Pattern[bytes]) -> dict[bytes, list[int]]:
    """What PATTERNS match anywhere on the raw IMAGE, with the offsets; no match over LONGEST bytes.

    Files, free space, the file system's journal, swap: whatever is a block of the disk is read.
    """
    hits: dict[bytes, list[int]] = {}
    for start, data in _chunks(image):
        for pattern in patterns:
            for match in pattern.finditer(data):
                if match.start() < CHUNK:  # else the next chunk has it, too
                    hits.setdefault(match[0], []).append(start + match.start())
    return hits


def _chunks(image: Path) -> Iterator[tuple[int, bytes]]:
    """All of IMAGE but its holes, with offsets; each chunk goes LONGEST bytes into the next."""
    with open(image, "rb", buffering=0) as file:
        fd, end = file.fileno(), os.fstat(file.fileno()).st_size
        position = 0
        while position < end:
            try:
                position = os.lseek(fd, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but a hole is left
                    return
                raise
            yield position, os.pread(fd, CHUNK + LONGEST, position)
            position += CHUNK
