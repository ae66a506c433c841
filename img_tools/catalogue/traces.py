"""What people and programs leave while they work: topics shell-history, logs, temp-files, ..."""

from img_tools.catalogue.model import Residue, Treat
from img_tools.model import Status


def _history(code: str, severity: Status, why: str, *names: str) -> list[Residue]:
    return [Residue("shell-history", code, f"~/{name}", Treat.REMOVE, severity, why)
            for name in names]


ROWS: tuple[Residue, ...] = (
    *_history(
        "shell-history", Status.FAIL,
        "commands of the build, with host names and passwords typed as arguments",
        ".bash_history", ".zsh_history",
    ),
)
