"""What other tools remove and no row describes, with the reason: a part of docs/residues.md."""

LEFT_OUT: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("the vendor's own", (
        "/var/lib/cloud/scripts/*", "/etc/cloud/*", "/etc/netplan/*.yaml",
        "/etc/network/interfaces", "/etc/sysconfig/network-scripts/*",
        "/etc/NetworkManager/system-connections/*",
    ), "first-boot scripts and configuration; cloud-init's own files in these places are rows"),
    ("/etc/ssh/revoked_keys, user CAs", (
        "/etc/ssh/revoked_keys", "/etc/ssh/trusted_user_ca_keys",
    ), "with RevokedKeys set, sshd refuses every key once the file is gone; `img-check` names "
       "TrustedUserCAKeys"),
    ("names of the machine", (
        "/etc/hostname", "/etc/hosts", "/etc/mailname", "/etc/resolv.conf",
    ), "cloud-init sets the first two on a clone, the mail server and the resolver own the others; "
       "a system without resolv.conf resolves nothing"),
    ("what cloud-init wrote to sshd_config.d and fstab", (
        "/etc/ssh/sshd_config.d/50-cloud-init.conf", "/etc/fstab",
    ), "judged by the checks ssh-server and fstab: a clone may need it"),
    ("scripts of others for `cloud-init clean`", ("/etc/cloud/clean.d/*",),
     "nothing of the image is run but its package manager and systemctl"),
    ("caches", (
        "/var/cache/debconf/*", "/var/cache/man/*", "/var/cache/fontconfig/*", "/var/cache/snapd/*",
        "/var/cache/apparmor/*", "/var/cache/ldconfig/*", "/var/cache/motd-news", "~/.cache/*",
    ), "debconf keeps its answers there; the rest tells nothing and is made anew at the cost of "
       "the first boot"),
    ("indexes of packages", ("/var/lib/apt/lists/*", "/var/cache/apt/pkgcache.bin"),
     "with them a Droplet can install packages at once"),
    ("dnf 4's history, regions of the RPM database", (
        "/var/lib/dnf/history.*", "/var/lib/rpm/__db.*",
    ), "the history tells dnf 4 which packages nothing needs any more; the regions are made anew "
       "at boot"),
    ("stamps of timers, of updates and of rotations", (
        "/var/lib/systemd/timers/*", "/var/lib/systemd/timesync/clock", "/etc/.updated",
        "/var/.updated", "/var/lib/logrotate/status", "/var/lib/update-notifier/*",
    ), "without them every timer fires at the first boot, and its clock starts in the past"),
    ("what lives in memory", ("/run/utmp", "/run/faillock/*", "/run/systemd/netif/leases/*"),
     "no snapshot holds it"),
    ("backup copies outside of /etc and homes", ("/srv/**/*~", "/srv/**/*.bak", "/opt/**/*.bak"),
     "an application's own"),
    ("data of servers that the vendor installed", (
        "/var/lib/dhcp/dhcpd.leases", "/var/lib/dhcpd/*", "/var/lib/dovecot/*",
        "/var/lib/samba/*.tdb", "/var/lib/puppet/state/*", "/var/kerberos/krb5kdc/*",
        "/var/lib/private/*", "/etc/firewalld/*", "/etc/sysconfig/iptables",
    ), "only the vendor can tell payload from residue; their keys and identities are rows that are "
       "reported"),
    ("locks and tables of mail servers", (
        "/etc/aliases.db", "/var/lib/postfix/master.lock", "/var/spool/postfix/pid/*",
    ), "made from configuration, or anew at each start"),
    ("sudo rules of build tools", ("/etc/sudoers.d/_packer_env",),
     "the check accounts names every rule that makes root of somebody without a password"),
    ("accounts of the build", ("/var/lib/AccountsService/users/*", "/var/lib/fprint/*"),
     "the check accounts names people's accounts; deleting one deletes what it owns"),
    ("certificates and CA stores", (
        "/etc/pki/CA/private/*", "/etc/pki/tls/private/*", "/usr/local/share/ca-certificates/*",
    ), "an image may ship its own; the key of ssl-cert is a row that is reported"),
    ("the snap store's serial of the machine", ("/var/lib/snapd/device/*",),
     "snapd has no supported way to forget it"),
    ("UUIDs of file systems and volumes", (), "the image boots by them"),
    ("smolt, Pegasus, up2date", ("/etc/smolt/uuid", "/etc/Pegasus/*.pem"),
     "no supported release has them"),
)
