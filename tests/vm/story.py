"""From a build to its clones: what happens, in order, and what is seen on the way."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil

from tests.support import validated
from tests.vm import dhcp, disk, soil, upstream, vendor
from tests.vm.droplet import Droplet, Rack
from tests.vm.provider import Instance

GREETING = "hello from the clone"


@dataclass(frozen=True)
class Identity:
    """What tells one machine from all others."""

    machine_id: str
    host_keys: frozenset[str]
    random_seed: str
    dhcp: frozenset[bytes]


@dataclass(frozen=True)
class Clone:
    """What the owner of a clone finds; `refused` is what sshd says to others.

    `told` is all that img-check shows, `report` the same for machines.
    """

    identity: Identity
    facts: dict[str, str]
    refused: dict[str, str]
    sessions: list[str]
    pages: dict[str, str]
    told: str
    report: dict[str, Any]


@dataclass
class Story:
    """What was seen, from the build to the clones; `times` is how long each part took.

    `theirs` is what DigitalOcean's script leaves in place of `left`, where it is at hand.
    """

    before: dict[str, Any]
    planted: set[str]
    on_disk: dict[str, list[int]]
    build: Identity
    cleaned: dict[str, Any]
    left: dict[str, list[int]]
    theirs: dict[str, list[int]] | None
    clones: list[Clone]
    times: dict[str, str]


class _Clock:
    """Seconds of each part of the story, and of the processors for it."""

    def __init__(self) -> None:
        self.times: dict[str, str] = {}
        self._last = time.monotonic(), _processor_time()

    def lap(self, name: str) -> None:
        """What was done since the last lap is called NAME."""
        now = time.monotonic(), _processor_time()
        self.times[name] = "{:.0f} s, CPU {:.0f} s".format(
            *(new - old for new, old in zip(now, self._last, strict=True)))
        self._last = now


def _processor_time() -> float:
    """Seconds of this process and of all below it, machines that run too."""
    running = (one.cpu_times() for one in psutil.Process().children(recursive=True))
    return sum(os.times()[:4]) + sum(sum(times[:4]) for times in running)


def tell(image: Path, package: Path, rack: Rack) -> Story:
    """Build on IMAGE, clean, take the snapshot, make two clones; PACKAGE is img-tools' own."""
    clock = _Clock()
    canaries = soil.Canaries()
    builder = Instance.make("build", 1, rack.place, soil.user_data(canaries))
    with rack.droplet(builder, image) as box:
        box.wait_up()
        clock.lap("boot")
        vendor.build(box, package)
        soil.soil(box, canaries)
        vendor.finish(box)
        clock.lap("build")
        build = _identity(box, box.ask(**IDENTITY))
        secrets = _secrets(box, build)
        on_disk = soil.found(image, secrets)
        before = validated(box.run("img-check", "--format", "json", codes=(1,)))
        clock.lap("img-check")
        twin = upstream.Twin.of(box, rack) if upstream.SCRIPT else None
        clock.lap("twin is made")
        cleaned = _clean(box)
        clock.lap("img-clean")
        box.wait_off()
        clock.lap("power-off")
    left = soil.left(image, secrets)
    clock.lap("scan")
    theirs = None
    if twin:
        theirs = twin.clean(Path(str(upstream.SCRIPT)).read_bytes(), secrets)
        clock.lap("cleanup.sh, power-off, scan")
    clones = _clones(image, builder, rack, clock)
    return Story(before, canaries.places | secrets.keys(), on_disk, build, cleaned, left,
                 theirs, clones, clock.times)


def _clean(box: Droplet) -> dict[str, Any]:
    """The report of img-clean, which powers BOX off: the connection may break before it ends."""
    done = box.attempt("img-clean", "--yes", "--check", "--poweroff", "--format", "json")
    assert done.returncode in (0, 255), f"{done.stdout}{done.stderr}{box.console}"
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _clones(image: Path, builder: Instance, rack: Rack, clock: _Clock) -> list[Clone]:
    """Two Droplets made of the snapshot IMAGE, side by side."""
    owners = [Instance.make(name, 2 + number, rack.place) for number, name in enumerate("ab")]
    strangers = [{"builder": builder.key, "owner of the other": other.key}
                 for other in reversed(owners)]
    with ThreadPoolExecutor() as pool, contextlib.ExitStack() as stack:
        boxes = [stack.enter_context(rack.droplet(
            owner, disk.overlay(image, rack.place / f"{owner.id}.qcow2"))) for owner in owners]
        list(pool.map(Droplet.wait_up, boxes))
        clock.lap("two clones boot")
        clones = list(pool.map(_visit, boxes, strangers))
        clock.lap("two clones are looked at")
    return clones


