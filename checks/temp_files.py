"""There are no temporary files and no editors' copies

Looks at everything in /tmp and /var/tmp, names that begin with a dot included, at swap and backup
files of editors in /etc and in homes, and at old copies of configuration files in /etc (.dpkg-old,
.rpmsave, .bak, ...). Not counted are the directories that systemd keeps there for running services
and removes itself when the machine stops, and whatever lies on a tmpfs, which no snapshot holds.

Build scripts, downloads and half-edited files with passwords are left there.
`img-clean --yes --only temp-files` removes them, but for copies that may have been made by hand
(`x~`, .save, .bak, .orig): look at those. The script by which Packer runs img-check lies in
/tmp at that moment: set its `remote_path` to a place in /dev/shm.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "traces"
CODES = residue.codes("temp-files")
REFERENCES = ("build-an-image: run cleanup.sh after setup",)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for everything in the temporary directories and every stray copy."""
    yield from residue.findings(host, "temp-files")
