from __future__ import annotations

import pytest

from img_tools.model import Undecided
from img_tools.packages import Reason, Update
from tests.checks.packages import with_packages
from tests.conftest import Image
from tests.support import check, mended_by


def test_up_to_date(image: Image) -> None:
    assert check("package-updates", with_packages(image())) == []


@pytest.mark.parametrize("reason", list(Reason))
def test_each_update_warns_with_versions_and_origin(image: Image, reason: Reason) -> None:
    update = Update("tzdata", "2025a", "2025b", "Debian bookworm-updates", False, reason)
    (finding,) = check("package-updates", with_packages(image(), pending=[update]))
    assert (finding.status, finding.code) == ("warn", f"update-{reason}")
    assert finding.message.startswith("tzdata 2025a ")
    assert finding.message.endswith(": 2025b is offered by Debian bookworm-updates")
    if reason is Reason.PENDING:
        assert mended_by(finding) == "package-upgrade"
    else:
        assert finding.remediation == f"install tzdata although {reason}"


def test_security_updates_are_not_listed_twice(image: Image) -> None:
    update = Update("openssl", "1", "2", "Debian-Security bookworm-security", security=True)
    assert check("package-updates", with_packages(image(), pending=[update])) == []


def test_failed_refresh_is_no_pass(image: Image) -> None:
    with pytest.raises(Undecided):
        check("package-updates", with_packages(image(), refuses="no network"))
