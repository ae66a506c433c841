"""The installed command as a pipeline meets it: exit codes, streams, signals, one line an error."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from img_tools import __version__
from img_tools.cli import main as shared
from tests.conftest import BASE
from tests.support import build, needs, validated

COMMAND = str(Path(sys.executable).parent / "img-check")
PLUGINS = {
    "/good.py": '"""Good things are there"""\ndef check(host):\n    yield from ()\n',
    "/odd.py": '"""Nothing is odd"""\nfrom img_tools.model import warn\ndef check(host):\n'
               '    yield warn("odd", "it is odd: gr\\u00fc\\u00df \\u6f22 \\x1b[31m")\n',
    "/bad.py": '"""Nothing is bad"""\nfrom img_tools.model import fail\n'
               'def check(host):\n    yield fail("bad", "it is bad", fix="rm bad")\n',
    "/lost.py": '"""All is known"""\nfrom img_tools.model import Undecided\n'
                'def check(host):\n    raise Undecided("the mirror does not answer")\n    yield\n',
    "/broken.py": '"""All works"""\ndef check(host):\n    yield 1 / 0\n',
}
Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(
    not os.path.exists(COMMAND) and not os.environ.get("CI"), reason="img-check is not installed")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with an image, plugins and room for reports."""
    build(tmp_path, {"/out": {}})
    build(tmp_path, {f"/image{name}": what for name, what in BASE.items()})
    build(tmp_path, {f"/plugins{name}": what for name, what in PLUGINS.items()})
    return tmp_path


@pytest.fixture
def arguments(place: Path) -> Callable[..., list[str]]:
    """arguments("good", "bad", more...) -> the command over the image with these checks alone."""
    needs(os.geteuid() == 0, "root")

    def make(*checks: str, more: Sequence[str] = ()) -> list[str]:
        return [COMMAND, "--root", str(place / "image"), "--plugin-dir", str(place / "plugins"),
                "--only", ",".join(checks), *more]

    return make


@pytest.fixture
def run(arguments: Callable[..., list[str]]) -> Run:
    """run("good", "bad", more=[...]) -> how it ended."""

    def make(*checks: str, more: Sequence[str] = (), **options: Any
             ) -> subprocess.CompletedProcess[str]:
        return call(arguments(*checks, more=more), **options)

    return make


