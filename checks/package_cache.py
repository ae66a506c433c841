"""The package manager keeps no downloaded packages

Looks for package archives, whole and partly downloaded, that apt keeps after installing from them,
and for the caches of dnf and yum. They are of no more use and make the image, and the smallest
Droplet it fits on, larger.

`img-clean --yes --only package-cache` removes them. Package lists (/var/lib/apt/lists) are not
counted: with them a new Droplet can install packages at once. dnf and yum fetch theirs by
themselves.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "packages"
CODES = residue.codes("package-cache")
REFERENCES = ("build-an-image: cleanup.sh cleans up the package manager's database",)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every package archive that is kept."""
    yield from residue.findings(host, "package-cache")
