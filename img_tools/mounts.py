"""What is mounted where, as the kernel tells (proc(5): /proc/PID/mountinfo)."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

# What the kernel makes up counts too: /dev is the home of the account "sys" on Debian, and
# /dev/core leads to /proc/kcore.
MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "proc", "sysfs"})
NETWORK = frozenset({
    "9p", "afs", "ceph", "cifs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs", "vboxsf",
    "virtiofs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs",
})
DISK = frozenset({"btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "vfat", "xfs", "zfs"})
_ESCAPED = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: the directory `root` of the file system on `device` (st_dev), seen at `place`."""

    id: str
    device: int
    root: str
    place: str
    kind: str
    writable: bool = True


def read() -> tuple[Mount, ...]:
    """All mounts of our namespace, none without /proc: in a bare chroot."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            return tuple(_parsed(file.read().splitlines()))
    except OSError:
        return ()


def _parsed(lines: list[bytes]) -> Iterator[Mount]:
    for line in lines:
        fields, _, rest = line.partition(b" - ")
        number, _, device, root, place, options = fields.split()[:6]
        major, _, minor = device.partition(b":")
        kind, _, of_all = rest.split(b" ")[:3]  # the source may be empty
        yield Mount(number.decode(), os.makedev(int(major), int(minor)), unescaped(root),
                    unescaped(place), unescaped(kind),
                    b"rw" in options.split(b",") and b"rw" in of_all.split(b","))


def unescaped(field: bytes) -> str:
    """FIELD of a file in /proc, where blanks in paths are octal numbers."""
    return os.fsdecode(_ESCAPED.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), field))


def foreign(top: str) -> Mapping[str, str]:
    """Mounts below TOP, the root of an image, that show what is not the image's: {id: where it is}.

    Who prepares a chroot binds this machine's /dev, /tmp or apt cache into it. Such a mount is told
    by its file system being mounted outside of TOP, too.
    """
    mounts = read()
    if top == "/" or not mounts:
        return {}
    own = _around(mounts, top)
    image = own and os.path.normpath(os.path.join(own.root, os.path.relpath(top, own.place)))
    outside = {mount.device: mount.place for mount in mounts if not within(mount.place, top)}
    return {
        mount.id: outside[mount.device] for mount in mounts
        if mount.place != top and within(mount.place, top) and mount.device in outside
        and not (own and image and mount.device == own.device and within(mount.root, image))
    }


def _around(mounts: Sequence[Mount], path: str) -> Mount | None:
    """What PATH lies in; None in a chroot whose top is no mount point: the kernel hides that."""
    return max((mount for mount in mounts if within(path, mount.place)),
               key=lambda mount: len(mount.place), default=None)


def partitions(top: str, base: str) -> Iterator[str]:
    """Paths in the image at TOP, below BASE, where another disk of the image's own is mounted.

    Hardened images give /var/log/audit a partition, which no walk from /var/log enters.
    """
    mounted, inside = read(), os.path.normpath(f"{top}/{base}")
    own, others = _around(mounted, inside), foreign(top)
    for mount in mounted:
        if (mount.kind in DISK and mount.device != (own and own.device) and mount.id not in others
                and mount.place != inside and within(mount.place, inside)):
            yield f"/{os.path.relpath(mount.place, top)}"


def within(path: str, base: str) -> bool:
    """True for PATH in the directory BASE, or BASE itself."""
    return path == base or path.startswith(f"{base.rstrip('/')}/")


def identity(fd: int) -> str:
    """The id of the mount that FD lies on (proc(5): /proc/PID/fdinfo, Linux 3.15 and later)."""
    try:
        info = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise OSError(errno.ENOTSUP, "without /proc mount points cannot be told") from None
    try:
        for line in os.read(info, 4096).splitlines():
            if line.startswith(b"mnt_id:"):
                return line.split()[1].decode()
    finally:
        os.close(info)
    raise OSError(errno.ENOTSUP, "this kernel does not tell mount points")
