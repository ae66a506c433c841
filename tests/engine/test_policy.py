import csv
from datetime import date
from pathlib import Path

import pytest

from img_tools import policy

DISTRO_INFO = Path("/usr/share/distro-info")  # of the package distro-info-data


@pytest.mark.parametrize(("os_id", "version_id", "pretty_name", "name"), [
    ("debian", "12", "", "Debian 12 (bookworm)"),
    ("ubuntu", "24.04", "", "Ubuntu 24.04 LTS"),
    ("almalinux", "10.8", "", "AlmaLinux 10"),
    ("almalinux", "9", "", "AlmaLinux 9"),
    ("cloudlinux", "8.10", "", "CloudLinux 8"),
    ("rocky", "9.4", "", "Rocky Linux 9"),
    ("centos", "7", "CentOS Linux 7 (Core)", "CentOS 7"),
    ("centos", "8", "CentOS Linux 8", "CentOS Linux 8"),
    ("centos", "8", "CentOS Stream 8", "CentOS Stream 8"),
    ("centos", "9", "CentOS Stream 9", "CentOS Stream 9"),
])
def test_a_release_is_found_by_id_and_version(os_id, version_id, pretty_name, name):
    found = policy.find(os_id, version_id, pretty_name)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(("os_id", "version_id"), [
    ("almalinux", "28.1"), ("almalinux", "18"), ("almalinux", "1"), ("rocky", "88"),
    ("ubuntu", "24.10"), ("ubuntu", "24.04.1"), ("ubuntu", "24"), ("ubuntu", "22.10"),
    ("debian", "1"), ("debian", "12foo"), ("debian", "12.x"), ("debian", ""), ("debian", "12\n"),
    ("linuxmint", "22"), ("Debian", "12"), ("centos", "9"), ("debian", "٩"),
])
def test_a_version_that_only_resembles_one_is_none(os_id, version_id):
    """Defect 26: upstream matches unanchored and accepts 10.8, 18 and 28.1 for 8."""
    assert policy.find(os_id, version_id) is None


def test_profiles_accept_releases_of_the_table_alone():
    known = {(row.id, row.version) for row in policy.RELEASES}
    for profile in policy.PROFILES.values():
        assert profile.accepted <= known
        assert len(profile.releases) == len(profile.accepted)


def test_the_table_names_each_release_once():
    keys = [(row.id, row.version) for row in policy.RELEASES]
    assert len(keys) == len(set(keys))


def test_debian_dates_are_those_of_distro_info():
    known = {row["version"]: row["eol-lts"] for row in _distro_info("debian.csv")}
    _compare("debian", known)


def test_ubuntu_dates_are_those_of_distro_info():
    known = {row["version"].removesuffix(" LTS"): row["eol"] for row in _distro_info("ubuntu.csv")}
    _compare("ubuntu", known)


def test_every_supported_lts_of_distro_info_is_accepted():
    """Defect 27: each new release needed a change that came late; here a test asks for it."""
    accepted = policy.PROFILES[policy.DEFAULT].accepted
    for row in _distro_info("ubuntu.csv"):
        version, _, lts = row["version"].partition(" ")
        if lts and row["release"] <= policy.TABLE_DATE.isoformat() < row["eol"]:
            assert ("ubuntu", version) in accepted
    for row in _distro_info("debian.csv"):
        if row["version"].isdigit() and row["release"] and (
                row["release"] <= policy.TABLE_DATE.isoformat() < (row["eol-lts"] or "")):
            assert ("debian", row["version"]) in accepted


def _compare(os_id, known):
    """Compare the dates; a release newer than the installed distro-info-data is left out."""
    ours = {row.version: row.eol for row in policy.RELEASES
            if row.id == os_id and row.version in known}
    assert len(ours) >= 4
    assert ours == {version: date.fromisoformat(known[version]) for version in ours}


def _distro_info(name):
    path = DISTRO_INFO / name
    assert path.exists(), f"{path}: apt-get install distro-info-data"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
