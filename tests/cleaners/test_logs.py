import os

import pytest

from img_tools.actions import Remove, Truncate
from img_tools.policyfile import Policy
from tests.support import Fifo, File, Link, carried_out, check, plan


def kinds(image, files):
    return {action.path: type(action) for action in plan("logs", image(files))}


def test_open_logs_are_emptied_and_old_ones_removed(image):
    """Cleanup defects 2, 9: upstream looks in /var/log itself, and never at the journal."""
    assert kinds(image, {
        "/var/log/syslog": "x", "/var/log/nginx/access.log": "x", "/var/log/btmp": "x",
        "/var/log/syslog.1": "x", "/var/log/nginx/error.log.2.gz": "x",
        "/var/log/messages-20261101": "x", "/var/log/journal/0/system.journal": "x",
    }) == {
        "/var/log/syslog": Truncate, "/var/log/nginx/access.log": Truncate,
        "/var/log/btmp": Truncate, "/var/log/syslog.1": Remove,
        "/var/log/nginx/error.log.2.gz": Remove, "/var/log/messages-20261101": Remove,
        "/var/log/journal/0/system.journal": Remove,
    }


def test_inode_owner_and_mode_stay(image):
    """Pitfall 10: a log that was removed comes back as root's, and its service is silent."""
    host = image({"/var/log/auth.log": File("x", mode=0o640)})
    path = f"{host.root.top}/var/log/auth.log"
    os.chown(path, 1, 4) if os.geteuid() == 0 else None
    before = os.stat(path)
    carried_out("logs", host)
    after = os.stat(path)
    assert (after.st_ino, after.st_uid, after.st_gid, after.st_mode, after.st_size) == (
        before.st_ino, before.st_uid, before.st_gid, before.st_mode, 0)


def test_login_records_hold_nothing_at_all(image):
    """Cleanup defect 9: upstream leaves login records that are a day old.

    Pitfall 10: a line feed is no empty btmp, but half a record.
    """
    host = image({"/var/log/btmp": "x", "/var/log/wtmp": "x"})
    carried_out("logs", host)
    assert host.root.stat("/var/log/btmp").size == host.root.stat("/var/log/wtmp").size == 0


def test_directories_stay_even_when_their_name_looks_like_a_date(image):
    """Cleanup defect 3: upstream removes unattended-upgrades, whose name ends like a date.

    Pitfall 10: services do not start without their directory.
    """
    host = image({"/var/log/unattended-upgrades": {}, "/var/log/apt-20261101/x": "x",
                  "/var/log/nginx": {}})
    carried_out("logs", host)
    assert host.root.is_dir("/var/log/unattended-upgrades")
    assert host.root.is_dir("/var/log/apt-20261101")
    assert host.root.is_dir("/var/log/nginx")
    assert check("logs", host) == []


def test_age_does_not_matter(image):
    """Cleanup defect 1: upstream empties logs of the last 24 hours alone."""
    host = image({"/var/log/old.log": "x"})
    os.utime(f"{host.root.top}/var/log/old.log", (0, 0))
    assert carried_out("logs", host) == ["/var/log/old.log"]


def test_links_pipes_and_empty_logs_are_left(image):
    assert plan("logs", image({"/var/log/x": Link("/etc/passwd"), "/var/log/pipe": Fifo(),
                               "/var/log/empty.log": "", "/var/log/up": Link("../..")})) == []


@pytest.mark.parametrize("cleaner", ["logs", "final"])
@pytest.mark.parametrize("many", [1, 101])
@pytest.mark.parametrize(("expected", "left"), [
    ("/var/log/app/*.log", "log"), ("/var/log/app/*.1", "1"), ("/var/log/app/**", "log 1 txt"),
    ("/var/log/app/0.log", "0"), ("/var/log/application/*", ""), ("/var/log/app", ""),
])
def test_logs_that_the_policy_expects_stay_and_nothing_else(image, cleaner, many, expected, left):
    """What the check then still flags is what went."""
    host = image({f"/var/log/app/{number}.{kind}": "x" for number in range(many)
                  for kind in ("log", "1", "txt")} | {"/var/log/x": "x"})
    host.policy = Policy(expected_logs=(expected,))
    carried_out(cleaner, host)
    assert check("logs", host) == []
    kept = {entry.path for entry in host.root.glob("/var/log/app/*") if entry.size}
    wanted = {f"/var/log/app/{number}.{kind}" for number in range(many) for kind in left.split()}
    assert kept == ({"/var/log/app/0.log"} if left == "0" else wanted)
