"""The text report: what a person reads, safe on any terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from img_tools import __version__, checking
from img_tools.model import Report, Status, Waiver, Waivers, fail, warn
from img_tools.report.text import render
from tests.engine.checking.common import plugin, yields
from tests.engine.reports import BROKEN, FAILED, PASSED, PLATFORM, SKIPPED, WARNED, report, result

ALL = report(FAILED, BROKEN, WARNED, SKIPPED, PASSED)

GOLDEN = f"""\
img-check {__version__}: Debian GNU/Linux 12 (bookworm) at /mnt, profile marketplace
FAIL: do not publish this image: five

PASS  one
SKIP  two

WARN  three
      - it is odd

ERROR four
      the mirror does not answer

FAIL  five
      - /root/.ssh/id: a private key
      -> rm /root/.ssh/id
      - openssl 1 is older than 2
      - zlib 1 is older than 2
      -> apt-get update && apt-get dist-upgrade

1 fail, 1 error, 1 warn, 1 skip, 1 pass  (1.3 s)
Updates were judged by package indexes published 2026-01-02T00:00:00Z.
FAIL: do not publish this image: five
"""


def test_the_whole_report_as_a_person_sees_it():
    assert render(ALL) == GOLDEN


def test_quiet_leaves_out_what_is_fine():
    text = render(ALL, quiet=True)
    assert "PASS  " not in text
    assert "SKIP" not in text
    assert "FAIL  five" in text
    assert "1 skip, 1 pass" in text
    assert "\n\n\n" not in text


def test_verbose_shows_every_check_and_the_evidence():
    text = render(ALL, verbose=True)
    assert ("PASS  one: Title of one\nSKIP  two: Title of two\n      skipped: it does not apply\n"
            ) in text
    assert "          bits: 256\n          encrypted: False\n" in text
    assert "bits" not in render(ALL)


def test_a_title_says_how_it_should_be_and_stands_beside_no_fail():
    assert "Title of five" not in render(ALL)
    assert "FAIL  five, wanted: Title of five\n" in render(ALL, verbose=True)


def test_many_findings_are_counted_unless_verbose():
    many = report(result("x", Status.FAIL, "", *(
        fail("f", f"finding {n:02}", fix=f"rm {n:02}") for n in range(25))))
    text = render(many)
    assert "finding 09" in text
    assert "rm 09" in text
    assert "finding 10" not in text
    assert "rm 10" not in text
    assert "      ... and 15 more (-v shows them)\n" in text
    assert "finding 24" in render(many, verbose=True)
    assert "more (-v" not in render(many, verbose=True)


def test_a_fail_that_is_not_all_says_so():
    text = render(report(replace(FAILED, incomplete=True, message="the mirror does not answer")))
    assert "There may be more, the check broke off: the mirror does not answer\n" in text


# -- the verdict -----------------------------------------------------------------------------------


def last(made: Report) -> str:
    return render(made).splitlines()[-1]


@pytest.mark.parametrize(("results", "options", "expected"), [
    ([PASSED], {}, "PASS: this image may be published."),
    ([PASSED, WARNED], {},
     "PASS with warnings: this image may be published; reviewers may ask: three"),
    ([WARNED], {"fail_on_warn": True}, "FAIL: warnings count as failures (--fail-on warn): three"),
    ([SKIPPED], {}, "UNDECIDED: no check that was asked for applies to this image."),
    ([BROKEN, WARNED], {},
     "UNDECIDED: nothing failed, but these could not be carried out: four"),
    ([BROKEN, FAILED], {}, "FAIL: do not publish this image: five"),
])
def test_the_verdict_stands_first_and_last(results, options, expected):
    lines = render(report(*results, **options)).splitlines()
    assert (lines[1], lines[-1]) == (expected, expected)


@pytest.mark.parametrize("results", [[PASSED], [WARNED], [PASSED, SKIPPED]])
def test_part_of_the_checks_never_says_that_the_image_may_be_published(results):
    made = report(*results, left_out=("motd", "ssh-keys"))
    assert "may be published" not in render(made)
    assert last(made).startswith("PASS")
    assert "of the checks that were asked for" in last(made)
    assert "Not asked for: motd, ssh-keys\n" in render(made)


# -- the policy file's doing -----------------------------------------------------------------------

WAIVER = Waiver(check="five", code="key", justification="it is a test key",
                expires=date(2027, 1, 31))
WAIVED = replace(FAILED, status=Status.WARN, findings=(
    replace(FAILED.findings[2], status=Status.WARN, severity_was=Status.FAIL),
    replace(FAILED.findings[0], waived=WAIVER)))


@pytest.mark.parametrize("options", [{}, {"quiet": True}, {"verbose": True}])
def test_what_is_waived_is_always_seen_with_who_answers_for_it(options):
    text = render(report(PASSED, WAIVED), **options)
    assert ("WAIVED  five: /root/.ssh/id: a private key\n"
            "        because: it is a test key (until 2027-01-31)\n\n") in text
    assert "      - zlib 1 is older than 2 (fail by itself, warn by the policy file)\n" in text
    assert "0 skip, 1 pass, 1 finding waived  (" in text
    assert "-> rm /root/.ssh/id" not in text


def test_a_pass_that_has_something_to_say_says_it():
    made = report(PASSED, replace(PASSED, id="other", message="2 findings, 2 waived"))
    assert "PASS  one, other\n      other: 2 findings, 2 waived\n\n" in render(made)
    assert "PASS  other: Title of one\n" in render(made, verbose=True)
    assert "      other: 2 findings, 2 waived\n" in render(made, verbose=True)


def test_many_waived_findings_are_counted_unless_verbose():
    many = replace(FAILED, status=Status.PASS, findings=(WAIVED.findings[1],) * 25)
    assert "        ... and 15 more (-v shows them)\n" in render(report(many))
    assert render(report(many), verbose=True).count("WAIVED") == 25


def test_a_verdict_that_rests_on_waivers_says_so():
    passed = replace(WAIVED, status=Status.PASS, findings=WAIVED.findings[1:])
    assert last(report(passed)) == "PASS, with 1 finding waived: this image may be published."
    assert last(report(WAIVED)).startswith("PASS with warnings, with 1 finding waived: this image")
    assert last(report(passed, left_out=("motd",))) == (
        "PASS, with 1 finding waived, of the checks that were asked for.")


def test_waivers_that_do_nothing_are_named():
    made = replace(report(FAILED), waivers=Waivers(
        unused=(replace(WAIVER, code="kye"), replace(WAIVER, code=None, fingerprint="0a" * 32)),
        expired=(replace(WAIVER, path="/root/**"),)))
    made = replace(made, run=replace(made.run, policy="/etc/img-tools/policy.toml"))
    text = render(made, width=200)
    assert "Judged with the policy file /etc/img-tools/policy.toml.\n" in text
    assert ("A waiver fits nothing and can go: five kye (what five found has the code key or odd "
            "or old)\n") in text
    assert "A waiver fits nothing and can go: five fingerprint 0a0a0a0a0a0a...\n" in text
    assert "A waiver expired on 2027-01-31 and does not apply: five key /root/**\n" in text


# -- terminals -------------------------------------------------------------------------------------


def test_colour_only_when_asked_for():
    """Defect 39: upstream's escape sequences end up in build logs."""
    assert "\x1b" not in render(ALL, verbose=True)
    text = render(ALL, colour=True)
    assert "\x1b[31mFAIL \x1b[0m five\n" in text
    assert text.count("\x1b[31mFAIL: do not publish this image: five\x1b[0m\n") == 2
    assert re.sub(r"\x1b\[\d+m", "", text) == GOLDEN


