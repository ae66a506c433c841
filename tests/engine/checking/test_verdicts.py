"""What becomes of what a check yields and raises."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from img_tools.checking import evaluate, run
from img_tools.model import Finding, PackageRef, Result, Skip, Status, Undecided, fail, warn
from tests.engine.checking.common import FAIL, WARN, plugin, verdict, yields


@pytest.mark.parametrize(("what", "expected"), [
    ([], ("pass", "", 0)),
    ([WARN], ("warn", "it is odd", 1)),
    ([FAIL], ("fail", "it is bad", 1)),
    ([WARN, FAIL, WARN], ("fail", "3 findings", 3)),
    ([Skip("not here")], ("skip", "not here", 0)),
    ([Undecided("mirror down")], ("error", "mirror down", 0)),
    ([WARN, Undecided("mirror down")], ("error", "mirror down", 1)),
    ([FAIL, Undecided("mirror down")], ("fail", "mirror down", 1)),
    ([WARN, Skip("not here")], ("warn", "it is odd", 1)),
])
def test_what_a_check_says_becomes_its_status(what, expected):
    assert verdict(*what) == expected


@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit(0), RecursionError("deep"),
                                   MemoryError(), OSError(5, "Input/output error")])
def test_a_check_that_breaks_is_an_error_and_never_a_pass(error):
    status, message, _ = verdict(error)
    assert status == "error"
    assert message.startswith(f"the check itself failed: {type(error).__name__}")
    assert "checking/common.py:" in message


@pytest.mark.parametrize("error", [Undecided("why"), ValueError("why")])
def test_a_fail_before_it_broke_off_stays_and_says_that_it_is_not_all(error):
    result = evaluate(None, plugin(yields(WARN, FAIL, error)))
    assert result.status is Status.FAIL
    assert result.incomplete
    assert "why" in result.message
    assert [finding.code for finding in result.findings] == ["bad", "odd"]


@pytest.mark.parametrize("what", [[], [WARN], [FAIL], [WARN, FAIL], [WARN, Undecided("why")]])
def test_only_a_fail_that_broke_off_is_incomplete(what):
    assert not evaluate(None, plugin(yields(*what))).incomplete


@pytest.mark.parametrize("reason", [Skip(), Undecided(), Skip(""), Undecided("")])
def test_a_check_that_gives_no_reason_still_says_something(reason):
    """Defect 40: upstream says nothing at all where the account has no line in /etc/shadow."""
    assert verdict(reason)[1] == "no reason was given"


def test_every_check_that_ran_is_reported_even_when_it_found_nothing():
    """Defect 40: upstream's checks end in `return 1` whatever they found, and some in silence."""
    ids = ["a", "b", "c"]
    results = run(None, [plugin(yields(), name) for name in ids], jobs=2, timeout=20)
    assert [(result.id, result.status) for result in results] == [(name, Status.PASS)
                                                                  for name in ids]


@pytest.mark.parametrize("odd", [None, "text", 1, (FAIL,), Result])
def test_what_is_no_finding_is_an_error(odd):
    status, message, _ = verdict(odd)
    assert status == "error"
    assert "not a Finding" in message


@pytest.mark.parametrize("verb", [
    lambda host: None,
    lambda host: 7,
    lambda: iter(()),
    lambda host: iter([fail("Not A Code", "x")]),
    lambda host: iter([fail("ok", None)]),
    lambda host: iter([fail("ok", "x", line=0)]),
    lambda host: iter([fail("ok", "x", line="7")]),
    lambda host: iter([Finding(status=Status.PASS, code="ok", message="x")]),
])
def test_a_check_that_breaks_the_contract_is_an_error(verb):
    result = evaluate(None, plugin(verb))
    assert result.status is Status.ERROR
    assert "the check itself failed" in result.message


def test_findings_come_worst_first_and_by_path():
    findings = [warn("w", "x", path="/b"), fail("f", "x", path="/z"), warn("w", "x"),
                fail("f", "x", path="/a"), warn("w", "x", path="/a")]
    result = evaluate(None, plugin(yields(*findings)))
    assert [(finding.status.value, finding.path) for finding in result.findings] == [
        ("fail", "/a"), ("fail", "/z"), ("warn", None), ("warn", "/a"), ("warn", "/b")]


def test_every_text_of_a_finding_is_made_printable():
    nasty = "\x1b]0;owned\x07\udcff\n"
    shown = r"\x1b]0;owned\x07\xff\x0a"
    live: Any = SimpleNamespace(live=True)
    result = evaluate(live, plugin(yields(fail(
        "bad", nasty, path=nasty, account=nasty, package=PackageRef(nasty, nasty, nasty),
        evidence={nasty: nasty, "number": 7, "none": None, "odd": [nasty]}, fix=nasty))))
    (finding,) = result.findings
    assert (finding.message, finding.path, finding.account, finding.remediation) == (shown,) * 4
    assert finding.package == PackageRef(shown, shown, shown)
    assert finding.evidence[shown] == shown
    assert finding.evidence["number"] == 7
    assert finding.evidence["none"] is None
    assert str(finding.evidence["odd"]).isprintable()


def test_a_remedy_for_inside_a_mounted_image_says_so(image):
    """Typed where it is mounted, userdel would hit the machine that builds the image."""
    host = image()
    own = f"img-clean --root {host.root.top} --yes --only logs"
    fixes = ["userdel -r jo", own, None]
    result = evaluate(host, plugin(yields(*(
        fail("bad", "x", path=f"/{number}", fix=fix) for number, fix in enumerate(fixes)))))
    assert [one.remediation for one in result.findings] == [
        f"(inside {host.root.top}) userdel -r jo", own, None]


@pytest.mark.parametrize("raised", [Skip("\x1b[2J"), Undecided("\x1b[2J"), ValueError("\x1b[2J")])
def test_reasons_are_made_printable(raised):
    assert r"\x1b[2J" in verdict(raised)[1]
