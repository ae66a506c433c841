"""Whether something makes SSH host keys at the first boot of a clone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from img_tools import scripts
from img_tools.cloud import CloudInit
from img_tools.rootfs import RootFS
from img_tools.units import Units

HEAD = 1 << 16  # bytes read of a unit
MAKES_KEYS = r"(ssh-keygen\b.*\s-\w*A|dpkg-reconfigure\b.*\bopenssh-server|sshd-keygen)"
IN_UNIT = re.compile(rf"^\s*Exec\w+\s*=.*{MAKES_KEYS}", re.M)  # what it runs, and no comment
IN_SCRIPT = re.compile(rf"^[^#\n]*{MAKES_KEYS}", re.M)
UNITS = ("/etc/systemd/system/*.service", "/etc/systemd/system/ssh*.service.d/*.conf",
         "/usr/lib/systemd/system/sshd-keygen*.service")
# From EL 8 on sshd-keygen does nothing where cloud-init runs.
LEFT_TO_CLOUD_INIT = "/usr/lib/systemd/system/sshd-keygen@.service.d/*cloud-init*"


def hindrance(
    root: RootFS, cloud: CloudInit, units: Units, no_cloud_init: str | None
) -> str | None:
    """Why a clone of the image at ROOT would have no host keys, or None.

    NO_CLOUD_INIT says why cloud-init would not run there.
    """
    why = no_cloud_init or _of_cloud_init(cloud)
    if why is None or any(_makers(root, units)):
        return None
    left_to_it = no_cloud_init is None and any(root.glob(LEFT_TO_CLOUD_INIT))
    return None if not left_to_it and _sshd_itself(root, units) else why


def _of_cloud_init(cloud: CloudInit) -> str | None:
    modules = cloud.setting("cloud_init_modules")
    if modules and "ssh" not in modules.modules:
        return f"{modules.path} leaves ssh out of cloud_init_modules"
    types = cloud.setting("ssh_genkeytypes")
    if types and not types.words:
        return f"{types.path} line {types.line} says ssh_genkeytypes: []"
    return None


def _makers(root: RootFS, units: Units) -> Iterator[bool]:
    """True for every unit or script of another kind that makes host keys at boot."""
    for pattern in UNITS:
        for entry in root.glob(pattern):
            name = entry.path.rpartition("/")[2]
            if not root.is_file(entry.path):
                continue
            text = root.read_text(entry.path, limit=HEAD)
            # ConditionFirstBoot holds only while machine-id is missing or "uninitialized".
            yield bool(IN_UNIT.search(text)) and "ConditionFirstBoot=yes" not in text and (
                not name.endswith(".service") or units.starts(name))
    script = scripts.read(root, "/etc/rc.local")
    yield bool(script and script.text and not script.flaws and IN_SCRIPT.search(script.text))


def _sshd_itself(root: RootFS, units: Units) -> bool:
    """True when sshd's own service makes the keys that it lacks, as on the RHEL family."""
    for name in ("sshd.service", "ssh.service"):
        path = units.file(name)
        if path and units.starts(name) and root.is_file(path):
            wanted = re.findall(r"^(?:Wants|Requires)=.*?(sshd-keygen[\w.@-]*)",
                                root.read_text(path, limit=HEAD), re.M)
            return any(units.file(unit) and units.state(unit) != "masked" for unit in wanted)
    return units.starts("sshd") and root.is_file("/etc/init.d/sshd") and bool(
        re.search(r"ssh-keygen", root.read_text("/etc/init.d/sshd", limit=HEAD)))
