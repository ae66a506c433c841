"""Build, check, clean and snapshot several machines at once, with Fabric 3.

    fab build --on root@203.0.113.5,root@203.0.113.6 --script build.sh
    fab check --on root@203.0.113.5,root@203.0.113.6 --program img-tools-0.1.0-linux-x86_64
    fab clean --on ... --program ...                  # after that nobody can log in again
    fab image --on ... --program ... --name my-app    # clean, then a snapshot of what passed

Every task writes what each machine said into reports/ and ends with one table and one exit code: 0
all passed, 1 at least one failed, 2 bad usage, 3 at least one could not be judged, or was lost.
On a machine everything lies in /dev/shm: that is memory, and in no image.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from droplets import Account, ApiError
from fabric import Connection, Result, ThreadingGroup, task
from fabric.exceptions import GroupException
from invoke.context import Context
from invoke.exceptions import Exit

STAGE = "/dev/shm/img-tools"  # noqa: S108 - /run may be mounted noexec
REPORTS = Path("reports")
CONNECT_TIME = 30  # seconds to get a connection
SILENCE = 60  # seconds without an acknowledgement, after which a machine is lost
PATIENCE = 3600  # seconds for one step
FAILED, USAGE, UNDECIDED = 1, 2, 3
_PLACE = re.compile(r"[^@\s]+@[^@:\s]+(:\d+)?")
HELP = {
    "on": "user@host of each machine, separated by commas",
    "program": "the single file of img-tools, img-tools-VERSION-linux-x86_64",
    "options": "more options of the command, such as '--skip motd'",
}


# -- tasks ---------------------------------------------------------------------------------------


@task(help={"on": HELP["on"], "script": "what makes a bare machine yours; runs as root"})
def build(context: Context, on: str, script: str) -> None:
    """Run a script on every machine; what it says is in reports/HOST.log."""
    fleet = Fleet(context, on)
    fleet.put(script, "build")
    fleet.judge(f"sh {STAGE}/build 2>&1", built)
    fleet.finish()


@task(help=HELP)
def check(context: Context, on: str, program: str, options: str = "") -> None:
    """Run img-check on every machine; nothing is changed there."""
    fleet = Fleet(context, on)
    fleet.install(program)
    fleet.judge(f"{STAGE}/img-check --format json {options}", checked)
    fleet.finish()


@task(help=HELP)
def clean(context: Context, on: str, program: str, options: str = "") -> None:
    """Run img-clean and then img-check on every machine; nobody can log in after that."""
    fleet = Fleet(context, on)
    fleet.install(program)
    fleet.judge(f"{STAGE}/img-clean --yes --check --format json {options}", cleaned)
    fleet.finish()


@task(help={**HELP, "name": "begins the names of the snapshots"})
def image(context: Context, on: str, program: str, name: str, options: str = "") -> None:
    """Clean and check every Droplet, power off and snapshot those that pass.

    The token of the API is in DIGITALOCEAN_ACCESS_TOKEN.
    """
    fleet = Fleet(context, on)
    try:  # before anything is changed
        account = Account.of(os.environ)
        droplets = account.droplets([one.host for one in fleet.machines])
    except ApiError as error:
        raise Exit(str(error), USAGE) from None
    fleet.install(program)
    fleet.judge(f"{STAGE}/img-clean --yes --check --format json {options}", cleaned)
    fleet.tidy()
    passed = {one.host: one for one in fleet.machines if fleet.rows[one].code == 0}
    for host, outcome in account.snapshot({host: droplets[host] for host in passed}, name).items():
        row = fleet.rows[passed[host]]
        fleet.rows[passed[host]] = (
            Row("ERROR", UNDECIDED, f"no snapshot: {outcome}") if isinstance(outcome, ApiError)
            else Row(row.verdict, 0, outcome))
    fleet.finish()


# -- verdicts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What became of one machine: a word, what it means for the exit code, and more words."""

    verdict: str
    code: int
    remark: str


def built(machine: Connection, result: Result) -> Row:
    """The row of a build."""
    _keep(machine, "log", result.stdout)
    if result.ok:
        return Row("BUILT", 0, "")
    return Row("FAIL", FAILED, f"exit code {result.exited}: {_last_line(result.stdout)}")


def checked(machine: Connection, result: Result) -> Row:
    """The row of img-check, whose report is the output."""
    return _reported(machine, result, lambda report: report)


def cleaned(machine: Connection, result: Result) -> Row:
    """The row of img-clean --check, whose report is the output."""
    return _reported(machine, result, lambda report: report["check"])


