"""The policy file: what a vendor has decided about the checks, in TOML (docs/policy.md).

Nothing in it is guessed at: a key, id or type that is not understood is a PolicyError that names
the file, the line where it can be told, and the nearest thing that there is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from types import MappingProxyType
from typing import Any, NoReturn

from img_tools import policy, trust
from img_tools.model import Finding, Status, Waiver, Waivers, printable

LARGEST = 1 << 20  # bytes; a list of waivers that is longer was made by a mistake


class PolicyError(Exception):
    """A policy file that cannot be used; the text says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the file at `path` says; the defaults are what holds without a file.

    `enabled` are checks that run though they do not by default. `severity` is by check id or
    "id/code". With `lock_root` img-clean takes root's password away,
    which it does for nobody unasked. `allowed_repositories` are the beginnings of addresses,
    `expected_logs` globs below /var/log whose directories are without wildcards.
    """

    path: str | None = None
    profile: str | None = None
    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    lock_root: bool = False
    allowed_repositories: tuple[str, ...] = ()
    expected_logs: tuple[str, ...] = ()
    severity: Mapping[str, Status] = field(default_factory=lambda: MappingProxyType({}))
    waivers: tuple[Waiver, ...] = ()

    def judge(self, check: str, finding: Finding, today: date) -> Finding:
        """FINDING of CHECK with the severity that this policy gives it, and waived if it is."""
        wanted = self.severity.get(f"{check}/{finding.code}", self.severity.get(check))
        if wanted and wanted is not finding.status:
            finding = replace(finding, status=wanted, severity_was=finding.status)
        waiver = next((one for one in self.waivers
                       if not _expired(one, today) and _fits(one, check, finding)), None)
        return replace(finding, waived=waiver) if waiver else finding

    def account(
        self, findings: Collection[Finding], complete: Collection[str], today: date
    ) -> Waivers:
        """What became of the waivers, given all FINDINGS and the checks that are COMPLETE."""
        applied = [one for one in self.waivers
                   if any(finding.waived == one for finding in findings)]
        expired = [one for one in self.waivers if _expired(one, today)]
        unused = [one for one in self.waivers
                  if one.check in complete and one not in applied and one not in expired]
        return Waivers(applied=tuple(applied), unused=tuple(unused), expired=tuple(expired))

    def allows_repository(self, uri: str) -> bool:
        """True when the policy has an address that URI is, or is below of."""
        return any(f"{uri}/".startswith(f"{one.rstrip('/')}/")
                   for one in self.allowed_repositories)

    def expects_log(self, path: str) -> bool:
        """True when the log at PATH may be in the image."""
        return any(glob(one)(path) for one in self.expected_logs)

    def spares_log(self, path: str) -> bool:
        """True when PATH, or something below it, must stay."""
        return self.expects_log(path) or any(one.startswith(f"{path}/")
                                             for one in self.expected_logs)


NO_POLICY = Policy()


def _expired(waiver: Waiver, today: date) -> bool:
    return waiver.expires is not None and waiver.expires < today


def _fits(waiver: Waiver, check: str, finding: Finding) -> bool:
    """Everything that WAIVER names must fit.

    A finding that counts the rest of many has no path, so that no waiver for some of them takes
    the others along; nor may its fingerprint, which is the same whatever they are.
    """
    counts_the_rest = finding.path is None and "count" in finding.evidence
    return (waiver.check == check
            and waiver.code in (None, finding.code)
            and (waiver.path is None
                 or (finding.path is not None and bool(glob(waiver.path)(finding.path))))
            and (waiver.fingerprint is None
                 or (waiver.fingerprint == finding.fingerprint(check) and not counts_the_rest)))


@cache
def glob(pattern: str) -> Callable[[str], object]:
    """A test for paths that fit PATTERN: `*` and `?` stand for no "/", `**` for anything."""
    words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part, re.escape(part))
                              for part in re.split(r"(\*\*|\*|\?)", pattern))).fullmatch


Codes = Mapping[str, Collection[str] | None]


def load(path: str, checks: Codes) -> Policy:
    """The policy in the file PATH. Raises PolicyError.

    CHECKS are the ids there are, each with the codes of its findings, None where nobody named them.
    """
    return _Reader(path, _read(path), checks).policy()


def _read(path: str) -> str:
    """The text of PATH, if root alone can have written it, as with plugins."""
    try:
        why = trust.objection(path)
        if why:
            raise PolicyError(f"{path}: {why}")
        if not os.path.isfile(path):
            raise PolicyError(f"{path}: not a file")
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: not TOML: {error}") from None
    if len(text) > LARGEST:
        raise PolicyError(f"{path}: larger than {LARGEST} characters")
    return text


class _Reader:
    """Makes a Policy of a file's text, or says what is wrong with it and where."""

    def __init__(self, path: str, text: str, checks: Codes) -> None:
        import tomllib  # 6 ms, which runs without a policy file do not need

        self._path = path
        self._lines = text.split("\n")
        self._checks = checks
        try:
            self._data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            self._refuse(f"not TOML: {error}", _place_of(str(error)))
        except RecursionError:
            self._refuse("not TOML: nested too deeply")

    def policy(self) -> Policy:
        """The policy, NO_POLICY if it says nothing. Raises PolicyError."""
        readers: dict[str, Callable[[object], Any]] = {
            "profile": self._profile, "enabled": self._enabled, "disabled": self._disabled,
            "lock_root": self._lock_root, "allowed_repositories": self._repositories,
            "expected_logs": self._logs, "severity": self._severity, "waivers": self._waivers,
        }
        if not self._data:
            return NO_POLICY
        self._demand_keys(self._data, tuple(readers))
        found = Policy(path=printable(self._path),
                       **{key: readers[key](value) for key, value in self._data.items()})
        for name in {*found.enabled} & {*found.disabled}:
            self._refuse(f"'{name}' is both enabled and disabled")
        return found

    def _refuse(self, why: str, line: int | None = None) -> NoReturn:
        place = f"{self._path}:{line}" if line else self._path
        raise PolicyError(f"{place}: {why}")

    def _header(self, nth: int) -> int | None:
        """The line at which the NTH waiver begins, counted from 0."""
        headers = self._headers()
        return headers[nth] if nth < len(headers) else None

    def _headers(self) -> list[int]:
        return [number for number, line in enumerate(self._lines, 1)
                if re.match(r"\s*\[\[\s*waivers\s*\]\]", line)]

    def _line(self, word: str, nth: int | None = None) -> int | None:
        """The line of a key or string WORD, of the NTH waiver; None unless it is sure."""
        bounds = [1, *self._headers(), len(self._lines) + 1]
        part = 0 if nth is None else nth + 1
        if part + 1 >= len(bounds):  # waivers of another form than [[waivers]]
            return None
        found = [number for number in range(bounds[part], bounds[part + 1])
                 if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])",
                              self._lines[number - 1].partition("#")[0])]
        return found[0] if len(found) == 1 else None

    def _demand_keys(
        self, table: Mapping[str, Any], known: tuple[str, ...], nth: int | None = None
    ) -> None:
        for key in table:
            if key not in known:
                self._refuse(f"unknown key '{key}'{policy.near(key, known)}", self._line(key, nth))

    def _check(self, where: str, name: str, nth: int | None = None) -> str:
        if name not in self._checks:
            self._refuse(f"{where}: no check '{name}'{policy.near(name, self._checks)} "
                         "(img-check --list shows them)", self._line(name, nth))
        return name

    def _code(self, where: str, check: str, code: str, line: int | None) -> None:
        """Refuse a CODE that no finding of CHECK has: it would never do what was meant."""
        known = self._checks[check]
        if known is not None and code not in known:
            self._refuse(f"{where}: {check} has no finding '{code}'{policy.near(code, known)} "
                         f"(img-check --explain {check} shows them)", line)

    def _strings(self, key: str, value: object, of_what: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._refuse(f"{key} must be a list of {of_what}", self._line(key))
        return tuple(value)

    def _profile(self, value: object) -> str:
        if not isinstance(value, str):
            self._refuse("profile must be a string", self._line("profile"))
        try:
            return policy.profile(value).name
        except policy.UnknownProfile as error:
            self._refuse(str(error), self._line("profile"))

    def _enabled(self, value: object) -> tuple[str, ...]:
        return tuple(self._check("enabled", name)
                     for name in self._strings("enabled", value, "check ids"))

    def _disabled(self, value: object) -> tuple[str, ...]:
        return tuple(self._check("disabled", name)
                     for name in self._strings("disabled", value, "check ids"))

    def _lock_root(self, value: object) -> bool:
        if not isinstance(value, bool):
            self._refuse("lock_root must be true or false", self._line("lock_root"))
        return value

    def _repositories(self, value: object) -> tuple[str, ...]:
        key = "allowed_repositories"
        for one in (found := self._strings(key, value, "addresses")):
            if not re.fullmatch(r"[a-z][a-z0-9+.-]*:/{0,3}[^\s@/][^\s@]*", one):
                shown = re.sub("//.*@", "//...@", one)  # a password, perhaps
                self._refuse(f"{key}: '{shown}' is not the beginning of an address, such as "
                             "https://download.docker.com/linux, without a login", self._line(one))
        return found

    def _logs(self, value: object) -> tuple[str, ...]:
        for one in (found := self._strings("expected_logs", value, "paths")):
            if not re.fullmatch(r"/var/log(/[^*?/]+)*/[^*?/][^/]*|/var/log(/[^*?/]+)+/[^/]+",
                                one) or "/../" in f"{one}/":
                self._refuse(f"expected_logs: '{one}' must name files below /var/log, such as "
                             "/var/log/app/*.log or /var/log/app/** (wildcards in the last name "
                             "alone)", self._line(one))
        return found

    def _severity(self, value: object) -> Mapping[str, Status]:
        if not isinstance(value, dict):
            self._refuse("severity must be a table: [severity]", self._line("severity"))
        for key, status in value.items():
            name, slash, code = key.partition("/")
            self._check("severity", name)
            if slash and not re.fullmatch("[a-z][a-z0-9-]*", code):
                self._refuse(f"severity: '{key}' must be a check id, or id/code of a finding",
                             self._line(key))
            if slash:
                self._code("severity", name, code, self._line(key))
            if status not in ("warn", "fail"):
                self._refuse(f"severity: '{key}' must be \"warn\" or \"fail\"; to leave a check "
                             "out there is disabled, for single findings there are waivers",
                             self._line(key))
        return MappingProxyType({key: Status(status) for key, status in value.items()})

    def _waivers(self, value: object) -> tuple[Waiver, ...]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._refuse("waivers must be tables: [[waivers]]", self._line("waivers"))
        return tuple(self._waiver(table, nth) for nth, table in enumerate(value))

    def _waiver(self, table: Mapping[str, object], nth: int) -> Waiver:
        self._demand_keys(table, (*_SHAPES, "expires"), nth)
        for key, (pattern, shape) in _SHAPES.items():
            item = table.get(key)
            if key in table and not (isinstance(item, str) and re.fullmatch(pattern, item, re.S)):
                self._refuse(f"waivers: {key} must be {shape}", self._line(key, nth))
        for key in ("check", "justification"):
            if key not in table:
                self._refuse(f"waivers: {key} is missing", self._header(nth))
        if not {"code", "path", "fingerprint"} & table.keys():
            self._refuse("waivers: which findings? Add code, path or fingerprint; to leave the "
                         "whole check out there is disabled", self._header(nth))
        words = {key: str(item) for key, item in table.items() if key != "expires"}
        check = self._check("waivers", words["check"], nth)
        if "code" in words:
            self._code("waivers", check, words["code"], self._line(words["code"], nth))
        return Waiver(
            check=check,
            code=words.get("code"), fingerprint=words.get("fingerprint"),
            path=printable(words["path"]) if "path" in words else None,
            justification=printable(" ".join(words["justification"].split())),
            expires=self._expiry(table["expires"], nth) if "expires" in table else None)

    def _expiry(self, value: object, nth: int) -> date:
        if not isinstance(value, date) or isinstance(value, datetime):
            self._refuse("waivers: expires must be a day without quotes, such as 2027-01-31",
                         self._line("expires", nth))
        return value


_SHAPES = {
    "check": (r".+", "the id of a check"),
    "code": (r"[a-z][a-z0-9-]*", "the code of a finding: lower-case words and -"),
    "path": (r"/[^\x00-\x1f]*", "a path or glob that begins with /"),
    "fingerprint": (r"[0-9a-f]{64}", "64 hexadecimal digits, as the JSON report has them"),
    "justification": (r".*\S.*", "a sentence: who answers for this, and why"),
}


def _place_of(message: str) -> int | None:
    """The line that tomllib names."""
    found = re.search(r"\(at line (\d+), column \d+\)", message)
    return int(found[1]) if found else None
