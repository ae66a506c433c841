"""An image to be cleaned."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from img_tools.host import Host
from tests.support import (
    File,
)


@pytest.fixture
def tree(image: Callable[..., Host]) -> Host:
    return image({"/tmp/a": "12", "/tmp/d/x": "345", "/var/log/syslog": File("6789", mode=0o640),
                  "/etc/id": "old"}, {("true",): "", ("false",): (1, "", "it is bad")})
