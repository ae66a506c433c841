"""Remove DHCP leases, and network settings that cloud-init will write anew

What cloud-init wrote for this machine goes only if cloud-init will write its own on every clone.
What a vendor or an installer wrote stays: without it a clone might have no network.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host
from img_tools.model import Undecided

PHASE = Phase.NETWORK

WRITTEN = "cloud-init-network"


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes. Raises Undecided last, if cloud-init's part has to stay."""
    yield from residue.actions(host, "network-leftovers", without={WRITTEN})
    found = [match for match in residue.matches(host, "network-leftovers")
             if match.residue.code == WRITTEN]
    why = _not_written(host) if found else None
    if why:
        raise Undecided(f"{found[0].path} stays, since cloud-init would not write it again on a "
                        f"clone: {why}; mend that, or write a network configuration of your own "
                        "and remove this one")
    yield from residue.actions(host, "network-leftovers")


def _not_written(host: Host) -> str | None:
    if host.no_cloud_init:
        return host.no_cloud_init
    setting = host.cloud.setting("network", "config")
    if setting and setting.text == "disabled":
        return f"{setting.path} line {setting.line} says `network: {{config: disabled}}`"
    return None
