"""ufw: its files are iptables rules, which its start script hangs into the built-in chains.

How the pieces fit together is described in ufw-framework(8).
"""

from __future__ import annotations

import contextlib
import re

from img_tools.firewall import iptables
from img_tools.firewall.rules import (
    ACCEPT,
    DROP,
    Chain,
    Fates,
    Packet,
    Rule,
    walk,
)
from img_tools.model import Undecided
from img_tools.rootfs import RootFS

CONF = "/etc/ufw/ufw.conf"
DEFAULTS = "/etc/default/ufw"
_STAGES = ("before-logging", "before", "after", "after-logging", "reject", "track")


def setting(root: RootFS, path: str, name: str) -> str | None:
    """The value of NAME in the shell file PATH, None when it is not set.

    Raises Undecided for a value that only a shell could work out.
    """
    value = None
    for line in root.read_lines(path):
        match = re.match(rf"\s*(?:export\s+)?{name}=(.*)", line)
        if match:
            plain = re.fullmatch(r"""(["']?)([\w.-]*)\1\s*(?:[;#].*)?""", match[1].strip())
            if not plain:
                raise Undecided(f"{path}: {name} is not a plain value")
            value = plain[2]
    return value


class Ufw:
    """Inbound decided by ufw's files."""

    def __init__(self, root: RootFS) -> None:
        self._root = root
        self._chains: dict[int, iptables.Chains] = {}

    def fates(self, packet: Packet) -> Fates:
        """See rules.Inbound."""
        # From here ufw drops IPv6 itself: "IPV6=no" means that only loopback is let in.
        if packet.family == 6 and setting(self._root, DEFAULTS, "IPV6") not in ("yes", "YES"):
            return DROP
        if packet.family not in self._chains:
            self._chains[packet.family] = self._load("6" if packet.family == 6 else "")
        return walk(self._chains[packet.family], "INPUT", packet)

    def _load(self, six: str) -> iptables.Chains:
        """The filter table that ufw builds; SIX is "6" for IPv6, else empty."""
        policy = setting(self._root, DEFAULTS, "DEFAULT_INPUT_POLICY")
        if policy not in ("DROP", "REJECT", "ACCEPT"):
            raise Undecided(f"{DEFAULTS}: DEFAULT_INPUT_POLICY is not ACCEPT, DROP or REJECT")
        ended = ACCEPT if policy == "ACCEPT" else DROP
        chains = {f"ufw{six}-{stage}-input": Chain() for stage in _STAGES}
        chains[f"ufw{six}-skip-to-policy-input"] = Chain(rules=[Rule((), ended)])
        for name in ("logging-deny", "logging-allow", "user-input"):
            chains[f"ufw{six}-{name}"] = Chain()
        chains["INPUT"] = Chain(rules=[
            Rule((), chain=f"ufw{six}-{stage}-input") for stage in _STAGES])
        tables = {"filter": chains}
        for path in (f"/etc/ufw/before{six}.rules", f"/etc/ufw/after{six}.rules",
                     self._user_rules(six)):
            with contextlib.suppress(FileNotFoundError):  # ufw says so and goes on without it
                iptables.load(self._root, path, tables)
        chains[f"ufw{six}-before-input"].rules.append(Rule((), chain=f"ufw{six}-user-input"))
        chains["INPUT"].policy = ended  # set last, whatever the files said (LP: 1946804)
        return chains

    def _user_rules(self, six: str) -> str:
        """Before ufw 0.35 the user's rules were in /lib/ufw."""
        path, old = f"/etc/ufw/user{six}.rules", f"/lib/ufw/user{six}.rules"
        return path if self._root.exists(path) or not self._root.exists(old) else old
