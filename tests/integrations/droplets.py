"""An imitation of the calls of DigitalOcean's API that build an image.

    python -m tests.integrations.droplets PORT TOKEN < DROPLETS

Its Droplets run already; DROPLETS says what they are, as JSON: {slug of the image: {"address",
"keys" (the file that gets the key), "off" (the command that powers it off), "init" (its first
process)}}. Creating one hands
out that of its image. Every call is told on standard output, a line of JSON each. It listens on
10.77.0.1, in the network of the tests.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.container.machine import until

HOST = "10.77.0.1"
OFF = 150  # seconds for a power-off: systemd gives each service 90 to stop
NOW = "2026-01-01T00:00:00Z"
REGION = {"slug": "nyc3", "name": "New York 3", "available": True, "sizes": [], "features": []}


class NotFound(Exception):
    """There is no such thing."""


@dataclass
class Droplet:
    """One of them, and what became of it."""

    id: int
    slug: str
    facts: dict[str, Any]
    status: str = "active"
    snapshots: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """It, as the API shows it."""
        address = {"ip_address": self.facts["address"], "netmask": "255.255.255.0",
                   "gateway": HOST, "type": "public"}
        return {"id": self.id, "name": f"packer-{self.id}", "status": self.status, "locked": False,
                "memory": 512, "vcpus": 1, "disk": 10, "region": REGION, "size_slug": "small",
                "size": {"slug": "small"}, "image": {"id": 1, "slug": self.slug},
                "networks": {"v4": [address], "v6": []}, "features": [], "backup_ids": [],
                "snapshot_ids": self._numbers(), "tags": [], "created_at": NOW, "volume_ids": []}

    def _numbers(self) -> list[int]:
        return [self.id * 100 + number for number in range(len(self.snapshots))]

    def shown_snapshots(self) -> list[dict[str, Any]]:
        """Its snapshots, as the API shows them."""
        return [{"id": number, "name": name, "type": "snapshot", "regions": ["nyc3"],
                 "min_disk_size": 10, "distribution": "Debian", "created_at": NOW}
                for number, name in zip(self._numbers(), self.snapshots, strict=True)]


class Cloud:
    """All there is, by number."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.droplets = [Droplet(number, slug, one)
                         for number, (slug, one) in enumerate(facts.items(), 1)]
        self.keys: list[str] = []
        self.actions: list[dict[str, Any]] = []

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, Any]:
        """Status and content of the answer to a call. Raises NotFound."""
        if method == "DELETE":
            return 204, None
        match method, path.removeprefix("/v2").strip("/").split("/"):
            case "POST", ["account", "keys"]:
                self.keys.append(sent["public_key"])
                return 201, {"ssh_key": {"id": len(self.keys), "fingerprint": "aa",
                                         "name": sent["name"], "public_key": sent["public_key"]}}
            case "POST", ["droplets"]:
                return 202, {"droplet": self._create(sent).shown(), "links": {}}
            case "GET", ["droplets"]:
                return 200, {"droplets": [one.shown() for one in self.droplets], "links": {},
                             "meta": {"total": len(self.droplets)}}
            case "GET", ["droplets", number]:
                return 200, {"droplet": self._droplet(number).shown()}
            case "GET", ["droplets", number, "snapshots"]:
                made = self._droplet(number).shown_snapshots()
                return 200, {"snapshots": made, "links": {}, "meta": {"total": len(made)}}
            case "POST", ["droplets", number, "actions"]:
                return 201, {"action": self._act(self._droplet(number), sent)}
            case "GET", ["actions", number] | ["droplets", _, "actions", number]:
                return 200, {"action": self.actions[int(number) - 1]}
        raise NotFound(path)

    def _droplet(self, number: str) -> Droplet:
        for one in self.droplets:
            if str(one.id) == number:
                return one
        raise NotFound(number)

    def _create(self, sent: dict[str, Any]) -> Droplet:
        image = sent["image"]
        (droplet,) = (one for one in self.droplets if one.slug == image)
        keys = Path(droplet.facts["keys"])
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        keys.write_text("".join(f"{self.keys[number - 1].strip()}\n"
                                for number in sent["ssh_keys"]))
        return droplet

    def _act(self, droplet: Droplet, sent: dict[str, Any]) -> dict[str, Any]:
        if sent["type"] in ("shutdown", "power_off") and droplet.status == "active":
            subprocess.run(droplet.facts["off"], check=False, stdout=subprocess.DEVNULL)
            until(lambda: not Path(f"/proc/{droplet.facts['init']}").exists(), OFF)
            droplet.status = "off"
        elif sent["type"] == "snapshot":
            droplet.snapshots.append(sent["name"])
        self.actions.append({
            "id": len(self.actions) + 1, "status": "completed", "type": sent["type"],
            "started_at": NOW, "completed_at": NOW, "resource_id": droplet.id,
            "resource_type": "droplet", "region_slug": "nyc3", "region": REGION})
        return self.actions[-1]


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for CLOUD to who has TOKEN."""

    protocol_version = "HTTP/1.1"
    cloud: Cloud
    token: str

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length) or b"{}")
        path = re.sub(r"\?.*", "", self.path)
        if self.headers.get("Authorization") != f"Bearer {self.token}":
            status, content = 401, {"id": "unauthorized", "message": "Unable to authenticate you"}
        else:
            try:
                status, content = self.cloud.answer(self.command, path, sent)
            except NotFound as missing:
                status, content = 404, {"id": "not_found", "message": str(missing)}
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print(json.dumps([self.command, path, status, sent]), flush=True)

    do_GET = do_POST = do_DELETE = _handle

    def log_message(self, *args: object) -> None:
        """Say nothing more."""


def main() -> None:
    """Serve until killed."""
    Handler.cloud = Cloud(json.load(sys.stdin))
    Handler.token = sys.argv[2]
    server = ThreadingHTTPServer((HOST, int(sys.argv[1])), Handler)
    print(json.dumps(["READY", "", 0, {}]), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
