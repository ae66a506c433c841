"""No network settings of the build Droplet are in the image

IPv6 and private networking of the build Droplet leave addresses in the network configuration, and a
clone gets others. Looked at are the files of netplan, ifupdown, systemd-networkd, NetworkManager
and RHEL's network scripts: IPv6 addresses, public IPv4 addresses, the private interface eth1. Files
that cloud-init wrote (50-cloud-init*) do not count: it writes them anew for each instance. On the
live system the interfaces are asked for IPv6 too. A private interface that is up is no finding by
itself: every Droplet with a public address has one. The agents are the check do-agent's.

Create the build Droplet without IPv6, and leave its network to cloud-init: remove the file.
"""

import ipaddress
import re
import socket
from collections.abc import Iterator

import psutil

from img_tools.host import Host
from img_tools.model import Finding, warn

CATEGORY = "provider"
CODES = ("address", "ipv6", "ipv6-enabled", "private-network")
REFERENCES = (
    "build-an-image: do not enable unnecessary DigitalOcean features",
    "https://docs.digitalocean.com/products/droplets/details/private-droplets",
)

FILES = (
    "/etc/netplan/*.yaml", "/etc/network/interfaces", "/etc/network/interfaces.d/*",
    "/etc/systemd/network/*.network", "/etc/systemd/network/*.network.d/*.conf",
    "/etc/NetworkManager/system-connections/*", "/etc/sysconfig/network-scripts/ifcfg-*",
)
BY_CLOUD_INIT = re.compile(r"[15]0-cloud-init|cloud-init-|.*created by cloud-init", re.I)
COMMENT = re.compile(r"(^|\s)[#;].*")
ADDRESS = re.compile(r"[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]+(/[0-9]{1,3})?")
SETS_ADDRESS = re.compile(r"\s*(address|ipaddr|ipv6addr|ipv6_?address)\w*\s*[\s=:]", re.I)
PRIVATE_NIC = re.compile(r"\b(eth1|ens4)\b")
LIMIT = 1 << 20  # bytes of a file


def check(host: Host) -> Iterator[Finding]:
    """Yield a warning for every setting that belongs to the build Droplet."""
    for pattern in FILES:
        for entry in host.root.glob(pattern):
            name = entry.path.rpartition("/")[2]
            if not BY_CLOUD_INIT.match(name) and host.root.is_file(entry.path):
                yield from _file(host, entry.path)
    if host.live:
        yield from _interfaces()


def _file(host: Host, path: str) -> Iterator[Finding]:
    text = host.root.read_text(path, LIMIT)
    if BY_CLOUD_INIT.match(text.split("\n", 1)[0]):
        return
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        line = COMMENT.sub("", line)
        for code, what in _settings(line, path):
            if code not in seen:
                seen.add(code)
                yield warn(code, f"{path} line {number} sets {what} of the build Droplet",
                           path=path, line=number,
                           fix=f"remove {path} and leave the network to cloud-init")


def _settings(line: str, path: str) -> Iterator[tuple[str, str]]:
    for match in ADDRESS.finditer(line):
        if not match[1] and not SETS_ADDRESS.match(line):
            continue  # a name server or a gateway
        try:
            found = ipaddress.ip_interface(match[0])
        except ValueError:
            continue
        host_bits = found.network.prefixlen < found.max_prefixlen
        if found.ip.is_global and not (host_bits and found.ip == found.network.network_address):
            yield (("ipv6", "an IPv6 address") if found.version == 6
                   else ("address", "the public address"))
    if PRIVATE_NIC.search(line) or re.search(r"ifcfg-(eth1|ens4)$", path):
        yield "private-network", "up the private interface"


def _interfaces() -> Iterator[Finding]:
    for name, addresses in psutil.net_if_addrs().items():
        for address in addresses:
            text = address.address.partition("%")[0]
            if (address.family == socket.AF_INET6 and re.match(r"(eth|en)\w", name)
                    and ipaddress.ip_address(text).is_global):
                yield warn("ipv6-enabled", f"IPv6 is enabled on {name} of the build Droplet",
                           evidence={"interface": name},
                           fix="build on a Droplet created without IPv6")
                break
