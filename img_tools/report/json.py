"""The report as JSON, version 1 (design section 6); the schema is shipped beside it."""

from __future__ import annotations

import json
from typing import Any

from img_tools import __version__
from img_tools import schema as schemas
from img_tools.model import Finding, Platform, Report, Result, Run, Waiver

SCHEMA_VERSION = "1.0"


def schema() -> str:
    """The JSON Schema of the report, as text."""
    return schemas.text("report-1.json")


def render(report: Report) -> str:
    """REPORT as one JSON document, ASCII only, ending in a newline."""
    return json.dumps(document(report), indent=2) + "\n"


def document(report: Report) -> dict[str, Any]:
    """REPORT as the plain values of the JSON document."""
    return {
        "schema": "img-check-report",
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "img-check", "version": __version__},
        "run": run_document(report.run),
        "platform": _platform(report.platform),
        "verdict": report.verdict.value,
        "exit_code": report.exit_code,
        "counts": report.counts,
        "checks": [_check(result) for result in report.results],
        "waivers": {
            "applied": [{**_waiver(waiver), "findings": count(report, waiver)}
                        for waiver in report.waivers.applied],
            "unused": [_waiver(waiver) for waiver in report.waivers.unused],
            "expired": [_waiver(waiver) for waiver in report.waivers.expired],
        },
    }


def run_document(run: Run) -> dict[str, Any]:
    """The plain values of RUN."""
    return {
        "id": run.id,
        "started_at": run.started_at,
        "duration_ms": round(run.duration * 1000),
        "mode": run.mode,
        "root": run.root,
        "profile": run.profile,
        "policy": run.policy,
        "complete": True,
        "left_out": list(run.left_out),
    }


def _platform(platform: Platform) -> dict[str, Any]:
    return {
        "os_id": platform.os_id,
        "version_id": platform.version_id,
        "pretty_name": platform.pretty_name,
        "kernel": platform.kernel,
        "arch": platform.arch,
        "package_manager": platform.package_manager,
        "index_time": platform.index_time,
    }


def _check(result: Result) -> dict[str, Any]:
    return {
        "id": result.id,
        "title": result.title,
        "category": result.category,
        "status": result.status.value,
        "message": result.message,
        "duration_ms": round(result.duration * 1000),
        "references": list(result.references),
        "findings": [_finding(result.id, finding) for finding in result.findings],
    }


def _finding(check_id: str, finding: Finding) -> dict[str, Any]:
    package = finding.package
    return {
        "status": finding.status.value,
        "code": finding.code,
        "message": finding.message,
        "path": finding.path,
        "line": finding.line,
        "account": finding.account,
        "package": package and {
            "name": package.name,
            "installed": package.installed,
            "candidate": package.candidate,
        },
        "evidence": dict(finding.evidence),
        "remediation": finding.remediation,
        "fingerprint": finding.fingerprint(check_id),
        "severity_was": finding.severity_was and finding.severity_was.value,
        "waived": finding.waived and {
            "justification": finding.waived.justification,
            "expires": _day(finding.waived),
        },
    }


def count(report: Report, waiver: Waiver) -> int:
    """How many findings of REPORT do not count because of WAIVER."""
    return sum(finding.waived == waiver for result in report.results for finding in result.findings)


def _waiver(waiver: Waiver) -> dict[str, Any]:
    return {
        "check": waiver.check,
        "code": waiver.code,
        "path": waiver.path,
        "fingerprint": waiver.fingerprint,
        "justification": waiver.justification,
        "expires": _day(waiver),
    }


def _day(waiver: Waiver) -> str | None:
    return waiver.expires.isoformat() if waiver.expires else None
