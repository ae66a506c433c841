import pytest

from img_tools import session
from img_tools.host import Host
from img_tools.plugins import load
from img_tools.rootfs import RootFS
from tests.support import FakeRunner, Fifo, Link, carried_out, check, mended_by, plan

PASSWD = "root:x:0:0::/root:/bin/bash\nbob:x:9:9::/srv/bob:/bin/sh\n"


def test_histories_of_every_account_shell_and_client_go(image):
    """Cleanup defect 6: upstream empties .bash_history of root, and no other."""
    files = ["/root/.bash_history", "/srv/bob/.zsh_history", "/srv/bob/.mysql_history",
             "/srv/bob/.lesshst", "/etc/skel/.local/share/fish/fish_history"]
    host = image({"/etc/passwd": PASSWD, **dict.fromkeys(files, "x")})
    assert carried_out("shell-history", host) == sorted(files)
    assert check("shell-history", host) == []


def test_homes_with_any_name_are_looked_at_as_they_are_called(image):
    """`[ab]` is a name for a directory, too: a pattern of it would look into /home/a instead."""
    passwd = "".join(f"u{n}:x:{n}:{n}::{home}:/bin/sh\n" for n, home in enumerate(
        ["/home/[ab]", "/home/*", "/home/?", "/home/loop", "/home/a"], 5))
    files = [f"/home/{name}/.bash_history" for name in ("[ab]", "*", "?", "a")]
    host = image({"/etc/passwd": passwd, "/home/loop": Link("loop"), **dict.fromkeys(files, "x")})
    assert [finding.path for finding in check("shell-history", host)] == sorted(files)
    assert carried_out("shell-history", host) == sorted(files)


def test_startup_files_and_empty_histories_stay(image):
    assert plan("shell-history", image({
        "/root/.bashrc": "HISTFILE=~/.h\n", "/root/.bash_history": "", "/root/.vimrc": "x",
        "/root/.bash_logout": "x"})) == []


def test_a_place_that_a_startup_file_names_is_only_reported(image):
    """Whoever owns the startup file chooses what it names: root must not remove that."""
    host = image({"/root/.bashrc": "export HISTFILE=/opt/acme/data\n", "/opt/acme/data": "x"})
    assert plan("shell-history", host) == []
    (finding,) = check("shell-history", host)
    assert mended_by(finding) is None


@pytest.mark.parametrize("target", ["/etc/passwd", "/srv/bob/.bash_history", "/dev/null", "/"])
def test_a_link_out_of_the_home_leads_nowhere(image, target):
    host = image({"/etc/passwd": PASSWD, "/root/.bash_history": Link(target)})
    assert plan("shell-history", host) == []


def test_a_link_within_the_home_gives_its_content_away(image):
    host = image({"/root/.bash_history": Link(".state/h"), "/root/.state/h": "x"})
    assert carried_out("shell-history", host) == ["/root/.state/h"]


def test_a_pipe_is_no_history(image):
    assert plan("shell-history", image({"/root/.bash_history": Fifo()})) == []


def test_whoever_types_is_told_that_their_shell_writes_again(monkeypatch):
    """Cleanup defect 5: upstream clears the history of its own shell, which has none."""
    plugins = [one for one in load("img_tools.cleaners", "plan") if one.id == "shell-history"]
    host = Host(RootFS("/"), FakeRunner({}))
    monkeypatch.setattr(session, "_interactive", lambda: ["bash"])
    assert "kill -9 $$" in "".join(session.notes(host, plugins))
    monkeypatch.setattr(session, "_interactive", lambda: [])
    assert list(session.notes(host, plugins)) == []
