"""What every format for people says in the same words."""

from __future__ import annotations

from collections.abc import Iterator

from img_tools.model import Finding, Report, Result, Status, Waiver

BEST_FIRST = (Status.PASS, Status.SKIP, Status.WARN, Status.ERROR, Status.FAIL)
WORST_FIRST = BEST_FIRST[::-1]


def verdict(report: Report) -> str:
    """One sentence: may this image be published, and what stands against it."""
    worst = ", ".join(result.id for result in report.results if result.status is report.verdict)
    whole = not report.run.left_out
    waived = report.counts["waived"]
    but = f", with {number(waived, 'finding')} waived" if waived else ""
    match report.verdict:
        case Status.FAIL:
            return f"FAIL: do not publish this image: {worst}"
        case Status.ERROR if not worst:
            return "UNDECIDED: no check that was asked for applies to this image."
        case Status.ERROR:
            return f"UNDECIDED: nothing failed, but these could not be carried out: {worst}"
        case Status.WARN if report.fail_on_warn:
            return f"FAIL: warnings count as failures (--fail-on warn): {worst}"
        case Status.WARN if whole:
            return (f"PASS with warnings{but}: this image may be published; reviewers may ask: "
                    f"{worst}")
        case Status.WARN:
            return f"PASS with warnings{but}, of the checks that were asked for: {worst}"
        case _ if whole:
            return f"PASS{but}: this image may be published."
        case _:
            return f"PASS{but}, of the checks that were asked for."


def outcome(report: Report) -> Status:
    """The verdict as `--fail-on warn` has it."""
    return Status.FAIL if report.exit_code == 1 else report.verdict


def number(count: int, noun: str) -> str:
    """COUNT and NOUN, in the plural unless it is one."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def counts(report: Report) -> str:
    """How many checks ended in each status, the worst first."""
    known = report.counts
    waived = [f"{number(known['waived'], 'finding')} waived"] if known["waived"] else []
    return ", ".join([f"{known[status.value]} {status.value}" for status in WORST_FIRST] + waived)


def notes(report: Report) -> Iterator[str]:
    """What a reader must know to trust the verdict, a sentence each."""
    if report.platform.index_time:
        yield f"Updates were judged by package indexes published {report.platform.index_time}."
    if report.run.policy:
        yield f"Judged with the policy file {report.run.policy}."
    if left_out := report.run.left_out:
        names = ", ".join(left_out) if len(left_out) <= 5 else f"{len(left_out)} checks"
        yield f"Not asked for: {names}"
    for waiver in report.waivers.expired:
        yield f"A waiver expired on {waiver.expires} and does not apply: {waiver.subject}"
    for waiver in report.waivers.unused:
        yield f"A waiver fits nothing and can go: {waiver.subject}{hint(report, waiver)}"


def hint(report: Report, waiver: Waiver) -> str:
    """The codes that the check did find where the one in WAIVER fits none of them."""
    found = sorted({finding.code for result in report.results if result.id == waiver.check
                    for finding in result.findings})
    if waiver.code is None or waiver.code in found or not found:
        return ""
    return f" (what {waiver.check} found has the code {' or '.join(found)})"


def message(finding: Finding) -> str:
    """The message of FINDING, with what the policy file made of it."""
    if finding.severity_was is None:
        return finding.message
    return (f"{finding.message} ({finding.severity_was.value} by itself, {finding.status.value} by "
            "the policy file)")


def trouble(result: Result) -> str | None:
    """Why RESULT could not be decided, or is not all; None for one that is whole."""
    if result.incomplete:
        return f"There may be more, the check broke off: {result.message}"
    return result.message if result.status is Status.ERROR else None


def remarks(result: Result) -> tuple[str, ...]:
    """The notes of RESULT that its message or trouble() does not say already."""
    told = result.status not in (Status.WARN, Status.FAIL) or result.incomplete
    return () if told else result.notes


def sorted_results(report: Report, order: tuple[Status, ...]) -> list[Result]:
    """The results of REPORT in ORDER of their status."""
    return [result for status in order for result in report.results if result.status is status]