def test_every_status_has_one_prefix_of_one_width():
    """Defect 39: upstream's "[ OK ]" is neither counted nor explained."""
    starts = [line[:6] for line in render(ALL).splitlines()
              if re.match("[A-Z]{4,5} +[a-z]+$", line)]
    assert starts == ["PASS  ", "SKIP  ", "WARN  ", "ERROR ", "FAIL  "]


@pytest.mark.parametrize("width", [10, 40, 60, 120])
def test_messages_are_wrapped_and_commands_are_not(width):
    command = "apt-get update && apt-get  dist-upgrade # " + "long " * 30
    made = report(result("x", Status.FAIL, "", fail("f", "some words " * 30, fix=command)))
    lines = render(made, width=width).splitlines()
    assert f"      -> {command}" in lines
    wrapped = [line for line in lines if line.startswith("      - some")]
    assert all(len(line) <= max(width, 40) for line in wrapped)
    body = lines[lines.index(wrapped[0]):lines.index(f"      -> {command}")]
    assert " ".join(" ".join(body).split()) == "- " + " ".join(["some words"] * 30)


def test_a_long_path_stays_whole():
    path = "/var/lib/" + "x" * 120
    assert path in render(report(result("x", Status.WARN, "", warn("w", f"{path}: odd"))), width=40)


def test_what_a_hostile_image_says_cannot_move_the_cursor(image):
    nasty = "\x1b]0;owned\x07\x9b31m\u202e\udcff\nPASS  fake: line\r\x08"
    checked = checking.evaluate(image(), plugin(yields(
        fail("bad", nasty, path=nasty, evidence={nasty: nasty}, fix=nasty))))
    skipped = replace(SKIPPED, message=r"\x1b")
    text = render(report(checked, skipped), verbose=True, colour=False)
    assert all(line.isprintable() for line in text.splitlines())
    assert not any(line.startswith("PASS  fake") for line in text.splitlines())


def test_an_unknown_system_is_said():
    made = replace(ALL, platform=replace(PLATFORM, pretty_name=None, index_time=None))
    text = render(made)
    assert ": an unknown system at /mnt" in text
    assert "Updates were judged" not in text
