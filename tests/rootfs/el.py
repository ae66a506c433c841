"""EL-like trees: a real rpm and dnf, packages and repositories of our own, names of releases."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rootfs import running
from tests.rootfs.clean import FIRST_BOOT
from tests.rootfs.debrepo import Key
from tests.rootfs.planting import plant
from tests.support import File, Link

KEYS = {"rocky-9": "Rocky-9", "almalinux-10": "AlmaLinux-10", "centos-7": "CentOS-7",
        "centos-stream-9": "centosofficial"}
RELEASES = {
    "rocky-9": 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n'
               'PLATFORM_ID="platform:el9"\nPRETTY_NAME="Rocky Linux 9.6 (Blue Onyx)"\n',
    "almalinux-10": 'NAME="AlmaLinux"\nID="almalinux"\nID_LIKE="rhel centos fedora"\n'
                    'VERSION_ID="10.0"\nPLATFORM_ID="platform:el10"\n'
                    'PRETTY_NAME="AlmaLinux 10.0 (Purple Lion)"\n',
    "centos-7": 'NAME="CentOS Linux"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\n'
                'PRETTY_NAME="CentOS Linux 7 (Core)"\n',
    "centos-stream-9": 'NAME="CentOS Stream"\nID="centos"\nID_LIKE="rhel fedora"\n'
                       'VERSION_ID="9"\nPLATFORM_ID="platform:el9"\n'
                       'PRETTY_NAME="CentOS Stream 9"\n',
}
# What an image has by all means; empty packages, since Debian's are there already.
STOCK = ("rpm", "dnf", "cloud-init", "openssh-server", "firewalld", "kernel-core")
SUITES = {"dnf4": "bookworm", "dnf5": "forky"}
IDS = "security-updates,package-updates,package-state,repositories"

_SPEC = """Name: {name}
Version: {version}
Release: {release}
{epoch}Summary: toy
License: MIT
BuildArch: noarch
{more}
%description
toy
%install
mkdir -p %{{buildroot}}/usr/share/toy {dirs}
echo {name} {version} > %{{buildroot}}/usr/share/toy/{name}
{lines}
%files
/usr/share/toy/{name}
{files}
"""
_ADVISORY = """<update from="t@example.org" status="final" type="{kind}" version="2.0">
<id>{id}</id><title>{id}</title><severity>Important</severity><release>EL</release>
<issued date="2026-01-02 00:00:00"/><updated date="2026-01-02 00:00:00"/>
<description>toy</description><references/>
<pkglist><collection short="el"><name>el</name>
<package name="{name}" version="{version}" release="{release}" epoch="{epoch}" arch="noarch"
 src="{name}-{version}-{release}.src.rpm"><filename>{name}.rpm</filename></package>
