"""Somebody logs in over SSH, types at bash, cleans and powers off: no history comes back."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.container import server
from tests.container.machine import Machine, until
from tests.container.test_life import residues
from tests.rootfs import running, trees
from tests.rootfs.planting import plant
from tests.support import File

Make = Callable[[str], Machine]


class Login:
    """A terminal on BOX, over SSH with KEY."""

    def __init__(self, box: Machine, key: Path) -> None:
        self.shown = ""
        self._ssh = subprocess.Popen(
            box.beside("ssh", "-F", "none", "-tt", "-i", str(key), "-o", "LogLevel=ERROR",
                       "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                       "root@127.0.0.1"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._ssh.stdout
        while piece := self._ssh.stdout.read(1):
            self.shown += piece

    def type(self, line: str, answer: str) -> None:
        """Type LINE and wait for ANSWER."""
        assert self._ssh.stdin
        self._ssh.stdin.write(f"{line}\n")
        self._ssh.stdin.flush()
        until(lambda: answer in self.shown or self._ssh.poll() is not None, 60)
        assert answer in self.shown, self.shown

    def leave(self, line: str) -> None:
        """Type LINE, which ends the session."""
        assert self._ssh.stdin
        self._ssh.stdin.write(f"{line}\n")
        self._ssh.stdin.flush()
        self._ssh.wait(timeout=60)

    def close(self) -> None:
        self._ssh.kill()
        self._ssh.wait()


@pytest.fixture(params=trees.SUITES)
def box(make: Make, request: pytest.FixtureRequest) -> Iterator[Machine]:
    made = make(request.param)
    made.boot("one", server.USER_DATA)
    yield made
    made.pull_the_plug()


@pytest.fixture
def login(box: Machine, tmp_path: Path) -> Iterator[Login]:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    plant(box.tree, {"/root/.ssh/authorized_keys": File(
        key.with_suffix(".pub").read_text(), mode=0o600)})
    made = Login(box, key)
    made.type("echo typed-by-$((40 + 2))", "typed-by-42")
    yield made
    made.close()


def test_poweroff_leaves_no_history_and_no_login(box: Machine, login: Login) -> None:
    """Cleanup defect 5: upstream clears its own shell's history; the other writes at logout."""
    box.run("systemd-run", "--property=UtmpIdentifier=tty9", "--property=UtmpMode=init",
            "sleep", "1000")  # like a getty: its end is written into wtmp
    login.type(f"{box.tool('img-clean')} --dry-run --only shell-history", "kill -9 $$")
    login.leave(f"{box.tool('img-clean')} --yes --poweroff")
    box.wait_off()
    assert "DONE: " in login.shown
    assert [path.name for path in (box.tree / "root").iterdir() if "history" in path.name] == []
    assert residues(running.check(box.tree, "--no-refresh").report) == []


def test_what_the_note_says_works(box: Machine, login: Login) -> None:
    login.type(f"{box.tool('img-clean')} --yes --only shell-history,ssh-keys", "DONE: ")
    assert "leave it with: kill -9 $$" in login.shown
    assert not (box.tree / "root/.ssh/authorized_keys").exists()
    login.type("echo still-$((40 + 2))", "still-42")  # the session outlives its key
    login.leave("kill -9 $$")
    assert not (box.tree / "root/.bash_history").exists()