def call(argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, **{"capture_output": True, "text": True, "timeout": 60,
                                   "stdin": subprocess.DEVNULL, **options}, check=False)
    assert "Traceback" not in (done.stdout or "") + (done.stderr or "")
    return done


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The only line on stderr, after the exit code and an empty stdout were demanded."""
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("img-check: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


# -- exit codes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("checks", "more", "code"), [
    (["good"], [], 0),
    (["good", "odd"], [], 0),
    (["good", "odd"], ["--fail-on", "warn"], 1),
    (["good"], ["--fail-on", "warn"], 0),
    (["good", "bad"], [], 1),
    (["good", "lost"], [], 3),
    (["odd", "lost"], [], 3),
    (["bad", "lost"], [], 1),
    (["broken"], [], 3),
])
def test_exit_codes(run, checks, more, code):
    """Defect 37: upstream exits 1 for a failed image, an unsupported one, a bug and a non-root."""
    done = run(*checks, more=more)
    assert done.returncode == code
    assert done.stderr == ""
    assert json.loads(run(*checks, more=[*more, "--format", "json"]).stdout)["exit_code"] == code


@pytest.mark.parametrize(("text", "words"), [
    ('[severity]\n"firewall/not-instaled" = "warn"\n', "severity: firewall has no finding "
     "'not-instaled'; did you mean not-installed"),
    ('[[waivers]]\ncheck = "logs"\ncode = "logg"\njustification = "j"\n',
     "waivers: logs has no finding 'logg'; did you mean log"),
])
def test_a_policy_that_was_mistyped_judges_nothing(run, place, text, words):
    (place / "policy.toml").write_text(text)
    assert words in one_line(run("good", more=["--policy", str(place / "policy.toml")]), 2)


def test_the_report_is_on_stdout_and_nothing_else(run):
    done = run("good", "bad", "odd", more=["--format", "json"])
    assert validated(done.stdout)["verdict"] == "fail"
    assert done.stderr == ""


def test_an_unsupported_system_is_one_finding_and_the_rest_is_checked(run, place):
    """Defect 38: upstream exits there, without any other check, a summary or counters."""
    (place / "image/etc/os-release").write_text('ID=plan9\nVERSION_ID="4"\n')
    done = run("os-release", "good", "bad", "shell-history", more=["--format", "json"])
    document = validated(done.stdout)
    assert {check["id"]: check["status"] for check in document["checks"]} == {
        "os-release": "fail", "good": "pass", "bad": "fail", "shell-history": "pass"}


def test_the_system_s_own_words_are_never_run(run, place):
    """Defect 35: upstream sources /etc/os-release as root."""
    (place / "image/etc/os-release").write_text(
        f'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="$(touch {place}/ran)"\ntouch {place}/ran\n'
        f'X=`touch {place}/ran`\n')
    done = run("good", more=["--format", "json"])
    assert done.returncode == 0
    assert "touch" in validated(done.stdout)["platform"]["pretty_name"]
    assert not (place / "ran").exists()


# -- usage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "words"), [
    (["extra-argument"], "unexpected extra argument"),
    (["--no-such-option"], "No such option"),
    (["--only"], "requires an argument"),
    (["--only", "godo"], "no check 'godo'; did you mean good"),
    (["--skip", "zzzzzz"], "no check 'zzzzzz' (img-check --list shows them)"),
    (["--skip", "good"], "no check is left to run"),
    (["--explain", "godo"], "did you mean good"),
    (["--profile", "marketplce"], "no profile 'marketplce'; did you mean marketplace"),
    (["--profile", "zzzzzz"], "known: marketplace"),
    (["--policy", "/nonesuch.toml"], "/nonesuch.toml: No such file"),
    (["--policy", "/"], "/: not a file"),
    (["--root", "/nonesuch"], "--root /nonesuch: not the root of an image"),
    (["--root", "/proc"], "--root /proc: not the root of an image"),
    (["--root", ""], "not the root of an image"),
    (["--only", ""], "names nothing"), (["--only", " ,"], "names nothing"),
    (["--skip", ""], "names nothing"),
    (["--plugin-dir", "/nonesuch"], "/nonesuch: no such directory of plugins"),
    (["--timeout", "0"], "'--timeout'"),
    (["--timeout", "nan"], "'--timeout'"),
    (["--timeout", "inf"], "'--timeout'"),
    (["--timeout", "-1"], "'--timeout'"),
    (["--timeout", "soon"], "'--timeout'"),
    (["--jobs", "0"], "'--jobs'"),
    (["--jobs", "1.5"], "'--jobs'"),
    (["--format", "yaml"], "'--format'"),
    (["--color", "pink"], "'--color'"),
    (["--fail-on", "skip"], "'--fail-on'"),
    (["-o", "report.pdf"], "-o report.pdf: name it .txt, .json, .xml, .md or .html"),
    (["-o", "report"], "the ending tells the format"),
    (["-o", "/nonesuch/report.json"], "-o /nonesuch/report.json: no such directory"),
    (["--root", "/\x1b[31m\nx"], r"--root /\x1b[31m x: not the root"),
])
def test_bad_usage_is_one_line_and_2(run, more, words):
    assert words in one_line(run("good", more=more), 2)


def test_an_output_that_is_a_directory(run, place):
    os.mkdir(place / "x.json")
    assert "is a directory" in one_line(run("good", more=["-o", str(place / "x.json")]), 2)


def test_only_and_skip_take_commas_blanks_and_repeats(arguments, place):
    """Defect 39: upstream always runs everything."""
    base = [COMMAND, "--root", str(place / "image"), "--plugin-dir", str(place / "plugins"),
            "--format", "json"]

    def ids(*more: str) -> list[str]:
        return [check["id"] for check in validated(call([*base, *more]).stdout)["checks"]]

    assert ids("--only", "good,bad", "--only", "odd") == ["bad", "good", "odd"]
    assert ids("--only", " good , bad ,", "--skip", "bad") == ["good"]
    everything = ids("--no-refresh", "--skip", "good,bad", "--skip", "odd")
    assert "lost" in everything
    assert not {"good", "bad", "odd"} & {*everything}


def test_what_was_left_out_is_in_the_report(run):
    done = run("good", more=["--format", "json"])
    left_out = validated(done.stdout)["run"]["left_out"]
    assert "bad" in left_out
    assert "shell-history" in left_out
    assert "good" not in left_out


def test_not_root_is_one_line_with_the_command_to_type(place):
    """Defect 37: upstream's exit 1 for it looks like a failed image."""
    argv = [COMMAND, "--root", str(place / "image"), "--only", "shell-history"]
    if os.geteuid() == 0:  # another user who can read the installation, wherever it is
        needs(shutil.which("setpriv") is not None, "setpriv (util-linux)")
        argv = ["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=+dac_read_search",
                "--ambient-caps=+dac_read_search", *argv]
    line = one_line(call(argv), 2)
    assert "must run as root" in line
    typed = re.escape(f"img-check --root {place}/image --only shell-history")
    assert re.search(rf"sudo \S*{typed}\n", line)  # with its path: sudo has a PATH of its own


