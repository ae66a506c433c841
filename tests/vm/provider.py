"""What the provider gives each Droplet: an id, a name, a network card, the owner's SSH key."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

# As DigitalOcean's own: root logs in, by the key alone.
VENDOR_DATA = "#cloud-config\ndisable_root: false\nssh_pwauth: false\n"


@dataclass(frozen=True)
class Instance:
    """A Droplet to be: KEY is its owner's private key, with the public one beside it."""

    id: str
    mac: str
    key: Path
    user_data: str = ""

    @classmethod
    def make(cls, name: str, number: int, place: Path, user_data: str = "") -> Instance:
        """A new one below PLACE with a new key, whose comment is `key-of-NAME`."""
        key = place / f"{name}.key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"key-of-{name}",
                        "-f", key], check=True)
        return cls(f"instance-{name}", f"52:54:00:12:34:{number:02x}", key, user_data)

    def config_drive(self, place: Path) -> Path:
        """The drive by which a Droplet gets its metadata, in OpenStack's format."""
        files = {
            "meta_data.json": json.dumps({
                "uuid": self.id, "hostname": self.id, "name": self.id,
                "public_keys": {"owner": self.key.with_suffix(".key.pub").read_text()}}),
            "network_data.json": json.dumps({
                "links": [{"id": "eth0", "type": "phy", "ethernet_mac_address": self.mac}],
                "networks": [{"id": "public", "type": "ipv4_dhcp", "link": "eth0"}],
                "services": []}),
            "vendor_data.json": json.dumps({"cloud-init": VENDOR_DATA}),
            "user_data": f"#cloud-config\n{self.user_data}\n",
        }
        latest = place / self.id / "openstack/latest"
        latest.mkdir(parents=True)
        for name, text in files.items():
            (latest / name).write_text(text)
        image = place / f"{self.id}.iso"
        subprocess.run(["genisoimage", "-quiet", "-volid", "config-2", "-joliet", "-rock",
                        "-output", image, place / self.id], check=True, capture_output=True)
        return image
