"""The report as JUnit XML, which every CI system shows: a check is a test case.

There is no one schema. This is what Jenkins, GitLab and GitHub's actions agree on: a FAIL is a
`failure`, what could not be decided an `error`, what does not apply `skipped`; warnings and waived
findings pass, and are told in `system-out`. With --fail-on warn a warning is a `failure`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from img_tools import __version__
from img_tools.model import Finding, Report, Result, Status
from img_tools.report import words


def render(report: Report) -> str:
    """REPORT as an XML document, ASCII only, ending in a newline."""
    # The schemas that there are know no offset: it is UTC.
    when = f"{datetime.fromisoformat(report.run.started_at):%Y-%m-%dT%H:%M:%S}"
    totals = {"name": "img-check", **_totals(report)}
    suites = Element("testsuites", totals)
    suite = SubElement(suites, "testsuite", {**totals, "timestamp": when})
    properties = SubElement(suite, "properties")
    for name, value in _properties(report):
        SubElement(properties, "property", name=name, value=value)
    for result in report.results:
        _case(suite, result, report.fail_on_warn)
    if _nothing_applies(report):
        case = SubElement(suite, "testcase", classname="img-check", name="verdict", time="0.000")
        SubElement(case, "error", type="undecided", message=words.verdict(report))
    ElementTree.indent(suites)
    body = ElementTree.tostring(suites, "us-ascii").decode()
    return f'<?xml version="1.0" encoding="us-ascii"?>\n{body}\n'


def _totals(report: Report) -> dict[str, str]:
    failed = sum(_fails(result, report.fail_on_warn) for result in report.results)
    nothing = _nothing_applies(report)
    return {"tests": str(len(report.results) + nothing), "failures": str(failed),
            "errors": str(report.counts["error"] + nothing), "skipped": str(report.counts["skip"]),
            "time": f"{report.run.duration:.3f}"}


def _nothing_applies(report: Report) -> bool:
    """True when it is undecided although no single check is."""
    return report.verdict is Status.ERROR and not report.counts["error"]


def _fails(result: Result, fail_on_warn: bool) -> bool:
    return result.status is Status.FAIL or (fail_on_warn and result.status is Status.WARN)


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "verdict", words.verdict(report)
    yield "img-check", __version__
    yield "profile", report.run.profile
    yield "system", report.platform.pretty_name or "unknown"
    for note in words.notes(report):
        yield "note", note


def _case(suite: Element, result: Result, fail_on_warn: bool) -> None:
    case = SubElement(suite, "testcase", classname=f"img-check.{result.category}", name=result.id,
                      time=f"{result.duration:.3f}")
    body = "\n".join(_lines(result))
    if _fails(result, fail_on_warn):
        codes = dict.fromkeys(finding.code for finding in result.counted)
        SubElement(case, "failure", type=", ".join(codes), message=result.message).text = body
        return
    if result.status is Status.ERROR:
        SubElement(case, "error", type="undecided", message=result.message).text = body
    elif result.status is Status.SKIP:
        SubElement(case, "skipped", message=result.message)
    elif body:
        SubElement(case, "system-out").text = body


def _lines(result: Result) -> Iterator[str]:
    """What RESULT found, a line each, with what to do."""
    for finding in result.counted:
        yield from _finding(finding)
    for finding, waiver in result.waived:
        yield f"waived: {words.message(finding)}"
        yield f"  because: {waiver.answer}"
    for note in words.remarks(result):
        yield f"note: {note}"
    if result.incomplete:
        yield words.trouble(result) or ""
    elif result.status is Status.PASS and result.message:
        yield result.message


def _finding(finding: Finding) -> Iterator[str]:
    yield f"{finding.status.value}: {words.message(finding)} [{finding.code}]"
    if finding.remediation:
        yield f"  -> {finding.remediation}"
