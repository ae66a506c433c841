"""What img-clean takes away when it takes itself away, and what it must leave."""

from __future__ import annotations

import contextlib
import sqlite3
import sys

import pytest

from img_tools import removal
from img_tools.actions import Remove, Run, Truncate, Write
from img_tools.host import Host

OURS = "2026-01-01 10:00:00 install img-tools:amd64 <none> 0.1.0\n"
OTHER = "2026-01-01 09:00:00 install img-tools-extra:all <none> 1\n"
TERM = ("\nLog started: 2026-01-01  10:00:00\nUnpacking img-tools (0.1.0) ...\r\n"
        "Log ended: 2026-01-01  10:00:01\n")
TERM_OTHER = ("\nLog started: 2026-01-01  09:00:00\nUnpacking nginx (1) ...\r\n"
              "Log ended: 2026-01-01  09:00:01\n")
HISTORY = "\nStart-Date: a\nInstall: img-tools:amd64 (0.1.0)\nEnd-Date: b\n"
STATUS = "Package: bash\nStatus: install ok installed\n\nPackage: img-tools\nVersion: 0.1.0\n\n"


@pytest.fixture
def packaged(monkeypatch):
    """As the packages and the single file run it."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/usr/bin/img-check")


def actions(host: Host) -> list[object]:
    return list(removal.plan(host))


def test_the_deb_is_purged_and_its_entries_go(image, packaged):
    host = image({
        "/usr/bin/img-check": "", "/var/lib/dpkg/info/img-tools.list": "/.\n/usr/bin/img-check\n",
        "/var/log/dpkg.log": OTHER + OURS, "/var/log/apt/term.log": TERM + TERM_OTHER,
        "/var/log/apt/history.log": HISTORY, "/var/lib/dpkg/status-old": STATUS,
        "/var/cache/apt/archives/img-tools_0.1.0_amd64.deb": "",
        "/var/cache/apt/archives/nginx_1_amd64.deb": "", "/etc/img-tools/checks/x.py": "",
    })
    done = actions(host)
    assert isinstance(done[0], Run)
    assert done[0].argv == ("dpkg", "--purge", "img-tools")
    written = {action.path: action.content for action in done if isinstance(action, Write)}
    assert written == {"/var/log/dpkg.log": OTHER, "/var/log/apt/term.log": TERM_OTHER,
                       "/var/lib/dpkg/status-old": STATUS.partition("\nPackage: img-tools")[0]}
    assert [action.path for action in done if isinstance(action, Truncate)] == [
        "/var/log/apt/history.log"]
    assert [action.path for action in done if isinstance(action, Remove)] == [
        "/var/cache/apt/archives/img-tools_0.1.0_amd64.deb", "/etc/img-tools"]


def test_a_log_that_names_others_alone_stays_as_it_is(image, packaged):
    host = image({"/var/lib/dpkg/info/img-tools.list": "/usr/bin/img-check\n",
                  "/var/log/dpkg.log": OTHER, "/var/log/apt/term.log": TERM_OTHER})
    assert [type(action) for action in actions(host)] == [Run]


def test_what_the_removal_itself_logs_goes_too(image, packaged):
    host = image({"/var/lib/dpkg/info/img-tools.list": "/usr/bin/img-check\n",
                  "/var/log/dpkg.log": OTHER})
    steps = removal.plan(host)
    next(steps)
    with open(f"{host.root.top}/var/log/dpkg.log", "a") as log:
        log.write("2026-01-01 11:00:00 startup packages purge\n" + OURS)
    (action,) = steps
    assert isinstance(action, Write)
    assert action.content == OTHER


def test_the_rpm_is_erased_and_its_database_rebuilt(image, packaged):
    host = image({"/var/log/dnf.rpm.log": "2026 SUBDEBUG Installed: img-tools-0.1.0-1.x86_64\n"},
                 {("rpm", "-qf", "--qf", "%{NAME}\n", "/usr/bin/img-check"): "img-tools\n"})
    first, log, rebuild = actions(host)
    assert first.argv == ("rpm", "-e", "img-tools")
    assert log == Truncate("/var/log/dnf.rpm.log", "it tells that img-tools was here")
    assert rebuild.argv == ("rpm", "--rebuilddb")


@pytest.mark.parametrize("path", ["/var/lib/dnf/history.sqlite",
                                  "/usr/lib/sysimage/libdnf5/transaction_history.sqlite"])
def test_the_history_of_dnf_forgets_it_and_keeps_the_rest(image, packaged, path):
    """dnf 4 reads there which packages were asked for."""
    host = image({path: "", "/usr/libexec/platform-python": ""},
                 {("rpm", "-qf", "--qf", "%{NAME}\n", "/usr/bin/img-check"): "img-tools\n"})
    with contextlib.closing(sqlite3.connect(host.root.host_path(path))) as base:
        base.executescript(HISTORY_OF_DNF + HISTORIES[path])
    (forget,) = [step for step in actions(host) if "sqlite3" in str(step)]
    assert forget.argv[:2] == ("/usr/libexec/platform-python", "-c")
    exec(forget.argv[2].replace(path, host.root.host_path(path)), {})
    with open(host.root.host_path(path), "rb") as file:
        assert b"img-tools" not in file.read()
    with contextlib.closing(sqlite3.connect(host.root.host_path(path))) as base:
        assert base.execute("SELECT item_id, reason FROM rpm JOIN trans_item USING (item_id)"
                            ).fetchall() == [(1, 2)]
        assert "nginx" in "\n".join(base.iterdump())


HISTORY_OF_DNF = """
    CREATE TABLE item (id INTEGER PRIMARY KEY);
    CREATE TABLE trans_item (trans_id INTEGER, item_id INTEGER, reason INTEGER);
    INSERT INTO item VALUES (1), (2);
    INSERT INTO trans_item VALUES (1, 1, 2), (2, 2, 2);
