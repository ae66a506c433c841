"""The values that cross the layers: what a check finds and what a run reports.

Everything here is frozen and knows nothing of files, processes or output formats.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum


class Status(StrEnum):
    """How a check ended. A check itself yields only WARN and FAIL."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


class Skip(Exception):
    """Raised by a check that does not apply to this image; the text says why."""


class Undecided(Exception):
    """Raised when a fact cannot be established; the text says why and how to mend it.

    The check then ends as `error`, never as `pass` (row B2).
    """


def printable(text: str) -> str:
    r"""TEXT with control characters and undecodable bytes shown as `\xNN` escapes.

    Names and contents of a hostile tree reach terminals and build logs through our reports;
    an escape sequence among them must arrive as text.
    """
    if text.isprintable():
        return text
    return "".join(_escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, as os.fsdecode keeps it
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable():
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@dataclass(frozen=True, slots=True)
class PackageRef:
    """A package a finding is about; versions as the package manager writes them."""

    name: str
    installed: str | None = None
    candidate: str | None = None


Evidence = str | int | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Findings that somebody answers for: those of `check` that everything else given fits.

    `path` is a glob, see policyfile.glob(). Applies up to and including the day `expires`.
    """

    check: str
    code: str | None = None
    path: str | None = None
    fingerprint: str | None = None
    justification: str
    expires: date | None = None

    @property
    def subject(self) -> str:
        """What it is about, in one line."""
        what = [self.check, self.code, self.path,
                self.fingerprint and f"fingerprint {self.fingerprint[:12]}..."]
        return " ".join(word for word in what if word)

    @property
    def answer(self) -> str:
        """Why the findings do not count, and until when."""
        return self.justification + (f" (until {self.expires})" if self.expires else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. `evidence` describes it and never holds a secret (row B3).

    `code` is lower-case words joined by "-"; `line` counts from 1. Raises ValueError otherwise, so
    that a mistake of a plugin becomes an `error` of this plugin and no unreadable report.
    `severity_was` and `waived` are the policy's doing: the status that the check itself gave, and
    the waiver by which the finding does not count.
    """

    status: Status
    code: str
    message: str
    path: str | None = None
    line: int | None = None
    account: str | None = None
    package: PackageRef | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    remediation: str | None = None
    severity_was: Status | None = None
    waived: Waiver | None = None

    def __post_init__(self) -> None:
        if self.status not in (Status.WARN, Status.FAIL):
            raise ValueError(f"a finding is warn or fail, not {self.status}")
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.code):
            raise ValueError(f"'{self.code}' is not a finding's code: lower-case words and -")
        if self.line is not None and (not isinstance(self.line, int) or self.line < 1):
            raise ValueError(f"{self.line!r} is not the number of a line")

    def sanitised(self) -> Finding:
        """The same finding with every text made safe to print."""
        package = self.package and PackageRef(
            printable(self.package.name),
            self.package.installed and printable(self.package.installed),
            self.package.candidate and printable(self.package.candidate),
        )
        return replace(
            self,
            message=printable(self.message),
            path=self.path and printable(self.path),
            account=self.account and printable(self.account),
            package=package,
            evidence={
                printable(key): value if value is None or isinstance(value, int)
                else printable(str(value))
                for key, value in self.evidence.items()
            },
            remediation=self.remediation and printable(self.remediation),
        )

    def fingerprint(self, check_id: str) -> str:
        """SHA-256 that names this finding in waivers: stable over runs, versions and line moves."""
        name = self.package.name if self.package else None
        subject = [check_id, self.code, self.path, self.account, name]
        return hashlib.sha256(json.dumps(subject).encode()).hexdigest()


def fail(
    code: str,
    message: str,
    *,
    path: str | None = None,
    line: int | None = None,
    account: str | None = None,
    package: PackageRef | None = None,
    evidence: Mapping[str, Evidence] | None = None,
    fix: str | None = None,
) -> Finding:
    """A FAIL finding: the image must not be published like this. FIX is one line of what to do."""
    return Finding(
        status=Status.FAIL, code=code, message=message, path=path, line=line, account=account,
        package=package, evidence=evidence or {}, remediation=fix,
    )


