"""Where to read on: the addresses of what plugins name as their sources."""

from __future__ import annotations

import re

_SOURCES = {
    "build-an-image": "https://github.com/digitalocean/marketplace-partners/blob/"
                      "0633aa9b354eb8b8ef32a87dbc7ae16cedeeec62/marketplace_docs/build-an-image.md",
    "DigitalOcean's cleanup.sh": "https://github.com/digitalocean/marketplace-partners/blob/"
                                 "master/scripts/90-cleanup.sh",
    "virt-sysprep": "https://libguestfs.org/virt-sysprep.1.html",
    "systemd: Safely Building Images": "https://systemd.io/BUILDING_IMAGES/",
    "cloud-init clean": "https://docs.cloud-init.io/en/latest/reference/cli.html#clean",
    "AWS Marketplace": "https://docs.aws.amazon.com/marketplace/latest/userguide/"
                       "product-and-ami-policies.html",
}


def linked(reference: str) -> str:
    """REFERENCE with its address after it, if it is a source known here, a man page or a CVE."""
    if "https://" in reference:
        return reference
    for source, address in _SOURCES.items():
        if re.match(rf"{re.escape(source)}\b", reference):
            return f"{reference} ({address})"
    if page := re.fullmatch(r"([\w.@-]+)\((\d\w*)\)", reference):
        return f"{reference} (https://manpages.debian.org/{page[1]}.{page[2]})"
    if cve := re.match(r"CVE-\d+-\d+", reference):
        return f"{reference} (https://nvd.nist.gov/vuln/detail/{cve[0]})"
    return reference