"""
HISTORIES = {
    "/var/lib/dnf/history.sqlite": """
    CREATE TABLE trans (id INTEGER PRIMARY KEY, cmdline TEXT);
    CREATE TABLE rpm (item_id INTEGER, name TEXT);
    CREATE TABLE console_output (trans_id INTEGER, line TEXT);
    INSERT INTO trans VALUES (1, "install nginx"), (2, "install /root/img-tools-0.1.0.rpm");
    INSERT INTO rpm VALUES (1, "nginx"), (2, "img-tools");
    INSERT INTO console_output VALUES (1, "nginx"), (2, "Installing img-tools");
""",
    "/usr/lib/sysimage/libdnf5/transaction_history.sqlite": """
    CREATE TABLE trans (id INTEGER PRIMARY KEY, description TEXT);
    CREATE TABLE rpm (item_id INTEGER, name_id INTEGER);
    CREATE TABLE pkg_name (id INTEGER, name TEXT);
    INSERT INTO trans VALUES (1, "install nginx"), (2, "install /root/img-tools-0.1.0.rpm");
    INSERT INTO rpm VALUES (1, 7), (2, 8);
    INSERT INTO pkg_name VALUES (7, "nginx"), (8, "img-tools");
""",
}


def test_a_python_environment_is_left_to_what_made_it(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/run/img tools")
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    assert "rm -rf '/run/img tools'" in str(removal.refusal())
    monkeypatch.setattr(sys, "prefix", "/root/.local/share/pipx/venvs/img-tools")
    assert "pipx uninstall img-tools" in str(removal.refusal())
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert removal.refusal() is None


def test_the_single_file_and_its_link_are_named_once(image, packaged, tmp_path, monkeypatch):
    program = tmp_path / "img-check"
    program.touch()
    (tmp_path / "img-clean").symlink_to("img-check")
    monkeypatch.setattr(sys, "executable", str(program))
    commands = {("rpm", "-qf", "--qf", "%{NAME}\n", str(program)): ""}
    assert [action.path for action in actions(image({}, commands))] == [
        str(tmp_path / "img-clean"), str(program)]