def warn(
    code: str,
    message: str,
    *,
    path: str | None = None,
    line: int | None = None,
    account: str | None = None,
    package: PackageRef | None = None,
    evidence: Mapping[str, Evidence] | None = None,
    fix: str | None = None,
) -> Finding:
    """A WARN finding: reviewers will ask about it. FIX is one line of what to do."""
    return replace(
        fail(code, message, path=path, line=line, account=account, package=package,
             evidence=evidence, fix=fix),
        status=Status.WARN,
    )


def bounded(findings: Iterable[Finding], limit: int = 50) -> Iterator[Finding]:
    """FINDINGS of one kind, at most LIMIT: what is past it is one finding that counts the rest.

    10,000 accounts with a password are one mistake, and a report must stay readable.
    """
    count, last = 0, None
    for last in findings:
        count += 1
        if count <= limit:
            yield last
    if last is not None and count > limit:
        yield replace(last, message=f"{count - limit} more like these ({last.code})", path=None,
                      line=None, account=None, package=None, evidence={"count": count})


@dataclass(frozen=True, slots=True)
class Note:
    """What a check has to say that is no finding: what it did not look at, above all."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one check ended. `duration` is in seconds.

    `incomplete` is set when it broke off after it had found a FAIL; `message` then says why. It
    ends with what `notes` say. Findings that are waived have no part in `status`.
    """

    id: str
    title: str
    category: str
    status: Status
    message: str
    duration: float = 0.0
    references: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    incomplete: bool = False
    notes: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[Finding, ...]:
        """The findings that count."""
        return tuple(finding for finding in self.findings if finding.waived is None)

    @property
    def waived(self) -> tuple[tuple[Finding, Waiver], ...]:
        """The findings that do not, and by which waiver."""
        return tuple((finding, finding.waived) for finding in self.findings if finding.waived)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The image looked at; None is 'not known'. `index_time` is RFC 3339 UTC."""

    os_id: str | None
    version_id: str | None
    pretty_name: str | None
    kernel: str | None
    arch: str | None
    package_manager: str | None
    index_time: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a tool. `started_at` is RFC 3339 UTC, `duration` in seconds.

    `policy` is the policy file that was read. `left_out` are the checks that were not asked for
    (--only, --skip, the policy's `disabled`).
    """

    id: str
    started_at: str
    duration: float
    mode: str
    root: str
    profile: str
    policy: str | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waivers:
    """What became of the waivers of the policy file.

    `unused` ones fit no finding though their check came to its end; one of a check that was not
    run, or could not decide, is in none of them.
    """

    applied: tuple[Waiver, ...] = ()
    unused: tuple[Waiver, ...] = ()
    expired: tuple[Waiver, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything `img-check` has to say; every number in it is derived from `results`."""

    run: Run
    platform: Platform
    results: tuple[Result, ...]
    fail_on_warn: bool = False
    waivers: Waivers = Waivers()

    @property
    def counts(self) -> dict[str, int]:
        """How many checks ended in each status and in all, and how many findings are waived."""
        tally = Counter(result.status for result in self.results)
        return {status.value: tally[status] for status in Status} | {
            "waived": sum(len(result.waived) for result in self.results),
            "total": len(self.results)}

    @property
    def verdict(self) -> Status:
        """The worst of all results: fail, error, warn or pass.

        A FAIL is certain whatever else could not be decided, so it outranks an error. Where no
        check applies nothing was judged, which is no pass either.
        """
        seen = {result.status for result in self.results}
        for status in (Status.FAIL, Status.ERROR, Status.WARN):
            if status in seen:
                return status
        return Status.PASS if Status.PASS in seen else Status.ERROR

    @property
    def exit_code(self) -> int:
        """0 passed, 1 a FAIL (or WARN under --fail-on warn), 3 undecided; design section 5."""
        match self.verdict:
            case Status.FAIL:
                return 1
            case Status.ERROR:
                return 3
            case Status.WARN:
                return 1 if self.fail_on_warn else 0
            case _:
                return 0
