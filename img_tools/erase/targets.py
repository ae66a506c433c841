"""Whose free space is erased: every local file system of the image, once by device; and swap."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from img_tools import mounts
from img_tools.mounts import MEMORY, NETWORK, Mount, unescaped, within

SPARSE = frozenset({"ext4", "ext3", "ext2", "xfs", "btrfs"})  # they tell where a file lies
_LAYERED = frozenset({"overlay", "aufs"})
_PACKED = frozenset({"cramfs", "erofs", "iso9660", "romfs", "squashfs"})  # without any free space
_LOOP = 7  # the major number of loop devices
_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of Linux
_BTRFS_TOP = 256  # the inode of the top of every subvolume


@dataclass(frozen=True, slots=True)
class Target:
    """A file system to treat, or an area of swap (`kind` swap).

    `place` is the path on this machine, `path` that in the image, `free` what is free in bytes, of
    swap all of it.
    """

    path: str
    place: str
    mount: str
    kind: str
    free: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file system that is not treated, and why."""

    path: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Storage:
    """What an image lies on; it is not its `own` when the top is no mount point."""

    targets: tuple[Target, ...]
    left_out: tuple[LeftOut, ...]
    own: bool = True

    @property
    def notes(self) -> Iterator[str]:
        """A sentence on what is left out; what is in memory goes with the power."""
        if not self.own:
            yield ("free space is not erased, since the image is a directory of a larger file "
                   "system: what was deleted stays in that one's free space, and comes into no "
                   "image that the files are copied to")
        named = [f"{one.path} ({one.kind}: {one.why})" for one in self.left_out
                 if one.kind not in MEMORY]
        if named:
            more = f" and {len(named) - 5} more" if len(named) > 5 else ""
            yield f"free space is not erased in {', '.join(named[:5])}{more}"


def find(top: str) -> Storage:
    """What the image at TOP lies on: mounted at TOP or below, and none of what else is mounted.

    A directory of a larger file system is no image of its own: the rest is this machine's.
    """
    live = top == "/"
    contained = live and _in_container()
    every = mounts.read()
    inside = [mount for mount in every if within(mount.place, top)]
    outside = {} if live else {
        mount.device: mount.place for mount in every if not within(mount.place, top)}
    targets, left_out = [], []
    # What is discarded in these becomes free, with its content, in the one that their file lies in.
    looped = {mount.id for mount in inside if os.major(mount.device) == _LOOP}
    by_device = sorted(inside, key=lambda mount: mount.device)
    for _, group in groupby(by_device, key=lambda mount: mount.device):
        found = _judge(list(group), outside, top)
        if isinstance(found, Target) and contained:
            found = LeftOut(found.path, found.kind, "this is a container, and the disk its host's")
        if isinstance(found, Target):
            targets.append(found)
        elif found:
            left_out.append(found)
    targets.sort(key=lambda target: (target.mount not in looped, target.path))
    return Storage((*targets, *(_swap() if live else ())),
                   tuple(sorted(left_out, key=lambda one: one.path)),
                   own=any(mount.place == top for mount in inside))


def _judge(
    seen: Sequence[Mount], outside: dict[int, str], top: str
) -> Target | LeftOut | None:
    """What becomes of the file system that is mounted as SEEN; None for the kernel's own."""
    first = seen[0]
    path, kind = _inside(first.place, top), first.kind
    why = _unfit(kind, first.device)
    if why is not None:
        return LeftOut(path, kind, why) if why else None
    if first.device in outside:
        return LeftOut(path, kind, f"it is this machine's, where {outside[first.device]} is")
    writable = [mount for mount in seen if mount.writable]
    if not writable:
        return LeftOut(path, kind, "read-only")
    whole = next(filter(_is_whole, writable), None)
    if whole is None:
        return LeftOut(path, kind, "only a part of it is mounted here")
    about = os.statvfs(whole.place)
    return Target(_inside(whole.place, top), whole.place, whole.id, kind,
                  about.f_bfree * about.f_frsize)


def _unfit(kind: str, device: int) -> str | None:
    """Why no zeros of ours would reach a disk; "" for what is no storage, None for what is fit."""
    if kind in MEMORY:
        return "in memory"
    if kind in NETWORK:
        return "on a server"
    if kind in _LAYERED:
        return "it lies in directories of another file system"
    if kind in _PACKED:
        return ""
    if kind == "zfs" or kind.startswith("fuse"):  # fuseblk has a device, and keeps its files
        return "it does not tell which disk it is on"
    return None if os.major(device) or kind == "btrfs" else ""


def _is_whole(mount: Mount) -> bool:
    """Whether MOUNT shows its file system from the top, or a subvolume, and nothing hides it."""
    try:
        fd = os.open(mount.place, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if mounts.identity(fd) != mount.id:
            return False
        return mount.root == "/" or (
            mount.kind == "btrfs" and os.fstat(fd).st_ino == _BTRFS_TOP)
    finally:
        os.close(fd)


def _inside(place: str, top: str) -> str:
    return place if top == "/" else place.removeprefix(top) or "/"


def _swap() -> Iterator[Target]:
    """Areas of swap that are in use, those in memory left out.

    A container and a chroot are shown the swap of their host.
    """
    try:
        if _in_container() or _in_chroot():
            return
        with open("/proc/swaps", "rb") as file:
            lines = file.read().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        name, _, kilobytes = line.split()[:3]
        path = unescaped(name)
        if not os.path.basename(path).startswith("zram"):
            yield Target(path, path, "", "swap", int(kilobytes) * 1024)


def _in_container() -> bool:
    """Whether our PID namespace is not the first."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino != _FIRST_PID_NAMESPACE
    except FileNotFoundError:  # a kernel without namespaces
        return False


def _in_chroot() -> bool:
    """Whether our root is not that of process 1; False where we may not look at that."""
    try:
        return not os.path.samestat(os.stat("/proc/1/root"), os.stat("/"))
    except PermissionError:
        return False
