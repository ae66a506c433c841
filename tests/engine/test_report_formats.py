"""Every format, whatever a hostile image says: valid, and nothing in it but text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from importlib import import_module
from itertools import pairwise
from xml.etree import ElementTree

import html5lib
import junitparser
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from img_tools import checking
from img_tools.host import Host
from img_tools.model import Note, PackageRef, Report, Skip, Status, Undecided, Waiver, fail, warn
from img_tools.plugins import Plugin
from img_tools.policyfile import Policy
from img_tools.report import html, junit, markdown
from img_tools.report.page import SCRIPT, STYLE
from tests.engine.checking.common import plugin, yields
from tests.engine.reports import BROKEN, FAILED, PASSED, SKIPPED, WARNED, report
from tests.support import validated

ALL = report(FAILED, BROKEN, WARNED, SKIPPED, PASSED)
HTML = "{http://www.w3.org/1999/xhtml}"

NAMES = [
    "plain", "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "</style>",
    "<!--", "-->", "]]>", "<![CDATA[", "&amp;&lt;&#60;", "'\"><svg/onload=alert(1)>", "{{7*7}}",
    "\x1b]0;owned\x07\x1b[2J\x9b31m", "new\nline\r\n## heading", "\0\x01\x08\x0b\x0c\x1f\x7f",
    "bytes \udcff\udc80", "lone \ud800", "\ufffe\uffff", "\u202egnp.exe", "\u2066\u200f\u2028\x85",
    "a|b|c", "`code` ``two`` ```three", "````\nfence", "*bold* _it_ ~~no~~",
    "[x](javascript:alert(1))",
    "![x](http://e.example/x.png)", "[x]: http://e.example", "http://e.example/x",
    "javascript:alert(1)", "<http://e.example>", "www.e.example", "@root", "mail@e.example", "#1",
    "- list", "1. list", "+ list", "=====", "---", "> quote", "    indented", "\\", "\\*",
    "$math$", ":smile:", "x" * 5000, "größer 漢字 \U0001f600", " blank ", "%s%n", "0" * 40,
]


def hostile(name: str) -> tuple[Plugin, ...]:
    """Checks that say NAME wherever they can."""
    one = fail("bad", name, path=f"/{name}", account=name, package=PackageRef(name, name, name),
               evidence={name: name, "n": 1}, fix=name)
    others = [replace(one, status=Status.WARN, code="odd", remediation=None),
              replace(one, code="waived", path="/w")]
    return (plugin(yields(one, Note(name), *others), "fails"), plugin(yields(*others), "warns"),
            plugin(yields(Skip(name)), "skips"), plugin(yields(one, Undecided(name)), "breaks"),
            plugin(yields(Undecided(name)), "lost"), plugin(yields(Note(name)), "passes"),
            plugin(yields(ValueError(name)), "defective"))


@pytest.fixture
def judged(image) -> Iterator[object]:
    """judged(name) -> the report of an image in which everything is called NAME."""

    def make(name: str) -> Report:
        host: Host = image({"/etc/os-release": "ID=x\nPRETTY_NAME='<b>|`x`\\e[2J'\n"})
        host.policy = Policy(path="/p.toml", severity={"warns/odd": Status.FAIL}, waivers=tuple(
            Waiver(check=check, code=code, justification="a|b `c` <b> @root #1", expires=day)
            for check, code, day in (
                ("fails", "waived", None), ("warns", "waived", date(2999, 1, 1)),
                ("passes", "none", None), ("fails", "odd", date(2000, 1, 1)))))
        made = checking.report(host, hostile(name), jobs=1, timeout=20)
        return replace(made, run=replace(made.run, left_out=("a", "b")))

    return make


def rendered(form: str, made: Report) -> str:
    text: str = import_module(f"img_tools.report.{form}").render(made)
    return text


@pytest.mark.parametrize("form", ["text", "json", "junit", "markdown", "html"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_printable_text_leaves(judged, name, form):
    text = rendered(form, judged(name))
    assert all(line.isprintable() for line in text.split("\n"))
    text.encode("utf-8")
    assert text.endswith("\n")


@pytest.mark.parametrize("form", ["text", "json", "junit", "markdown", "html"])
@pytest.mark.parametrize("said", [(), (warn("odd", "an odd thing"),), (Undecided("broke"),),
                                  (fail("bad", "a bad thing"), Undecided("broke"))])
def test_what_was_not_looked_at_is_said_whatever_the_verdict(image, form, said):
    made = checking.report(
        image(), [plugin(yields(Note("not searched: 2 files"), *said))], jobs=1, timeout=20)
    assert "not searched: 2 files" in rendered(form, made)


# -- HTML ------------------------------------------------------------------------------------------


def parsed(page: str) -> ElementTree.Element:
    """PAGE by the rules of the HTML standard, every error in it an exception."""
    tree: ElementTree.Element = html5lib.HTMLParser(strict=True).parse(page)
    return tree


def skeleton(tree: ElementTree.Element) -> list[tuple[str, tuple[str, ...]]]:
    """The elements of TREE and what attributes they have."""
    return [(one.tag, tuple(sorted(one.attrib))) for one in tree.iter() if isinstance(one.tag, str)]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_becomes_markup_in_the_page(judged, name):
    tree = parsed(html.render(judged(name)))
    assert skeleton(tree) == skeleton(parsed(html.render(judged("plain"))))
    assert [one.text for one in tree.iter(f"{HTML}script")] == [SCRIPT]
    assert [one.text for one in tree.iter(f"{HTML}style")] == [STYLE]
    for one in tree.iter():
        assert not any(key.startswith("on") or key in ("src", "style") for key in one.attrib)
    assert {link.get("href", "")[:1] for link in tree.iter(f"{HTML}a")} <= {"#"}


def test_all_that_was_said_is_in_the_page(judged):
    shown = "".join(parsed(html.render(judged("<b>&amp;|`"))).itertext())
    assert shown.count("<b>&amp;|`") > 20


def test_the_page_needs_nothing_from_elsewhere_and_lets_nothing_in():
    tree = parsed(html.render(ALL))
    (policy,) = [one.get("content", "") for one in tree.iter(f"{HTML}meta")
                 if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not [one for one in tree.iter() if one.tag in (
        f"{HTML}link", f"{HTML}img", f"{HTML}iframe", f"{HTML}object", f"{HTML}base")]
    assert "@import" not in STYLE
    assert "url(" not in STYLE
    assert not re.search(r"fetch\(|XMLHttp|import\(|eval\(|innerHTML|document\.write", SCRIPT)
    assert "</" not in SCRIPT + STYLE


def test_an_address_is_a_link_only_in_a_reference():
    linked = replace(FAILED, references=(
        "see (https://example.org/a?b=c), or x", "javascript:x", "a rule (https://example.org/r)",
        "javascript:y (http://example.org)", "https://example.org/x: z."))
    tree = parsed(html.render(report(linked)))
    assert [(one.text, one.get("href")) for one in tree.iter(f"{HTML}a")][2:] == [
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("a rule", "https://example.org/r"), ("https://example.org/x", "https://example.org/x")]
    (see,) = [one for one in tree.iter(f"{HTML}p") if (one.text or "").startswith("See ")]
    assert "".join(see.itertext()) == (
        "See see (https://example.org/a?b=c), or x; javascript:x; a rule; "
        "javascript:y (http://example.org); https://example.org/x: z.")


def test_without_a_check_that_applies_nothing_is_green():
    assert '<h1 class="text error">UNDECIDED: no check' in html.render(report(SKIPPED))
    assert markdown.render(report(SKIPPED)).startswith("## ❓ UNDECIDED: no check")


def test_a_page_for_those_who_do_not_see_it():
    """The order of headings, names of parts and a language; axe-core was run by hand."""
    tree = parsed(html.render(ALL))
    levels = [int(one.tag[-1]) for one in tree.iter()
              if re.fullmatch(f"{HTML}h[1-6]", str(one.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert tree.get("lang") == "en"
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    for one in tree.iter():
        assert one.get("aria-labelledby", ids[0]) in ids
        if one.tag == f"{HTML}a" and one.get("href", "").startswith("#"):
            assert one.get("href", "")[1:] in ids


# -- JUnit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_no_name_breaks_the_xml(judged, name):
    made = judged(name)
    text = junit.render(made)
    assert text.isascii()
    tree = ElementTree.fromstring(text)
    shape = [one.tag for one in tree.iter()]
    assert shape == [one.tag for one in ElementTree.fromstring(
        junit.render(judged("plain"))).iter()]
    assert [case.get("name") for case in tree.iter("testcase")] == [one.id for one in made.results]


def test_junit_as_ci_systems_read_it():
    suites = junitparser.JUnitXml.fromstring(junit.render(ALL).encode())
    (suite,) = suites
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 1, 1)
    assert suite.timestamp == "2026-01-02T03:04:05"
    cases = {case.name: case for case in suite}
    assert cases["one"].is_passed
    assert cases["three"].is_passed
    assert cases["three"].system_out == "warn: it is odd [odd]"
    assert cases["two"].is_skipped
    (error,), (failure,) = cases["four"].result, cases["five"].result
    assert isinstance(error, junitparser.Error)
    assert error.message == "the mirror does not answer"
    assert isinstance(failure, junitparser.Failure)
    assert failure.type == "key, old, odd"
    assert "fail: /root/.ssh/id: a private key [key]\n  -> rm /root/.ssh/id\n" in failure.text
    assert suites.tests == 5


def test_warnings_fail_in_junit_when_they_count():
    (suite,) = junitparser.JUnitXml.fromstring(
        junit.render(report(WARNED, PASSED, fail_on_warn=True)).encode())
    assert suite.failures == 1


@pytest.mark.parametrize("results", [(), (PASSED,), (WARNED,), (SKIPPED,), (BROKEN,), (FAILED,)])
def test_junit_fails_when_the_command_does(results):
    made = report(*results)
    (suite,) = junitparser.JUnitXml.fromstring(junit.render(made).encode())
    assert bool(suite.failures + suite.errors) == bool(made.exit_code)


# -- Markdown --------------------------------------------------------------------------------------


def tokens(text: str) -> Iterator[Token]:
    """Everything that Markdown with all its usual extensions sees in TEXT."""
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        yield token
        yield from token.children or ()


@pytest.mark.parametrize("name", NAMES)
def test_no_name_becomes_markup_in_markdown(judged, name):
    text = markdown.render(judged(name))
    kinds = {token.type for token in tokens(text)}
    assert kinds <= {
        "heading_open", "heading_close", "inline", "text", "paragraph_open", "paragraph_close",
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
        "code_inline", "fence", "text_special", "softbreak"}
    headings = [one.content for one in tokens(text) if one.type == "inline" and one.level == 1]
    plain = [one.content for one in tokens(markdown.render(judged("plain")))
             if one.type == "inline" and one.level == 1]
    assert len(headings) == len(plain)


@pytest.mark.parametrize("name", ["http://e.example/x", "www.e.example", "@root", "a@e.example",
                                  "see #12", "0123abc"])
def test_what_github_would_link_or_notify_stands_in_code(judged, name):
    for token in tokens(markdown.render(judged(name))):
        if token.type == "text":
            assert not re.search(r"http://|www\.|@|#\d|0123abc", token.content)


def test_all_that_was_said_is_in_the_markdown(judged):
    name = "a|b `c` *d* _e_ [f](g) <h> &amp; \\ ~~i~~"
    text = "".join(token.content for token in tokens(markdown.render(judged(name)))
                   if token.type in ("text", "text_special", "code_inline", "fence"))
    assert text.count(name) > 10


def test_markdown_as_a_summary_shows_it():
    text = markdown.render(ALL)
    assert text.startswith("## ❌ FAIL: do not publish this image: five\n")
    assert "#### five\n\nWanted: Title of five\n\n- /root/.ssh/id: a private key (`key`)\n" in text
    assert "```sh\nrm /root/.ssh/id\n```\n" in text
    assert text.endswith(
        "✅ Passed: `one`\n\n➖ Do not apply: `two`\n\n- two: it does not apply\n")


def test_many_findings_do_not_flood_a_summary():
    many = replace(FAILED, findings=tuple(warn("w", f"number {n:03}") for n in range(99)))
    text = markdown.render(report(many))
    assert "number 019" in text
    assert "number 020" not in text
    assert "and 79 more, which the other formats list\n" in text


# -- JSON ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_json_stays_valid(judged, name):
    document = validated(rendered("json", judged(name)))
    assert json.dumps(document).isascii()
    assert document["counts"]["waived"] == 2
