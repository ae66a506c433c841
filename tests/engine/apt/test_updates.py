"""What apt tells of updates; real apt: tests/rootfs."""

from __future__ import annotations

import pytest

from img_tools.model import Undecided
from img_tools.packages import Reason, Update, apt_policy
from tests.engine.apt.common import (
    AT_MAIN,
    AT_SECURITY,
    INDEX,
    LISTS,
    MAIN,
    SECURITY,
    Make,
    release,
    stanza,
    table,
)


def test_nothing_is_pending(apt: Make) -> None:
    backend, runner = apt({}, table("toy", "1.0", "1.0", ("1.0", AT_MAIN)))
    assert backend.updates.all == ()
    assert backend.updates.index_time == "2025-11-02T09:30:00+00:00"
    assert backend.unavailable == ()
    assert runner.calls == ["policy"]  # no simulation when there is nothing to simulate


def test_security_update_is_told_by_its_archive(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.1", ("1.1", AT_SECURITY), ("1.0", AT_MAIN)),
                     simulation="Inst toy [1.0] (1.1 Debian-Security:12/oldstable-security [all])")
    assert backend.updates.all == (
        Update("toy", "1.0", "1.1", "Debian-Security bookworm-security", True, Reason.PENDING),)


def test_security_in_a_name_is_no_security_update(apt: Make) -> None:
    """Defect 13: upstream greps for "security", so that modsecurity-crs from stable is a FAIL."""
    backend, _ = apt({"/var/lib/dpkg/status": stanza("modsecurity-crs", "3.3.4-1")},
                     table("modsecurity-crs", "3.3.4-1", "3.3.5-1", ("3.3.5-1", AT_MAIN),
                           ("3.3.4-1", "")), simulation="Inst modsecurity-crs [3.3.4-1] (3.3.5-1)")
    assert [update.security for update in backend.updates.all] == [False]


def test_kept_back_security_update_is_seen(apt: Make) -> None:
    """Defect 12: upstream simulates `upgrade`, where packages kept back do not appear at all."""
    backend, _ = apt({}, table("toy", "1.0", "1.1", ("1.1", AT_SECURITY), ("1.0", AT_MAIN)),
                     simulation="The following packages have been kept back:\n  toy\n")
    (update,) = backend.updates.all
    assert (update.security, update.reason) == (True, Reason.KEPT_BACK)
    assert backend.remedy(update) == "apt-get update && apt-get install toy"


def test_fix_that_a_later_version_has_taken_over_is_missing_all_the_same(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.2", ("1.2", AT_MAIN), ("1.1", AT_SECURITY),
                               ("1.0", "")), simulation="Inst toy [1.0] (1.2 Debian:12 [all])")
    (update,) = backend.updates.all
    assert (update.candidate, update.security) == ("1.2", True)


def test_fix_that_is_older_than_what_is_installed_does_not_count(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.2", ("1.2", AT_MAIN), ("1.0", AT_MAIN),
                               ("0.9", AT_SECURITY)), simulation="Inst toy [1.0] (1.2 D [all])")
    assert [update.security for update in backend.updates.all] == [False]


def test_held_package(apt: Make) -> None:
    backend, _ = apt({"/var/lib/dpkg/status": stanza("toy", "1.0", "hold ok installed")},
                     table("toy", "1.0", "1.1", ("1.1", AT_SECURITY), ("1.0", AT_MAIN)))
    (update,) = backend.updates.all
    assert (update.security, update.reason) == (True, Reason.HELD)
    assert backend.remedy(update) == "apt-mark unhold toy && apt-get install toy"


