"""A vendor's image, from the build to its customers: built, cleaned, snapshotted, cloned twice.

What is told in story.py is judged here, from outside: by what sshd, the web server and the network
show, and by the raw disk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.vm import story, vendor
from tests.vm.story import Clone, Story

# -- the build Droplet -----------------------------------------------------------------------------

FAILS = {
    "cloud-init-state", "identity", "machine-id", "security-updates", "shell-history",
    "ssh-host-keys", "ssh-keys",
}
WARNS = {
    "accounts", "crash-data", "logs", "mail-and-spools", "network-leftovers", "package-cache",
    "passwords", "repositories", "temp-files",
}
# Warnings that people alone can end: an account, a copy that may be the only one, and that the
# archives of this test have none of Debian's packages.
STAYS = {"accounts": {"person"}, "repositories": {"package-without-repository"},
         "temp-files": {"editor-file"}}


def test_before_the_cleaning_img_check_fails_for_what_is_there(told: Story) -> None:
    assert of_status(told.before, "fail") == FAILS
    assert of_status(told.before, "warn") == WARNS
    assert of_status(told.before, "error") == set()
    assert told.before["exit_code"] == 1


def test_every_canary_was_on_the_disk(told: Story) -> None:
    """Without this what is not found below would prove nothing. /tmp is in memory on Debian 13."""
    in_memory = {"tmp"} if told.before["platform"]["version_id"] == "13" else set()
    assert told.on_disk.keys() == told.planted - in_memory


def test_img_clean_ends_well_and_its_check_passes(
    told: Story, record_property: Callable[[str, object], None]
) -> None:
    record_property(f"times on {told.before['platform']['pretty_name']}", told.times)
    assert [(one["id"], one["message"]) for one in told.cleaned["cleaners"]
            if one["status"] not in ("done", "skip")] == []
    check = told.cleaned["check"]
    assert of_status(check, "fail") | of_status(check, "error") == set()
    assert {name: codes(check, name) for name in of_status(check, "warn")} == STAYS
    assert told.cleaned["exit_code"] == 0


def test_pending_update_was_installed(told: Story) -> None:
    (upgrade,) = (one for one in told.cleaned["cleaners"] if one["id"] == "package-upgrade")
    assert [step["argv"][-1] for step in upgrade["actions"]] == ["update", "dist-upgrade"]


# -- the snapshot ----------------------------------------------------------------------------------


def test_snapshot_holds_no_canary_and_no_identity(told: Story) -> None:
    """Neither in a file nor in free space, the journal of the file system or swap.

    The copy with a `~` is reported and stays, as docs/residues.md says (topic temp-files).
    """
    assert {place: len(offsets) for place, offsets in told.left.items()} == {"reported": 1}


# -- the clones ------------------------------------------------------------------------------------


@pytest.fixture(params=[0, 1], ids=["a", "b"])
def clone(told: Story, request: pytest.FixtureRequest) -> Clone:
    return told.clones[int(request.param)]


def test_first_boot_script_ran(clone: Clone) -> None:
    assert re.fullmatch("[0-9a-f]{24}\n", clone.facts["password"])
    assert json.loads(clone.facts["cloud-init"])["v1"]["errors"] == []


def test_owner_gets_in_and_nobody_else(clone: Clone) -> None:
    """That the owner does was needed to see all the rest."""
    assert set(clone.refused) == {"builder", "owner of the other", "a password"}
    for answer in clone.refused.values():
        assert answer.endswith("Permission denied (publickey).")


def test_nothing_of_an_identity_is_shared(told: Story) -> None:
    machines = [told.build, *(clone.identity for clone in told.clones)]
    assert all(re.fullmatch("[0-9a-f]{32}", one.machine_id) for one in machines)
    assert len({one.machine_id for one in machines}) == 3
    assert len({one.random_seed for one in machines}) == 3
    keys = [key for one in machines for key in one.host_keys]
    assert len(set(keys)) == len(keys) >= 9  # three types or more
    assert all(len(one.dhcp) == 1 for one in machines)
    assert len({name for one in machines for name in one.dhcp}) == 3
    assert len({clone.facts["password"] for clone in told.clones}) == 2


def test_message_of_the_day_is_shown_and_the_first_login_script_runs_once(clone: Clone) -> None:
    first, second = clone.sessions
    assert vendor.WELCOME in first
    assert vendor.WELCOME in second
    assert vendor.FIRST_LOGIN in first
    assert vendor.FIRST_LOGIN not in second


def test_application_is_served_with_a_password_of_the_clone_s_own(clone: Clone) -> None:
    assert clone.pages == {"/": f"{vendor.PAGE}\n", "/admin/ without": "401",
                           "/admin/ with": f"{vendor.PAGE} for admins\n"}


def test_all_services_run_behind_the_firewall(clone: Clone) -> None:
    assert clone.facts["failed units"] == ""
    assert clone.facts["state"] == "running\n"
    assert clone.facts["firewall"].startswith("Status: active")


def test_logs_are_written_again(clone: Clone) -> None:
    assert story.GREETING in clone.facts["journal"]
    assert story.GREETING in clone.facts["syslog"]
    assert "Accepted publickey for root" in clone.facts["auth.log"]
    assert "GET /admin/" in clone.facts["nginx"]
    assert "001_onboot" in clone.facts["cloud-init.log"]
    assert int(clone.facts["login records"]) > 0


# A clone in use: its owner's key and history, its own host keys, what cloud-init made of its
# metadata. It fails for nothing else, warns of nothing but logs and the like, and says so.
LIVES = {
    "cloud-init-state": "machine that is not the clone", "machine-id": "this one machine",
    "shell-history": "commands of the build", "ssh-host-keys": "every clone would share",
    "ssh-keys": "lets the holder of this key log in as root",
}


USED = {"accounts", "identity", "logs", "network-leftovers", "repositories", "temp-files"}


def test_img_check_says_of_a_clone_that_it_is_in_use(clone: Clone) -> None:
    assert of_status(clone.report, "fail") == LIVES.keys()
    assert of_status(clone.report, "warn") == USED
    assert of_status(clone.report, "error") == set()
    for name, words in LIVES.items():
        findings = of(clone.report, name)["findings"]
        assert any(words in finding["message"] for finding in findings), findings


def test_img_check_explains_itself_on_a_clone(clone: Clone) -> None:
    """Each verdict has a block of its own: what was found, then what to do about it."""
    assert "Traceback" not in clone.told
    verdict = f"FAIL: do not publish this image: {', '.join(sorted(LIVES))}"
    assert " ".join(clone.told.split()).count(verdict) == 2  # first and last
    for name in LIVES.keys() | USED:
        status = "FAIL " if name in LIVES else "WARN "
        block = clone.told.split(f"\n{status} {name}\n")[1].split("\n\n")[0]
        assert re.match("      - .*\n", block), block
        assert "\n      -> " in block


def of_status(report: dict[str, Any], status: str) -> set[str]:
    """The checks in REPORT that ended with STATUS."""
    return {check["id"] for check in report["checks"] if check["status"] == status}


def of(report: dict[str, Any], name: str) -> dict[str, Any]:
    """What the check NAME says in REPORT."""
    (result,) = (check for check in report["checks"] if check["id"] == name)
    return dict(result)


def codes(report: dict[str, Any], name: str) -> set[str]:
    """The codes of what the check NAME found."""
    return {finding["code"] for finding in of(report, name)["findings"]}
