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
    *_identity("crash-reporter-id", Status.WARN, "identifies this one machine to Ubuntu's crash "
               "reports", "/var/lib/whoopsie/whoopsie-id"),
    *_identity("lvm-devices", Status.WARN, "names the disks of the build machine",
               "/etc/lvm/devices/system.devices"),
    *_identity("block-devices", Status.WARN, "names the disks of the build machine, by which a "
               "clone may look for its own", "/etc/blkid.tab", "/etc/blkid.tab.old",
               "/etc/blkid/blkid.tab", "/etc/blkid/blkid.tab.old"),
    *_identity("package-manager-id", Status.WARN, "identifies this one machine to mirrors",
               "/var/lib/yum/uuid"),
    *_identity("package-manager-id", Status.WARN, "has every Droplet pass for as old as the build "
               "machine to mirrors", "/var/lib/dnf/repos/*/countme"),
    # -- only reported ---------------------------------------------------------------------------
    *_other("iscsi-initiator", "names this one machine to iSCSI servers",
            "echo GenerateName=yes > {path}", "/etc/iscsi/initiatorname.iscsi",
            holds=rb"^\s*InitiatorName\s*="),
    *(Residue("identity", "iscsi-targets", f"{top}/{name}", Treat.REPORT, Status.WARN,
              "servers whose disks the build machine used, with the passwords for them",
              kind="tree", advice="iscsiadm -m node -o delete; then: rm -r {path}")
      for top in ("/etc/iscsi", "/var/lib/iscsi") for name in ("nodes", "send_targets")),
    *_other("machine-info", "describes the build machine to people",
            "unless all Droplets are to say the same: rm {path}", "/etc/machine-info",
            holds=rb"^\s*(PRETTY_HOSTNAME|LOCATION|HARDWARE_\w+)="),
    *_other("kerberos-keytab", "keys of this one machine in a Kerberos realm",
            "leave the realm, then: rm {path}", "/etc/krb5.keytab"),
    *_other("samba-secrets", "the account of this one machine in a Windows domain",
            "leave the domain and stop Samba, then: rm {path}",
            "/var/lib/samba/private/secrets.tdb"),
    *_other("domain-membership", "the membership of this one machine in an IPA domain",
            "ipa-client-install --uninstall", "/etc/ipa/default.conf"),
    *_other("directory-cache", "accounts of a directory that logged in here, with hashes of their "
            "passwords", "stop sssd, then: rm {path}", "/var/lib/sss/db/cache_*.ldb"),
    *_other("time-keys", "secrets that this one machine shares with time servers",
            "have a first-boot script make them, then: rm {path}", "/etc/chrony/chrony.keys",
            "/etc/chrony.keys", holds=rb"^[ \t]*[0-9]+[ \t]+\S"),
    *_other("subscription", "the subscription of this one machine",
            "subscription-manager unregister; subscription-manager clean",
            "/etc/pki/consumer/*", "/etc/pki/entitlement/*", "/etc/sysconfig/rhn/systemid",
            "/etc/sysconfig/rhn/osad-auth.conf", "/var/lib/rhsm/cache/*"),
    *_other("subscription", "the registration of this one machine", "insights-client --unregister",
            "/etc/insights-client/machine-id", "/etc/insights-client/.registered"),
    *_other("subscription", "the subscription of this one machine", "pro detach --assume-yes",
            "/var/lib/ubuntu-advantage/private/machine-token.json"),
)

# apt.conf(5). DIRECT says that there is none; a comment begins with # or //.
_PROXY = rb'^[^#/\n]*Acquire::(?:https?|ftp)::Proxy(?:::[^\s"]+)?\s+"(?!DIRECT|false|")'
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
              "/etc/NetworkManager/system-connections/cloud-init-*.nmconnection",
              "/etc/NetworkManager/conf.d/99-cloud-init.conf",
              "/etc/NetworkManager/conf.d/30-cloud-init-ip6-addr-gen-mode.conf"),
    Residue("network-leftovers", "cloud-init-network", "/etc/sysconfig/network-scripts/ifcfg-*",
            Treat.REMOVE, Status.WARN, "network settings of the build machine, which cloud-init "
            "writes anew on a clone", holds=rb"\A[^\n]*[Cc]reated by cloud-init"),
    # -- only reported ---------------------------------------------------------------------------
    *(Residue("network-leftovers", "card-address", pattern, Treat.REPORT, Status.WARN,
              "settings for the one network card of the build machine, by its address", holds=holds,
              keep=("*/cloud-init-*",), advice=f"take the line {key}= out of {{path}}")
      for pattern, holds, key in (
          ("/etc/sysconfig/network-scripts/ifcfg-[ew]*",
           rb"\A(?![^\n]*[Cc]reated by cloud-init).*^[ \t]*HWADDR=", "HWADDR"),
          ("/etc/NetworkManager/system-connections/*", rb"^mac-address=", "mac-address"))),
    *(Residue("network-leftovers", "dnf-proxy", pattern, Treat.REPORT, Status.WARN,
              "a proxy for dnf and yum, which Droplets may not reach",
              holds=rb"^[ \t]*proxy[ \t]*=[ \t]*[^\s_]",
              advice="if only the build needed it: take the line proxy= out of {path}")
      for pattern in ("/etc/dnf/dnf.conf", "/etc/yum.conf", "/etc/yum.repos.d/*.repo")),
    *(Residue("network-leftovers", "apt-proxy", pattern, Treat.REPORT, Status.WARN,
              "a proxy for apt, which Droplets may not reach", holds=_PROXY,
              advice="if only the build needed it: rm {path}")
      for pattern in ("/etc/apt/apt.conf", "/etc/apt/apt.conf.d/*")),
)

_PACKAGE_CACHE = tuple(
    Residue("package-cache", "package-archive", f"/var/cache/apt/archives/{name}", Treat.REMOVE,
            Status.WARN, "downloaded, of no more use") for name in ("*.deb", "partial/*")
) + tuple(
    # Unlike apt, dnf and yum fetch what they lack, and what is a few days old, by themselves.
    Residue("package-cache", "package-metadata", f"/var/cache/{name}/*", Treat.REMOVE, Status.WARN,
            "packages and metadata that dnf and yum keep and fetch anew on a clone", kind="name",
            keep=("*/.gpgkeyschecked.yum",))
    for name in ("dnf", "yum", "libdnf5")
) + tuple(
    Residue("package-cache", "package-history", pattern, Treat.REMOVE, Status.WARN,
            "who installed what on the build machine, and when")
    for pattern in ("/var/lib/yum/history/*", "/usr/lib/sysimage/libdnf5/transaction_history.*")
)

ROWS: tuple[Residue, ...] = (*_MACHINE_ID, *_IDENTITY, *_NETWORK, *_PACKAGE_CACHE)
