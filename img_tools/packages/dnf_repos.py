"""Which repositories are the distribution's own, and which carry its security updates."""

from __future__ import annotations

import re
from dataclasses import dataclass

from img_tools.model import Undecided
from img_tools.packages import Repository, dnf_config
from img_tools.packages.dnf_config import Config, Repo
from img_tools.rootfs import RootFS

# The host of every address, and how the keys of packages are called, by ID of os-release(5).
_OWN = {
    "centos": (r"centos\.org", r"centos"),
    "rocky": (r"rockylinux\.org", r"rocky"),
    "almalinux": (r"almalinux\.org", r"alma"),
    "cloudlinux": (r"cloudlinux\.com", r"cloudlinux"),
    "fedora": (r"fedoraproject\.org", r"fedora"),
}
_MIRROR = r"mirrors\.digitalocean\.com"
# Repositories of one's own distribution without the updates of the base system.
_ADDITIONS = re.compile(r"extras|plus|\bcrb\b|codeready|powertools|devel|debug|source|\bha\b|"
                        r"highavailability|resilient|nfv|\brt\b|\bsap|media|contrib|testing|epel|"
                        r"appstream|fasttrack|\bcr\b|synergy|security-disabled", re.I)
_KEYS = "/etc/pki/rpm-gpg/"


@dataclass(frozen=True, slots=True)
class System:
    """The distribution that is installed; `major` is 0 when it does not say."""

    id: str
    major: int

    @classmethod
    def read(cls, root: RootFS) -> System:
        """As os-release states it, or on CentOS 6 /etc/centos-release."""
        for path in ("/etc/os-release", "/usr/lib/os-release"):
            found = dict(re.findall(r'^(\w+)=["\']?(.*?)["\']?\s*$',
                                    "\n".join(root.read_lines(path)), re.M))
            if found:
                number = re.match(r"\d+", found.get("VERSION_ID", ""))
                return cls(found.get("ID", ""), int(number[0][:4]) if number else 0)
        text = "\n".join(root.read_lines("/etc/centos-release"))
        number = re.search(r"release (\d{1,4})", text)
        return cls("centos", int(number[1]) if number else 0)

    def repository(self, repo: Repo) -> Repository:
        """REPO as the checks see it."""
        return Repository(
            repo.path, repo.line, repo.uris[0] if repo.uris else "(no address)", repo.id,
            origin="by its address and its key", official=self.official(repo),
            security=self.security(repo), unsigned=None if repo.checked else "gpgcheck=0",
        )

    def official(self, repo: Repo) -> bool:
        """True for the distribution's own servers, and for mirrors whose packages it has signed.

        EPEL's server is Fedora's, and an addition for everyone else.
        """
        if self.id not in _OWN:
            return False
        host, key = _OWN[self.id]
        own = re.compile(rf"//([\w.-]+\.)?({host}|{_MIRROR})([:/]|$)", re.I)
        if repo.uris and all(own.search(uri) for uri in repo.uris):
            return True
        return repo.checked and bool(repo.keys) and all(
            uri.removeprefix("file://").startswith(_KEYS)
            and re.search(rf"RPM-GPG-KEY-.*{key}", uri, re.I) for uri in repo.keys)

    def security(self, repo: Repo) -> bool:
        """True when the updates of the base system, and with them its fixes, come from REPO."""
        if not self.official(repo):
            return False
        where = " ".join([repo.id, *repo.uris])
        if re.search(r"updates", repo.id, re.I) or re.search(r"/updates/|repo=updates", where):
            return not re.search(r"testing|debug|source", repo.id, re.I)
        if self.id == "fedora" or (self.id == "centos" and self.major < 8):
            return False  # the release as it came out, without updates
        return re.search(r"baseos", where, re.I) is not None or not _ADDITIONS.search(repo.id)


def demand_some(root: RootFS, config: Config) -> None:
    """Raise Undecided when no repository is enabled: then nothing can be found pending."""
    if config.repos:
        return
    plugin = dnf_config.through_plugin(root)
    if plugin:
        raise Undecided(f"the repositories come through a plugin ({plugin}), which is not run here:"
                        " updates cannot be judged")
    raise Undecided("no repository is enabled (/etc/yum.repos.d): updates cannot be judged")
