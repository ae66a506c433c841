"""No DHCP leases and no network settings of the build machine are left

Looks for DHCP leases and identifiers (dhclient, dhcpcd, NetworkManager), udev rules that name a
card by its address, network configuration that cloud-init wrote for this machine, and a proxy for
apt: a clone may ask for the build machine's address, wait for a card that it does not have, or get
no updates.

`img-clean --yes --only network-leftovers` removes them; cloud-init writes its own anew on a clone.
Settings that somebody else wrote are the check do-features'.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "identity"
CODES = residue.codes("network-leftovers")
REFERENCES = ("virt-sysprep: dhcp-client-state, udev-persistent-net", "cloud-init clean --configs")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for everything that is left."""
    yield from residue.findings(host, "network-leftovers")
