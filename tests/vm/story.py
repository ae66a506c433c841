"""From a build to its clones: what happens, in order, and what is seen on the way."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.support import validated
from tests.vm import dhcp, disk, soil, vendor
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
    """What the owner of a clone finds; `refused` is what sshd says to others."""

    identity: Identity
    facts: dict[str, str]
    refused: dict[str, str]
    sessions: list[str]
    pages: dict[str, str]
    report: dict[str, Any]


@dataclass
class Story:
    """What was seen, from the build to the clones; `seconds` is how long each part took."""

    before: dict[str, Any]
    planted: set[str]
    on_disk: dict[str, list[int]]
    build: Identity
    cleaned: dict[str, Any]
    left: dict[str, list[int]]
    clones: list[Clone]
    seconds: dict[str, float]


class _Clock:
    """Seconds of each part of the story."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """What was done since the last lap is called NAME."""
        now = time.monotonic()
        self.seconds[name], self._last = round(now - self._last, 1), now


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
        build = _identity(box)
        secrets = _secrets(box, build)
        on_disk = soil.found(image, **secrets)
        before = validated(box.run("img-check", "--format", "json", codes=(1,)))
        clock.lap("img-check")
        cleaned = _clean(box)
        clock.lap("img-clean")
        box.wait_off()
        clock.lap("power-off")
    left = soil.found(image, **secrets)
    clock.lap("scan")
    clones = _clones(image, builder, rack, clock)
    return Story(before, canaries.places | secrets.keys(), on_disk, build, cleaned, left, clones,
                 clock.seconds)


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


# What is asked of a clone, by name.
FACTS = {
    "password": f"cat {vendor.PASSWORD}",
    "state": "systemctl is-system-running",
    "failed units": "systemctl --failed --no-legend --plain",
    "cloud-init": "cat /run/cloud-init/result.json",
    "firewall": "ufw status",
    "journal": "journalctl --quiet --directory /var/log/journal --boot",
    "syslog": "cat /var/log/syslog", "auth.log": "cat /var/log/auth.log",
    "nginx": "cat /var/log/nginx/access.log", "cloud-init.log": "cat /var/log/cloud-init.log",
    "login records": "wc --bytes < /var/log/wtmp",
}


def _visit(box: Droplet, strangers: dict[str, Path]) -> Clone:
    """What the owner of BOX finds, and what STRANGERS, who have other keys, do not."""
    refused = {name: _refusal(box, key) for name, key in {**strangers, "a password": None}.items()}
    sessions = [box.session("exit") for _ in range(2)]
    password = box.run("cat", vendor.PASSWORD).strip()
    pages = {"/": _page(box, "/"), "/admin/ without": _page(box, "/admin/"),
             "/admin/ with": _page(box, "/admin/", password)}
    box.run("logger", "--tag", "owner", GREETING)
    box.until(lambda: GREETING in box.run("cat", "/var/log/syslog"), 60, "syslog is silent")
    facts = box.ask(**FACTS)
    report = box.run("img-check", "--no-refresh", "--format", "json", codes=(0, 1, 3))
    return Clone(_identity(box), facts, refused, sessions, pages, validated(report))


def _identity(box: Droplet) -> Identity:
    """Who BOX is."""
    answers = box.ask(machine_id="cat /etc/machine-id",
                      seed="sha256sum < /var/lib/systemd/random-seed",
                      keys="cat /etc/ssh/ssh_host_*_key.pub")
    return Identity(answers["machine_id"].strip(), frozenset(answers["keys"].splitlines()),
                    answers["seed"], frozenset(dhcp.client_identifiers(box.packets)))


def _secrets(box: Droplet, identity: Identity) -> dict[str, str]:
    """What of the IDENTITY of BOX is looked for on its disk: nobody planted it."""
    private = box.run("cat", "/etc/ssh/ssh_host_ed25519_key").splitlines()
    return {"machine-id": identity.machine_id, "host-key": private[4]}


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