# -- the policy file -------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "words"), [
    ('profile = "marketplce"', "no profile 'marketplce'; did you mean marketplace"),
    ("disabled = [", "not TOML"),
    ("\0", "not TOML"),
    ('disabled = ["godo"]', "disabled: no check 'godo'; did you mean good"),
    ('disabled = "good"', "disabled must be a list"),
    ("disabled = [7]", "disabled must be a list"),
    ("profile = 7", "profile must be a string"),
    ('dissabled = ["good"]', "unknown key 'dissabled'; did you mean disabled"),
])
def test_a_bad_policy_file_is_named(run, place, text, words):
    (place / "my.toml").write_text(text)
    line = one_line(run("good", more=["--policy", str(place / "my.toml")]), 2)
    assert re.match(f"img-check: {place}/my.toml(:1)?: ", line)
    assert words in line
    assert line.count("my.toml") == 1


def test_a_bad_profile_on_the_command_line_does_not_blame_the_file(run, place):
    (place / "my.toml").write_text('profile = "marketplace"')
    line = one_line(run("good", more=["--policy", str(place / "my.toml"), "--profile", "x"]), 2)
    assert line.startswith("img-check: --profile: no profile 'x'")


def test_the_policy_disables_and_the_command_line_outranks_it(run, place):
    (place / "my.toml").write_text('disabled = ["bad"]\nprofile = "marketplace-2019"\n')
    more = ["--policy", str(place / "my.toml"), "--format", "json"]
    named = validated(run("good", "bad", more=more).stdout)
    assert [check["id"] for check in named["checks"]] == ["bad", "good"]
    assert named["run"]["profile"] == "marketplace-2019"
    argv = [COMMAND, "--root", str(place / "image"), "--plugin-dir", str(place / "plugins"),
            "--no-refresh", *more, "--profile", "marketplace"]
    whole = validated(call(argv).stdout)
    assert "bad" in whole["run"]["left_out"]
    assert "good" in [check["id"] for check in whole["checks"]]
    assert whole["run"]["profile"] == "marketplace"


WAIVER = '''[[waivers]]
check = "bad"
code = "bad"
justification = "Jo answers for it"
expires = {}
'''


