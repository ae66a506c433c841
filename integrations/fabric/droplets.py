"""The few calls of DigitalOcean's API that make snapshots of Droplets.

With doctl: `doctl compute droplet-action shutdown ID --wait` and `doctl compute droplet-action
snapshot ID --snapshot-name NAME --wait`.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

API = "https://api.digitalocean.com/"
OFF_TIME = 300  # seconds to shut down
SNAPSHOT_TIME = 3600  # seconds for a snapshot: some minutes for ten gigabytes
PAUSE = 3  # seconds between two questions

Droplet = dict[str, Any]  # as the API shows it


class ApiError(Exception):
    """A call failed, or what it asked for did not happen; the text says which."""


@dataclass(frozen=True)
class Account:
    """Whoever has the TOKEN."""

    token: str = field(repr=False)
    api: str = API

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Account:
        """The account of DIGITALOCEAN_ACCESS_TOKEN. Raises ApiError when it is not set."""
        token = environment.get("DIGITALOCEAN_ACCESS_TOKEN", "")
        if not token:
            raise ApiError("set DIGITALOCEAN_ACCESS_TOKEN; an option would show in ps")
        return cls(token, environment.get("DIGITALOCEAN_API_URL", API))

    def droplets(self, addresses: Sequence[str]) -> dict[str, Droplet]:
        """The Droplets that have these public ADDRESSES. Raises ApiError if one is missing."""
        owned: dict[str, Droplet] = {}
        answer, page = self._call("GET", "v2/droplets?per_page=200"), 1
        while True:
            owned |= {network["ip_address"]: droplet for droplet in answer["droplets"]
                      for network in droplet["networks"]["v4"] if network["type"] == "public"}
            if not answer["links"].get("pages", {}).get("next"):
                break
            page += 1
            answer = self._call("GET", f"v2/droplets?per_page=200&page={page}")
        missing = [address for address in addresses if address not in owned]
        if missing:
            raise ApiError(f"no Droplet of this account has the address {', '.join(missing)}")
        return {address: owned[address] for address in addresses}

    def snapshot(self, droplets: Mapping[str, Droplet], name: str) -> dict[str, str | ApiError]:
        """Shut DROPLETS down and take snapshots, all at once; their names begin with NAME.

        Returns for each address the name and id of the snapshot, or why there is none.
        """
        def one(droplet: Droplet) -> str | ApiError:
            try:
                return self._snapshot(droplet, name)
            except ApiError as error:
                return error

        with ThreadPoolExecutor(len(droplets) or 1) as pool:
            return dict(zip(droplets, pool.map(one, droplets.values()), strict=True))

    def _snapshot(self, droplet: Droplet, name: str) -> str:
        place = f"v2/droplets/{droplet['id']}"
        wanted = f"{name}-{droplet['name']}"
        self._call("POST", f"{place}/actions", {"type": "shutdown"})
        self._await(lambda: self._call("GET", place)["droplet"]["status"] == "off", OFF_TIME,
                    "it does not shut down")
        sent = {"type": "snapshot", "name": wanted}
        action = self._call("POST", f"{place}/actions", sent)["action"]["id"]
        self._await(lambda: self._completed(action), SNAPSHOT_TIME, "it takes too long")
        made = self._call("GET", f"{place}/snapshots?per_page=200")["snapshots"]
        number = next((one["id"] for one in made if one["name"] == wanted), "unknown")
        return f"snapshot {wanted}, id {number}"

    def _completed(self, action: int) -> bool:
        status = self._call("GET", f"v2/actions/{action}")["action"]["status"]
        if status == "errored":
            raise ApiError("DigitalOcean could not take it")
        return bool(status == "completed")

    def _await(self, happened: Callable[[], bool], seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline:
                raise ApiError(otherwise)
            time.sleep(PAUSE)

    def _call(self, method: str, path: str, sent: dict[str, str] | None = None) -> Any:
        """The answer to a call. Raises ApiError, which never holds the token."""
        request = urllib.request.Request(  # noqa: S310 - the address is ours
            f"{self.api.rstrip('/')}/{path}", method=method,
            data=None if sent is None else json.dumps(sent).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ApiError(f"{method} {path}: {error.code} {error.reason}") from None
        except (OSError, ValueError) as error:
            raise ApiError(f"{method} {path}: {error}") from None
