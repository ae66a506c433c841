"""Identities that services made for this one machine: topic node-identity.

Removed is what a service is known to make again by itself; the rest is reported, since its vendor
alone knows what depends on it.
"""

from img_tools.catalogue.model import Residue, Treat
from img_tools.model import Status

_NODE = "the name and key of this one node, which every Droplet would share"


def _node(advice: str, *patterns: str, code: str = "node-identity", why: str = _NODE,
          holds: bytes = b"", severity: Status = Status.WARN) -> list[Residue]:
    return [Residue("node-identity", code, pattern, Treat.REPORT, severity, why, holds=holds,
                    advice=advice) for pattern in patterns]


def _tls(advice: str, *patterns: str) -> list[Residue]:
    return _node(advice, *patterns, code="tls-key", why="a private TLS key, made when its package "
                 "was installed, which every Droplet would share")


def _state(service: str, *patterns: str) -> list[Residue]:
    return _node(f"systemctl stop {service}; rm -r {{path}}", *patterns)


ROWS: tuple[Residue, ...] = (
    # dockerd makes an engine-id when it starts without one (loadOrCreateID in moby's daemon/id.go,
    # https://github.com/moby/moby/pull/43555); before 23.0 it made a key instead.
    Residue("node-identity", "docker-key", "/etc/docker/key.json", Treat.REMOVE, Status.FAIL,
            "the key that identifies this one Docker engine"),
    Residue("node-identity", "docker-engine-id", "/var/lib/docker/engine-id", Treat.REMOVE,
            Status.WARN, "identifies this one Docker engine"),
    # -- only reported ---------------------------------------------------------------------------
    *_node("docker swarm leave --force", "/var/lib/docker/swarm/state.json",
           "/var/lib/docker/swarm/docker-state.json", "/var/lib/docker/swarm/certificates/*.key",
           holds=rb"[^{}\s\[\]nul]"),
    *_node("leave the cluster (kubeadm reset) and join it at first boot",
           "/var/lib/kubelet/pki/*", "/etc/rancher/node/password"),
    *_node("stop k3s or rke2, then: rm {path}",
           *(f"/var/lib/rancher/{name}/server/{file}" for name in ("k3s", "rke2")
             for file in ("token", "node-token", "cred/passwd", "tls/*.key"))),
    *_state("etcd", "/var/lib/etcd/member/snap/db", "/var/lib/etcd/default/member/snap/db"),
    *_node("tailscale logout; systemctl stop tailscaled; rm {path}",
           "/var/lib/tailscale/tailscaled.state"),
    *_state("zerotier-one", "/var/lib/zerotier-one/identity.secret",
            "/var/lib/zerotier-one/authtoken.secret"),
    *_state("netbird", "/etc/netbird/config.json", "/var/lib/netbird/default.json"),
    *_state("cloudflared", "/etc/cloudflared/*.json", "~/.cloudflared/*.json",
            "~/.cloudflared/cert.pem"),
    *_state("teleport", "/var/lib/teleport/host_uuid"),
    *_node("make the keys at first boot, then: rm {path}", "/etc/wireguard/*key*"),
    *_node("stop the Salt minion, then: rm {path}", "/etc/salt/pki/minion/minion.p*",
           "/etc/salt/pki/master/master.pem", "/etc/salt/minion_id"),
    *_node("stop the Puppet agent, then: rm {path}", "/var/lib/puppet/ssl/private_keys/*",
           "/etc/puppetlabs/puppet/ssl/private_keys/*", "/etc/puppet/ssl/private_keys/*"),
    *_node("stop the Chef client, then: rm {path}", "/etc/chef/client.pem", "/etc/cinc/client.pem"),
    *_node("stop RabbitMQ, then: rm {path}",
           "/var/lib/rabbitmq/.erlang.cookie", "~/.erlang.cookie"),
    *_state("consul", "/var/lib/consul/node-id", "/opt/consul/node-id",
            "/opt/consul/data/node-id", "/var/lib/consul/serf/local.keyring"),
    *_state("nomad", "/var/lib/nomad/client/client-id", "/opt/nomad/data/client/client-id",
            "/var/lib/nomad/client/secret-id", "/opt/nomad/data/client/secret-id"),
    *_node("stop netdata, then: rm {path}",
           "/var/lib/netdata/registry/netdata.public.unique.id",
           *(f"/var/lib/netdata/{name}"
             for name in ("netdata.api.key", "cloud.d/private.pem", "cloud.d/claimed_id"))),
    *_node("take the key out of {path}, and have a first-boot script ask for it",
           "/etc/datadog-agent/datadog.yaml", holds=rb"(?m)^api_key:[ \t]*[\"']?[0-9a-f]{32}",
           code="agent-key", why="the key of an account at a monitoring service",
           severity=Status.FAIL),
    *_node("take the key out of {path}, and have a first-boot script ask for it",
           "/etc/newrelic-infra.yml", holds=rb"(?m)^license_key:[ \t]*[\"']?[0-9A-Za-z]{32}",
           code="agent-key", why="the key of an account at a monitoring service",
           severity=Status.FAIL),
    *_state("grafana-agent", "/var/lib/grafana-agent/agent_seed.json", "/etc/agent/agent_seed.json",
            "/var/lib/alloy/data/alloy_seed.json"),
    *_node("have a first-boot script run: rndc-confgen -a; then: rm {path}", "/etc/bind/rndc.key",
           "/etc/rndc.key", code="control-key", why="the key that controls the name server, which "
           "every Droplet would share"),
    *_tls("have a first-boot script run: make-ssl-cert generate-default-snakeoil "
          "--force-overwrite; then: rm {path}", "/etc/ssl/private/ssl-cert-snakeoil.key"),
    *_tls("have a first-boot script make it, then: rm {path}",
          "/etc/pki/tls/private/localhost.key", "/etc/pki/tls/private/postfix.key",
          "/etc/pki/dovecot/private/dovecot.pem", "/etc/dovecot/private/dovecot.key",
          "/etc/cockpit/ws-certs.d/0-self-signed.key", "/etc/webmin/miniserv.pem"),
)
