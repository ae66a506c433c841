"""There are no crash reports and no memory dumps

Looks at /var/crash, the core dumps that systemd-coredump, apport and abrt keep, saved kernel
messages (pstore), and cores and Java heap dumps in homes and /. A file called `core` counts when it
is one. A dump is the memory of a process: it holds keys and passwords in the clear.

`img-clean --yes --only crash-data` removes them.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "traces"
CODES = residue.codes("crash-data")
REFERENCES = ("build-an-image: run cleanup.sh after setup",)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every dump."""
    yield from residue.findings(host, "crash-data")
