"""The same build cleaned by DigitalOcean's cleanup.sh in place of img-clean.

The script is not part of this project: CLEANUP_SH names it. The build Droplet is cut in two right
before the cleaning, so both clean the very same machine, and both disks are read the same way.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.vm import soil
from tests.vm.droplet import Droplet, Rack
from tests.vm.provider import Instance

SCRIPT = os.environ.get("CLEANUP_SH")
_AT_THE_END = "'/zerofile': No space left"  # errexit would have ended it before


@dataclass(frozen=True)
class Twin:
    """The build Droplet INSTANCE as it was right before the cleaning, in files of PLACE."""

    instance: Instance
    rack: Rack

    @classmethod
    def of(cls, box: Droplet, rack: Rack) -> Twin:
        """The twin of BOX, which goes on, in a corner of RACK."""
        twin = cls(box.instance, Rack(rack.place / "twin", rack.accelerator))
        twin.rack.place.mkdir()
        box.save(twin._memory, twin._disk)
        return twin

    @property
    def _memory(self) -> Path:
        return self.rack.place / "memory"

    @property
    def _disk(self) -> Path:
        return self.rack.place / "disk.raw"

    def clean(self, script: bytes, identities: Mapping[str, bytes]) -> dict[str, list[int]]:
        """What SCRIPT leaves of the canaries and IDENTITIES; the twin is gone then."""
        with self.rack.droplet(self.instance, self._disk, self._memory) as box:
            box.run("sh", "-euc", "cat > /tmp/90-cleanup.sh", stdin=script)
            # As the last of all, for the script takes the key away by which one logs in.
            done = box.attempt("sh", "-c", "bash /tmp/90-cleanup.sh; systemctl poweroff")
            assert _AT_THE_END in done.stderr, f"{done.stdout}{done.stderr}{box.console}"
            box.wait_off()
        left = soil.left(self._disk, identities)
        self._memory.unlink()
        self._disk.unlink()
        return left
