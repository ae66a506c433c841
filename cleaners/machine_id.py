"""Empty /etc/machine-id, so that every clone makes its own

Emptied, not removed: Debian 12 does not boot without the file while / is still read-only, and
`uninitialized` would make systemd enable services by their presets. D-Bus's copy goes, since
systemd would copy it back.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase, Write
from img_tools.host import Host

PHASE = Phase.IDENTITY

PATH = "/etc/machine-id"


def plan(host: Host) -> Iterator[Action]:
    """Yield what empties the id, and an empty file where none is."""
    yield from residue.actions(host, "machine-id")
    if host.root.stat(PATH) is None and host.root.is_dir("/etc"):
        yield Write(PATH, "", 0o444, "systemd needs the file to put the new id into")