def test_a_waiver_lets_an_image_pass_and_an_expired_one_does_not(run, place):
    """So does no file in the image: it would be the image that waives what is found in it."""
    (place / "my.toml").write_text(WAIVER.format("2999-12-31"))
    build(place / "image", {"/etc/img-tools/policy.toml": WAIVER.format("2999-12-31")})
    more = ["--policy", str(place / "my.toml")]
    done = run("bad", more=more)
    assert (done.returncode, done.stderr) == (0, "")
    assert "WAIVED  bad: it is bad\n        because: Jo answers for it (until 2999-12-31)" in (
        done.stdout)
    (place / "my.toml").write_text(WAIVER.format("2020-12-31"))
    done = run("bad", more=more)
    assert done.returncode == 1
    assert "A waiver expired on 2020-12-31 and does not apply: bad bad\n" in done.stdout
    assert run("bad").returncode == 1


def test_a_severity_decides_about_the_exit_code(run, place):
    (place / "my.toml").write_text('[severity]\nbad = "warn"\nodd = "fail"\n')
    more = ["--policy", str(place / "my.toml")]
    assert [run(name, more=more).returncode for name in ("bad", "odd")] == [0, 1]


def test_what_is_off_by_default_runs_when_the_policy_enables_it(place):
    (place / "my.toml").write_text('enabled = ["long"]\ndisabled = ["bad", "lost", "broken"]\n')
    build(place, {"/plugins/long.py": f'{PLUGINS["/good.py"]}DEFAULT = False\n'})
    argv = [COMMAND, "--root", str(place / "image"), "--plugin-dir", str(place / "plugins"),
            "--no-refresh", "--format", "json"]
    for more, runs in (([], False), (["--policy", str(place / "my.toml")], True)):
        document = validated(call([*argv, *more]).stdout)
        assert ("long" in [check["id"] for check in document["checks"]]) is runs
        assert "long" not in document["run"]["left_out"], "nobody expects it"


def test_a_policy_that_is_not_root_s_is_refused(run, place):
    (place / "my.toml").write_text("")
    os.chown(place / "my.toml", 65534, 0)
    line = one_line(run("good", more=["--policy", str(place / "my.toml")]), 2)
    assert "my.toml: must belong to root and be writable by root alone (chown -h root " in line


def test_an_empty_name_is_not_the_lack_of_one(run):
    """`--policy "$POLICY"` with a variable that is not set."""
    one_line(run("good", more=["--policy", ""]), 2)


# -- completion ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "completed"), [
    ("--only ssh-k", ["plain,ssh-keys"]), ("--skip motd,fst", ["plain,motd,fstab"]),
    ("--explain boo", ["plain,boot"]), ("--root /mn", ["dir,/mn"]), ("-o rep", ["file,rep"]),
    ("--policy /e", ["file,/e"]), ("--format ht", ["plain,html"]),
])
def test_the_shell_completes_ids_and_paths(words, completed):
    done = call([COMMAND], env={**os.environ, "_IMG_CHECK_COMPLETE": "bash_complete",
                                "COMP_WORDS": f"img-check {words}", "COMP_CWORD": "2"})
    assert (done.returncode, done.stdout.splitlines()) == (0, completed)


# -- what needs no root and no image ---------------------------------------------------------------


def test_version_imports_nothing_heavy():
    code = ("import sys\nfrom img_tools.cli.check import command\n"
            "command.main(['--version'], prog_name='img-check', standalone_mode=False)\n"
            "print(sorted({'psutil', 'distro', 'packaging', 'img_tools.checks',"
            " 'img_tools.host'} & {*sys.modules}))\n")
    done = call([sys.executable, "-c", code])
    assert done.stdout == f"img-check {__version__}\n[]\n", done.stderr


def test_version_help_and_schema():
    assert call([COMMAND, "--version"]).stdout == f"img-check {__version__}\n"
    shown = call([COMMAND, "-h"])
    assert shown.returncode == 0
    assert "Exit codes: 0 passed" in shown.stdout
    assert json.loads(call([COMMAND, "--schema"]).stdout)["title"].startswith("img-check report")


