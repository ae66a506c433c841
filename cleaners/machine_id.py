"""Empty /etc/machine-id, so that every clone makes its own

Emptied, not removed: Debian 12 does not boot without the file while / is still read-only, and
`uninitialized` would make systemd enable services by their presets. D-Bus's copy goes, since
systemd would copy it back.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase, Remove, Truncate, Write
from img_tools.host import Host
from img_tools.model import Undecided

PHASE = Phase.IDENTITY

PATH = "/etc/machine-id"
DBUS = "/var/lib/dbus/machine-id"
LONGEST = 64  # bytes; an id is 32 hexadecimal digits and a line feed
NO_ID = (b"", b"uninitialized")


def plan(host: Host) -> Iterator[Action]:
    """Yield what empties the id, or puts an empty file in the place of anything else."""
    entry = host.root.stat(PATH)
    if entry and entry.dev in host.volatile:
        raise Undecided(f"{PATH} of the image is hidden below a temporary one: umount {PATH}")
    found = list(residue.actions(host, "machine-id"))
    yield from found
    emptied = any(action == Truncate(PATH, action.why) for action in found)
    needed = host.root.is_dir("/etc") and not (entry is None and host.units.sysv)
    if needed and not emptied and not _in_order(host):
        yield Write(PATH, "", 0o444, "systemd needs the file to put the new id into")
    if host.root.readlink(DBUS) is not None and host.root.resolve(DBUS) != host.root.resolve(PATH):
        yield Remove(DBUS, "a link to another id than systemd's; D-Bus makes the right one")


def _in_order(host: Host) -> bool:
    """True for a regular file without an id."""
    entry = host.root.stat(PATH)
    if entry is None or not entry.is_file or entry.size > LONGEST:
        return False
    return host.root.read_bytes(PATH, LONGEST).strip() in NO_ID