# What is asked of a machine, and of a clone, by name.
IDENTITY = {
    "machine-id": "cat /etc/machine-id", "seed": f"sha256sum < {soil.SEED}",
    "keys": "cat /etc/ssh/ssh_host_*_key.pub",
}
FACTS = {
    "password": f"cat {vendor.PASSWORD}",
    "greeting": f"for i in $(seq 60); do grep -q '{GREETING}' /var/log/syslog && break; sleep 1;"
                " done",
    "state": "systemctl is-system-running",
    "failed units": "systemctl --failed --no-legend --plain",
    "cloud-init": "cat /run/cloud-init/result.json",
    "firewall": "ufw status",
    "journal": "journalctl --quiet --directory /var/log/journal --boot",
    "syslog": "cat /var/log/syslog", "auth.log": "cat /var/log/auth.log",
    "nginx": "cat /var/log/nginx/access.log", "cloud-init.log": "cat /var/log/cloud-init.log",
    "login records": "wc --bytes < /var/log/wtmp",
    "img-check": "img-check --no-refresh -o /run/report.json 2>&1",
    "report": "cat /run/report.json",
    **IDENTITY,
}


def _visit(box: Droplet, strangers: dict[str, Path]) -> Clone:
    """What the owner of BOX finds, and what STRANGERS, who have other keys, do not."""
    refused = {name: _refusal(box, key) for name, key in {**strangers, "a password": None}.items()}
    sessions = [box.session("exit") for _ in range(2)]
    password = box.run(
        "sh", "-euc", f"logger --tag owner {GREETING}; cat {vendor.PASSWORD}").strip()
    pages = {"/": _page(box, "/"), "/admin/ without": _page(box, "/admin/"),
             "/admin/ with": _page(box, "/admin/", password)}
    facts = box.ask(**FACTS)
    return Clone(_identity(box, facts), facts, refused, sessions, pages, facts["img-check"],
                 validated(facts["report"]))


def _identity(box: Droplet, answers: dict[str, str]) -> Identity:
    """Who BOX is, by its ANSWERS to IDENTITY."""
    return Identity(answers["machine-id"].strip(), frozenset(answers["keys"].splitlines()),
                    answers["seed"], frozenset(dhcp.client_identifiers(box.packets)))


def _secrets(box: Droplet, identity: Identity) -> dict[str, bytes]:
    """What of the IDENTITY of BOX is looked for on its disk: nobody planted it.

    Networkd of Debian 13 keeps no lease on the disk.
    """
    answers = box.ask(key="cat /etc/ssh/ssh_host_ed25519_key",
                      seed=f"od -An -v -tx1 -N32 {soil.SEED}", lease="cat /var/lib/dhcp/*.leases")
    expiry = re.search("^ *expire .*;$", answers["lease"], re.M)
    return {"machine-id": identity.machine_id.encode(),
            "host-key": answers["key"].splitlines()[4].encode(),
            "random-seed": bytes.fromhex(answers["seed"]),
            **({"lease": expiry[0].encode()} if expiry else {})}


def _refusal(box: Droplet, key: Path | None) -> str:
    """What sshd says to a login as root with KEY, or with a password; "" if it lets in."""
    options = () if key else ("-o", "PubkeyAuthentication=no")
    done = box.attempt("true", options=options, key=key)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def _page(box: Droplet, path: str, password: str = "") -> str:
    """The page at PATH, or the status of the refusal."""
    credentials = base64.b64encode(f"admin:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"} if password else {}
    try:
        with urlopen(Request(box.url(path), headers=headers), timeout=60) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        return str(error.code)
