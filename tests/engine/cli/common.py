"""The installed command, and checks to give to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

COMMAND = str(Path(sys.executable).parent / "img-check")
PLUGINS = {
    "/good.py": '"""Good things are there"""\ndef check(host):\n    yield from ()\n',
    "/odd.py": '"""Nothing is odd"""\nfrom img_tools.model import warn\ndef check(host):\n'
               '    yield warn("odd", "it is odd: gr\\u00fc\\u00df \\u6f22 \\x1b[31m")\n',
    "/bad.py": '"""Nothing is bad"""\nfrom img_tools.model import fail\n'
               'def check(host):\n    yield fail("bad", "it is bad", fix="rm bad")\n',
    "/lost.py": '"""All is known"""\nfrom img_tools.model import Undecided\n'
                'def check(host):\n    raise Undecided("the mirror does not answer")\n    yield\n',
    "/broken.py": '"""All works"""\ndef check(host):\n    yield 1 / 0\n',
}
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def call(argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, **{"capture_output": True, "text": True, "timeout": 60,
                                   "stdin": subprocess.DEVNULL, **options}, check=False)
    assert "Traceback" not in (done.stdout or "") + (done.stderr or "")
    return done


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The only line on stderr, after the exit code and an empty stdout were demanded."""
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("img-check: ")
    assert done.stderr.count("\n") == 1
    return done.stderr
