"""The catalogue's cleaners on hostile trees, killed runs, and powering off."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from img_tools import cleaning, session
from img_tools.actions import (
    CleanStatus,
    Outcome,
)
from img_tools.report import clean as views
from tests.conftest import BASE
from tests.engine.cleaning.common import at, run, topic
from tests.support import (
    FakeRunner,
    Fifo,
    Link,
    build,
    flipping,
)

# -- the catalogue's cleaners on hostile trees -----------------------------------------------------


CANARY = "do not touch\n"
ANN = (f"{BASE['/etc/passwd']}ann:x:1000:1000::/home/ann:/bin/bash\n"
       "bob:x:1001:1001::/home/bob:/bin/bash\n")


def test_a_link_of_somebody_else_in_tmp_leads_root_nowhere(image):
    """Anybody may make /tmp/.X11-unix when it is not there; what it leads to is not temporary."""
    host = image({"/etc/passwd": ANN, "/tmp/.X11-unix": Link("/etc")})
    if os.geteuid() != 0:
        pytest.skip("needs root to make a link of somebody else")
    os.lchown(at(host, "/tmp/.X11-unix"), 1000, 1000)
    report = run(host, topic("temp-files"))
    assert report.exit_code == 0
    assert at(host, "/etc/passwd").exists()
    assert at(host, "/etc/os-release").exists()
    assert not os.path.lexists(at(host, "/tmp/.X11-unix"))


def test_links_of_root_are_followed(image):
    """/var/spool/mail and /var/log may be links, made by the distribution or the vendor."""
    host = image({"/data/log/syslog": "x", "/var/log": Link("../data/log"), "/var/mail/ann": "x",
                  "/var/spool/mail": Link("/var/mail")})
    report = run(host, topic("logs"), topic("mail-and-spools"))
    assert report.exit_code == 0
    assert at(host, "/data/log/syslog").read_text() == ""
    assert at(host, "/var/mail/ann").read_text() == ""


def test_a_hard_link_in_the_logs_destroys_nothing(image):
    host = image({"/srv/data": CANARY, "/var/log/app/other.log": "x"})
    os.link(at(host, "/srv/data"), at(host, "/var/log/app/app.log"))
    report = run(host, topic("logs"))
    assert at(host, "/srv/data").read_text() == CANARY
    assert at(host, "/var/log/app/other.log").read_text() == ""
    assert report.exit_code == 1
    assert "has 2 names" in views.render_text(report)


def test_pipes_where_files_are_expected_do_not_hang_it(image):
    host = image({"/etc/passwd": ANN, "/var/log/syslog": Fifo(), "/home/ann/.bash_history": Fifo(),
                  "/tmp/pipe": Fifo(), "/var/mail/ann": Fifo()})
    report = run(host, *map(topic, ("logs", "shell-history", "temp-files", "mail-and-spools")))
    assert report.exit_code == 0
    assert not at(host, "/tmp/pipe").exists()


def test_no_flipped_link_reaches_another_user_or_the_outside(image, tmp_path):
    """Ann flips her directories with links to Bob's and to files of the host, as root cleans."""
    build(tmp_path, {"/host/canary": CANARY, "/host/fish_history": CANARY})
    bob = {f"/home/bob/{name}": CANARY for name in (
        ".bash_history.real", "x/fish_history", "x/app.log")}
    host = image({"/etc/passwd": ANN, **bob, "/srv/keep/app.log": CANARY})
    top = Path(host.root.top)
    secret = top / "srv/keep/app.log"
    flips = []

    def restore() -> None:
        files = {"/home/ann/.local/share/fish/fish_history": "x", "/home/ann/.bash_history": "x",
                 "/home/ann/.one": Link("../bob/x"), "/home/ann/.two": Link(f"{tmp_path}/host/"
                 "canary"), "/var/log/app/sub/app.log": "x", "/var/log/app/.s": Link("/srv/keep"),
                 "/tmp/x/fish_history": "x", "/tmp/y": Link("/home/bob/x")}
        for path, what in files.items():
            with contextlib.suppress(OSError):
                if not os.path.lexists(f"{top}{path}"):
                    build(top, {path: what})
                if isinstance(what, Link) and os.geteuid() == 0:
                    os.lchown(f"{top}{path}", 1000, 1000)

    restore()
    flips = [(top / "home/ann/.local/share/fish", top / "home/ann/.one"),
             (top / "home/ann/.bash_history", top / "home/ann/.two"),
             (top / "var/log/app/sub", top / "var/log/app/.s"), (top / "tmp/x", top / "tmp/y")]
    with flipping(*flips):
        for _ in range(40):
            cleaning.report(host, [topic("shell-history"), topic("logs"), topic("temp-files")],
                            dry_run=False)
            restore()
    assert secret.read_text() == CANARY
    assert {path: (top / path[1:]).read_text() for path in bob} == bob
    assert {path.read_text() for path in (tmp_path / "host").iterdir()} == {CANARY}


