"""How much of the free space is not zero: read, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from img_tools.erase.targets import Target
from img_tools.model import Undecided

PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """Of `free` bytes `read` were read, and `dirty` of these are in blocks that are not zero."""

    free: int
    read: int
    dirty: int


def sample(target: Target, limit: int) -> Sample:
    """Read what is free in TARGET, evenly spread pieces of it when it is more than LIMIT bytes.

    Raises Undecided where the file system does not tell what is free.
    """
    from img_tools.erase.btrfs import volume_of
    from img_tools.erase.device import Unsafe, Watch  # threads and mmap, which --list does not need

    try:
        volume = volume_of(target)
        try:
            free = volume.free
            extents = _spread(volume.extents(), -(-free // limit))
            found = volume.device.scan(extents, volume.unit, Watch())
        finally:
            volume.close()
    except OSError as error:
        raise Undecided(f"{target.path} ({target.kind}): what is free cannot be read: "
                        f"{error.strerror}") from None
    except Unsafe as unsafe:
        raise Undecided(f"{target.path} ({target.kind}): {unsafe}") from None
    return Sample(free, found.read, found.blocks * volume.unit)


def _spread(extents: Iterable[tuple[int, int]], every: int) -> Iterator[tuple[int, int]]:
    """One of EVERY pieces of EXTENTS."""
    for start, end in extents:
        for place in range(start // PIECE * PIECE, end, PIECE):
            if place // PIECE % max(every, 1) == 0:
                yield max(place, start), min(place + PIECE, end)
