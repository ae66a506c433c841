"""The image was built on the smallest disk that holds it

A Droplet's disk never shrinks: the image needs a plan whose disk is as large as that of the build
Droplet. What uses 6 GB, but was built on 160 GB, keeps the small plans out. Looked at are the size
of / and what is used, on the live system; what is used, a quarter more and 2 GB must fit. The 25 GB
of the $6 Droplet, which DigitalOcean recommends to build on, are never too many.

Build again on the plan that the finding names.
"""

from collections.abc import Iterator

import psutil

from img_tools.host import Host
from img_tools.model import Finding, Undecided, warn

CATEGORY = "provider"
CODES = ("larger-than-needed",)
REFERENCES = (
    "build-an-image: use the smallest suitable disk size",
    "https://github.com/digitalocean/marketplace-partners (README: a $6 Droplet)",
)

# Disks of Basic Droplets, regular and premium, in GiB: from published lists of slugs, many of which
# name the size (s-2vcpu-2gb-90gb-intel), 2026-11-24. `doctl compute size list` is the authority;
# it was not asked. The 10 of the $4 Droplet are left out: partners are told to build on the $6 one.
DISKS = (25, 35, 50, 60, 70, 80, 90, 120, 160, 240, 320, 480, 640)
GIB = 1 << 30
RESERVE = 2 * GIB  # /boot, the EFI partition and what the file system takes for itself


def check(host: Host) -> Iterator[Finding]:
    """Yield a warning when a smaller disk would do."""
    host.require_live("the size of the disk is the kernel's to tell")
    try:
        disk = psutil.disk_usage("/")
    except OSError as error:
        raise Undecided(f"the size of / cannot be told: {error.strerror}") from None
    needed = disk.used + disk.used // 4 + RESERVE
    enough = next((size for size in DISKS if size * GIB >= needed), None)
    if enough is not None and enough * GIB < disk.total:
        total, used = (round(number / GIB, 1) for number in (disk.total, disk.used))
        yield warn("larger-than-needed", f"/ has {total} GB, of which {used} are used: "
                   f"a Droplet with {enough} GB would do", path="/",
                   evidence={"total_bytes": disk.total, "used_bytes": disk.used,
                             "sufficient_gib": enough},
                   fix=f"build on a Droplet with {enough} GB of disk")
