"""A firewall comes up at boot, denies what nobody asked for, and lets ssh in

Judged by what the files will load at the next boot: ufw, firewalld, csf, saved iptables rules and
nftables. The service must be enabled and the rules must deny connections that none of them
expects, over IPv4 and IPv6; ssh must be let in from anywhere, on the port sshd has, or nobody
reaches the new machine. What is loaded just now does not count either way: a firewall that was
stopped for the build is fine, one that runs without being enabled is not.

Ports that Docker publishes are forwarded and pass ufw and saved iptables rules by, hence a warning
where Docker starts at boot and neither DOCKER-USER nor daemon.json holds it back. Two firewalls at
once overwrite each other's rules. Rules that cannot be read (a script's, another manager's, syntax
not known here) end as an error, not as a pass.

Usually mended by `ufw allow OpenSSH && ufw --force enable`.
"""

from collections.abc import Iterator

from img_tools.host import Filtering, Firewall, Host
from img_tools.model import Finding, fail, warn

CATEGORY = "network"
CODES = (
    "default-accept", "docker-bypass", "ipv6-open", "lets-everything-in", "not-enabled",
    "not-installed", "rules-not-read", "several-firewalls", "ssh-blocked", "ssh-not-sure",
)
REFERENCES = ("build-an-image: firewall installed and configured",)


def check(host: Host) -> Iterator[Finding]:
    """Yield what keeps the image from having a firewall that is right at its next boot."""
    active = [firewall for firewall in host.firewalls if firewall.obstacle is None]
    known = [firewall for firewall in active if firewall.readable]
    if not active:
        yield _none(host)
        return
    if not known:
        active[0].filtering()  # raises Undecided, which says why
    for firewall in active:
        if not firewall.readable:
            yield warn("rules-not-read", f"{firewall.path} changes firewall rules at boot; what "
                       "they then let in is not judged", path=firewall.path)
    if len(known) > 1:
        yield warn("several-firewalls", f"{' and '.join(item.name for item in known)} are enabled "
                   "at boot together and may wipe out each other's rules", path=known[1].path,
                   fix="keep one, `systemctl disable` the others")
    # One that denies is enough: packets pass all of them.
    best = min(known, key=lambda item: list(Filtering).index(item.filtering()))
    yield from _filtering(best)
    for firewall in known:
        yield from _ssh(host, firewall)
        if firewall.docker_bypass:
            yield warn("docker-bypass", f"ports that Docker publishes are open to everybody, "
                       f"whatever {firewall.name} says", path=firewall.path,
                       fix='deny in the chain DOCKER-USER, publish on 127.0.0.1, or set '
                           '"iptables": false in /etc/docker/daemon.json')


def _none(host: Host) -> Finding:
    """The finding for no firewall at boot; it advises on the one that lacks least."""
    for firewall in host.firewalls:
        if firewall.obstacle:
            return fail("not-enabled", f"no firewall comes up at boot: {firewall.name} is "
                        f"installed, but {firewall.obstacle.why}", path=firewall.path,
                        evidence={item.name: item.obstacle.why for item in host.firewalls
                                  if item.obstacle}, fix=firewall.obstacle.fix)
    return fail("not-installed", "no firewall is installed", fix=host.firewall_advice)


def _filtering(firewall: Firewall) -> Iterator[Finding]:
    name, path = firewall.name, firewall.path
    match firewall.filtering():
        case Filtering.NOTHING:
            yield fail("lets-everything-in", f"{name} comes up at boot with rules that let every "
                       f"connection in ({path})", path=path, fix=_DENY.get(name, _DENY_ANY))
            return
        case Filtering.SOME:
            yield warn("default-accept", f"{name} denies certain connections and lets in all that "
                       f"no rule names ({path})", path=path, fix=_DENY.get(name, _DENY_ANY))
    if firewall.filtering(6) is Filtering.NOTHING:
        yield warn("ipv6-open", f"{name} lets every connection in over IPv6 ({path})", path=path,
                   fix="give IPv6 the same rules as IPv4")


_DENY_ANY = "make the default for incoming connections deny, after a rule that lets ssh in"
_DENY = {"ufw": "ufw default deny incoming",
         "firewalld": "firewall-offline-cmd --set-default-zone=public"}


def _ssh(host: Host, firewall: Firewall) -> Iterator[Finding]:
    answers = {port: firewall.lets_in(port) for port in host.ssh_ports}
    if not answers or True in answers.values():
        return
    ports = ", ".join(str(port) for port in answers)
    path, fix = firewall.path, firewall.allow(*answers)
    if None in answers.values():
        yield warn("ssh-not-sure", f"{firewall.name} lets ssh in (port {ports}) only under "
                   "conditions that files cannot tell", path=path, fix=fix)
    else:
        yield fail("ssh-blocked", f"{firewall.name} does not let ssh in from anywhere (port "
                   f"{ports}): nobody will reach the new machine", path=path, fix=fix)
