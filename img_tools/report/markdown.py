"""The report as Markdown, for the summary of a CI job or a comment (GitHub, GitLab).

What comes from the image must not become markup, a link or a mention of somebody: what has a
meaning is escaped, and a word that could be an address, a mention, a commit or an issue's number
stands in a code span, which is all that GitHub's own filters leave alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from img_tools import __version__
from img_tools.model import Finding, Report, Result, Status
from img_tools.report import words

_MARKS = {Status.FAIL: "❌", Status.ERROR: "❓", Status.WARN: "⚠️", Status.PASS: "✅",
          Status.SKIP: "➖"}
_HEADINGS = {Status.FAIL: "Failed", Status.ERROR: "Could not be decided", Status.WARN: "Warnings"}
_SPECIAL = re.compile(r"[\\`*_\[\]<>&~|$]")
_LINKED = re.compile(r"@|://|www\.|#|^[0-9a-f]{7,40}$").search
SHOWN = 20  # findings of one check: GitHub takes a megabyte and shows less


def render(report: Report) -> str:
    """REPORT as Markdown, ending in a newline."""
    return "\n".join(_lines(report)).rstrip("\n") + "\n"


def text(plain: str) -> str:
    """PLAIN so that it is shown as it is, in a line of Markdown."""
    shown = " ".join(_code(word) if _LINKED(word) else _SPECIAL.sub(r"\\\g<0>", word)
                     for word in plain.split())
    return re.sub(r"^(\d*)(?=[-+=.)])", r"\1\\", shown)  # or it would begin a list or a heading


def _code(plain: str) -> str:
    """PLAIN as a code span, whatever backticks it holds (CommonMark 6.1)."""
    fence = "`" * (max(map(len, re.findall("`+", plain)), default=0) + 1)
    pad = " " if "`" in (plain[:1], plain[-1:]) else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _lines(report: Report) -> Iterator[str]:
    yield f"## {_MARKS[words.outcome(report)]} {text(words.verdict(report))}"
    yield ""
    system = report.platform.pretty_name or "an unknown system"
    yield text(f"{system} at {report.run.root}, profile {report.run.profile}, "
               f"img-check {__version__}: {words.counts(report)}.")
    yield ""
    for note in words.notes(report):
        yield f"- {text(note)}"
    yield ""
    for status, heading in _HEADINGS.items():
        results = [result for result in report.results if result.status is status]
        if results:
            yield f"### {_MARKS[status]} {heading}"
            yield ""
        for result in results:
            yield from _result(result)
    yield from _waived(report)
    yield from _fine(report)


def _result(result: Result) -> Iterator[str]:
    yield f"#### {text(result.id)}"
    yield ""
    yield f"Wanted: {text(result.title)}"
    yield ""
    if trouble := words.trouble(result):
        yield text(trouble)
        yield ""
    for note in words.remarks(result):
        yield text(f"Note: {note}")
        yield ""
    counted = result.counted
    for fix, findings in groupby(counted[:SHOWN], lambda finding: finding.remediation):
        for finding in findings:
            yield f"- {_finding(finding)}"
        yield ""
        if fix:
            yield from _block(fix)
    if len(counted) > SHOWN:
        yield f"and {len(counted) - SHOWN} more, which the other formats list"
        yield ""


def _finding(finding: Finding) -> str:
    return f"{text(words.message(finding))} ({_code(finding.code)})"


def _block(fix: str) -> Iterator[str]:
    """FIX as a block that GitHub offers to copy."""
    fence = "`" * max(3, max(map(len, re.findall("`+", fix)), default=0) + 1)
    yield from (fence + "sh", fix, fence, "")


def _waived(report: Report) -> Iterator[str]:
    waived = [(result, *pair) for result in report.results for pair in result.waived]
    if waived:
        yield "### Waived"
        yield ""
    for result, finding, waiver in waived[:SHOWN]:
        yield f"- {text(result.id)}: {_finding(finding)}"
        yield f"  — {text(waiver.answer)}"
    if len(waived) > SHOWN:
        yield f"- and {len(waived) - SHOWN} more, which the other formats list"
    if waived:
        yield ""


def _fine(report: Report) -> Iterator[str]:
    for status, heading in ((Status.PASS, "Passed"), (Status.SKIP, "Do not apply")):
        results = [result for result in report.results if result.status is status]
        if results:
            yield f"{_MARKS[status]} {heading}: {', '.join(_code(result.id) for result in results)}"
            yield ""
            remarks = [f"- {text(result.id)}: {text(result.message)}"
                       for result in results if result.message]
            yield from [*remarks, ""] if remarks else []
