"""The report as a person at a terminal reads it: what is worst stands last, next to the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby

from img_tools import __version__
from img_tools.model import Finding, Report, Result, Status

_COLOURS = {Status.PASS: "32", Status.WARN: "33", Status.FAIL: "31",
            Status.SKIP: "2", Status.ERROR: "35"}
_ORDER = (Status.PASS, Status.SKIP, Status.WARN, Status.ERROR, Status.FAIL)
SHOWN = 10  # findings of one check shown without --verbose
INDENT = " " * 6


def render(report: Report, *, colour: bool = False, width: int = 100,
           quiet: bool = False, verbose: bool = False) -> str:
    """REPORT as text, ending in a newline.

    QUIET leaves out what passed or was skipped; VERBOSE shows every finding and its evidence.
    """
    style = _Style(colour, max(width, 40), verbose)
    results = [result for status in _ORDER for result in report.results
               if result.status is status and not (quiet and status in (Status.PASS, Status.SKIP))]
    lines = [*_head(report), "", *_body(results, style), *_foot(report, style)]
    return "\n".join(lines) + "\n"


class _Style:
    def __init__(self, colour: bool, width: int, verbose: bool) -> None:
        self._colour = colour
        self.width = width
        self.verbose = verbose

    def tag(self, status: Status) -> str:
        """The status in a column of its own."""
        return self.paint(status, f"{status.value.upper():5}")

    def paint(self, status: Status, text: str) -> str:
        """TEXT in the colour of STATUS."""
        return f"\x1b[{_COLOURS[status]}m{text}\x1b[0m" if self._colour else text

    def wrap(self, text: str, indent: str) -> str:
        """TEXT within the width; long words (paths) stay whole."""
        return textwrap.fill(text, self.width, initial_indent=indent, subsequent_indent=indent,
                             break_long_words=False, break_on_hyphens=False)


def _head(report: Report) -> Iterator[str]:
    name = report.platform.pretty_name or "an unknown system"
    yield f"img-check {__version__}: {name} at {report.run.root}, profile {report.run.profile}"


def _body(results: list[Result], style: _Style) -> Iterator[str]:
    """One line for what is fine, a block for what is not, an empty line between the two."""
    for fine, group in groupby(results, lambda result: result.status is Status.PASS
                               or result.status is Status.SKIP):
        for result in group:
            yield from _result(result, style)
            if not fine:
                yield ""
        if fine:
            yield ""


def _result(result: Result, style: _Style) -> Iterator[str]:
    yield f"{style.tag(result.status)} {_heading(result, style)}"
    if result.status is Status.SKIP:
        yield style.wrap(f"skipped: {result.message}", INDENT)
    elif result.status is Status.ERROR:
        yield style.wrap(result.message, INDENT)
    for note in result.notes if result.status is not Status.ERROR else ():  # its message has them
        yield style.wrap(f"note: {note}", INDENT)
    shown = result.findings if style.verbose else result.findings[:SHOWN]
    for fix, findings in groupby(shown, lambda finding: finding.remediation):
        for finding in findings:
            yield from _finding(finding, style)
        if fix:
            yield f"{INDENT}-> {fix}"  # on one line, whatever the width: it gets copied
    if len(shown) < len(result.findings):
        yield f"{INDENT}... and {len(result.findings) - len(shown)} more (-v shows them)"
    if result.incomplete:
        yield style.wrap(f"There may be more, the check broke off: {result.message}", INDENT)


def _heading(result: Result, style: _Style) -> str:
    """The title says how it should be: beside a FAIL it would read as if it were so."""
    if result.status in (Status.PASS, Status.SKIP):
        return f"{result.id}: {result.title}"
    return f"{result.id}, wanted: {result.title}" if style.verbose else result.id


def _finding(finding: Finding, style: _Style) -> Iterator[str]:
    mark = style.paint(finding.status, "-")
    text = style.wrap(finding.message, INDENT + "  ").lstrip()
    yield f"{INDENT}{mark} {text}"
    if style.verbose:
        for key, value in finding.evidence.items():
            yield f"{INDENT}    {key}: {value}"


def _foot(report: Report, style: _Style) -> Iterator[str]:
    counts = report.counts
    yield ", ".join(f"{counts[status.value]} {status.value}" for status in reversed(_ORDER)) + (
        f"  ({report.run.duration:.1f} s)")
    if report.platform.index_time:
        yield f"Updates were judged by package indexes of {report.platform.index_time}."
    if report.run.left_out:
        left_out = report.run.left_out
        names = ", ".join(left_out) if len(left_out) <= 5 else f"{len(left_out)} checks"
        yield style.wrap(f"Not asked for: {names}", "")
    yield style.paint(report.verdict, _sentence(report))


def _sentence(report: Report) -> str:
    worst = ", ".join(result.id for result in report.results if result.status is report.verdict)
    whole = not report.run.left_out
    match report.verdict:
        case Status.FAIL:
            return f"FAIL: do not publish this image: {worst}"
        case Status.ERROR:
            return f"UNDECIDED: nothing failed, but these could not be carried out: {worst}"
        case Status.WARN if report.fail_on_warn:
            return f"FAIL: warnings count as failures (--fail-on warn): {worst}"
        case Status.WARN if whole:
            return f"PASS with warnings: this image may be published; reviewers may ask: {worst}"
        case Status.WARN:
            return f"PASS with warnings, of the checks that were asked for: {worst}"
        case _ if not report.counts["pass"]:
            return "Nothing can be said: no check applies to this image."
        case _ if whole:
            return "PASS: this image may be published."
        case _:
            return "PASS, of the checks that were asked for."
