"""Passwords that a first boot has to make are not in the image

A password made while the image is built is the same on every Droplet, and known to everybody who
has one. DigitalOcean's 1-click images make theirs at first boot and leave them for the customer in
/root/.digitalocean_passwords and files like it: in an image these must not exist. Others that
packages and installers make are warnings: first users of Jenkins and GitLab, database accounts of
Debian's packages, phpMyAdmin's secret, Redis' requirepass, lists of passwords in /root.

Remove the file, and have an executable script in /var/lib/cloud/scripts/per-instance make the
password. No cleaner does it: a service that runs with the old password would be locked out.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "secrets"
CODES = residue.codes("first-boot-secrets")
REFERENCES = (
    "build-an-image: no preset passwords",
    "https://github.com/digitalocean/droplet-1-clicks: /root/.digitalocean_passwords",
)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every password that came before its time."""
    yield from residue.findings(host, "first-boot-secrets")