KILLED = """
import os, signal, sys
from img_tools import cleaning, residue
from img_tools.host import Host
from img_tools.plugins import Plugin
from img_tools.rootfs import RootFS

from img_tools.runner import Runner
from img_tools.surgery import Surgeon
from img_tools.actions import Write
left = [int(sys.argv[2])]
def count(name):
    act = getattr(os, name)
    def counted(*args, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*args, **options)
    setattr(os, name, counted)
for name in ("unlink", "rmdir", "ftruncate", "rename", "fsync", "fchmod"):
    count(name)
def topic(name):
    return Plugin(id=name, title=name, explanation="", category="other", references=(),
                  early=False, verb=lambda host: residue.actions(host, name), source="")
def write(host):
    if host.root.stat("/etc/machine-id") is None:
        yield Write("/etc/machine-id", "", 0o444, "w")
writer = Plugin(id="w", title="w", explanation="", category="other", references=(), early=False,
                verb=write, source="")
host = Host(RootFS(sys.argv[1]), Runner(sys.argv[1]))
plugins = [writer, *map(topic, ("shell-history", "temp-files", "logs"))]
report = cleaning.report(host, plugins, dry_run=False)
again = cleaning.report(host, plugins, dry_run=True)
print(report.exit_code, again.counts["actions"])
"""


@pytest.mark.parametrize("when", [1, 2, 3, 4, 50, 700, 1500, 2400])
def test_killed_at_any_point_the_next_run_finishes(image, tmp_path, when):
    build(tmp_path, {"/outside/canary": CANARY})
    host = image({"/etc/passwd": ANN, "/home/ann/.bash_history": "x", "/root/.bash_history": "x",
                  **{f"/tmp/{n % 40}/{n}": "x" for n in range(1000)},
                  **{f"/tmp/file{n}": "x" for n in range(500)},
                  **{f"/var/log/{n}.log": "x" for n in range(500)},
                  **{f"/var/log/{n}.log.1": "x" for n in range(400)},
                  "/tmp/out": Link(f"{tmp_path}/outside"), "/home/bob/keep": CANARY})
    top = host.root.top

    def once(kill: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", KILLED, top, str(kill)], text=True,
                              capture_output=True, check=False)

    assert once(when).returncode == -signal.SIGKILL
    done = once(-1)
    assert done.stdout == "0 0\n", done.stderr
    assert os.listdir(at(host, "/tmp")) == []
    assert sorted(os.listdir(at(host, "/etc"))) == ["machine-id", "os-release", "passwd", "shadow"]
    assert len(os.listdir(at(host, "/var/log"))) == 500
    assert at(host, "/home/bob/keep").read_text() == CANARY
    assert (tmp_path / "outside/canary").read_text() == CANARY


# -- powering off ----------------------------------------------------------------------------------


class Shell:
    def __init__(self, events: list[str]) -> None:
        self._events = events

    def kill(self) -> None:
        self._events.append("shell killed")


def test_powering_off_kills_the_shells_first_and_survives_their_hang_up(monkeypatch):
    """A shell that ends by SIGHUP would write its history again."""
    events: list[str] = []
    monkeypatch.setattr(session, "_interactive", lambda: [Shell(events)])
    monkeypatch.setattr(os, "sync", lambda: events.append("sync"))

    class Noting(FakeRunner):
        def __call__(self, *argv: str, **options: Any) -> Any:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            events.append(" ".join(argv))

    before = signal.getsignal(signal.SIGHUP)
    try:
        session.power_off(Noting({}))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert events.index("shell killed") < events.index("systemctl poweroff")
    assert events[-1] == "systemctl poweroff"
    assert "sync" in events


def test_the_statuses_of_the_schema_are_those_there_are():
    rules = json.loads(views.schema())["properties"]
    cleaner_rules = rules["cleaners"]["items"]["properties"]
    assert cleaner_rules["status"]["enum"] == list(CleanStatus)
    outcome = cleaner_rules["actions"]["items"]["properties"]["outcome"]["enum"]
    assert sorted(outcome) == sorted(Outcome)
