"""The firewalls of an image, judged by what their files will load at the next boot.

Never by what is loaded now: the snapshot is booted anew, and so the answer is the same for a
running system and for a mounted one. Asking the kernel would also change it, since iptables and nft
load modules in order to answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from img_tools.firewall import csf, docker, iptables, nft, ssh, unread
from img_tools.firewall.csf import Csf
from img_tools.firewall.firewalld import CONF as FIREWALLD_CONF
from img_tools.firewall.firewalld import Firewalld
from img_tools.firewall.rules import ACCEPT, DROP, Fate, Inbound, Packet
from img_tools.firewall.ufw import CONF as UFW_CONF
from img_tools.firewall.ufw import Ufw, setting
from img_tools.model import Undecided
from img_tools.rootfs import RootFS
from img_tools.units import Units, UnitState

__all__ = ["Filtering", "Firewall", "Obstacle", "allow_ssh", "read", "ssh"]

# Ports nobody opens on purpose, in each of the ranges that rules are written for.
UNUSED_PORTS = (7, 1999, 48151)


class Filtering(StrEnum):
    """What a firewall does to connections that no rule of it expects."""

    DENY = "deny"
    SOME = "some"  # lets them in, and denies certain ports
    NOTHING = "nothing"  # lets everything in


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a firewall does not come up at boot, and the command that mends it."""

    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Firewall:
    """A firewall that is installed. `path` is its main configuration file.

    With an `obstacle` it does not come up at boot. `readable` is False for scripts and managers
    whose rules we do not read. `docker_bypass` says that ports published by Docker pass it by.
    """

    name: str
    path: str
    inbound: Inbound
    obstacle: Obstacle | None = None
    readable: bool = True
    docker_bypass: bool = False

    def filtering(self, family: int = 4) -> Filtering:
        """What it does to connections over IPv4 or IPv6. Raises Undecided."""
        if Fate.DROP not in self.inbound.fates(Packet(None, family)):
            return Filtering.NOTHING
        fates = [self.inbound.fates(Packet(port, family)) for port in UNUSED_PORTS]
        return Filtering.SOME if ACCEPT in fates else Filtering.DENY

    def lets_in(self, port: int) -> bool | None:
        """Whether a stranger reaches TCP PORT; None when it depends on what files cannot tell."""
        fates = self.inbound.fates(Packet(port))
        return True if fates == ACCEPT else False if fates == DROP else None

    def allow(self, *ports: int) -> str:
        """What makes it let ssh in on PORTS."""
        match self.name:
            case "ufw":
                return allow_ssh(ports).removesuffix(" && ")
            case "firewalld":
                return " && ".join(f"firewall-offline-cmd --add-port={port}/tcp" for port in ports)
            case _:
                text = ", ".join(str(port) for port in ports)
                return f"let TCP port {text} in from anywhere in {self.path}"


def read(root: RootFS, units: Units, ssh_ports: Sequence[int]) -> tuple[Firewall, ...]:
    """Every firewall that is installed, the usual ones first; SSH_PORTS go into the advice."""
    return (*_ufw(root, units, ssh_ports), *_firewalld(root, units), *_csf(root, units),
            *_iptables(root, units), *_nftables(root, units), *_unread(root, units))


def _unit_obstacle(units: Units, *names: str) -> Obstacle | None:
    """None when one of the services NAMES starts at boot. Raises Undecided if it does what else."""
    for name in names:
        if units.starts(name):
            changed = units.override(name)
            if changed:
                raise Undecided(f"{changed} changes what {name} does when it starts, so that "
                                "nobody can tell from its files which rules are loaded at boot")
            return None
    name = next((name for name in names if units.state(name) is not UnitState.ABSENT), names[0])
    why = "masked" if units.state(name) is UnitState.MASKED else "not enabled at boot"
    return Obstacle(f"{name} is {why}", units.enable(name))


def allow_ssh(ssh_ports: Sequence[int]) -> str:
    """The ufw command that lets ssh in, with ` && ` after it; empty without a server."""
    names = ["OpenSSH" if port == 22 else f"{port}/tcp" for port in ssh_ports]
    return "".join(f"ufw allow {name} && " for name in names)


