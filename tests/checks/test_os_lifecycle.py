from datetime import date

import pytest

from img_tools.model import Undecided
from tests.support import check, codes


def at(image, day, os_id="debian", version_id="12"):
    host = image({"/etc/os-release": f'ID={os_id}\nVERSION_ID="{version_id}"\n'})
    host.today = date.fromisoformat(day)
    return host


@pytest.mark.parametrize(("day", "expected"), [
    ("2026-11-24", []),
    ("2027-12-31", []),  # 182 days before the end
    ("2028-01-01", [("warn", "end-of-life-soon")]),
    ("2028-06-30", [("warn", "end-of-life-soon")]),  # the last day still gets updates
    ("2028-07-01", [("warn", "end-of-life")]),
    ("2040-01-01", [("warn", "end-of-life")]),
])
def test_debian_12_ends_on_2028_06_30(image, day, expected):
    assert codes(check("os-lifecycle", at(image, day))) == expected


def test_says_when_and_what_instead(image):
    (finding,) = check("os-lifecycle", at(image, "2028-06-20"))
    assert finding.message == ("free security updates of Debian 12 (bookworm) end on 2028-06-30, "
                               "in 10 days")
    assert finding.remediation == "build the image on Debian 13 (trixie)"
    assert finding.evidence == {"end_of_life": "2028-06-30"}
    (finding,) = check("os-lifecycle", at(image, "2028-06-30"))
    assert finding.message.endswith("end on 2028-06-30, in 0 days")


def test_a_release_the_profile_refuses_is_judged_too(image):
    (finding,) = check("os-lifecycle", at(image, "2026-11-24", "centos", "6"))
    assert "CentOS 6 ended on 2020-11-30" in finding.message
    assert finding.remediation == "build the image on another distribution"


@pytest.mark.parametrize(("os_id", "version_id"), [("linuxmint", "22"), ("debian", "")])
def test_an_unknown_release_is_no_pass(image, os_id, version_id):
    with pytest.raises(Undecided, match="not known"):
        check("os-lifecycle", at(image, "2026-11-24", os_id, version_id))
