import contextlib
import os
from datetime import date

import pytest

from img_tools import policy
from img_tools.model import Undecided
from tests.support import check, codes


def release(os_id, version_id="", pretty="", more=""):
    version = f'VERSION_ID="{version_id}"\n' if version_id else ""
    name = f'PRETTY_NAME="{pretty}"\n' if pretty else ""
    return {"/etc/os-release": f"ID={os_id}\n{version}{name}{more}"}


@pytest.mark.parametrize(("os_id", "version_id", "pretty"), [
    ("debian", "11", ""), ("debian", "13", ""), ("ubuntu", "22.04", ""), ("ubuntu", "26.04", ""),
    ("almalinux", "9.4", ""), ("rocky", "8", ""), ("cloudlinux", "10.0", ""),
    ("centos", "7", "CentOS Linux 7 (Core)"), ("centos", "9", "CentOS Stream 9"),
])
def test_accepted(image, os_id, version_id, pretty):
    """Defects 26 and 27: Alma and Rocky 10, VERSION_ID=8 without a point, and Ubuntu 26.04."""
    assert check("os-release", image(release(os_id, version_id, pretty))) == []


@pytest.mark.parametrize(("os_id", "version_id", "pretty"), [
    ("almalinux", "18", ""), ("almalinux", "28.1", ""), ("cloudlinux", "7.9", ""),
    ("rocky", "28.1", ""), ("debian", "8", ""), ("ubuntu", "22.10", ""), ("ubuntu", "24.10", ""),
    ("centos", "6", "CentOS 6"), ("centos", "8", "CentOS Linux 8"), ("fedora", "42", ""),
])
def test_refused(image, os_id, version_id, pretty):
    """Defects 26 and 27: upstream accepts 28.1 for 8, CentOS 6, and Ubuntu 22.10."""
    assert codes(check("os-release", image(release(os_id, version_id, pretty)))) == [
        ("fail", "unsupported-release")]


def test_a_derivative_is_not_what_it_is_like(image):
    host = image(release("linuxmint", "22", "Linux Mint 22", "ID_LIKE=\"ubuntu debian\"\n"
                         "UBUNTU_CODENAME=noble\n"))
    host.today = date(2026, 11, 24)
    (finding,) = check("os-release", host)
    assert "Linux Mint 22 (ID=linuxmint, VERSION_ID=22)" in finding.message
    assert finding.remediation == (
        "build the image on Debian 13 (trixie) or Ubuntu 26.04 LTS or CentOS Stream 10 or "
        "Rocky Linux 10 or AlmaLinux 10 or CloudLinux 10")


def test_testing_has_no_version(image):
    host = image(release("debian", "", "Debian GNU/Linux forky/sid"))
    host.today = date(2026, 11, 24)
    (finding,) = check("os-release", host)
    assert "no VERSION_ID" in finding.message
    assert finding.remediation == "build the image on Debian 12 (bookworm) or Debian 13 (trixie)"


def test_debian_is_known_by_its_id(image):
    """Defect 29: upstream compares NAME with "Debian", but it is "Debian GNU/Linux"."""
    host = image(release("debian", "12", "x", 'NAME="Debian GNU/Linux"\n'))
    assert check("os-release", host) == []


def test_the_file_is_never_executed(image):
    """Defect 35: upstream sources /etc/os-release as root."""
    trap = 'VERSION_ID="12"; touch /pwned\nX=$(touch /pwned)\n`touch /pwned`\n'
    host = image({"/etc/os-release": f"ID=debian\n{trap}"})
    before = sorted(os.listdir(host.root.top))
    with contextlib.suppress(Undecided):
        check("os-release", host)
    assert sorted(os.listdir(host.root.top)) == before
    assert not os.path.exists("/pwned")


def test_the_other_checks_run_on_an_unsupported_release(image):
    """Defect 38: upstream exits at once, without looking at anything else."""
    host = image({**release("gentoo", "2"), "/root/.bash_history": "x", "/var/log/syslog": "x"})
    assert codes(check("os-release", host)) == [("fail", "unsupported-release")]
    assert codes(check("shell-history", host)) == [("fail", "shell-history")]
    assert codes(check("logs", host)) == [("warn", "log")]


def test_a_profile_chooses(image):
    host = image(release("debian", "12"))
    host.profile = policy.PROFILES["marketplace-2019"]
    (finding,) = check("os-release", host)
    assert "marketplace-2019" in finding.message
    assert finding.remediation == "build the image on Debian 9 (stretch)"


@pytest.mark.parametrize("content", ["", "VERSION_ID=12\n"])
def test_no_id_decides_nothing(image, content):
    with pytest.raises(Undecided):
        check("os-release", image({"/etc/os-release": content}))


@pytest.mark.parametrize(("text", "profile", "found"), [
    ("CentOS release 6.10 (Final)\n", "marketplace-2019", []),
    ("CentOS release 6.10 (Final)\n", "marketplace", [("fail", "unsupported-release")]),
])
def test_centos_6_has_no_os_release(image, text, profile, found):
    host = image({"/etc/os-release": None, "/etc/centos-release": text})
    host.profile = policy.PROFILES[profile]
    assert codes(check("os-release", host)) == found
    assert host.os_release.ids == ("centos", "rhel", "fedora")


def test_a_centos_release_that_names_no_release_decides_nothing(image):
    with pytest.raises(Undecided, match="names no release"):
        check("os-release", image({"/etc/os-release": None, "/etc/centos-release": "x\n"}))
