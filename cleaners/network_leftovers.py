"""Remove the network configuration that cloud-init wrote for this machine

cloud-init writes it anew on every clone. What a vendor or installer wrote stays: removing it could
leave a clone without a network.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.NETWORK


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes."""
    yield from residue.actions(host, "network-leftovers")
