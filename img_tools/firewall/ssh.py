"""The TCP ports on which the OpenSSH server will listen for strangers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from img_tools.rootfs import RootFS
from img_tools.sshd import SshdConfig
from img_tools.units import Units

DEFAULT = 22


def ports(root: RootFS, units: Units, sshd: SshdConfig) -> tuple[int, ...]:
    """In ascending order. Where systemd's socket listens instead, its own ports."""
    if not units.starts("ssh.service", "sshd.service") and units.starts("ssh.socket",
                                                                        "sshd.socket"):
        own = set(_socket_ports(root))
        # Ubuntu's generator takes the rest from sshd_config; Debian's socket says 22.
        if own:
            return tuple(sorted(own))
    configured = {int(item.args[0]) for item in sshd.all("port")
                  if item.args and re.fullmatch(r"\d{1,5}", item.args[0])} or {DEFAULT}
    listening: set[int] = set()
    for item in sshd.all("listenaddress"):
        address = item.args[0] if item.args else ""
        host, port = _split(address)
        if not re.match(r"127\.|::1$|localhost$", host):
            listening |= {port} if port else configured
    if not sshd.all("listenaddress"):
        listening = configured
    return tuple(sorted(listening))


def _split(address: str) -> tuple[str, int | None]:
    """ListenAddress: HOST, HOST:PORT, [HOST]:PORT, or an IPv6 address by itself."""
    match = re.fullmatch(r"\[([^]]*)\](?::(\d{1,5}))?|([^:]*)(?::(\d{1,5}))?", address)
    if match is None:
        return address, None
    port = match[2] or match[4]
    return match[1] or match[3] or "", int(port) if port else None


def _socket_ports(root: RootFS) -> Iterator[int]:
    """Ports of ListenStream in what an administrator set: an empty one takes back the others."""
    found: list[int] = []
    for name in ("ssh.socket", "sshd.socket"):
        base = f"/etc/systemd/system/{name}"
        dropins = [entry.path for entry in root.glob(f"{base}.d/*.conf")]
        for path in [base, *dropins]:
            for line in root.read_lines(path) if root.is_file(path) else ():
                match = re.match(r"ListenStream\s*=\s*(\S*)", line.strip())
                if match and not match[1]:
                    found.clear()
                elif match and (port := re.search(r"(?:^|:)(\d{1,5})$", match[1])):
                    found.append(int(port[1]))
    yield from found
