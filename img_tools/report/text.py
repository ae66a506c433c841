"""The report for a person at a terminal: the verdict first and last, the worst next to it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby

from img_tools import __version__
from img_tools.model import Finding, Report, Result, Status
from img_tools.report import words

_COLOURS = {Status.PASS: "32", Status.WARN: "33", Status.FAIL: "31",
            Status.SKIP: "2", Status.ERROR: "35"}
SHOWN = 10  # findings of one check shown without --verbose
INDENT = " " * 6


def render(report: Report, *, colour: bool = False, width: int = 100,
           quiet: bool = False, verbose: bool = False) -> str:
    """REPORT as text, ending in a newline.

    QUIET leaves out what passed or was skipped; VERBOSE shows every check, finding and evidence.
    """
    style = _Style(colour, max(width, 40), verbose)
    lines = [*_head(report, style), "", *_fine(report, style, quiet), *_waived(report, style),
             *_rest(report, style), *_foot(report, style)]
    return "\n".join(lines) + "\n"


class _Style:
    def __init__(self, colour: bool, width: int, verbose: bool) -> None:
        self._colour = colour
        self._width = width
        self.verbose = verbose

    def tag(self, status: Status) -> str:
        """The status in a column of its own."""
        return self.paint(status, f"{status.value.upper():5}")

    def paint(self, status: Status, text: str) -> str:
        """TEXT, line by line, in the colour of STATUS."""
        if not self._colour:
            return text
        return "\n".join(f"\x1b[{_COLOURS[status]}m{line}\x1b[0m" for line in text.split("\n"))

    def wrap(self, text: str, indent: str, first: str | None = None) -> str:
        """TEXT within the width; long words (paths) stay whole."""
        return textwrap.fill(text, self._width, subsequent_indent=indent,
                             initial_indent=indent if first is None else first,
                             break_long_words=False, break_on_hyphens=False)

    def verdict(self, report: Report) -> str:
        """The sentence that counts."""
        return self.paint(words.outcome(report), self.wrap(words.verdict(report), ""))


def _head(report: Report, style: _Style) -> Iterator[str]:
    name = report.platform.pretty_name or "an unknown system"
    yield style.wrap(f"img-check {__version__}: {name} at {report.run.root}, "
                     f"profile {report.run.profile}", "")
    yield style.verdict(report)


def _fine(report: Report, style: _Style, quiet: bool) -> Iterator[str]:
    """What passed, and what does not apply: names, or with --verbose a line each."""
    if quiet:
        return
    for status in (Status.PASS, Status.SKIP):
        results = [result for result in report.results if result.status is status]
        if style.verbose:
            for result in results:
                yield f"{style.tag(status)} {result.id}: {result.title}"
                if status is Status.SKIP:
                    yield style.wrap(f"skipped: {result.message}", INDENT)
        elif results:
            names = style.wrap(", ".join(result.id for result in results), INDENT)
            yield f"{style.tag(status)} {names.lstrip()}"
        if status is Status.PASS:
            yield from (style.wrap(f"{result.id}: {result.message}", INDENT)
                        for result in results if result.message)
    if report.counts["pass"] or report.counts["skip"]:
        yield ""


def _waived(report: Report, style: _Style) -> Iterator[str]:
    """What does not count, and who answers for it: not even --quiet hides it."""
    waived = [(result, *pair) for result in report.results for pair in result.waived]
    shown = waived if style.verbose else waived[:SHOWN]
    for result, finding, waiver in shown:
        text = f"{result.id}: {words.message(finding)}"
        yield style.wrap(text, INDENT + "  ", "WAIVED  ")
        yield style.wrap(f"because: {waiver.answer}", INDENT + "  ")
    if len(waived) > len(shown):
        yield f"        ... and {len(waived) - len(shown)} more (-v shows them)"
    if waived:
        yield ""


def _rest(report: Report, style: _Style) -> Iterator[str]:
    """A block for every check that has something to say, the worst last."""
    for result in words.sorted_results(report, words.BEST_FIRST):
        if result.status not in (Status.PASS, Status.SKIP):
            yield from _result(result, style)
            yield ""


def _result(result: Result, style: _Style) -> Iterator[str]:
    """The title says how it should be: beside a FAIL it would read as if it were so."""
    wanted = f", wanted: {result.title}" if style.verbose else ""
    yield f"{style.tag(result.status)} {result.id}{wanted}"
    trouble = words.trouble(result)
    if trouble and not result.incomplete:
        yield style.wrap(trouble, INDENT)
    for note in words.remarks(result):
        yield style.wrap(f"note: {note}", INDENT)
    counted = result.counted
    shown = counted if style.verbose else counted[:SHOWN]
    for fix, findings in groupby(shown, lambda finding: finding.remediation):
        for finding in findings:
            yield from _finding(finding, style)
        if fix:
            yield f"{INDENT}-> {fix}"  # on one line, whatever the width: it gets copied
    if len(shown) < len(counted):
        yield f"{INDENT}... and {len(counted) - len(shown)} more (-v shows them)"
    if trouble and result.incomplete:
        yield style.wrap(trouble, INDENT)


def _finding(finding: Finding, style: _Style) -> Iterator[str]:
    mark = style.paint(finding.status, "-")
    text = style.wrap(words.message(finding), INDENT + "  ").lstrip()
    yield f"{INDENT}{mark} {text}"
    if style.verbose:
        for key, value in {"code": finding.code, **finding.evidence}.items():
            yield f"{INDENT}    {key}: {value}"


def _foot(report: Report, style: _Style) -> Iterator[str]:
    yield style.wrap(f"{words.counts(report)}  ({report.run.duration:.1f} s)", "")
    for note in words.notes(report):
        yield style.wrap(note, "")
    yield style.verdict(report)
