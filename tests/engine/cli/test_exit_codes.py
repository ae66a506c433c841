"""The installed img-check as a pipeline meets it: exit codes, and one line an error."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest

from tests.engine.cli.common import COMMAND, call, one_line
from tests.support import needs, validated

pytestmark = pytest.mark.skipif(
    not os.path.exists(COMMAND) and not os.environ.get("CI"), reason="img-check is not installed")


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
