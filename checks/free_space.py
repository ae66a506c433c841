"""Free space holds nothing of deleted files

What was deleted is still on the disk, and in every Droplet made from the image. Read is what the
file systems of the image (ext4 and xfs) list as free, at most 4 GB of each in evenly spread pieces;
nothing is changed. It takes as long as reading that much does, so it runs only when asked for:
`--only free-space`.

A few blocks are written and freed again all the time while a system runs. `img-clean --only
free-space` overwrites what is there.
"""

from collections.abc import Iterator

from img_tools.host import Host
from img_tools.model import Finding, Skip, Undecided, warn

CATEGORY = "traces"
CODES = ("not-zero",)
DEFAULT = False
REFERENCES = ("DigitalOcean's cleanup.sh: securely erase the unused portion of the filesystem",)
LIMIT = 4 << 30  # bytes read of each file system


def check(host: Host) -> Iterator[Finding]:
    """Yield a warning for each file system whose free space is not all zeros."""
    targets = [target for target in host.storage.targets if target.kind != "swap"]
    if not targets:
        raise Skip("the image has no file system of its own on a local disk")
    unknown = []
    for target in targets:
        try:
            sample = host.scan_free(target, LIMIT)
        except Undecided as undecided:
            unknown.append(str(undecided))
            continue
        if sample.dirty:
            share = 100 * sample.dirty / sample.read
            yield warn(
                "not-zero", f"{share:.3g} % of the free space of {target.path} is not zero",
                path=target.path, fix=host.clean_command("free-space"),
                evidence={"free_bytes": sample.free, "read_bytes": sample.read,
                          "dirty_bytes": sample.dirty})
    if unknown:
        raise Undecided("; ".join(unknown))
