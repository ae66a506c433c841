"""Docker and the firewall: what a container publishes is forwarded, and no rule of INPUT sees it.

https://docs.docker.com/engine/network/packet-filtering-firewalls/
"""

from __future__ import annotations

import json
import re

from img_tools.rootfs import RootFS
from img_tools.units import Units

DAEMON_JSON = "/etc/docker/daemon.json"
FILE_LIMIT = 1 << 20  # bytes
PROGRAMS = ("/usr/bin/dockerd", "/usr/sbin/dockerd", "/snap/bin/dockerd")
UNITS = ("docker.service", "docker.socket", "snap.docker.dockerd.service")


def bypasses(root: RootFS, units: Units, rules: str) -> bool:
    """True when Docker comes up at boot and publishes ports past the firewall.

    RULES is the file of iptables rules in which DOCKER-USER may hold it back.
    """
    if not any(root.exists(path) for path in PROGRAMS) or not units.starts(*UNITS):
        return False
    return not (_left_alone(root, units) or _held_back(root, rules))


def _left_alone(root: RootFS, units: Units) -> bool:
    """True when Docker is told to leave iptables alone, by its file or by an option."""
    try:
        if json.loads(root.read_bytes(DAEMON_JSON, FILE_LIMIT)).get("iptables") is False:
            return True
    except (FileNotFoundError, ValueError, AttributeError, RecursionError):
        pass  # without a file that Docker takes, its default holds: it manages iptables
    paths = [units.file("docker.service") or ""]
    paths += [entry.path for entry in root.glob("/etc/systemd/system/docker.service.d/*.conf")]
    return any(re.search(r"^ExecStart=.*--iptables=(false|0)\b", line)
               for path in paths if root.is_file(path) for line in root.read_lines(path))


def _held_back(root: RootFS, rules: str) -> bool:
    """True when DOCKER-USER, which Docker asks before its own rules, denies anything."""
    return any(re.match(r"-[AI]\s+DOCKER-USER\b(?!.*-j\s+(RETURN|ACCEPT)\b)", line.strip())
               for line in root.read_lines(rules))
