"""The command img-clean: asking, refusing, signals, exit codes, one document on stdout."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from img_tools.cli import clean, main
from img_tools.model import Undecided
from img_tools.plugins import load
from tests.conftest import BASE
from tests.support import build, manifest, needs, validated_clean

COMMAND = str(Path(sys.executable).parent / "img-clean")
HEAD = ("from img_tools.actions import *\nfrom img_tools.model import Skip, Undecided\n"
        "import os, time\n")
PLUGINS = {
    "one": 'PHASE = Phase.TEMP\ndef plan(host):\n    yield Remove("/tmp/one", "w")\n',
    "bad": 'PHASE = Phase.LOGS\ndef plan(host):\n    yield Truncate("/tmp/dir", "w")\n',
    "lost": 'PHASE = Phase.LOGS\ndef plan(host):\n    raise Undecided("cannot tell")\n    yield\n',
    "slow": 'PHASE = Phase.QUIET\ndef plan(host):\n    yield Remove("/tmp/first", "w")\n'
            '    open(os.environ["MARK"], "w").close()\n'
            '    while not os.path.exists(os.environ["MARK"] + ".go"):\n        time.sleep(0.01)\n'
            '    yield Remove("/tmp/second", "w")\n',
}
Arguments = Callable[..., list[str]]

pytestmark = pytest.mark.skipif(
    not os.path.exists(COMMAND) and not os.environ.get("CI"), reason="img-clean is not installed")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    build(tmp_path, {f"/image{name}": what for name, what in BASE.items()})
    build(tmp_path, {f"/image/tmp/{name}": "x" for name in ("one", "first", "second", "dir/x")})
    build(tmp_path, {f"/plugins/{name}.py": f'"""Clean {name}"""\n{HEAD}{text}'
                     for name, text in PLUGINS.items()})
    return tmp_path


@pytest.fixture
def arguments(place: Path) -> Arguments:
    needs(os.geteuid() == 0, "root")

    def make(only: str, *more: str) -> list[str]:
        return [COMMAND, "--root", str(place / "image"), "--plugin-dir", str(place / "plugins"),
                "--only", only, *more]

    return make


def call(argv: list[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(("only", "more", "code"), [
    ("one", ["--yes"], 0), ("one", ["--dry-run"], 0), ("one", [], 3), ("bad", ["--yes"], 1),
    ("one,bad", ["--yes"], 1), ("lost", ["--yes"], 1), ("lost", ["--dry-run"], 1), ("lost", [], 3),
    ("one,lost", ["--yes"], 1),
])
def test_exit_codes_and_one_document_on_stdout(arguments, place, only, more, code):
    before = manifest(place / "image")
    done = call(arguments(only, "--format", "json", "-q", *more))
    assert done.returncode == code
    document = validated_clean(done.stdout)
    assert document["run"]["mode_of_run"] == ("apply" if "--yes" in more else "dry-run")
    assert [one["id"] for one in document["cleaners"]] == sorted(
        only.split(","), key=["slow", "one", "bad", "lost"].index)
    if "--yes" in more:
        assert (place / "image/tmp/one").exists() is ("one" not in only)
    else:
        assert manifest(place / "image") == before
    assert done.stderr == ("" if more else
                           "img-clean: nothing was changed; --yes carries the plan out\n")


@pytest.mark.parametrize(("only", "more", "words"), [
    ("one", ["--yes", "--dry-run"], "exclude each other"),
    ("oen", ["--yes"], "no cleaner 'oen'; did you mean one"),
    ("one", ["--skip", "one"], "no cleaner is left"),
    ("one", ["--yes", "--poweroff"], "--poweroff is for the running system"),
    ("one", ["--root", "/nonesuch"], "not the root of an image"),
    ("one", ["--only", ""], "names nothing"),  # --only "$UNSET" must not clean everything
    ("one", ["--dry-run", "--check"], "run img-check"),
    ("one", ["-o", "x.pdf"], "name it .txt or .json"),
    ("one", ["--yes", "--fail-on", "warn"], "--profile and --fail-on are for --check"),
    ("one", ["--yes", "--profile", "marketplace"], "--profile and --fail-on are for --check"),
    ("one", ["--yes", "--check", "--profile", "marketplce"], "did you mean marketplace"),
])
def test_bad_usage_is_one_line_and_2(arguments, place, only, more, words):
    done = call(arguments(only, *more))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
    assert (place / "image/tmp/one").exists()


def test_a_check_of_one_s_own_is_known_to_the_policy_and_judges(arguments, place):
    """As img-check with the same options would judge."""
    build(place, {"/plugins/own.py": '"""Own"""\nfrom img_tools.model import warn\n'
                                     'def check(host):\n    yield warn("own", "m")\n',
                  "/policy.toml": '[severity]\nown = "fail"\n'})
    done = call(arguments("one", "--yes", "--check", "--format", "json", "--policy",
                          str(place / "policy.toml")))
    assert done.returncode == 1, done.stderr
    (own,) = [check for check in validated_clean(done.stdout)["check"]["checks"]
              if check["id"] == "own"]
    assert own["status"] == "fail"


@pytest.mark.parametrize(("more", "code", "profile"), [
    ([], 0, "marketplace"), (["--fail-on", "warn"], 1, "marketplace"),
    (["--profile", "marketplace-2019"], 0, "marketplace-2019"),
])
def test_what_the_check_is_told_it_obeys(arguments, place, more, code, profile):
    others = [one.id for one in load("img_tools.checks", "check")]
    build(place, {"/plugins/own.py": '"""Own"""\nfrom img_tools.model import warn\n'
                                     'def check(host):\n    yield warn("own", "m")\n',
                  "/policy.toml": f"disabled = {others}\n"})
    done = call(arguments("one", "--yes", "--check", "--format", "json", *more, "--policy",
                          str(place / "policy.toml")))
    assert done.returncode == code, done.stderr
    document = validated_clean(done.stdout)
    assert (document["exit_code"], document["check"]["exit_code"]) == (code, code)
    assert document["check"]["run"]["profile"] == profile


@pytest.mark.parametrize(("more", "said"), [([], True), (["--erase", "off"], False)])
def test_that_nothing_is_erased_in_a_plain_directory_is_told_once(arguments, more, said):
    shown = " ".join(call(arguments("free-space", "--dry-run", *more)).stdout.split())
    assert shown.count("free space is not erased, since the image is a directory") == said
    (*notes,) = validated_clean(call(arguments(
        "free-space", "--yes", "--format", "json", *more)).stdout)["notes"]
    assert ["a directory of a larger file system" in note for note in notes] == [True] * said


def test_schema_and_list():
    assert '"img-clean report, version 1"' in call([COMMAND, "--schema"]).stdout
    listed = [line.split()[0] for line in call([COMMAND, "--list"]).stdout.splitlines()]
    assert listed.index("package-upgrade") < listed.index("logs") < listed.index("ssh-keys")


def test_progress_is_on_stderr_and_the_report_is_written_beside(arguments, place):
    done = call(arguments("one", "--yes", "-o", str(place / "a.json")))
    assert done.stderr == "img-clean: one: Clean one\n"
    assert "DONE: 1 action, " in done.stdout
    assert validated_clean((place / "a.json").read_text())["verdict"] == "pass"


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("\n", 3), ("no\n", 3), ("\x04", 3)])
def test_on_a_terminal_it_asks_and_stdout_has_the_report_alone(arguments, place, answer, code):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(arguments("one", "--format", "json"), stdin=theirs, stderr=theirs,
                               stdout=subprocess.PIPE, text=True)
    os.close(theirs)
    shown = ""
    while "[y/N]" not in shown:
        shown += os.read(ours, 4096).decode()
    os.write(ours, answer.encode())
    stdout, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == code
    assert "planned remove /tmp/one" in shown
    assert (place / "image/tmp/one").exists() is (code == 3)
    assert stdout == "" if code else validated_clean(stdout)["run"]["mode_of_run"] == "apply"


@pytest.fixture
def slow(arguments, place, monkeypatch):
    """slow(options...) -> the command in the middle of a cleaner; mark.go lets it go on."""
    monkeypatch.setenv("MARK", str(place / "mark"))
    started = []

    def make(*more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            arguments("slow,one", "--yes", "-q", "--format", "json", *more), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        deadline = time.monotonic() + 30
        while not (place / "mark").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return process

    yield make
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_a_report_of_what_was_done(slow, place, number):
    process = slow("--check")
    process.send_signal(number)
    (place / "mark.go").touch()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    document = validated_clean(stdout)
    assert (document["run"]["complete"], document["exit_code"]) == (False, 128 + number)
    assert [one["status"] for one in document["cleaners"]] == ["stopped", "stopped"]
    assert [one["path"] for one in document["cleaners"][0]["actions"]] == ["/tmp/first"]
    assert document["check"] is None
    assert "nothing was changed" not in stderr
    assert sorted(os.listdir(place / "image/tmp")) == ["dir", "one", "second"]


def test_a_signal_after_the_report_changes_nothing(monkeypatch):
    """It came too late: "interrupted, nothing was changed" would be a lie."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(main, "SIGNALS", (signal.SIGTERM,))
    try:
        with clean._Stopper().listening():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_report_written_into_the_image_is_named(arguments, place):
    inside = place / "image/tmp/report.json"
    done = call(arguments("one", "--yes", "-q", "-o", str(inside), "-o", str(place / "x.txt")))
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert f"{inside} is part of the image" in done.stderr