</collection></pkglist></update>
"""


def run(*argv: str, cwd: Path | None = None) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def build_rpm(place: Path, name: str, evr: str, *, files: Mapping[str, str] | None = None,
              more: str = "", key: Key | None = None) -> Path:
    """A package in the directory PLACE; MORE are lines of its spec, FILES its configuration."""
    epoch, _, rest = evr.rpartition(":")
    version, _, release = rest.partition("-")
    work = place / f".build-{name}"
    lines = [f"printf '%%s' '{content}' > %{{buildroot}}{path}"
             for path, content in (files or {}).items()]
    work.mkdir(parents=True)
    spec = work / f"{name}.spec"
    spec.write_text(_SPEC.format(
        name=name, version=version, release=release, epoch=f"Epoch: {epoch}\n" if epoch else "",
        more=more, lines="\n".join(lines),
        dirs=" ".join(f"%{{buildroot}}{path.rpartition('/')[0]}" for path in files or {}),
        files="\n".join(f"%config(noreplace) {path}" for path in files or {})))
    run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {work}", str(spec))
    (built,) = work.glob("RPMS/noarch/*.rpm")
    if key:
        run("rpmsign", "--addsign", "--define", "_gpg_name toy", "--define",
            f"_gpg_path {key.home}", "--define", f"__gpg {shutil.which('gpg')}", str(built))
    target = place / built.name
    built.rename(target)
    run("rm", "-rf", str(work))
    return target


@dataclass
class Repo:
    """A repository in a tree; add() packages and advise(), then publish()."""

    tree: Path
    name: str
    key: Key | None = None
    advisories: list[str] = field(default_factory=list)

    @property
    def top(self) -> Path:
        """Its directory."""
        return self.tree / "srv/repos" / self.name

    def add(self, name: str, evr: str, **what: Any) -> None:
        """Build a package into it."""
        self.top.mkdir(parents=True, exist_ok=True)
        build_rpm(self.top, name, evr, key=self.key, **what)

    def advise(self, advisory: str, kind: str, name: str, evr: str) -> None:
        """Let it publish an advisory: KIND is security, bugfix or enhancement."""
        epoch, _, rest = evr.rpartition(":")
        version, _, release = rest.partition("-")
        self.advisories.append(_ADVISORY.format(id=advisory, kind=kind, name=name, version=version,
                                                release=release, epoch=epoch or "0"))

    def publish(self, updateinfo: str | None = None) -> None:
        """Make its index. With UPDATEINFO that is the text of its advisories."""
        self.top.mkdir(parents=True, exist_ok=True)
        run("createrepo_c", "--quiet", str(self.top))
        if updateinfo is None and self.advisories:
            updateinfo = f"<?xml version=\"1.0\"?>\n<updates>{''.join(self.advisories)}</updates>"
        if updateinfo is not None:
            place = self.top / "updateinfo.xml"
            place.write_text(updateinfo)
            run("modifyrepo_c", "--mdtype=updateinfo", str(place),
                str(self.top / "repodata"))


class El:
    """An EL-like tree, to be written to; TOOL is dnf4 or dnf5."""

    def __init__(self, tree: Path, tool: str, key: Key, release: str = "rocky-9") -> None:
        self.tree, self.tool, self.key = tree, tool, key
        (tree / "usr/lib/os-release").write_text(RELEASES[release])
        if not (tree / "etc/os-release").is_symlink():
            (tree / "etc/os-release").symlink_to("../usr/lib/os-release")
        (tree / "etc/dnf/dnf.conf").write_text(
            "[main]\ngpgcheck=1\ninstallonly_limit=3\nbest=True\nskip_if_unavailable=True\n")
        self.key_path = f"/etc/pki/rpm-gpg/RPM-GPG-KEY-{KEYS[release]}"
        (tree / self.key_path[1:]).write_bytes(key.gpg("--export", "--armor"))
        for path in tree.glob("etc/dnf/libdnf5-plugins/local.conf"):
            path.write_text("[main]\nname = local\nenabled = 0\n")  # it needs createrepo_c
        self.repos: dict[str, Repo] = {}
        self.base = self.repo("baseos")

    def repo(self, name: str) -> Repo:
        """A new repository."""
        self.repos[name] = Repo(self.tree, name, self.key)
        return self.repos[name]

    def install(self, name: str, evr: str, **what: Any) -> None:
        """Put a package onto the tree with rpm."""
        built = build_rpm(self.tree / "srv", name, evr, key=self.key, **what)
        self.chroot("rpm", "-i", "--nosignature", "--nodeps", f"/srv/{built.name}")
        built.unlink()

    def stock(self, names: Sequence[str] = STOCK) -> None:
        """Install what every image has, and offer the same in the base repository."""
        for name in names:
            self.base.add(name, "1-1.el9")
        paths = [f"/srv/repos/{self.base.name}/{path.name}"
                 for path in self.base.top.glob("*.rpm")]
        self.chroot("rpm", "-i", "--nosignature", *paths)

    def configure(self, *sections: str) -> None:
        """Enable all repositories, and SECTIONS besides."""
        own = [self.section(name, f"file:///srv/repos/{name}") for name in self.repos]
        (self.tree / "etc/yum.repos.d/toy.repo").write_text("\n".join([*own, *sections]))

    def section(self, name: str, uri: str, *more: str) -> str:
        """The section of a repository, signed by our key."""
        return "\n".join([f"[{name}]", f"name={name}", f"baseurl={uri}", "gpgcheck=1",
                          f"gpgkey=file://{self.key_path}", *more, ""])

    def publish(self) -> None:
        """All repositories, enabled."""
        for repo in self.repos.values():
            repo.publish()
        self.configure()

    def chroot(self, *argv: str) -> str:
        """Output of a command in the tree, which must succeed."""
        return run("unshare", "--net", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                   "LC_ALL=C.UTF-8", "HOME=/root", "chroot", str(self.tree), *argv)

    def check(self, *args: str) -> running.Checked:
        """What img-check says of its packages."""
        return running.check(self.tree, "--only", IDS, *args)

    def updates(self, *args: str) -> dict[str, str]:
        """{package: code} of all updates."""
        checked = self.check(*args)
        return {finding["package"]["name"]: finding["code"]
                for check in ("security-updates", "package-updates")
                for finding in checked.of(check)["findings"]}


def publishable(system: El) -> El:
    """Leave nothing that img-check has a word to say against, kernels aside, by hand."""
    tree = system.tree
    system.stock()
    system.publish()
    for pattern in ("etc/ssh/ssh_host_*", "var/log/**/*", "etc/*-", "var/cache/*/*", "srv/*.rpm",
                    "var/lib/dbus/machine-id", "var/lib/systemd/random-seed"):
        for path in sorted(tree.glob(pattern), reverse=True):
            if path.is_symlink() or not path.is_dir():
                path.unlink()
    plant(tree, {
        "/etc/machine-id": "", "/etc/motd": "Welcome to the image of the tests.\n",
        "/etc/sysconfig/network": "", "/etc/redhat-release": Link("rocky-release"),
        "/etc/rocky-release": "Rocky Linux release 9.6 (Blue Onyx)\n",
        "/var/lib/cloud/scripts/per-instance/001_onboot": File(FIRST_BOOT, mode=0o755),
    })
    return system