def _ufw(root: RootFS, units: Units, ssh_ports: Sequence[int]) -> Iterator[Firewall]:
    if not root.is_file("/usr/sbin/ufw"):
        return
    obstacle = _unit_obstacle(units, "ufw.service")
    enabled = setting(root, UFW_CONF, "ENABLED")
    if enabled not in ("yes", "YES"):  # the two words that ufw's start script knows
        service = f"{obstacle.fix} && " if obstacle else ""
        obstacle = Obstacle(f"ENABLED={enabled or ''} in {UFW_CONF}",
                            f"{service}{allow_ssh(ssh_ports)}ufw --force enable")
    bypass = obstacle is None and docker.bypasses(root, units, "/etc/ufw/after.rules")
    yield Firewall("ufw", UFW_CONF, Ufw(root), obstacle, docker_bypass=bypass)


def _firewalld(root: RootFS, units: Units) -> Iterator[Firewall]:
    if root.is_file("/usr/sbin/firewalld"):
        obstacle = _unit_obstacle(units, "firewalld.service")
        yield Firewall("firewalld", FIREWALLD_CONF, Firewalld(root), obstacle)


def _csf(root: RootFS, units: Units) -> Iterator[Firewall]:
    if not root.is_file(csf.CONF) or not root.is_file("/usr/sbin/csf"):
        return
    inbound = Csf(root)
    obstacle = _unit_obstacle(units, "csf.service")
    if root.exists(csf.DISABLED):
        obstacle = Obstacle(f"{csf.DISABLED} disables it", "csf -e")
    elif inbound.value("TESTING") != "0":  # then cron takes the rules away every few minutes
        obstacle = Obstacle(f"TESTING is not \"0\" in {csf.CONF}",
                            f"sed -i 's/^TESTING = .*/TESTING = \"0\"/' {csf.CONF} && csf -r")
    yield Firewall("csf", csf.CONF, inbound, obstacle)


def _iptables(root: RootFS, units: Units) -> Iterator[Firewall]:
    """Saved rules: of netfilter-persistent on Debian, of iptables-services on EL."""
    debian = ("netfilter-persistent.service", "iptables-persistent.service")
    if any(units.state(name) is not UnitState.ABSENT for name in debian):
        obstacle = _unit_obstacle(units, *debian)
        # Its loaders are plugins, in the package iptables-persistent.
        paths = [f"/etc/iptables/rules.v{version}" for version in (4, 6)]
        present = [path if root.is_file(path) else None for path in paths]
        if not root.exists("/usr/share/netfilter-persistent/plugins.d/15-ip4tables"):
            present = [None, None] if units.file(debian[0]) else present
        if present == [None, None] and obstacle is None:
            obstacle = Obstacle(f"there is no {paths[0]} to load, or nothing that loads it",
                                "netfilter-persistent save")
        bypass = obstacle is None and docker.bypasses(root, units, paths[0])
        yield Firewall("netfilter-persistent", paths[0], iptables.SavedRules(root, *present),
                       obstacle, docker_bypass=bypass)
    if units.state("iptables.service") is not UnitState.ABSENT:
        paths = ["/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables"]
        obstacle = _unit_obstacle(units, "iptables.service")
        six = paths[1] if units.starts("ip6tables.service") and root.is_file(paths[1]) else None
        if not root.is_file(paths[0]) and obstacle is None:
            obstacle = Obstacle(f"there is no {paths[0]} to load", f"iptables-save > {paths[0]}")
        yield Firewall("iptables", paths[0], iptables.SavedRules(root, paths[0], six), obstacle)


def _nftables(root: RootFS, units: Units) -> Iterator[Firewall]:
    unit = units.file("nftables.service")
    if unit is None:
        return
    obstacle = _unit_obstacle(units, "nftables.service")
    path = "/etc/nftables.conf"  # Debian's; EL's unit names /etc/sysconfig/nftables.conf
    if obstacle is None:
        for line in root.read_lines(unit):
            match = re.match(r"ExecStart=\S*nft\s+(?:-\S+\s+)*?-f\s+(\S+)", line.strip())
            path = match[1] if match else path
        if not root.is_file(path):
            obstacle = Obstacle(f"there is no {path} to load", f"nft list ruleset > {path}")
    yield Firewall("nftables", path, nft.Nftables(root, path), obstacle)


def _unread(root: RootFS, units: Units) -> Iterator[Firewall]:
    for name, path in unread.find(root, units):
        yield Firewall(name, path, unread.Unread(name, path), readable=False)