def test_a_second_run_is_refused_and_the_first_goes_on(slow, arguments, place):
    process = slow()
    other = call(arguments("one", "--yes"))
    assert (other.returncode, other.stdout, other.stderr.count("\n")) == (3, "", 1)
    assert "another img-clean is at work" in other.stderr
    (place / "mark.go").touch()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert call(arguments("one", "--yes", "-q")).returncode == 0


class Host:
    run = None


@pytest.mark.parametrize(("code", "error", "expected", "called"), [
    (0, None, 0, True), (1, None, 1, False), (143, None, 143, False), (3, None, 3, False),
    (0, Undecided("no systemd"), 3, True),
])
def test_power_goes_off_only_when_all_went_well(monkeypatch, code, error, expected, called):
    """No power is cut here: what would cut it is replaced."""
    calls = []

    def power_off(run: object) -> None:
        calls.append(run)
        if error:
            raise error

    monkeypatch.setattr("img_tools.session.power_off", power_off)
    session = clean._Session.__new__(clean._Session)
    session._host = Host()  # type: ignore[assignment]
    assert session._power_off(code) == expected
    assert bool(calls) is called


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(place: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds dpkg's lock until its standard input is closed."""
    build(place, {"/image/var/lib/dpkg/lock-frontend": ""})
    lock = place / "image/var/lib/dpkg/lock-frontend"
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_whoever_changes_packages_is_waited_for(arguments, place, holder):
    """Upstream runs apt at once: apt fails, and the cleaning goes on."""
    process = subprocess.Popen(arguments("one", "--yes"), stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr
    said = process.stderr.readline()
    assert f"(pid {holder.pid}) is changing packages" in said
    assert "waiting" in said
    assert (place / "image/tmp/one").exists()
    holder.stdin.close()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not (place / "image/tmp/one").exists()


def test_waiting_comes_to_an_end(arguments, place, holder, monkeypatch):
    monkeypatch.setattr(clean, "LOCK_WAIT", 0.0)
    with pytest.raises(clean.Refused, match=rf"python\S* \(pid {holder.pid}\) is changing"):
        clean.command.main(arguments("one", "--yes", "-q")[1:], standalone_mode=False)
    assert (place / "image/tmp/one").exists()


def test_an_upgrade_that_was_cut_short_is_refused(arguments, place):
    """The cleaner temp-files would remove x.dpkg-new, which dpkg needs to go on."""
    build(place, {"/image/var/lib/dpkg/updates/0001": "Package: x\n"})
    done = call(arguments("one", "--yes"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "dpkg --configure -a" in done.stderr
    assert "nothing was changed" in done.stderr
    assert (place / "image/tmp/one").exists()
    assert call(arguments("one", "--dry-run")).returncode == 0
