"""The report as a person at a terminal reads it: what is wrong first, the verdict last."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from img_tools import __version__
from img_tools.model import Finding, Report, Result, Status

_COLOURS = {Status.PASS: "32", Status.WARN: "33", Status.FAIL: "31",
            Status.SKIP: "2", Status.ERROR: "35"}
_ORDER = (Status.FAIL, Status.ERROR, Status.WARN, Status.SKIP, Status.PASS)
_SENTENCES = {
    Status.PASS: "PASS: this image may be published.",
    Status.WARN: "PASS with warnings: this image may be published; reviewers may ask about these.",
    Status.FAIL: "FAIL: do not publish this image.",
    Status.ERROR: "UNDECIDED: some checks could not be carried out; see ERROR above.",
}
SHOWN = 10  # findings of one check shown without --verbose


def render(report: Report, *, colour: bool = False, width: int = 100,
           quiet: bool = False, verbose: bool = False) -> str:
    """REPORT as text, ending in a newline.

    QUIET leaves out what passed or was skipped; VERBOSE shows every finding and its evidence.
    """
    return "\n".join(_lines(report, _Style(colour, max(width, 40)), quiet, verbose)) + "\n"


class _Style:
    def __init__(self, colour: bool, width: int) -> None:
        self._colour = colour
        self.width = width

    def tag(self, status: Status) -> str:
        """The status in a column of its own."""
        return self.paint(status, f"{status.value.upper():5}")

    def paint(self, status: Status, text: str) -> str:
        """TEXT in the colour of STATUS."""
        return f"\x1b[{_COLOURS[status]}m{text}\x1b[0m" if self._colour else text

    def wrap(self, text: str, indent: str) -> str:
        """TEXT within the width; long words (paths, commands to copy) stay whole."""
        return textwrap.fill(text, self.width, initial_indent=indent, subsequent_indent=indent,
                             break_long_words=False, break_on_hyphens=False)


def _lines(report: Report, style: _Style, quiet: bool, verbose: bool) -> Iterator[str]:
    platform, counts = report.platform, report.counts
    name = platform.pretty_name or "an unknown system"
    yield f"img-check {__version__}: {name} at {report.run.root}, profile {report.run.profile}"
    yield ""
    for status in _ORDER:
        for result in report.results:
            if result.status is status and not (quiet and status in (Status.PASS, Status.SKIP)):
                yield from _result(result, style, verbose)
    yield ""
    yield ", ".join(f"{counts[status.value]} {status.value}" for status in _ORDER) + (
        f"  ({report.run.duration:.1f} s)")
    if platform.index_time:
        yield f"Updates were judged by package indexes of {platform.index_time}."
    yield style.paint(report.verdict, _sentence(report))


def _sentence(report: Report) -> str:
    if report.verdict is Status.WARN and report.fail_on_warn:
        return "FAIL: warnings count as failures (--fail-on warn)."
    return _SENTENCES[report.verdict]


def _result(result: Result, style: _Style, verbose: bool) -> Iterator[str]:
    yield f"{style.tag(result.status)} {result.id}: {result.title}"
    if result.status is Status.SKIP or result.status is Status.ERROR:
        yield style.wrap(result.message, "      ")
    shown = result.findings if verbose else result.findings[:SHOWN]
    for finding in shown:
        yield from _finding(finding, style, verbose)
    if len(shown) < len(result.findings):
        yield f"      ... and {len(result.findings) - len(shown)} more (--verbose)"
    for fix in dict.fromkeys(finding.remediation for finding in result.findings):
        if fix:
            yield style.wrap(f"-> {fix}", "      ")


def _finding(finding: Finding, style: _Style, verbose: bool) -> Iterator[str]:
    mark = style.paint(finding.status, "-")
    text = style.wrap(finding.message, "        ").lstrip()
    yield f"      {mark} {text}"
    if verbose:
        for key, value in finding.evidence.items():
            yield f"          {key}: {value}"
