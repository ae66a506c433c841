"""What the machines are: small servers with what img-check wants of an image; what soils them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests import ssh
from tests.container.machine import Machine, until
from tests.rootfs.clean import chroot
from tests.rootfs.debrepo import Archive, Key, build_deb
from tests.rootfs.planting import Add, Edit, plant
from tests.support import File, Link

SERVICES = ("ssh", "rsyslog", "nginx", "cron", "dbus", "systemd-journald")
USER_DATA = "locale: false\nssh_pwauth: false\n"
SCRIPT = File("#!/bin/sh\nexit 0\n", mode=0o755)
HASH = "$6$saltsalt$" + "q1W2e3R4" * 10 + "abcdef"

# The kernel is not in the tree, and a container has no random seed of its own unless it is told to.
PRODUCT = {
    f"/boot/vmlinuz-{os.uname().release}": "kernel", f"/boot/initrd.img-{os.uname().release}": "rd",
    "/etc/systemd/system/systemd-random-seed.service.d/here.conf":
        "[Unit]\nConditionVirtualization=\n",
    "/etc/update-motd.d/99-image-readme": File("#!/bin/sh\necho welcome\n", mode=0o755),
    "/var/lib/cloud/scripts/per-instance/001_onboot": File(
        "#!/bin/sh\ntouch /run/onboot-ran\n", mode=0o755),
    "/etc/systemd/system/tmp.mount": Link("/dev/null"),  # a /tmp in memory would be too easy
    "/etc/cron.d/beat": "* * * * * root true\n", "/etc/fstab": "",
    "/etc/ufw/ufw.conf": Edit("^ENABLED=no", "ENABLED=yes"),
    "/etc/needrestart/conf.d/ask.conf": "$nrconf{restart} = 'i';\n",
    "/opt/acme/start": SCRIPT, "/root/notes~": "the only copy",
}

LEFTOVERS = {
    "/root/.bash_history": "mysql -psecret\n", "/home/anna/.zsh_history": "secret\n",
    "/root/.lesshst": ".less-history-file:\n", "/root/.viminfo": "secret\n",
    "/root/.ssh/id_ed25519": File(ssh.openssh(), mode=0o600), "/root/.ssh/known_hosts": "a b c\n",
    "/home/anna/.ssh/authorized_keys": ssh.ED25519 + "\n",
    "/tmp/.hidden": "x", "/tmp/build/deep/file": "x", "/var/tmp/download": "x",
    "/etc/ssh/sshd_config.dpkg-old": "x", "/etc/.fstab.swp": "x",
    "/var/lib/dhcp/dhclient.eth0.leases": "lease {}\n",
    "/etc/network/interfaces.d/50-cloud-init": "auto eth0\n",
    "/var/lib/systemd/credential.secret": "secret", "/var/backups/shadow.bak": f"root:{HASH}:1::\n",
    "/etc/shadow-": f"root:{HASH}:1:0:9:7:::\n", "/var/crash/_usr_bin_x.0.crash": "memory",
    "/var/lib/systemd/coredump/core.x": "memory", "/var/mail/root": "From x\n",
    "/var/cache/apt/archives/x_1_all.deb": "x", "/var/log/nginx/access.log.1": "GET /\n",
    "/var/log/nginx/access.log.2.gz": "GET /\n", "/var/log/old-20250102": "x",
    "/var/log/lastlog": Add("who"),
}


def prepare(tree: Path, suite: str, key: Key) -> None:
    """Make TREE, of SUITE, a server with one pending update."""
    chroot(tree, "ufw", "allow", "OpenSSH")  # before it is enabled, or it would set to work
    plant(tree, PRODUCT)
    archives(tree, suite, key)
    chroot(tree, "useradd", "--create-home", "--shell", "/bin/bash", "anna")


def archives(tree: Path, suite: str, key: Key) -> None:
    """Give TREE archives of SUITE that lie in it, and a package that they have an update of."""
    shutil.copy(key.public, tree / "etc/apt/toy.gpg")
    main = Archive(tree / "srv/archive/main", suite, Origin="Debian", Label="Debian",
                   Suite="stable")
    security = Archive(tree / "srv/archive/security", f"{suite}-security", Origin="Debian",
                       Label="Debian-Security", Suite="stable-security")
    main.add("toy", "1.0")
    security.add("toy", "1.1")
    lines = []
    for archive, name in ((main, suite), (security, f"{suite}-security")):
        archive.publish(key)
        place = f"file:/{archive.top.relative_to(tree)}"
        lines.append(f"deb [signed-by=/etc/apt/toy.gpg] {place} {name} main\n")
    shutil.rmtree(tree / "etc/apt/sources.list.d", ignore_errors=True)
    (tree / "etc/apt/sources.list").write_text("".join(lines))
    deb = build_deb(tree, "toy", "1.0")
    chroot(tree, "dpkg", "--install", f"/{deb.name}")
    deb.unlink()


def soil(box: Machine) -> None:
    """Leave in the running BOX what a build leaves, by use as far as it goes."""
    plant(box.tree, LEFTOVERS)
    box.run("logger", "--tag", "acme", "the secret of the build")
    # Seen on Debian 11 on a busy machine: up by systemd's word, and nginx not yet to be reached.
    until(lambda: box.finished("python3", "-c", REQUEST).returncode == 0, 30)
    until(lambda: "secret of the build" in (box.tree / "var/log/syslog").read_text(), 30)


REQUEST = "from urllib.request import urlopen; urlopen('http://127.0.0.1/').read()"
