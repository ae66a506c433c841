"""A small image with the layout of each release of the policy table, old ones too."""

from __future__ import annotations

from img_tools.policy import Release
from tests.support import File, Link, dpkg

UNIT = "[Service]\nExecStart=/usr/sbin/sshd -D\n[Install]\nWantedBy=multi-user.target\n"
ALL: dict[str, object] = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nsshd:x:74:74::/var/empty:/sbin/nologin\n",
    "/etc/shadow": File("root:*:1:::::::\n", mode=0o600), "/etc/group": "root:x:0:\n",
    "/root/.bash_history": "secret\n", "/etc/machine-id": "", "/tmp": {}, "/dev": {}, "/run": {},
    "/etc/ssh/sshd_config": "PermitRootLogin yes\nSubsystem sftp internal-sftp\n",
    "/etc/cloud/cloud.cfg": "cloud_init_modules: [migrator, bootcmd]\n", "/proc": {}, "/sys": {},
    "/etc/fstab": "/dev/vda1 / ext4 defaults 0 1\n", "/var/log/lastlog": File(size=292),
}


def layout(release: Release) -> dict[str, object]:
    """What build() makes of it."""
    family = _debian(release) if release.id in ("debian", "ubuntu") else _red_hat(release)
    return ALL | family


def _os_release(release: Release, like: str) -> str:
    os_id, version = release.id.removesuffix("-stream"), release.version
    if os_id in ("rocky", "almalinux", "cloudlinux"):
        version += ".4"
    return (f'NAME="{release.name}"\nID="{os_id}"\nID_LIKE="{like}"\nVERSION_ID="{version}"\n'
            f'PRETTY_NAME="{release.name}"\n')


def _merged(release: Release, since: float) -> dict[str, object]:
    """/bin and its like: links from the release SINCE on, directories before."""
    if float(release.version) >= since:
        return {f"/{name}": Link(f"usr/{name}") for name in ("bin", "sbin", "lib")} | {
            "/usr/bin": {}, "/usr/sbin": {}, "/usr/lib": {}}
    return {"/bin/bash": File("", mode=0o755), "/sbin": {}, "/lib": {}, "/usr/bin": {}}


def _debian(release: Release) -> dict[str, object]:
    old = release.version in ("9", "16.04")
    network = ("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n") if old else (
        "/etc/netplan/50-cloud-init.yaml", "network: {version: 2}\n")
    return {
        **_merged(release, 12 if release.id == "debian" else 20),
        "/usr/lib/os-release": _os_release(release, "debian"),
        "/etc/os-release": Link("../usr/lib/os-release"), "/etc/debian_version": "9.13\n",
        "/var/lib/dpkg/status": dpkg(bash="5.0-4", openssh_server="1:7.4p1-10",
                                     cloud_init="0.7.9-2" if old else "24.1-1"),
        "/etc/apt/sources.list": "deb http://deb.debian.org/debian stable main\n",
        "/lib/systemd/system/ssh.service": UNIT, "/var/log/syslog": "line\n",
        network[0]: network[1],
    }


def _red_hat(release: Release) -> dict[str, object]:
    old = release.version == "6"  # upstart, no os-release, a kernel of its time
    files: dict[str, object] = {
        **_merged(release, 7), "/etc/redhat-release": f"{release.name} (Final)\n",
        "/etc/centos-release": "CentOS release 6.10 (Final)\n" if old else None,
        "/etc/sysconfig/network": "NETWORKING=yes\n", "/var/log/messages": "line\n",
        "/etc/yum.repos.d/CentOS-Base.repo": "[base]\nname=base\nbaseurl=http://a.example/\n",
        "/var/lib/rpm/Packages" if int(release.version) < 9 else "/var/lib/rpm/rpmdb.sqlite": b"\0",
    }
    if old:
        return files | {
            "/etc/inittab": "id:3:initdefault:\n", "/etc/rc.d/init.d/sshd": File("", mode=0o755),
            "/etc/init.d": Link("rc.d/init.d"), "/etc/rc3.d/S55sshd": Link("../init.d/sshd"),
            "/etc/init/rcS.conf": "start on startup\n", "/boot/grub/grub.conf": "default=0\n",
            "/boot/vmlinuz-2.6.32-754.el6.x86_64": "k", "/etc/sysconfig/iptables": "*filter\n"}
    return files | {"/usr/lib/os-release": _os_release(release, "rhel fedora"),
                    "/etc/os-release": Link("../usr/lib/os-release"),
                    "/usr/lib/systemd/system/sshd.service": UNIT}
