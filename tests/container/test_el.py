"""One life of an EL-like server: soiled, cleaned while it runs, booted as a clone of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.container import el_server, neighbour, server
from tests.container.conftest import Make
from tests.container.machine import LENT, Machine, until
from tests.container.test_life import residues
from tests.rootfs import running

# EL 8 has systemd 239, CentOS 7 219: their journalctl lacks --relinquish-var.
OLD = '''"""Take systemd for the one of EL 8"""
from img_tools.actions import Phase
from img_tools.model import Skip
from img_tools.services import Services
PHASE = Phase.QUIET
Services.systemd_version = 239
def plan(host):
    raise Skip("it only pretends")
'''


@dataclass
class Life:
    """What was seen, in order: at first, after cleaning, on the clone."""

    before: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    again: dict[str, Any] = field(default_factory=dict)
    off: dict[str, Any] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    labels: list[dict[str, bytes]] = field(default_factory=list)
    services: list[dict[str, str]] = field(default_factory=list)
    firewall: list[str] = field(default_factory=list)
    reached: list[tuple[bool, bool]] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)
    package: str = ""
    onboot: str = ""
    failed: str = ""


@pytest.fixture(scope="module", params=["rocky-9"])
def life(request: pytest.FixtureRequest, make_el: Make) -> Life:
    box = make_el(request.param)
    seen = Life()
    (box.place / "plugins/old.py").write_text(OLD)
    box.boot("one", server.USER_DATA)
    neighbour.connect(box)
    el_server.soil(box)
    seen.before = running.checked(box.argv(box.tool("img-check"), "--format", "json")).report
    _look(box, seen)
    seen.report = box.img_clean("--yes", "--check", "--plugin-dir", f"{LENT}/plugins",
                                codes=(0, 1, 3))
    seen.again = box.img_clean("--dry-run", "--plugin-dir", f"{LENT}/plugins")
    seen.package = box.run("rpm", "-q", "toyssl")
    seen.journal = box.run("find", "/var/log/journal", "-name", "*.journal").split()
    _look(box, seen)
    box.power_off()
    seen.off = running.check(box.tree, "--no-refresh").report

    box.boot("two", server.USER_DATA)
    neighbour.connect(box)
    box.run("logger", "--tag", "acme", "hello again")
    until(lambda: el_server.logged(box, "messages", "hello again"), 30)
    _look(box, seen)
    seen.onboot = box.run("ls", "/run/onboot-ran", check=False).strip()
    seen.failed = box.run("systemctl", "--failed", "--no-legend", "--plain").strip()
    box.power_off()
    return seen


def _look(box: Machine, seen: Life) -> None:
    seen.ids.append((box.tree / "etc/machine-id").read_text())
    seen.keys.append(box.run("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub", check=False))
    seen.services.append(box.active(*el_server.SERVICES))
    seen.firewall.append(box.run("firewall-cmd", "--state", check=False).strip())
    seen.reached.append(neighbour.reaches(box, 22, 8000))


def test_what_a_build_leaves_is_found_while_it_runs(life: Life) -> None:
    found = {code for code, _ in residues(life.before)}
    assert {"log", "shell-history", "temp-file", "dhcp-lease", "mail"} <= found
    statuses = {one["id"]: one["status"] for one in life.before["checks"]}
    assert statuses["security-updates"] == "fail"
    assert statuses["firewall"] == statuses["ssh-server"] == "pass"


def test_all_is_done_and_passes(life: Life) -> None:
    failed = [(one["id"], one["message"]) for one in life.report["cleaners"]
              if one["status"] == "failed"]
    assert failed == []
    left = [(one["id"], one["status"], one["message"]) for one in life.report["check"]["checks"]
            if one["status"] in ("fail", "error")]
    assert left == []
    assert life.report["exit_code"] == 0
    assert residues(life.report["check"]) == []
    assert [one["actions"] for one in life.again["cleaners"] if one["actions"]] == []


def test_the_update_was_installed(life: Life) -> None:
    assert life.package.startswith("toyssl-1.0-2.el9")


def test_the_journal_goes_to_memory_without_relinquish_var(life: Life) -> None:
    (quiet,) = (one for one in life.report["cleaners"] if one["id"] == "quiet")
    commands = [" ".join(step.get("argv") or ()) for step in quiet["actions"]]
    assert "systemctl restart systemd-journald.service" in commands
    assert life.journal == []


def test_the_firewall_is_judged_as_it_behaves(life: Life) -> None:
    """Defect 6: for upstream firewalld is active wherever it is not."""
    assert life.firewall == ["running"] * 3
    assert life.reached == [(True, False)] * 3


def test_services_run_on_and_on_a_clone(life: Life) -> None:
    up = dict.fromkeys(el_server.SERVICES, "active")
    assert life.services == [up, {**up, "rsyslog": "inactive"}, up]
    assert life.failed == ""
    assert life.onboot == "/run/onboot-ran"


def test_disk_is_clean_when_the_power_is_off(life: Life) -> None:
    assert residues(life.off) == []


def test_clone_is_itself(life: Life) -> None:
    first, cleaned, clone = life.ids
    assert cleaned == ""
    assert re.fullmatch(r"[0-9a-f]{32}\n", clone)
    assert clone != first
    assert "ssh-ed25519" in life.keys[0]
    assert life.keys[1] == ""
    assert "ssh-ed25519" in life.keys[2]
    assert not set(life.keys[2].splitlines()) & set(life.keys[0].splitlines())
