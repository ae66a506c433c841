"""No service is the one node that it was on the build machine

Services make themselves a name and a key when they first start: Docker and Swarm, kubelet, k3s and
rke2, etcd, Tailscale, ZeroTier, NetBird, cloudflared, Teleport, WireGuard, Salt, Puppet, Chef,
RabbitMQ, Consul, Nomad, netdata, Grafana's and Datadog's agents, BIND's rndc, and the TLS keys that
packages make when they are installed (ssl-cert, dovecot, httpd, Cockpit, Webmin).

Two Droplets with one identity take each other's place in clusters, and a key that every customer
has protects nobody. `img-clean --yes --only node-identity` removes what a service is known to make
again by itself, which is Docker's; for the others it is said what to do, since a service may be
registered somewhere under its name. Those of the machine itself are the check identity.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "identity"
CODES = residue.codes("node-identity")
REFERENCES = (
    "https://github.com/moby/moby: engine-id, key.json",
    "https://www.rabbitmq.com/docs/clustering#erlang-cookie",
)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every identity of a service."""
    yield from residue.findings(host, "node-identity")
