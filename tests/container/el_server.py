"""An EL-like server that boots: firewalld, sshd, rsyslog with EL's files, a journal on the disk."""

from __future__ import annotations

import os

from tests import ssh
from tests.container.machine import Machine, until
from tests.container.server import HASH
from tests.rootfs import el
from tests.rootfs.clean import chroot
from tests.rootfs.el import El
from tests.rootfs.planting import Edit, plant
from tests.support import File

SERVICES = ("firewalld", "ssh", "rsyslog", "cron", "systemd-journald")
LOGS = ("messages", "secure", "cron")

PRODUCT = {
    f"/boot/vmlinuz-{os.uname().release}": "kernel",
    f"/boot/initramfs-{os.uname().release}.img": "disk",
    "/etc/systemd/system/systemd-random-seed.service.d/here.conf":
        "[Unit]\nConditionVirtualization=\n",
    "/var/lib/cloud/scripts/per-instance/001_onboot": File(
        "#!/bin/sh\ntouch /run/onboot-ran\n", mode=0o755),
    "/etc/fstab": "", "/var/log/journal": {}, "/etc/cron.d/beat": "* * * * * root true\n",
    "/etc/rsyslog.conf": 'module(load="imuxsock")\n*.info;authpriv.none;cron.none '
                         "/var/log/messages\nauthpriv.* /var/log/secure\ncron.* /var/log/cron\n",
    # Modules of cloud-init that fail without apt and dpkg, which this Debian has lost.
    "/etc/cloud/cloud.cfg": Edit(r"^ *- (apt-configure|apt-pipelining|grub-dpkg)\n", ""),
    # A web server that the firewall does not let anybody reach.
    "/etc/systemd/system/web.service":
        "[Service]\nExecStart=python3 -m http.server 8000 --directory /srv/repos\n"
        "[Install]\nWantedBy=multi-user.target\n",
}
LEFTOVERS = {
    "/root/.bash_history": "mysql -psecret\n", "/root/.ssh/authorized_keys": ssh.ED25519 + "\n",
    "/root/anaconda-ks.cfg": f"rootpw --iscrypted {HASH}\n", "/tmp/.hidden": "x",
    "/var/log/audit/audit.log": "type=LOGIN\n", "/var/log/maillog": "x",
    "/var/log/messages-20260101": "x", "/var/log/dnf.rpm.log": "x", "/var/log/anaconda/x.log": "x",
    "/var/lib/dhclient/dhclient-eth0.leases": "lease {}\n", "/etc/shadow-": f"root:{HASH}:1:::::\n",
    "/var/spool/mail/root": "From x\n", "/var/spool/abrt/ccpp-1/coredump": "memory",
    "/var/lib/NetworkManager/secret_key": "secret",
}


def prepare(system: El) -> None:
    """Make SYSTEM a server that is publishable but for one pending security update."""
    plant(system.tree, PRODUCT)
    system.install("toyssl", "1.0-1.el9")
    repo = system.repo("updates")
    repo.add("toyssl", "1.0-2.el9")
    repo.advise("TOYSA-2026:1", "security", "toyssl", "1.0-2.el9")
    chroot(system.tree, "systemctl", "enable", "web.service", "firewalld.service", "ssh.service")
    el.publishable(system)
    plant(system.tree, {"/var/lib/cloud/scripts/per-instance/001_onboot":
                        PRODUCT["/var/lib/cloud/scripts/per-instance/001_onboot"]})


def soil(box: Machine) -> None:
    """Leave in the running BOX what a build leaves, by use as far as it goes."""
    plant(box.tree, LEFTOVERS)
    box.run("logger", "--tag", "acme", "the secret of the build")
    box.run("logger", "--priority", "authpriv.info", "--tag", "acme", "a login of the build")
    until(lambda: logged(box, "messages", "secret of the build"), 30)
    until(lambda: logged(box, "secure", "a login of the build"), 30)


def logged(box: Machine, log: str, words: str) -> bool:
    """Whether WORDS are in a log of /var/log."""
    path = box.tree / "var/log" / log
    return path.exists() and words in path.read_text()
