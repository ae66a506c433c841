"""What makes one machine itself, and caches.

Topics machine-id, identity, network-leftovers and package-cache.
"""

from img_tools.catalogue.model import Residue, Treat
from img_tools.model import Status

_ID = rb"\A[0-9a-fA-F]{32}\n?\Z"

_MACHINE_ID = (
    Residue("machine-id", "machine-id", "/etc/machine-id", Treat.TRUNCATE, Status.FAIL,
            "every Droplet would be this one machine to DHCP, the journal and D-Bus", holds=_ID),
    Residue("machine-id", "dbus-machine-id", "/var/lib/dbus/machine-id", Treat.REMOVE, Status.FAIL,
            "systemd copies this id back into /etc/machine-id when that is empty", holds=_ID),
)


def _identity(code: str, severity: Status, why: str, *patterns: str) -> list[Residue]:
    return [Residue("identity", code, pattern, Treat.REMOVE, severity, why)
            for pattern in patterns]


def _other(code: str, why: str, advice: str, *patterns: str, holds: bytes = b"") -> list[Residue]:
    """Identities of products: their vendors alone know what depends on them."""
    return [Residue("identity", code, pattern, Treat.REPORT, Status.WARN, why, holds=holds,
                    advice=advice) for pattern in patterns]


_NODE = "the name and key of this one node, which every Droplet would share"

_IDENTITY = (
    *_identity("random-seed", Status.WARN, "every Droplet would start with the same randomness",
               "/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed",
               "/var/lib/random-seed", "/boot/efi/loader/random-seed", "/boot/loader/random-seed",
               "/efi/loader/random-seed"),
    *_identity("firmware-variables", Status.WARN, "firmware settings of the build machine",
               "/boot/efi/NvVars"),
    *_identity("credential-secret", Status.FAIL, "the key of this machine's encrypted credentials, "
               "which every Droplet would share", "/var/lib/systemd/credential.secret"),
    Residue("identity", "pollinate", "/var/cache/pollinate/seeded", Treat.REMOVE, Status.WARN,
            "keeps Droplets from fetching randomness at first boot", kind="present"),
    *_identity("docker-key", Status.FAIL, "the key that identifies this one Docker engine",
               "/etc/docker/key.json"),
    *_identity("docker-engine-id", Status.WARN, "identifies this one Docker engine",
               "/var/lib/docker/engine-id"),
    *_identity("crash-reporter-id", Status.WARN, "identifies this one machine to Ubuntu's crash "
               "reports", "/var/lib/whoopsie/whoopsie-id"),
    *_identity("lvm-devices", Status.WARN, "names the disks of the build machine",
               "/etc/lvm/devices/system.devices"),
    *_identity("package-manager-id", Status.WARN, "identifies this one machine to mirrors",
               "/var/lib/yum/uuid"),
    # -- only reported ---------------------------------------------------------------------------
    *_other("iscsi-initiator", "names this one machine to iSCSI servers",
            "echo GenerateName=yes > {path}", "/etc/iscsi/initiatorname.iscsi",
            holds=rb"^\s*InitiatorName\s*="),
    *_other("tls-key", "a private TLS key, made when ssl-cert was installed, which every Droplet "
            "would share", "have a first-boot script run: make-ssl-cert generate-default-snakeoil "
            "--force-overwrite; then: rm {path}", "/etc/ssl/private/ssl-cert-snakeoil.key"),
    *_other("kerberos-keytab", "keys of this one machine in a Kerberos realm",
            "leave the realm, then: rm {path}", "/etc/krb5.keytab"),
    *_other("samba-secrets", "the account of this one machine in a Windows domain",
            "leave the domain and stop Samba, then: rm {path}",
            "/var/lib/samba/private/secrets.tdb"),
    *_other("node-identity", _NODE, "stop the Salt minion, then: rm {path}",
            "/etc/salt/pki/minion/minion.p*", "/etc/salt/minion_id"),
    *_other("node-identity", _NODE, "stop the Puppet agent, then: rm {path}",
            "/var/lib/puppet/ssl/private_keys/*", "/etc/puppetlabs/puppet/ssl/private_keys/*"),
    *_other("node-identity", _NODE, "leave the cluster (kubeadm reset) and join it at first boot",
            "/var/lib/kubelet/pki/*", "/etc/rancher/node/password"),
    *_other("node-identity", _NODE, "tailscale logout; systemctl stop tailscaled; rm {path}",
            "/var/lib/tailscale/tailscaled.state"),
    *_other("node-identity", _NODE, "make the keys at first boot, then: rm {path}",
            "/etc/wireguard/*"),
    *_other("node-identity", _NODE, "stop netdata, then: rm {path}",
            "/var/lib/netdata/registry/netdata.public.unique.id",
            *(f"/var/lib/netdata/{name}"
              for name in ("netdata.api.key", "cloud.d/private.pem", "cloud.d/claimed_id"))),
    *_other("node-identity", _NODE, "stop RabbitMQ, then: rm {path}",
            "/var/lib/rabbitmq/.erlang.cookie"),
    *_other("subscription", "the subscription of this one machine",
            "subscription-manager unregister; subscription-manager clean",
            "/etc/pki/consumer/*", "/etc/pki/entitlement/*", "/etc/sysconfig/rhn/systemid"),
    *_other("subscription", "the subscription of this one machine", "pro detach --assume-yes",
            "/var/lib/ubuntu-advantage/private/machine-token.json"),
)

_LEASE = "addresses and identifiers the build machine got by DHCP"


def _network(code: str, why: str, *patterns: str) -> list[Residue]:
    return [Residue("network-leftovers", code, pattern, Treat.REMOVE, Status.WARN, why)
            for pattern in patterns]


_NETWORK = (
    *_network("dhcp-lease", _LEASE,
               "/var/lib/dhcp/dhclient*.lease*", "/var/lib/dhclient/*.lease*",
               "/var/lib/dhcpcd/*.lease*", "/var/lib/dhcpcd/duid", "/var/lib/dhcpcd/secret",
               "/var/lib/dhcpcd5/*.lease*", "/etc/dhcpcd.duid", "/etc/dhcpcd.secret",
               "/var/lib/NetworkManager/*.lease*"),
    *_network("network-manager-state", "networks this machine has seen, and the key "
               "it derives its addresses from",
               *(f"/var/lib/NetworkManager/{name}"
                 for name in ("secret_key", "seen-bssids", "timestamps"))),
    *_network("persistent-net-rule", "names a network card by the address of the "
               "build machine's", "/etc/udev/rules.d/70-persistent-net.rules"),
    *_network("cloud-init-network", "network settings of the build machine, which cloud-init "
              "writes anew on a clone",
              "/etc/netplan/50-cloud-init.yaml", "/etc/network/interfaces.d/50-cloud-init*",
              "/etc/systemd/network/10-cloud-init-*.network",
              "/etc/systemd/network/10-cloud-init-*.link",
              "/etc/NetworkManager/system-connections/cloud-init-*.nmconnection"),
)

_PACKAGE_CACHE = tuple(
    Residue("package-cache", "package-archive", f"/var/cache/apt/archives/{name}", Treat.REMOVE,
            Status.WARN, "downloaded, of no more use") for name in ("*.deb", "partial/*")
)

ROWS: tuple[Residue, ...] = (*_MACHINE_ID, *_IDENTITY, *_NETWORK, *_PACKAGE_CACHE)
