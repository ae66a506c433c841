"""The report as one HTML page: everything in one file, readable offline, on a phone and printed.

The page is built as a tree and written by xml.etree, which escapes all text and attributes, so that
nothing a hostile image says can become markup; a Content-Security-Policy lets nothing but the
page's own style and script in.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator
from itertools import groupby
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from img_tools import __version__
from img_tools.model import Finding, Report, Result, Status, Waiver
from img_tools.report import words
from img_tools.report.page import SCRIPT, STYLE

_HEADINGS = {
    Status.FAIL: "Failed", Status.ERROR: "Could not be decided", Status.WARN: "Warnings",
    Status.PASS: "Passed", Status.SKIP: "Do not apply",
}
_LINK = re.compile(r"(https://[^\s<>()\"',;]*[^\s<>()\"',;:.])")


def render(report: Report) -> str:
    """REPORT as an HTML document, ASCII only, ending in a newline."""
    page = Element("html", lang="en")
    _head(page, report)
    body = SubElement(page, "body")
    _add(body, "a", "Skip to the results", class_="jump", href="#results")
    _header(body, report)
    main = SubElement(body, "main", id="results")
    _filter(main)
    for status in (Status.FAIL, Status.ERROR, Status.WARN):
        _blocks(main, status, [one for one in report.results if one.status is status])
    _waived(main, report)
    for status in (Status.PASS, Status.SKIP):
        _lines(main, status, [one for one in report.results if one.status is status])
    _waivers(main, report)
    _add(body, "footer", f"img-check {__version__}, run {report.run.id}, "
                         f"{report.run.duration:.1f} s")
    _add(body, "script", SCRIPT)
    text = ElementTree.tostring(page, "us-ascii", method="html").decode()
    return f"<!DOCTYPE html>\n{text}\n"


def _add(parent: Element, tag: str, text: str = "", /, **attributes: str) -> Element:
    """A new TAG below PARENT; `class_` is class and `data_x` data-x."""
    made = SubElement(parent, tag, {key.rstrip("_").replace("_", "-"): value
                                    for key, value in attributes.items()})
    made.text = text
    return made


def _head(page: Element, report: Report) -> None:
    head = SubElement(page, "head")
    _add(head, "meta", charset="utf-8")
    _add(head, "meta", **{"http-equiv": "Content-Security-Policy", "content": (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; "
        "base-uri 'none'; form-action 'none'")})
    _add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "meta", name="referrer", content="no-referrer")
    _add(head, "title", f"{words.outcome(report).upper()}: img-check of {report.run.root}")
    _add(head, "style", STYLE)


def _hash(text: str) -> str:
    """TEXT as a Content-Security-Policy names it."""
    digest = binascii.b2a_base64(hashlib.sha256(text.encode()).digest(), newline=False).decode()
    return f"'sha256-{digest}'"


def _image(report: Report) -> str:
    return f"{report.platform.pretty_name or 'an unknown system'} at {report.run.root}"


def _header(body: Element, report: Report) -> None:
    header = SubElement(body, "header")
    status = words.outcome(report)
    _add(header, "h1", words.verdict(report), class_=f"text {status.value}")
    facts = SubElement(header, "dl")
    for name, fact in _facts(report):
        _add(facts, "dt", name)
        _add(facts, "dd", fact, class_="text")
    tiles = _add(_add(header, "nav", aria_label="Checks by outcome"), "ul", class_="counts")
    for one in words.WORST_FIRST:
        count = report.counts[one.value]
        item = _add(tiles, "li", class_=one.value)
        target = {"href": f"#part-{one.value}"} if count else {}
        _add(item, "a" if count else "span", f"{count} {one.value}", **target)
    for note in words.notes(report):
        _add(header, "p", note, class_="soft text")


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    run, platform = report.run, report.platform
    yield "Image", _image(report)
    yield "Kind", "the running system" if run.mode == "live" else "a mounted image"
    yield "Profile", run.profile
    yield "Looked at", run.started_at
    if platform.kernel:
        yield "Kernel", f"{platform.kernel} {platform.arch or ''}"


def _filter(main: Element) -> None:
    """Hidden until the script shows it, which alone can serve it."""
    form = _add(main, "div", id="sieve", hidden="", role="search", aria_label="The results")
    _add(_add(form, "label", "Filter by words"), "input", type="search", autocomplete="off",
         placeholder="ssh, /var/log, ufw")
    select = SubElement(_add(form, "label", "Outcome"), "select")
    _add(select, "option", "all", value="")
    for status, heading in _HEADINGS.items():
        _add(select, "option", heading, value=status.value)
    _add(select, "option", "Waived", value="waived")
    _add(main, "p", id="said", role="status", class_="soft")


def _part(main: Element, name: str, heading: str) -> Element:
    part = _add(main, "section", id=f"part-{name}", data_part=name,
                aria_labelledby=f"head-{name}")
    _add(part, "h2", heading, id=f"head-{name}")
    return part


def _blocks(main: Element, status: Status, results: list[Result]) -> None:
    """A block for each of RESULTS, with what to do."""
    if not results:
        return
    part = _part(main, status.value, f"{_HEADINGS[status]} ({len(results)})")
    for result in results:
        block = _block(part, result.id, status.value)
        _add(block, "p", f"Wanted: {result.title}", class_="soft text")
        if trouble := words.trouble(result):
            _add(block, "p", trouble, class_="text")
        for note in words.remarks(result):
            _add(block, "p", f"Note: {note}", class_="text")
        for fix, findings in groupby(result.counted, lambda finding: finding.remediation):
            _findings(block, list(findings), status)
            if fix:
                _add(block, "p", "What to do", class_="todo")
                _add(SubElement(_add(block, "div", class_="fix"), "pre"), "code", fix)
        _references(block, result)


def _block(part: Element, name: str, status: str) -> Element:
    block = _add(part, "article", class_=status, data_check=name, data_status=status)
    _add(block, "h3", name)
    return block


def _findings(block: Element, findings: list[Finding], status: Status | None) -> None:
    """An entry for each of FINDINGS; those that are not of STATUS say what they are."""
    entries = SubElement(block, "ul")
    for finding in findings:
        item = SubElement(entries, "li")
        mark = "" if finding.status is status else f"{finding.status.value}: "
        _add(item, "span", mark + words.message(finding), class_="text").tail = " "
        facts = [finding.code, *(f"{key}: {value}" for key, value in finding.evidence.items())]
        _add(item, "span", " · ".join(facts), class_="fact text")


def _references(block: Element, result: Result) -> None:
    for number, reference in enumerate(result.references):
        if number == 0:
            line = _add(block, "p", "See ", class_="soft text")
        else:
            line[-1].tail = (line[-1].tail or "") + "; "
        for text, address in _linked(reference):
            if address:
                _add(line, "a", text, href=address, rel="noreferrer")
            else:
                _add(line, "span", text)


def _linked(reference: str) -> Iterator[tuple[str, str | None]]:
    """Pieces of REFERENCE and where they lead: what has an address in brackets after it, or one."""
    if named := re.fullmatch(rf"(.+) \({_LINK.pattern}\)", reference):
        yield named[1], named[2]
        return
    for part in filter(None, _LINK.split(reference)):
        yield part, part if _LINK.fullmatch(part) else None


def _waived(main: Element, report: Report) -> None:
    """What does not count, and who answers for it."""
    results = [result for result in report.results if result.waived]
    if not results:
        return
    part = _part(main, "waived", f"Waived ({report.counts['waived']})")
    for result in results:
        block = _block(part, result.id, "waived")
        for finding, waiver in result.waived:
            _findings(block, [finding], None)
            _add(block, "p", f"Because: {waiver.answer}", class_="soft text")


def _lines(main: Element, status: Status, results: list[Result]) -> None:
    """A line for each of RESULTS, of which there is little to say."""
    if not results:
        return
    part = _part(main, status.value, f"{_HEADINGS[status]} ({len(results)})")
    entries = _add(part, "ul", class_="plain")
    for result in results:
        item = _add(entries, "li", data_check=result.id, data_status=status.value)
        _add(item, "code", result.id)
        _add(item, "span", result.title, class_="soft text")
        if result.message:
            _add(item, "span", result.message, class_="soft text")


def _waivers(main: Element, report: Report) -> None:
    """The waivers of the policy file and what became of them."""
    rows = [(state, waiver) for state, waivers in (
        ("applied", report.waivers.applied), ("unused", report.waivers.unused),
        ("expired", report.waivers.expired)) for waiver in waivers]
    if not rows:
        return
    section = _add(main, "section", aria_labelledby="head-policy")
    _add(section, "h2", "Waivers of the policy file", id="head-policy")
    table = SubElement(section, "table")
    header = SubElement(SubElement(table, "thead"), "tr")
    for title in ("State", "What", "Why", "Until"):
        _add(header, "th", title, scope="col")
    body = SubElement(table, "tbody")
    for state, waiver in rows:
        _row(body, state, waiver)


def _row(body: Element, state: str, waiver: Waiver) -> None:
    row = SubElement(body, "tr")
    until = str(waiver.expires) if waiver.expires else "no end"
    for text in (state, waiver.subject, waiver.justification, until):
        _add(row, "td", text, class_="text")
