"""Remove DHCP leases and the network configuration that cloud-init wrote for this machine

cloud-init writes its own anew on every clone, so it goes only while cloud-init will run there. What
a vendor or an installer wrote stays: without it a clone might have no network.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host
from img_tools.model import Skip

PHASE = Phase.NETWORK


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes. Raises Skip while cloud-init would not write its part again."""
    for obstacle in host.cloud.obstacles():
        raise Skip(f"cloud-init would not set up a clone's network: {obstacle.message}")
    yield from residue.actions(host, "network-leftovers")