def test_security_update_that_a_pin_hides(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.0", ("1.1", AT_SECURITY), ("1.0", AT_MAIN)))
    (update,) = backend.updates.all
    assert (update.security, update.reason) == (True, Reason.PINNED)


def test_security_update_that_a_pin_hides_behind_an_older_update(apt: Make) -> None:
    """The point release has 1.1, which apt would choose; 1.2 closes the hole and is pinned away."""
    backend, _ = apt({}, table("toy", "1.0", "1.1", ("1.2", AT_SECURITY), ("1.1", AT_MAIN),
                               ("1.0", AT_MAIN)), simulation="Inst toy [1.0] (1.1 Debian:12 [all])")
    assert [(update.candidate, update.security, update.reason)
            for update in backend.updates.all] == [
        ("1.1", False, Reason.PENDING), ("1.2", True, Reason.PINNED)]


@pytest.mark.parametrize("security", [
    SECURITY.replace("deb ", "deb [arch=arm64] "), SECURITY.replace(" main", " contrib")])
def test_security_archive_without_what_the_system_is_made_of_does_not_count(
        apt: Make, security: str) -> None:
    backend, _ = apt({"/etc/apt/sources.list": MAIN + security})
    assert security != SECURITY
    assert not any(item.security for item in backend.repositories)


def test_newer_version_of_a_release_with_low_priority_is_no_update(apt: Make) -> None:
    trixie = "deb http://deb.debian.org/debian-security trixie-security main\n"
    stem = f"{LISTS}/deb.debian.org_debian-security_dists_trixie-security_"
    place = "http://deb.debian.org/debian-security trixie-security/main amd64 Packages"
    backend, _ = apt({
        "/etc/apt/sources.list": MAIN + SECURITY + trixie, f"{stem}{INDEX}": "12345678",
        f"{stem}InRelease": release("Debian", "Debian-Security", "stable-security",
                                    "trixie-security"),
    }, table("toy", "1.0", "1.0", ("2.0", place), ("1.0", AT_MAIN)))
    assert backend.updates.all == ()


def test_phased_update(apt: Make) -> None:
    text = table("toy", "1.0", "1.1", ("1.1", AT_MAIN), ("1.0", AT_MAIN)).replace(
        "     1.1 500", "     1.1 500 (phased 20%)")
    backend, _ = apt({}, text, simulation="deferred due to phasing:\n  toy\n")
    assert [update.reason for update in backend.updates.all] == [Reason.PHASED]


def test_local_build_of_the_same_version_is_no_update(apt: Make) -> None:
    """apt lists a version twice when the installed package differs from the archive's."""
    text = ("toy:\n  Installed: 1.0\n  Candidate: 1.0\n  Version table:\n     1.0 500\n"
            f"        500 {AT_SECURITY}\n *** 1.0 100\n        100 /var/lib/dpkg/status\n")
    backend, _ = apt({}, text)
    assert backend.updates.all == ()
    assert backend.unavailable == ()


def test_package_that_no_source_has(apt: Make) -> None:
    status = stanza("toy", "1.0") + stanza("local", "3.0")
    backend, _ = apt({"/var/lib/dpkg/status": status},
                     table("toy", "1.0", "1.0", ("1.0", AT_MAIN))
                     + table("local", "3.0", "3.0", ("3.0", ""), ("2.0", AT_MAIN)))
    assert [package.name for package in backend.unavailable] == ["local"]


def test_foreign_architecture_is_asked_for_by_name(apt: Make) -> None:
    status = stanza("dpkg", "1") + stanza("toy", "1.0", arch="i386") + stanza("toy", "1.0")
    text = "".join(table(name, "1.0", "1.0", ("1.0", AT_MAIN)) for name in ("toy", "toy:i386"))
    backend, _ = apt({"/var/lib/dpkg/status": status},
                     table("dpkg", "1", "1", ("1", AT_MAIN)) + text)
    assert backend.updates.all == ()


def test_package_that_apt_does_not_speak_of_is_not_up_to_date(apt: Make) -> None:
    backend, _ = apt({}, "")
    with pytest.raises(Undecided, match="says nothing of toy"):
        _ = backend.updates


def test_version_table_that_is_not_understood(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.0", ("1.0", AT_MAIN)) + "        what is this\n")
    with pytest.raises(Undecided, match="what is this"):
        _ = backend.updates


def test_priorities_and_pins_of_a_version_table() -> None:
    (policy,) = apt_policy.parse(
        "toy:\n  Installed: 1.0\n  Candidate: 1.0\n  Package pin: 1.0\n  Version table:\n"
        "     1.1 -32768 (phased 0%)\n       -32768 http://a.example x/main amd64 Packages\n"
        " *** 1.0 1001\n       1001 http://b.example x/main amd64 Packages\n"
        "        100 /var/lib/dpkg/status\n")
    assert [(v.text, v.phased, len(v.places)) for v in policy.versions] == [
        ("1.1", True, 1), ("1.0", False, 1)]