def _reported(
    machine: Connection, result: Result, check_of: Callable[[Any], dict[str, Any] | None]
) -> Row:
    try:
        report = json.loads(result.stdout)
        parts = [*report.get("cleaners", ()), *(check_of(report) or {"checks": []})["checks"]]
        bad = {word: [part["id"] for part in parts if part["status"] in statuses]
               for word, statuses in (("FAIL", ("fail", "failed")), ("ERROR", ("error",)),
                                      ("WARN", ("warn",)))}
    except (ValueError, LookupError, TypeError):
        said = _last_line(result.stderr) or _last_line(result.stdout)
        return Row("ERROR", UNDECIDED, f"no report, exit code {result.exited}: {said}")
    _keep(machine, "json", result.stdout)
    remark = "; ".join(f"{word.lower()}: {', '.join(ids)}" for word, ids in bad.items() if ids)
    if result.exited == 0:
        return Row("WARN" if bad["WARN"] else "PASS", 0, remark)
    if result.exited == FAILED:
        return Row("FAIL", FAILED, remark)
    return Row("ERROR", UNDECIDED, remark or _last_line(result.stderr))


def _keep(machine: Connection, suffix: str, text: str) -> None:
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / f"{_name(machine)}.{suffix}").write_text(text, encoding="utf-8")


def _name(machine: Connection) -> str:
    return str(machine.host) if machine.port == 22 else f"{machine.host}-{machine.port}"


def _last_line(text: str) -> str:
    """The last line of TEXT that says something, without what moves the cursor."""
    line = next((line for line in reversed(text.split("\n")) if line.strip()), "")
    return "".join(char for char in line.strip()[:200] if char.isprintable())


# -- machines ------------------------------------------------------------------------------------


class Machine(Connection):  # type: ignore[misc] # Fabric has no types
    """A connection that notices when the other end is gone."""

    def open(self) -> Any:
        """Connect, if it is not connected."""
        opened = super().open()
        self.transport.set_keepalive(SILENCE // 4)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self.transport.sock.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE * 1000)
        return opened


@dataclass
class Fleet:
    """Machines that do the same at the same time. One that is lost does not stop the others."""

    context: Context
    on: str
    rows: dict[Machine, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Name the machines; none is connected to yet. Raises Exit for bad names."""
        names = [name.strip() for name in self.on.split(",")]
        if len({*names}) != len(names) or not all(map(_PLACE.fullmatch, names)):
            raise Exit("--on takes each machine once: root@203.0.113.5,root@203.0.113.6", USAGE)
        self.machines = [Machine(name, config=self.context.config, connect_timeout=CONNECT_TIME)
                         for name in names]
        self._left = list(self.machines)

    def put(self, local: str, name: str) -> None:
        """Upload the file LOCAL as NAME."""
        if not Path(local).is_file():
            raise Exit(f"no such file: {local}", USAGE)
        self._run(f"rm -rf {STAGE} && mkdir -m 700 {STAGE}", must=True)
        self._each("put", local, f"{STAGE}/{name}")

    def install(self, program: str) -> None:
        """Upload img-tools."""
        self.put(program, "img-check")
        self._run(f"chmod 755 {STAGE}/img-check && ln -s img-check {STAGE}/img-clean", must=True)

    def judge(self, command: str, verdict: Callable[[Connection, Result], Row]) -> None:
        """Run COMMAND everywhere; VERDICT makes a row of each result."""
        for machine, result in self._run(command).items():
            self.rows[machine] = verdict(machine, result)

    def tidy(self) -> None:
        """Leave nothing behind, and leave."""
        judged = dict(self.rows)
        self._run(f"rm -rf {STAGE}")
        self.rows |= judged  # what is lost after its verdict keeps that
        for machine in self._left:
            machine.close()
        self._left = []

    def finish(self) -> None:
        """Tidy up, print the table and end with the exit code of all."""
        self.tidy()
        width = max(len(_name(machine)) for machine in self.machines)
        for machine in self.machines:
            row = self.rows[machine]
            print(f"{_name(machine):{width}}  {row.verdict:5}  {row.remark}".rstrip())
        codes = {row.code for row in self.rows.values()}
        sys.exit(FAILED if FAILED in codes else max(codes))

    def _run(self, command: str, must: bool = False) -> dict[Machine, Result]:
        """The results of COMMAND. A machine without one is lost; so is, if it MUST, a failure."""
        results = self._each("run", command, hide=True, warn=True, in_stream=False,
                             timeout=PATIENCE)
        for machine, result in list(results.items()):
            if result.exited == -1:  # none came
                self._lose(machine, f"the connection ended during: {command}")
            elif must and result.failed:
                self._lose(machine, _last_line(result.stderr))
        return {machine: results[machine] for machine in self._left}

    def _each(self, method: str, *args: Any, **kwargs: Any) -> dict[Machine, Any]:
        """METHOD of Fabric's groups, in a thread for each machine."""
        if not self._left:
            return {}
        group = ThreadingGroup.from_connections(self._left)
        try:
            results = dict(getattr(group, method)(*args, **kwargs))
        except GroupException as exception:
            results = dict(exception.result)
        for machine, result in results.items():
            if isinstance(result, BaseException):
                self._lose(machine, f"{type(result).__name__}: {_last_line(str(result))}")
        return {machine: results[machine] for machine in self._left}

    def _lose(self, machine: Machine, why: str) -> None:
        self.rows[machine] = Row("LOST", UNDECIDED, why)
        self._left.remove(machine)
