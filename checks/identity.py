"""Nothing that identifies the build machine is left

Looks for what must differ between Droplets and is made anew when it is not there: the saved random
seed, systemd's credential key, DHCP leases and identifiers, rules that name a network card by its
address, NetworkManager's key, and what the machine is registered with (Kerberos, Samba, IPA, iSCSI,
time servers, subscriptions). The machine-id and the identities of services (node-identity) have
checks of their own.

Two Droplets with one identity take each other's addresses, leases and places in clusters, and a key
that every customer has protects nobody. `img-clean --yes --only identity` removes those that the
system makes again by itself (and stops systemd-random-seed first, which would save the seed again
at shutdown); for registrations it is said what to do.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "identity"
CODES = residue.codes("identity")
REFERENCES = ("systemd: Safely Building Images", "machine-id(5)")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every identity that is not the distribution's."""
    yield from residue.findings(host, "identity")
