"""What img-clean did, or would do, as text and as JSON."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Iterator
from typing import Any

from img_tools import __version__
from img_tools import schema as schemas
from img_tools.actions import (
    Cleaned,
    CleanReport,
    CleanStatus,
    Erase,
    Outcome,
    Run,
    Single,
    Step,
)
from img_tools.model import printable
from img_tools.report import text as check_text
from img_tools.report.json import document as check_document
from img_tools.report.json import run_document

SCHEMA_VERSION = "1.1"
SHOWN = 10  # steps of one cleaner shown without --verbose
WIDTH = 100  # columns of a note, as of img-check's report


def schema() -> str:
    """The JSON Schema of the report, as text."""
    return schemas.text("clean-report-1.json")


def subject(action: Single) -> str:
    """What ACTION is about: its path or its command."""
    return printable(shlex.join(action.argv) if isinstance(action, Run) else action.path)


def render_json(report: CleanReport) -> str:
    """REPORT as one JSON document, ASCII only, ending in a newline."""
    return json.dumps(document(report), indent=2) + "\n"


def document(report: CleanReport) -> dict[str, Any]:
    """REPORT as the plain values of the JSON document."""
    return {
        "schema": "img-clean-report",
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "img-clean", "version": __version__},
        "run": {**run_document(report.run), "complete": report.stopped_by is None,
                "mode_of_run": "dry-run" if report.dry_run else "apply"},
        "cleaners": [_cleaner(result) for result in report.results],
        "counts": report.counts,
        "notes": list(report.notes),
        "verdict": report.verdict,
        "exit_code": report.exit_code,
        "check": check_document(report.check) if report.check else None,
    }


def _cleaner(result: Cleaned) -> dict[str, Any]:
    return {
        "id": result.id, "title": result.title, "status": result.status.value,
        "message": result.message, "duration_ms": round(result.duration * 1000),
        "bytes": result.size, "total": sum(result.counts.values()),
        "actions": [_step(step) for step in result.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    action = step.action
    return {
        "action": type(action).__name__.lower(),
        "path": None if isinstance(action, Run) else printable(action.path),
        "argv": [printable(part) for part in action.argv] if isinstance(action, Run) else None,
        "why": printable(action.why), "bytes": step.size, "outcome": step.outcome.value,
        "error": step.error,
        "erase": _erase(action, step) if isinstance(action, Erase) else None,
    }


def _erase(action: Erase, step: Step) -> dict[str, Any]:
    done = step.erased
    return {
        "kind": printable(action.kind), "mode": action.mode, "free_bytes": action.free,
        "method": done and done.method, "trimmed_bytes": done and done.trimmed,
        "scanned_bytes": done and done.scanned, "written_bytes": done and done.written,
        "blocks_left": done and done.left, "nodes_left": done and done.nodes,
        "inodes_left": done and done.inodes_left, "journal": done and done.journal,
        "seconds": done and round(done.seconds, 3),
        "notes": [printable(note) for note in done.notes] if done else [],
    }


def render_text(report: CleanReport, *, verbose: bool = False) -> str:
    """REPORT as text, ending in a newline, with the report of the check after it."""
    lines = "\n".join(_lines(report, verbose)) + "\n"
    if report.check:
        lines += "\n" + check_text.render(report.check, quiet=True, verbose=verbose)
    return lines


def _lines(report: CleanReport, verbose: bool) -> Iterator[str]:
    verb = "would do this to" if report.dry_run else "cleaned"
    yield f"img-clean {__version__} {verb} {report.run.root}"
    yield ""
    shown = [result for result in report.results if verbose or _matters(result)]
    for result in shown:
        yield from _result(result, verbose)
    for note in report.notes:
        yield from textwrap.wrap(note, WIDTH, initial_indent="NOTE    ", subsequent_indent=" " * 8,
                                 break_long_words=False, break_on_hyphens=False)
    if shown or report.notes:
        yield ""
    yield from _sentences(report)


def _matters(result: Cleaned) -> bool:
    return bool(result.steps) or result.status in (CleanStatus.FAILED, CleanStatus.STOPPED) or (
        result.status is CleanStatus.PLANNED and bool(result.message))


def _result(result: Cleaned, verbose: bool) -> Iterator[str]:
    yield f"{result.status.value.upper():8}{result.id}: {result.title}"
    if result.message or not result.steps:
        yield f"        {result.message or 'nothing to do'}"
    failed = [step for step in result.steps if step.outcome is Outcome.FAILED]
    others = [step for step in result.steps if step.outcome is not Outcome.FAILED]
    shown = result.steps if verbose else (*failed, *others[:SHOWN])
    for step in shown:
        error = f": {step.error}" if step.error else _erasing(step)
        why = f"  ({printable(step.action.why)})" if verbose else ""
        yield (f"        {step.outcome.value:8}{type(step.action).__name__.lower()} "
               f"{subject(step.action)}{error}{why}")
    if len(shown) < len(result.steps):
        yield f"        ... and {len(result.steps) - len(shown)} more (-v, or the JSON report)"
    if len(result.steps) < (total := sum(result.counts.values())):
        yield f"        ... and {total - len(result.steps)} more, which are counted and not listed"


def _erasing(step: Step) -> str:
    """What is known of an erasing, for the end of a line."""
    if not isinstance(step.action, Erase):
        return ""
    done, about = step.erased, f" ({printable(step.action.kind)}, "
    if done is None:
        return f"{about}{_megabytes(step.action.free)}): {step.action.why}"
    facts = [f"{done.method}: {_megabytes(done.free)} free", f"{_megabytes(done.written)} written"]
    if done.trimmed:
        facts.insert(1, f"{_megabytes(done.trimmed)} discarded")
    if done.left is not None:
        facts.append(f"{done.left} block{'' if done.left == 1 else 's'} not zero")
    if done.inodes_left:
        facts.append(f"{done.inodes_left} free inodes not zero")
    facts += filter(None, [done.journal and f"journal {done.journal}", f"{done.seconds:.1f} s"])
    return f"{about}{', '.join([*facts, *map(printable, done.notes)])})"


def _sentences(report: CleanReport) -> Iterator[str]:
    counts = report.counts
    done = f"{counts['actions']} action{'' if counts['actions'] == 1 else 's'}"
    failed = counts["actions_failed"]
    names = ", ".join(result.id for result in report.results if result.status is CleanStatus.FAILED)
    if report.dry_run and not counts["actions"] and not names:
        yield "Nothing to do: no leftovers were found."
    elif report.dry_run:
        yield f"{done} planned. Nothing was changed; --yes carries the plan out."
        if names:
            yield f"FAILED: it cannot be told what to do: {names}."
    elif names:
        count = f"{failed} of {done} failed" if failed else "not everything could be planned"
        yield f"FAILED: {count} ({names}). The image is not clean."
    if report.stopped_by is not None:
        yield f"STOPPED after {done}. The image is not clean; run img-clean --yes again."
    elif not report.dry_run and not names:
        sizes = [result.size for result in report.results]
        known = [size for size in sizes if size is not None]
        most = "more than " if len(known) < len(sizes) else ""  # the rest was too much to look at
        yield f"DONE: {done}, {most}{_megabytes(sum(known))} freed."


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size} bytes"
