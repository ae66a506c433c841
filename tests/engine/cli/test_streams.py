"""What img-check writes to where: streams, terminals, closed pipes."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.engine.cli.common import COMMAND, call

pytestmark = pytest.mark.skipif(
    not os.path.exists(COMMAND) and not os.environ.get("CI"), reason="img-check is not installed")


@pytest.mark.parametrize("more", [[], ["--format", "json"]])
def test_a_full_standard_output_is_no_verdict(run, more):
    with open("/dev/full", "w") as full:
        done = run("good", more=more, stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode == 3
    assert done.stderr == "img-check: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("option", ["--schema", "--list", "--help", "--version"])
def test_a_full_standard_output_is_never_0(option):
    with open("/dev/full", "w") as full:
        done = call([COMMAND, option], stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_a_closed_standard_output_is_no_verdict(arguments):
    done = call(["sh", "-c", 'exec "$@" >&-', "sh", *arguments("good")])
    assert done.returncode == 3
    assert done.stderr == "img-check: cannot write to standard output: it is closed\n"


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_other_closed_streams_change_nothing(arguments, closed):
    for check, code in (("good", 0), ("bad", 1)):
        done = call(["sh", "-c", f'exec "$@" {closed}', "sh", *arguments(check)])
        assert done.returncode == code
        assert f": {code} fail" not in done.stderr
        assert f"{code} fail, 0 error" in done.stdout


def test_an_error_with_nobody_to_tell_keeps_its_code(arguments):
    for closed in ("2>&-", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"):
        done = call(["sh", "-c", f'exec "$@" {closed}', "sh", *arguments("nonesuch")])
        assert done.returncode == 2


def closed_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("more", [["--schema"], ["--list"], ["--help"], ["--version"], []])
def test_a_reader_that_went_away_is_141_in_silence(arguments, more):
    writing = closed_pipe()
    argv = [COMMAND, *more] if more else arguments("good")
    done = call(argv, stdout=writing, capture_output=False, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_schema_into_head():
    done = call(["bash", "-c", f"set -o pipefail; {COMMAND} --schema | head -1"])
    assert done.stdout == "{\n"
    assert (done.returncode in (0, 141), done.stderr) == (True, "")


@pytest.mark.parametrize("environment", [
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {"LANG": "C"},
    {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C.UTF-8"}, {},
])
def test_no_locale_breaks_a_report(run, environment):
    """Neither the missing letters nor a missing TERM (defect 36)."""
    done = run("odd", env={"PATH": os.environ["PATH"], **environment}, encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "it is odd: gr" in done.stdout
    assert "\x1b" not in done.stdout
    assert r"\x1b[31m" in done.stdout


def test_without_term_nothing_is_said_about_it(run):
    """Defect 36: upstream's `clear` says "TERM environment variable not set." in every build."""
    done = run("good", env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stderr) == (0, "")


def on_a_terminal(argv: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and all that the command wrote to its terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs,
                               env={"PATH": os.environ["PATH"], **environment})
    os.close(theirs)
    shown = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 60)
        try:
            data = os.read(ours, 4096) if ready else b""
        except OSError:  # how Linux says that the other end is closed
            data = b""
        if not data:
            break
        shown += data
    os.close(ours)
    return process.wait(60), shown.decode()


@pytest.mark.parametrize(("environment", "more", "coloured"), [
    ({"TERM": "xterm"}, [], True),
    ({"TERM": "dumb"}, [], False),
    ({}, [], False),
    ({"TERM": "xterm", "NO_COLOR": "1"}, [], False),
    ({"TERM": "xterm", "NO_COLOR": ""}, [], True),
    ({"TERM": "xterm"}, ["--color", "never"], False),
    ({"NO_COLOR": "1"}, ["--color", "always"], True),
])
def test_colour_on_a_terminal(arguments, environment, more, coloured):
    """Defects 36 and 39: no `clear` and no colour that was not asked for."""
    code, shown = on_a_terminal(arguments("bad", more=more), environment)
    assert code == 1
    assert ("\x1b[31mFAIL" in shown) is coloured
    assert "\x1b[H" not in shown
    assert "\x1b[2J" not in shown


def test_colour_elsewhere_only_when_forced(run):
    assert "\x1b[31m" not in run("bad", env={**os.environ, "TERM": "xterm"}).stdout
    assert "\x1b[31m" in run("bad", more=["--color", "always"]).stdout


def test_progress_on_a_terminal_is_gone_when_the_report_comes(arguments):
    _, shown = on_a_terminal(arguments("good", "bad"), {"TERM": "xterm"})
    assert "2/2 checks done" in shown
    assert re.search(r"\r {21}\rimg-check ", shown)
    for more, term in ((["-q"], "xterm"), ([], "dumb")):
        assert "checks done" not in on_a_terminal(arguments("good", more=more), {"TERM": term})[1]


def test_who_watches_no_terminal_is_told_once_what_is_waited_for(arguments, place):
    (place / "plugins/slow.py").write_text(
        '"""Nothing is slow"""\nimport time\ndef check(host):\n    time.sleep(0.3)\n'
        '    yield from ()\n')
    code = ("import sys\nfrom img_tools.cli import check\ncheck.QUICK = check.PATIENCE = 0\n"
            "sys.argv[0] = 'img-check'\ncheck.main()\n")
    argv = [sys.executable, "-c", code, *arguments("good", "slow")[1:]]
    done = call(argv)
    assert done.returncode == 0
    assert re.fullmatch(r"img-check: \d of 2 checks are done, waiting for .*\n", done.stderr)
    assert call([*argv, "-q"]).stderr == ""
