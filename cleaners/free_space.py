"""Overwrite what deleted files left in free space and swap

Whatever was deleted is still on the disk, and in every Droplet made from the image. All that is
free on each local file system is read; what is not zero is overwritten, through files that nobody
sees and that are gone however the run ends. 64 MB stay free for everybody else all the time. Where
the disk discards it is asked to first. The journal, free inodes of ext4 and swap are treated as
well; docs/erase.md says what is reached, and what is not.

`--erase full` overwrites zeros, too, `--erase trim` only discards, `--erase off` leaves it all.
Of a mounted image (--root) the file systems mounted at it and below it are treated; a directory of
a larger file system has no free space of its own.
"""

from collections.abc import Iterator

from img_tools.actions import Action, Erase, Phase
from img_tools.host import Host
from img_tools.model import Skip

PHASE = Phase.ERASE

HOW = {
    "auto": "discarded where the disk can, then read, and overwritten where it is not zero",
    "full": "all of it is overwritten",
    "trim": "discarded, and not looked at",
}


def plan(host: Host) -> Iterator[Action]:
    """Yield every file system and area of swap: only reading it all would tell what is there."""
    if host.erase_mode == "off":
        raise Skip("--erase off")
    storage = host.storage
    if not storage.targets:
        why = next((f"{one.kind}: {one.why}" for one in storage.left_out if one.path == "/"),
                   "it is a directory of a larger file system, not one of its own")
        raise Skip(f"the image has no free space to erase ({why})")
    for target in storage.targets:
        if target.kind != "swap":
            how = HOW[host.erase_mode]
        elif host.erase_mode == "trim":
            continue
        else:
            how = "switched off meanwhile; header, UUID and label stay"
        yield Erase(path=target.path, place=target.place, mount=target.mount, kind=target.kind,
                    mode=host.erase_mode, free=target.free, why=how)
