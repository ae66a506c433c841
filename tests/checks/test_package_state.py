from __future__ import annotations

import pytest

from img_tools.model import Undecided
from img_tools.packages import Installed, Problem
from tests.checks.packages import with_packages
from tests.conftest import Image
from tests.support import check, codes


def test_all_is_well(image: Image) -> None:
    host = with_packages(image(), packages=[Installed("bash", "5.2", "amd64")])
    assert check("package-state", host) == []


@pytest.mark.parametrize(("state", "finding"), [
    ("half-installed", ("fail", "not-installed-whole")),
    ("half-configured", ("fail", "not-installed-whole")),
    ("unpacked", ("fail", "not-installed-whole")),
    ("reinst-required", ("fail", "reinst-required")),
    ("triggers-pending", ("warn", "triggers-pending")),
    ("triggers-awaited", ("warn", "triggers-pending")),
    ("something-new", ("fail", "not-installed-whole")),
])
def test_states(image: Image, state: str, finding: tuple[str, str]) -> None:
    found = check("package-state", with_packages(
        image(), packages=[Installed("toy", "1.0", "amd64", state)]))
    assert codes(found) == [finding]
    assert "toy 1.0" in found[0].message
    assert found[0].remediation


def test_held_package_warns(image: Image) -> None:
    (finding,) = check("package-state", with_packages(
        image(), packages=[Installed("toy", "1.0", "amd64", held=True)]))
    assert (finding.status, finding.code) == ("warn", "held")
    assert finding.remediation == "unhold toy"


def test_problems_of_the_whole(image: Image) -> None:
    found = check("package-state", with_packages(image(), problems=[
        Problem("dpkg-interrupted", "dpkg was interrupted"),
        Problem("unmet-dependency", "toy: Depends: other", "toy")]))
    assert codes(found) == [("fail", "dpkg-interrupted"), ("fail", "unmet-dependency")]
    assert found[1].package
    assert found[1].package.name == "toy"


def test_while_packages_change_nothing_is_said(image: Image) -> None:
    with pytest.raises(Undecided, match="apt-get"):
        check("package-state", with_packages(
            image(), busy="apt-get (pid 7) is changing packages",
            packages=[Installed("toy", "1.0", "amd64", "unpacked")]))
