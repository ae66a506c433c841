"""CentOS 6 and CentOS 7 as their images are, clean and dirty: layouts, and what yum and rpm say.

CentOS 6 boots with upstart into the run level of inittab and has yum 3.2, rpm 4.8 with a Berkeley
DB, GRUB 0.97, cloud-init 0.7.5 and no os-release. CentOS 7 has systemd 219, yum 3.4 and firewalld.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from img_tools import policy
from img_tools.host import Host
from img_tools.rootfs import RootFS
from tests import ssh
from tests.engine.dnf import REPOMD, Talking
from tests.support import File, Link, build

HASH = "$6$saltsalt$" + "q1W2e3R4" * 10 + "abcdef"
ID = "0123456789abcdef0123456789abcdef\n"
KEYS = "gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-"
PROGRAM = File("\x7fELF", mode=0o755)
SCRIPT = File("#!/bin/sh\nexit 0\n", mode=0o755)

_BOTH: Mapping[str, object] = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\n"
                   "sshd:x:74:74::/var/empty/sshd:/sbin/nologin\n",
    "/etc/shadow": "root:!!:17000:0:99999:7:::\nbin:*:15980:0:99999:7:::\nsshd:!!:17000::::::\n",
    "/etc/group": "root:x:0:\n", "/etc/gshadow": "root:::\n", "/root": {}, "/tmp": {}, "/run": {},
    "/var/tmp": {}, "/dev/shm": {}, "/etc/motd": "Welcome to Acme.\n",
    "/etc/fstab": "UUID=0e8fa2c5-5f1b-4d4e-b0e6-3a0d8f4f6f10 / ext4 defaults 1 1\n",
    "/bin/sh": PROGRAM, "/bin/bash": PROGRAM, "/usr/sbin/sshd": PROGRAM,
    "/usr/bin/unshare": PROGRAM, "/usr/bin/yum": "#!/usr/bin/python\n",
    "/usr/libexec/openssh/sftp-server": PROGRAM, "/usr/bin/cloud-init": "#!/usr/bin/python\n",
    "/etc/ssh/sshd_config": "UsePAM yes\nSubsystem sftp /usr/libexec/openssh/sftp-server\n",
    "/etc/cloud/cloud.cfg": "datasource_list: [ConfigDrive]\nssh_pwauth: 0\n",
    "/var/lib/cloud/scripts/per-instance/001_onboot": SCRIPT,
    "/etc/yum.conf": "[main]\ngpgcheck=1\nobsoletes=1\n", "/var/lib/rpm/Packages": "db",
    "/var/log/messages": "", "/var/log/secure": "", "/var/log/wtmp": "", "/etc/sysconfig/network":
    "NETWORKING=yes\n", "/etc/skel/.bashrc": "# .bashrc\n", "/root/.bashrc": "# .bashrc\n",
}
_RULES = ("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
          "-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n"
          "-A INPUT -m state --state NEW -m tcp -p tcp --dport 22 -j ACCEPT\n"
          "-A INPUT -j REJECT --reject-with icmp-host-prohibited\nCOMMIT\n")
_STAGES = ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")
_SERVICES = {"sshd": 55, "iptables": "08", "ip6tables": "08", "rsyslog": 12, "crond": 90,
             **dict(zip(_STAGES, (50, 51, 52, 53), strict=True))}

CENTOS_6: Mapping[str, object] = {
    **_BOTH,
    "/etc/centos-release": "CentOS release 6.10 (Final)\n",
    "/etc/redhat-release": Link("centos-release"),
    "/etc/inittab": "# upstart reads the run level alone\nid:3:initdefault:\n",
    "/etc/init/rc.conf": "start on runlevel [0123456]\n", "/sbin/init": PROGRAM,
    "/sbin/chkconfig": PROGRAM, "/sbin/grubby": PROGRAM,
    "/etc/init.d": Link("rc.d/init.d"), "/etc/rc3.d": Link("rc.d/rc3.d"),
    "/etc/rc.local": Link("rc.d/rc.local"),
    "/etc/rc.d/rc.local": File("#!/bin/sh\ntouch /var/lock/subsys/local\n", mode=0o755),
    **{f"/etc/rc.d/init.d/{name}": SCRIPT for name in _SERVICES},
    "/etc/rc.d/init.d/sshd": File("#!/bin/sh\n/usr/bin/ssh-keygen -q -t rsa\n", mode=0o755),
    **{f"/etc/rc.d/rc3.d/S{number}{name}": Link(f"../init.d/{name}")
       for name, number in _SERVICES.items()},
    "/etc/sysconfig/iptables": _RULES, "/etc/sysconfig/ip6tables": _RULES,
    "/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n",
    "/boot/vmlinuz-2.6.32-754.el6.x86_64": "kernel",
    "/boot/initramfs-2.6.32-754.el6.x86_64.img": "disk",
    "/boot/grub/grub.conf": "default=0\ntitle CentOS (2.6.32-754.el6.x86_64)\n\troot (hd0,0)\n"
                            "\tkernel /vmlinuz-2.6.32-754.el6.x86_64 ro root=LABEL=root quiet\n"
                            "\tinitrd /initramfs-2.6.32-754.el6.x86_64.img\n",
    "/etc/yum.repos.d/CentOS-Base.repo":
        f"[base]\nbaseurl=http://vault.centos.org/6.10/os/$basearch/\n{KEYS}6\n"
        f"[updates]\nbaseurl=http://vault.centos.org/6.10/updates/$basearch/\n{KEYS}6\n",
}

_SYSTEMD = "/usr/lib/systemd/system"
_WANTS = "/etc/systemd/system/multi-user.target.wants"
CENTOS_7: Mapping[str, object] = {
    **_BOTH,
    "/etc/os-release": 'NAME="CentOS Linux"\nVERSION="7 (Core)"\nID="centos"\n'
                       'ID_LIKE="rhel fedora"\nVERSION_ID="7"\n'
                       'PRETTY_NAME="CentOS Linux 7 (Core)"\n',
    "/etc/centos-release": "CentOS Linux release 7.9.2009 (Core)\n",
    "/etc/inittab": "# inittab is no longer used when using systemd.\n",
    "/usr/lib/systemd/systemd": PROGRAM, "/usr/sbin/grubby": PROGRAM,
    "/usr/bin/unshare": "\x7fELF --fork --mount-proc",
    "/usr/sbin/firewalld": "#!/usr/bin/python\n",
    "/etc/firewalld/firewalld.conf": "DefaultZone=public\n",
    "/usr/lib/firewalld/zones/public.xml": '<zone><service name="ssh"/></zone>',
    "/usr/lib/firewalld/services/ssh.xml":
        '<service><port protocol="tcp" port="22"/></service>',
    f"{_SYSTEMD}/multi-user.target": "[Unit]\n",
    "/etc/systemd/system/default.target": Link("/usr/lib/systemd/system/multi-user.target"),
    **{f"{_SYSTEMD}/{name}.service": f"[Service]\nExecStart=/usr/bin/{name}\n"
       for name in ("sshd", "firewalld", "rsyslog", *_STAGES)},
    f"{_SYSTEMD}/sshd.service": "[Unit]\nWants=sshd-keygen.service\n",
    f"{_SYSTEMD}/sshd-keygen.service": "[Service]\nExecStart=/usr/sbin/sshd-keygen\n",
    **{f"{_WANTS}/{name}.service": Link(f"{_SYSTEMD}/{name}.service")
       for name in ("sshd", "firewalld", "rsyslog", *_STAGES)},
    "/etc/machine-id": "",
    "/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n",
    "/boot/vmlinuz-3.10.0-1160.el7.x86_64": "kernel",
    "/boot/initramfs-3.10.0-1160.el7.x86_64.img": "disk",
    "/boot/grub2/grub.cfg": "menuentry 'CentOS Linux (3.10.0-1160.el7.x86_64) 7 (Core)' {\n"
                            "  linux16 /vmlinuz-3.10.0-1160.el7.x86_64 root=LABEL=root ro quiet\n}",
    "/etc/yum.repos.d/CentOS-Base.repo":
        f"[base]\nbaseurl=http://vault.centos.org/7.9.2009/os/$basearch/\n{KEYS}7\n"
        f"[updates]\nbaseurl=http://vault.centos.org/7.9.2009/updates/$basearch/\n{KEYS}7\n",
}

# What a build leaves on either, one for every check that can find something on its files.
_DIRT: Mapping[str, object] = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\ntwin:x:0:0::/root:/bin/bash\n",
    "/etc/shadow": f"root:{HASH}:17000:0:99999:7:::\ntwin:!!:17000::::::\n",
    "/etc/shadow-": f"root:{HASH}:17000:0:99999:7:::\n", "/etc/motd": "",
    "/etc/fstab": "/dev/disk/by-id/virtio-build /data xfs defaults 0 0\n",
    "/etc/ssh/sshd_config": "PermitRootLogin yes\nPasswordAuthentication yes\n",
    "/etc/ssh/ssh_host_rsa_key": File(ssh.openssh(), mode=0o600),
    "/root/.ssh/authorized_keys": ssh.ED25519 + "\n", "/root/.ssh/id_rsa": ssh.openssh(),
    "/root/.bash_history": "mysql -psecret\n", "/root/.aws/credentials":
    "[default]\naws_secret_access_key = x\n", "/root/.bashrc": "/opt/acme/setup\n",
    "/var/lib/cloud/scripts/per-instance/001_onboot": File("echo x\n", mode=0o644),
    "/var/lib/cloud/instances/i-1/user-data.txt": "#cloud-config\n",
    "/var/log/messages": "x", "/var/log/secure": "x", "/var/log/cron": "x",
    "/var/log/maillog": "x", "/var/log/audit/audit.log": "x", "/var/log/yum.log": "x",
    "/var/log/messages-20260101": "x", "/root/anaconda-ks.cfg": f"rootpw --iscrypted {HASH}\n",
    "/tmp/.hidden": "x", "/var/spool/mail/root": "From x\n", "/var/spool/abrt/ccpp-1/coredump": "x",
    "/var/lib/dhclient/dhclient-eth0.leases": "lease {}\n",
    "/etc/udev/rules.d/70-persistent-net.rules": "SUBSYSTEM\n",
    "/etc/sysconfig/network-scripts/ifcfg-eth1": "DEVICE=eth1\nIPADDR=10.0.0.2\n",
    "/var/lib/dbus/machine-id": ID, "/var/lib/yum/uuid": "x", "/var/lib/random-seed": "x",
    "/etc/pki/consumer/cert.pem": "x", "/etc/sysconfig/rhn/systemid": "x",
    "/var/cache/yum/x86_64/base/packages/a.rpm": "x", "/opt/digitalocean/bin/do-agent": PROGRAM,
    "/run/reboot-required": "", "/root/.digitalocean_passwords": "root_mysql_pass=x\n",
    "/opt/acme/tls.key": ssh.openssh(), "/opt/acme/env": f"GITHUB_TOKEN=ghp_{'aB3' * 12}\n",
    "/etc/docker/key.json": '{"kty":"EC"}', "/var/lib/rabbitmq/.erlang.cookie": "x",
    "/etc/yum.repos.d/acme.repo": "[acme]\nbaseurl=http://example.org/\ngpgcheck=0\n",
}
_NO_LINKS = {path: None for path in CENTOS_6 if "/rc3.d/S" in path}
DIRTY_6: Mapping[str, object] = {
    **CENTOS_6, **_DIRT, **_NO_LINKS,
    "/boot/grub/grub.conf": "title x\n\tkernel /vmlinuz-2.6.32-754.el6.x86_64 ro single\n",
    "/etc/rc.d/rc5.d/S55sshd": Link("../init.d/sshd"),  # a run level that it does not boot into
}
DIRTY_7: Mapping[str, object] = {
    **CENTOS_7, **_DIRT, **{path: None for path in CENTOS_7 if path.startswith(_WANTS)},
    "/boot/grub2/grub.cfg": "menuentry 'x' {\n  linux16 /vmlinuz-3 root=LABEL=root rd.break\n}\n",
    "/etc/machine-id": ID,
}

PACKAGES = {"6": "cloud-init\t(none)\t0.7.5-10.el6\tx86_64\n",
            "7": "cloud-init\t(none)\t19.4-7.el7\tx86_64\n"}
_INSTALLED = "openssh-server\t(none)\t5.3p1-1.el\tx86_64\nbash\t(none)\t4.1-1.el\tx86_64\n"
_PENDING = "\nbash.x86_64    4.1-2.el    updates\n"
_UNMET = ("Unsatisfied dependencies for bash-4.1-1.el.x86_64:\n"
          "\tlibx.so.1()(64bit) is needed by (installed) bash-4.1-1.el.x86_64\n")


def system(top: Path, release: str, *, dirty: bool) -> tuple[Host, Talking]:
    """CentOS RELEASE ("6", "7") at TOP; its yum has nothing to say, or with DIRTY an update."""
    layout = {("6", False): CENTOS_6, ("6", True): DIRTY_6,
              ("7", False): CENTOS_7, ("7", True): DIRTY_7}[release, dirty]
    build(top, layout)
    installed = PACKAGES[release] + _INSTALLED + ("do-agent\t(none)\t3.1-1\tx86_64\n" * dirty)
    run = Talking(str(top), {
        "-qa": installed, "-Va": (1, _UNMET, "") if dirty else "",
        "check-update": (100, _PENDING, "") if dirty else "",
        "updateinfo": (1, "", "No such command: updateinfo"),
        "list": "Extra Packages\ndo-agent.x86_64  3.1-1  installed\n" if dirty else ""},
        {name: REPOMD.format("") for name in ("base", "updates", *["acme"] * dirty)})
    return Host(RootFS(str(top)), run, profile=policy.PROFILES["marketplace-2019"]), run
