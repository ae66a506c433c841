"""The machine-id is empty, so that every Droplet makes its own

Looks at /etc/machine-id, which must be an empty regular file or say `uninitialized`, and at D-Bus's
copy in /var/lib/dbus, which must be a link to it or absent: systemd takes an empty machine-id from
there. With one id on all Droplets they get the same DHCP lease, and their journals cannot be told
apart. A missing file is no better: Debian 12 does not boot without it when / is mounted read-only
at first.

`img-clean --yes --only machine-id` empties the one and removes the other; do it late, since
installing packages may fill them again. An empty file is the careful choice: `uninitialized` makes
systemd treat the boot as the first, and enable services by their presets.
"""

import re
from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding, Undecided, fail, warn

CATEGORY = "identity"
CODES = (
    *residue.codes("machine-id"), "dbus-machine-id-link", "machine-id-absent", "machine-id-invalid",
    "machine-id-link",
)
REFERENCES = ("machine-id(5)", "systemd-machine-id-setup(1)", "systemd: Safely Building Images")

PATH = "/etc/machine-id"
DBUS = "/var/lib/dbus/machine-id"
LONGEST = 64  # bytes; an id is 32 hexadecimal digits and a line feed


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for an id, for a file that is not as it should be, and for D-Bus's copy."""
    entry = host.root.stat(PATH)
    if entry and entry.dev in host.volatile:
        raise Undecided(f"{PATH} is hidden below a temporary one, as systemd mounts it when / was "
                        f"read-only at boot; what the image holds shows after: umount {PATH}")
    known = list(residue.findings(host, "machine-id"))
    yield from known
    if PATH not in {finding.path for finding in known}:
        yield from _shape(host)
    if host.root.readlink(DBUS) is not None and host.root.resolve(DBUS) != host.root.resolve(PATH):
        yield warn("dbus-machine-id-link", f"{DBUS} is a link to another file than {PATH}: D-Bus "
                   "and systemd would not agree which machine this is", path=DBUS,
                   fix=host.clean_command("machine-id"))


def _shape(host: Host) -> Iterator[Finding]:
    """What is wrong with a machine-id that is no regular file with an id."""
    anew = host.clean_command("machine-id")
    try:
        content = host.root.read_bytes(PATH, LONGEST)
    except FileNotFoundError:
        if host.units.sysv:
            return  # D-Bus alone has an id there
        yield fail("machine-id-absent", f"{PATH} does not exist: Debian 12 cannot boot without it",
                   path=PATH, fix=anew)
        return
    except Undecided as reason:  # a directory, a FIFO, a loop of links, something large
        yield fail("machine-id-invalid", f"{reason}: it must be an empty regular file", path=PATH,
                   fix=anew)
        return
    if re.fullmatch(rb"[0-9a-fA-F]{32}\s*", content):
        yield fail("machine-id", f"{PATH} is a link to a file with an id, which every Droplet "
                   "would share", path=PATH, fix=anew)
    elif content.strip() not in (b"", b"uninitialized"):
        yield fail("machine-id-invalid", f"{PATH} holds {len(content)} bytes that are no "
                   "machine-id: it must be empty", path=PATH, fix=anew)
    elif host.root.readlink(PATH) is not None:
        yield warn("machine-id-link", f"{PATH} is a link: systemd reads it before other file "
                   "systems are mounted", path=PATH, fix=anew)