def test_list_and_explain(place):
    more = ["--plugin-dir", str(place / "plugins")] if os.geteuid() == 0 else []
    lines = call([COMMAND, "--list", *more]).stdout.splitlines()
    assert lines == sorted(lines)
    assert any(re.fullmatch("shell-history +No account .*[^.]", line) for line in lines)
    assert len({line.index(line.split(None, 1)[1]) for line in lines}) == 1
    shown = call([COMMAND, "--explain", "shell-history"]).stdout
    assert shown.startswith("shell-history: No account")
    assert "kill -9 $$" in shown
    assert "policy file:\n  client-history, shell-history, viewer-history\n" in shown


# -- streams ---------------------------------------------------------------------------------------


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


# -- files -----------------------------------------------------------------------------------------


def test_outputs_are_written_beside_the_report(run, place):
    done = run("bad", "odd", more=["-o", f"{place}/out/a.json", "-o", f"{place}/out/b.txt",
                                   "--color", "always"])
    assert validated((place / "out/a.json").read_text())["verdict"] == "fail"
    assert "FAIL: do not publish this image: bad" in (place / "out/b.txt").read_text()
    assert "\x1b" not in (place / "out/b.txt").read_text()
    assert "\x1b" in done.stdout
    assert sorted(os.listdir(place / "out")) == ["a.json", "b.txt"]
    assert os.stat(place / "out/a.json").st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("form", "suffix", "start"), [
    ("junit", "xml", '<?xml version="1.0" encoding="us-ascii"?>\n<testsuites name="img-check"'),
    ("markdown", "md", "## ❌ FAIL: do not publish this image: bad\n"),
    ("html", "html", "<!DOCTYPE html>\n<html lang=\"en\">"),
])
def test_other_formats_by_their_name_or_ending(run, place, form, suffix, start):
    done = run("bad", "odd", more=["--format", form, "-o", f"{place}/out/r.{suffix}"])
    assert (done.returncode, done.stderr) == (1, "")
    written = (place / f"out/r.{suffix}").read_text("utf-8")
    assert written.startswith(start)
    assert written == done.stdout


def test_an_output_is_replaced_whole(run, place):
    old = place / "out/a.json"
    old.write_text("old " * 100000)
    with open(old) as held:
        assert run("good", more=["-o", str(old)]).returncode == 0
        assert held.read(4) == "old "  # whoever was reading keeps what it had
    validated(old.read_text())


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def test_an_output_that_cannot_be_written_leaves_the_old_one_and_is_3(run, place):
    (place / "out/a.json").write_text("old")
    done = run("good", more=["-o", f"{place}/out/a.json", "-o", f"{place}/out/b.json"],
               preexec_fn=small_files)
    assert done.returncode == 3
    assert done.stderr == f"img-check: cannot write {place}/out/a.json: File too large\n"
    assert "1 pass" in done.stdout
    assert (place / "out/a.json").read_text() == "old"
    assert os.listdir(place / "out") == ["a.json"]


def test_an_output_on_a_full_disk(arguments, place):
    """A failed image on a full disk is still no 1: the report that was asked for is missing."""
    script = (f"mount -t tmpfs -o size=4k none {place}/out || exit 77\n"
              f"head -c 4096 /dev/zero > {place}/out/a.json\n"
              '"$@"; code=$?\n'
              f"stat -c %s {place}/out/a.json; ls -A {place}/out\nexit $code\n")
    done = call(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh",
                 *arguments("bad", more=["-o", f"{place}/out/a.json"])])
    needs(done.returncode not in (1, 77) or "mount" not in done.stderr + done.stdout,
          "a mount namespace of its own")
    assert done.returncode == 3
    assert done.stderr == f"img-check: cannot write {place}/out/a.json: No space left on device\n"
    assert done.stdout.endswith("\n4096\na.json\n")


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
