from __future__ import annotations

import pytest
from img_tools.checks import repositories

from img_tools.host import Host
from img_tools.model import Finding, Undecided
from img_tools.packages import Installed, Repository
from img_tools.policyfile import Policy
from tests.checks.packages import MAIN, SECURITY, with_packages
from tests.conftest import Image
from tests.support import check, codes


def test_plain_debian_with_security_passes(image: Image) -> None:
    assert check("repositories", with_packages(image())) == []


def test_no_source_at_all(image: Image) -> None:
    found = check("repositories", with_packages(image(), repositories=[]))
    assert codes(found) == [("fail", "no-repository")]


def test_missing_security_archive_fails(image: Image) -> None:
    """A system without it looks up to date for ever."""
    (finding,) = check("repositories", with_packages(image(), repositories=[MAIN]))
    assert (finding.status, finding.code) == ("fail", "no-security-repository")
    assert "Debian GNU/Linux 12 (bookworm)" in finding.message
    assert finding.remediation == "security"


def test_unstable_has_no_security_archive(image: Image) -> None:
    host = image({"/etc/os-release": "ID=debian\nVERSION_CODENAME=sid\n"})
    assert check("repositories", with_packages(host, repositories=[MAIN])) == []


@pytest.mark.parametrize(("uri", "status"), [
    ("http://x.example/debian", "fail"),
    ("ftp://x.example/debian", "fail"),
    ("tor+http://x.example/debian", "warn"),
    ("https://x.example/debian", "warn"),  # TLS says at least who sent it
    ("file:/srv/repo", "warn"),
    ("cdrom:[Debian]/", "warn"),
])
def test_unsigned_source(image: Image, uri: str, status: str) -> None:
    source = Repository("/etc/apt/sources.list.d/x.list", 3, uri, "x", "Debian", official=True,
                        unsigned="trusted=yes")
    (finding,) = check("repositories", with_packages(image(), repositories=[SECURITY, source]))
    assert (finding.status, finding.code) == (status, "unsigned-repository")
    assert (finding.path, finding.line) == ("/etc/apt/sources.list.d/x.list", 3)
    assert "trusted=yes" in finding.message


@pytest.mark.parametrize(("origin", "says"), [("Docker", "(Docker)"), (None, "no index")])
def test_third_party_source(image: Image, origin: str | None, says: str) -> None:
    source = Repository("/etc/apt/sources.list.d/docker.list", 1,
                        "https://download.docker.com/linux/debian", "bookworm", origin)
    (finding,) = check("repositories", with_packages(image(), repositories=[SECURITY, source]))
    assert (finding.status, finding.code) == ("warn", "third-party-repository")
    assert says in finding.message
    assert finding.path == "/etc/apt/sources.list.d/docker.list"


DROPLET = {"/etc/cloud/digitalocean.info": ""}


def test_vendor_mirror_is_missed_on_droplets_alone(image: Image) -> None:
    assert check("repositories", with_packages(image())) == []
    (finding,) = check("repositories", with_packages(image(DROPLET)))
    assert (finding.status, finding.code) == ("warn", "no-vendor-mirror")


def test_vendor_mirror_is_there(image: Image) -> None:
    mirror = Repository("/etc/apt/sources.list", 1, "http://mirrors.digitalocean.com/debian",
                        "bookworm", "Debian", official=True)
    host = with_packages(image(DROPLET), repositories=[mirror, SECURITY])
    assert check("repositories", host) == []


def orphans(host: Host, *names: str) -> list[Finding]:
    packages = [Installed(name, "1.0", "amd64") for name in names]
    return check("repositories", with_packages(host, orphans=packages))


def test_packages_from_no_source(image: Image) -> None:
    (finding,) = orphans(image(), "mytool")
    assert (finding.status, finding.code) == ("warn", "package-without-repository")
    assert "mytool 1.0" in finding.message
    assert finding.package
    assert finding.package.name == "mytool"


@pytest.mark.parametrize("name", [
    "linux-image-6.1.0-20-amd64", "linux-headers-5.15.0-91-generic", "linux-headers-5.15.0-91",
    "linux-modules-extra-6.8.0-63-generic", "linux-image-unsigned-6.8.0-63-generic",
])
def test_old_kernels_leave_the_archive_before_they_are_removed(image: Image, name: str) -> None:
    assert orphans(image(), name) == []


@pytest.mark.parametrize("name", ["linux-image-amd64", "linux-firmware", "linux-image-tool"])
def test_names_that_only_look_like_kernels(image: Image, name: str) -> None:
    assert len(orphans(image(), name)) == 1


def test_many_packages_are_counted(image: Image) -> None:
    found = orphans(image(), *(f"pkg{number}" for number in range(60)))
    assert len(found) == 51
    assert found[-1].message.startswith("10 more packages")


def test_what_the_files_say_stands_when_no_index_can_be_had(image: Image) -> None:
    host = with_packages(image(), repositories=[MAIN], refuses="no network")
    found = repositories.check(host)
    assert next(found).code == "no-security-repository"
    with pytest.raises(Undecided, match="no network"):
        next(found)


def test_a_source_that_the_policy_allows_may_be_there_but_not_unsigned(image: Image) -> None:
    source = Repository("/etc/apt/sources.list.d/docker.list", 1,
                        "http://download.docker.com/linux/debian", "bookworm", "Docker",
                        unsigned="trusted=yes")
    host = with_packages(image(), repositories=[SECURITY, source])
    host.policy = Policy(allowed_repositories=("http://download.docker.com/linux",))
    assert codes(check("repositories", host)) == [("fail", "unsigned-repository")]
    host.policy = Policy(allowed_repositories=("https://download.docker.com/linux",))
    assert len(check("repositories", host)) == 2
