"""btrfs on one device: it tells logical addresses, which its chunks map to places on the device."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from img_tools.erase import ioctls
from img_tools.erase.device import Unsafe, Watch
from img_tools.erase.ioctls import Extent
from img_tools.erase.targets import Target
from img_tools.erase.volume import Volume

_EXTENT_TREE, _CHUNK_TREE = 2, 3
_CHUNKS = 256  # the object id of all chunks
_EXTENT_ITEM, _METADATA_ITEM, _CHUNK_ITEM = 168, 169, 228
_DATA, _METADATA, _DUP, _PROFILES = 0x1, 0x4, 0x20, 0x7F8  # single has no bit
_UUID = (64 << 10) + 267, 16  # that of the device: dev_item.uuid of struct btrfs_super_block
_PATIENCE = 3
_FIRST = 1 << 20  # bytes at the start that are never allocated
_COPIES = tuple((place, place + (64 << 10)) for place in (64 << 20, 256 << 30))  # superblocks


@dataclass(frozen=True, slots=True)
class _Stripe:
    """LENGTH bytes of logical addresses from LOGICAL on lie at PLACE."""

    place: int
    logical: int
    length: int
    kind: int


class BtrfsVolume(Volume):
    """See Volume. Without RAID; several devices have no extents that could be told."""

    # What others write, and what they deleted, is not counted until the next transaction.
    kept = 3 * Volume.kept

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        try:
            if self.device.read(*_UUID) != self._uuid:
                raise Unsafe(f"/dev/{self.device.name} is not the disk it is on")
        except BaseException:
            self.close()
            raise

    def _number(self) -> int:
        self._devices, self.node, self._id = ioctls.btrfs_about(self.fd)
        path, self._uuid = ioctls.btrfs_device(self.fd)
        self._stripes: list[_Stripe] = []
        return os.stat(path).st_rdev

    @property
    def free(self) -> int:
        """See Volume; what is left of metadata is of no use to a file."""
        about = os.fstatvfs(self.fd)
        return about.f_bavail * about.f_frsize

    def margins(self) -> tuple[int, int]:
        """See Volume."""
        kept, step = super().margins()
        about = os.fstatvfs(self.fd)
        return kept - (about.f_bfree - about.f_bavail) * about.f_frsize, step

    def file(self) -> int:
        """See Volume; written in place, neither compressed nor checksummed."""
        fd = super().file()
        with contextlib.suppress(OSError):
            ioctls.set_flags(fd, ioctls.NOCOW)
        return fd

    def gave_back(self) -> None:
        """See Volume: they would be told that there is no space."""
        self.settle()

    def taken(self) -> object:
        """See Volume. What is written is "may be used" long before it counts as used.

        Where data and metadata are mixed it is never the same: the trees need what is left.
        """
        place = f"/sys/fs/btrfs/{self._id}/allocation/data/bytes_"
        with contextlib.suppress(OSError), open(f"{place}may_use") as planned, (
                open(f"{place}used")) as used:
            return planned.read(), used.read()
        return object()

    def settle(self) -> None:
        """See Volume."""
        ioctls.btrfs_sync(self.fd)

    def extents(self) -> Iterator[tuple[int, int]]:
        """See Volume: what no extent uses in chunks for data, and what is in no chunk."""
        yield from self._free(lambda stripe: bool(stripe.kind & _DATA), between=True)

    def metadata(self) -> Iterator[tuple[int, int]]:
        """What is free where no file can get it: the trees have it for themselves."""
        yield from self._free(lambda stripe: bool(stripe.kind & _METADATA), between=False)

    def _free(
        self, wanted: Callable[[_Stripe], bool], *, between: bool
    ) -> Iterator[tuple[int, int]]:
        self._load()
        place = _FIRST
        for stripe in [*self._stripes, _Stripe(self.device.size, 0, 0, 0)]:
            if between and stripe.place > place:
                yield from _without_copies(place, stripe.place)
            if stripe.length and wanted(stripe):
                shift = stripe.place - stripe.logical
                for start, end in self._unused(stripe):
                    yield from _without_copies(start + shift, end + shift)
            place = stripe.place + stripe.length

    def _unused(self, stripe: _Stripe) -> Iterator[tuple[int, int]]:
        """Logical addresses in STRIPE that no extent uses."""
        at, end = stripe.logical, stripe.logical + stripe.length
        for item in ioctls.btrfs_items(self.fd, _EXTENT_TREE, at, end - 1,
                                       _EXTENT_ITEM, _METADATA_ITEM):
            if item.object > at:
                yield at, item.object
            at = item.object + (item.offset if item.kind == _EXTENT_ITEM else self.node)
        if at < end:
            yield at, end

    def _load(self) -> None:
        """Read the chunks, which come and go."""
        if self._devices != 1:
            raise OSError(errno.EOPNOTSUPP, "it is on several devices")
        stripes = []
        for item in ioctls.btrfs_items(self.fd, _CHUNK_TREE, _CHUNKS, _CHUNKS,
                                       _CHUNK_ITEM, _CHUNK_ITEM):
            length, kind, places = ioctls.btrfs_chunk(item.data)
            if kind & _PROFILES & ~_DUP:
                raise OSError(errno.EOPNOTSUPP, "it is a RAID")
            stripes += [_Stripe(place, item.offset, length, kind)
                        for place in places]
        self._stripes = sorted(stripes, key=lambda stripe: stripe.place)

    def on_device(self, extent: Extent) -> Iterator[Extent]:
        """See Volume: once for each copy."""
        pieces = list(self._pieces(extent))
        if _covered(pieces) < extent.length:  # all of it or its end is in a chunk that is new
            self._load()
            pieces = list(self._pieces(extent))
        if _covered(pieces) < extent.length:
            raise Unsafe("an extent is in no chunk")
        yield from pieces

    def _pieces(self, extent: Extent) -> Iterator[Extent]:
        end = extent.place + extent.length
        for stripe in self._stripes:
            low = max(extent.place, stripe.logical)
            high = min(end, stripe.logical + stripe.length)
            if low < high:
                yield Extent(extent.offset + low - extent.place,
                             stripe.place + low - stripe.logical, high - low)


class OldNodes:
    """Freed nodes of the trees of VOLUME: whatever they held is in them until they are used again.

    A node begins with the id of the file system and the number of the transaction that wrote it
    (struct btrfs_header), which tells whether that is older than this.
    """

    def __init__(self, volume: BtrfsVolume, watch: Watch) -> None:
        self._volume = volume
        superblock = volume.device.read(64 << 10, 4096)
        self._id = superblock[32:48]
        (self._now,) = struct.unpack_from("<Q", superblock, 72)
        self._places = volume.device.scan(
            volume.metadata(), volume.node, Watch(watch.stop)).dirty
        self._asked = -1
        # More has no use: some are not used again for long.
        self.most = max(3 * self._places.size, 64 << 20)

    def is_round(self, written: int) -> bool:
        """Whether none is left; looked at every few times only."""
        self._asked += 1
        if self._asked % _PATIENCE:
            return False
        return not any(self._old())

    @property
    def are_few(self) -> bool:
        """Whether all but one in a hundred are used again."""
        return 100 * sum(1 for _ in self._old()) * self._volume.node <= self._places.size

    def _old(self) -> Iterator[int]:
        """Places, never 0, of those that are left."""
        return (place for start, end in self._volume.metadata()
                for low, high in self._places.within(start, end)
                for place in range(low, high, self._volume.node) if self._is_old(place))

    def _is_old(self, place: int) -> bool:
        header = self._volume.device.read(place, 101)
        (written,) = struct.unpack_from("<Q", header, 80)
        return any(header) and (header[32:48] != self._id or written <= self._now)


def _covered(pieces: list[Extent]) -> int:
    """Bytes of a file that PIECES hold, each perhaps twice."""
    return sum(length for _, length in {(piece.offset, piece.length) for piece in pieces})


def _without_copies(start: int, end: int) -> Iterator[tuple[int, int]]:
    """START to END without the copies of the superblock."""
    for low, high in _COPIES:
        if start < high and low < end:
            if start < low:
                yield start, low
            start = high
    if start < end:
        yield start, end


def volume_of(target: Target) -> Volume:
    """The file system of TARGET, as its kind demands."""
    return BtrfsVolume(target) if target.kind == "btrfs" else Volume(target)
