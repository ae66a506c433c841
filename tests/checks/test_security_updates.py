from __future__ import annotations

import pytest

from img_tools.model import Undecided
from img_tools.packages import Reason, Update
from tests.checks.packages import MAIN, SECURITY, with_packages
from tests.conftest import Image
from tests.support import check, codes, mended_by

FIX = Update("openssl", "3.0.1", "3.0.2", "Debian-Security bookworm-security", security=True)
PLAIN = Update("modsecurity-crs", "3.3.4", "3.3.5", "Debian bookworm", security=False)


def test_up_to_date(image: Image) -> None:
    assert check("security-updates", with_packages(image())) == []


def test_each_package_is_listed_with_its_versions(image: Image) -> None:
    """Issues #17, #41: upstream counts, and lists words such as "standard" for packages."""
    (finding,) = check("security-updates", with_packages(image(), pending=[FIX, PLAIN]))
    assert (finding.status, finding.code) == ("fail", "security-update-pending")
    assert finding.message == ("openssl 3.0.1 lacks the security update 3.0.2 "
                               "(Debian-Security bookworm-security)")
    assert finding.package
    assert (finding.package.name, finding.package.installed, finding.package.candidate) == (
        "openssl", "3.0.1", "3.0.2")


def test_single_update_is_not_halved_away(image: Image) -> None:
    """Defect 13: upstream halves the number of lines, so that one line is no update."""
    assert len(check("security-updates", with_packages(image(), pending=[FIX]))) == 1


@pytest.mark.parametrize("reason", list(Reason))
def test_what_a_plain_upgrade_passes_over_fails_too(image: Image, reason: Reason) -> None:
    """Defect 12: upstream does not see packages that are kept back."""
    update = Update("linux-image-virtual", "6.1", "6.2", "Ubuntu jammy-security", True, reason)
    (finding,) = check("security-updates", with_packages(image(), pending=[update]))
    assert finding.code == f"security-update-{reason}"
    if reason is Reason.PENDING:
        assert mended_by(finding) == "package-upgrade"
    else:
        assert finding.remediation == f"install linux-image-virtual although {reason}"


def test_without_the_security_archive_nothing_pending_proves_nothing(image: Image) -> None:
    with pytest.raises(Undecided, match="no enabled source carries the security updates"):
        check("security-updates", with_packages(image(), repositories=[MAIN]))


def test_testing_and_unstable_have_no_version_and_need_no_security_archive(image: Image) -> None:
    host = image({"/etc/os-release": "ID=debian\nVERSION_CODENAME=sid\n"})
    assert check("security-updates", with_packages(host, repositories=[MAIN])) == []


def test_failed_refresh_is_no_pass(image: Image) -> None:
    """Defect 11: upstream finds no pending updates where apt-get update failed."""
    with pytest.raises(Undecided, match="cannot be resolved"):
        check("security-updates", with_packages(image(), refuses="it cannot be resolved"))


def test_other_updates_are_left_to_their_own_check(image: Image) -> None:
    host = with_packages(image(), pending=[PLAIN], repositories=[MAIN, SECURITY])
    assert check("security-updates", host) == []
    assert codes(check("package-updates", host)) == [("warn", "update-pending")]


def test_a_repository_without_advisories_is_named(image: Image) -> None:
    """Defect 14: CentOS Stream and CentOS 7 publish none, so that upstream never finds any."""
    update = Update("bash", "5.1-1", "5.1-2", "baseos", True, unproven=True)
    (finding,) = check("security-updates", with_packages(image(), pending=[update]))
    assert finding.code == "security-unproven-pending"
    assert finding.message == (
        "bash 5.1-1 can be upgraded to 5.1-2, which counts as a security update: baseos publishes "
        "no advisories that would tell")


def test_advisories_are_named(image: Image) -> None:
    update = Update("bash", "5.1-1", "5.1-2", "baseos", True, advisories=("RLSA-1", "RLSA-2"))
    (finding,) = check("security-updates", with_packages(image(), pending=[update]))
    assert finding.message == ("bash 5.1-1 lacks the security update 5.1-2 (baseos; RLSA-1; "
                               "RLSA-2)")
    assert finding.evidence == {"origin": "baseos", "advisories": "RLSA-1, RLSA-2"}
