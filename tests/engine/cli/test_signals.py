"""Signals, and that a run leaves no trace."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from img_tools.cli import main as shared
from tests.engine.cli.common import COMMAND, call
from tests.support import build, needs

pytestmark = pytest.mark.skipif(
    not os.path.exists(COMMAND) and not os.environ.get("CI"), reason="img-check is not installed")


# -- signals ---------------------------------------------------------------------------------------


HANGING = '''"""Nothing hangs"""
import os, sys
def check(host):
    scratch = host._scratch.make(1024)
    with open(os.environ["MARK"] + ".scratch", "w") as file:
        file.write(scratch)
    host.run("sh", "-c", "sleep 1000 & echo $$ $! > " + os.environ["MARK"] + "; wait")
    yield
'''
FIFO = '''"""Nothing blocks"""
import os
def check(host):
    open(os.environ["MARK"], "w").close()
    open(os.environ["MARK"] + ".fifo").read()
    yield
'''


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists() and (path.read_text() or path.name == "empty"):
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} did not come")


@pytest.fixture
def hanging(place: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """hanging(text) -> the command while the check TEXT hangs in it, on the running system."""
    needs(os.geteuid() == 0, "root")
    started: list[subprocess.Popen[str]] = []

    def make(text: str, mark: str = "mark", more: Sequence[str] = ()) -> subprocess.Popen[str]:
        build(place, {"/hanging/hangs.py": text})
        os.mkfifo(place / f"{mark}.fifo")
        process = subprocess.Popen(
            [COMMAND, "--plugin-dir", str(place / "hanging"), "--only", "hangs", *more],
            env={**os.environ, "MARK": str(place / mark)}, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        started.append(process)
        wait_for(place / mark)
        return process

    yield make
    for process in started:
        process.kill()
        process.communicate()


def ended(pid: int) -> bool:
    """Whether PID is gone or a zombie, soon: what was killed takes a moment to die."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("text", "mark"), [(HANGING, "mark"), (FIFO, "empty")])
def test_a_signal_ends_it_at_once_and_leaves_nothing(hanging, place, number, text, mark):
    process = hanging(text, mark)
    started = time.monotonic()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert time.monotonic() - started < 2
    assert process.returncode == 128 + number
    assert stdout == ""
    assert stderr == "img-check: interrupted, nothing was changed\n"
    if mark == "mark":
        assert all(ended(int(pid)) for pid in (place / mark).read_text().split())
        scratch = (place / "mark.scratch").read_text()
        assert re.fullmatch(r"/(dev/shm|run|tmp|var/tmp)/img-check\.[0-9a-f]+", scratch)
        assert not os.path.lexists(scratch)


def test_more_signals_do_no_harm(hanging, place):
    process = hanging(HANGING)
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode in (130, 143, 129)  # the kernel delivers in an order of its own
    assert stderr == "img-check: interrupted, nothing was changed\n"
    assert not os.path.lexists((place / "mark.scratch").read_text())


def test_ctrl_c_leaves_no_half_written_output(hanging, place):
    (place / "out/a.json").write_text("old")
    process = hanging(HANGING, more=["-o", str(place / "out/a.json")])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert (place / "out/a.json").read_text() == "old"
    assert os.listdir(place / "out") == ["a.json"]


def test_nohup_is_respected(place, arguments):
    """What a parent ignores stays ignored: `nohup img-check &` outlives the terminal."""
    text = ('"""It survives"""\nimport os, signal\ndef check(host):\n'
            "    os.kill(os.getpid(), signal.SIGHUP)\n    yield from ()\n")
    build(place, {"/plugins/hup.py": text})
    done = call(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *arguments("hup")])
    assert done.returncode == 0


def test_a_check_that_hangs_ends_by_the_timeout(place, arguments):
    build(place, {"/plugins/hangs.py": FIFO})
    os.mkfifo(place / "mark.fifo")
    started = time.monotonic()
    done = call(arguments("hangs", "good", more=["--timeout", "0.5", "--jobs", "1"]),
                env={**os.environ, "MARK": str(place / "mark")})
    assert done.returncode == 3
    assert "took longer than 0.5 s" in done.stdout
    assert "PASS  good" in done.stdout
    assert time.monotonic() - started < 10


def test_a_check_that_calls_exit_cannot_pass_the_image(place, arguments):
    build(place, {"/plugins/leaves.py": '"""It stays"""\nimport sys\ndef check(host):\n'
                                        "    sys.exit(0)\n    yield\n"})
    done = call(arguments("leaves", "good"))
    assert done.returncode == 3
    assert "the check itself failed: SystemExit" in done.stdout


# -- no trace --------------------------------------------------------------------------------------


def test_no_bytecode_is_written(place, arguments):
    cache = place / "cache"
    done = call(arguments("good", "bad"), env={
        **os.environ, "PYTHONPYCACHEPREFIX": str(cache), "PYTHONDONTWRITEBYTECODE": ""})
    assert done.returncode == 1
    written = [str(path) for path in cache.rglob("*.pyc")]
    assert not [path for path in written if re.search("/(checks|report|plugins|psutil)/", path)]
    assert not list((place / "plugins").rglob("__pycache__"))


def test_the_image_is_as_it_was(place, run):
    def manifest() -> list[tuple[object, ...]]:
        return sorted((str(path), *os.lstat(path)[:7], os.lstat(path).st_mtime_ns,
                       os.lstat(path).st_ctime_ns) for path in (place / "image").rglob("*"))

    before = manifest()
    run("good", "bad", "shell-history", more=["--no-refresh"])
    assert manifest() == before


@pytest.fixture
def handlers() -> Iterator[None]:
    """The command's signal handlers, for the time of a test."""
    before = {number: signal.getsignal(number) for number in shared.SIGNALS}
    for number in shared.SIGNALS:
        signal.signal(number, shared._stop)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_waits_for_what_must_not_be_done_by_halves(handlers):
    steps = []

    def tidy() -> None:
        with shared.undisturbed():
            steps.append("begun")
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("done")

    with pytest.raises(shared.Stop) as stop:
        tidy()
    assert steps == ["begun", "done"]
    assert stop.value.number == signal.SIGTERM
    os.kill(os.getpid(), signal.SIGINT)  # no more of them: the clean-up goes on


def test_without_a_signal_the_handlers_are_back_afterwards(handlers):
    with shared.undisturbed():
        pass
    assert signal.getsignal(signal.SIGTERM) is shared._stop


@pytest.mark.parametrize(("program", "handler"), [
    ("/usr/bin/img-clean", "Handlers.SIG_DFL"), ("pytest", "function default_int_handler")])
def test_an_interrupt_during_the_imports_shows_no_traceback(program, handler):
    done = call([sys.executable, "-c", "import sys, signal; sys.argv = [sys.argv[1]]; "
                 "import img_tools.cli; print(repr(signal.getsignal(signal.SIGINT)))", program])
    assert handler in done.stdout
