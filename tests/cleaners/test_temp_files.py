import os
import socket

import psutil
import pytest

from img_tools import cleaning
from img_tools.model import Undecided
from img_tools.plugins import load
from img_tools.report import clean as views
from tests.support import Fifo, Link, carried_out, check, plan

ID = "0123456789abcdef0123456789abcdef"


def test_all_but_what_systemd_keeps(image):
    """Cleanup defect 18: upstream leaves names that begin with a dot.

    Pitfall 12: services are running with their /tmp in systemd-private-*.
    """
    host = image({"/tmp/a/b": "x", "/var/tmp/.c": "x", "/etc/.x.swp": "x", "/etc/x.dpkg-old": "x",
                  f"/tmp/systemd-private-{ID}-ntp.service-AbCdEf/tmp": {}})
    host.boot_id = ID
    assert carried_out("temp-files", host) == ["/etc/.x.swp", "/etc/x.dpkg-old", "/tmp/a",
                                               "/var/tmp/.c"]
    assert check("temp-files", host) == []


def test_a_private_tmp_of_a_former_boot_goes(image):
    former = f"/tmp/systemd-private-{ID}-ntp.service-AbCdEf"
    assert carried_out("temp-files", image({f"{former}/tmp/secret": "x"})) == [former]


@pytest.mark.parametrize("error", [
    FileNotFoundError(2, "No such file or directory", "/proc"), IndexError("list index")])
def test_without_proc_it_is_not_guessed_what_is_in_use(image, monkeypatch, error):
    """psutil itself stumbles over a /proc that is there and empty."""
    def missing():
        raise error

    monkeypatch.setattr(psutil, "process_iter", missing)
    with pytest.raises(Undecided, match="mount -t proc"):
        plan("temp-files", image({"/tmp/x": "x"}))


def test_the_directories_themselves_keep_their_mode(image):
    host = image({"/tmp/x": "x", "/var/tmp/x": "x"})
    os.chmod(f"{host.root.top}/tmp", 0o1777)
    carried_out("temp-files", host)
    assert os.stat(f"{host.root.top}/tmp").st_mode & 0o7777 == 0o1777
    assert host.root.is_dir("/var/tmp")


def test_copies_made_by_hand_are_nobodys_to_remove(image):
    assert plan("temp-files", image({f"/etc/x.conf{end}": "x" for end in
                                     (".bak", ".orig", "~", ".save")})) == []


def test_what_a_process_uses_stays(image, monkeypatch):
    """Pitfall 12: sockets and files in /tmp that running services cannot do without."""
    host = image({"/tmp/open/log": "x", "/tmp/other": "x", "/tmp/s": {}})
    top = host.root.top
    monkeypatch.chdir(f"{top}/tmp/s")
    with open(f"{top}/tmp/open/log"), socket.socket(socket.AF_UNIX) as listener:
        listener.bind("x.sock")
        assert [action.path for action in plan("temp-files", host)] == ["/tmp/other"]
    assert os.path.exists(f"{top}/tmp/open/log")


def test_links_and_pipes_go_and_lead_nowhere(image):
    host = image({"/tmp/link": Link("/opt/acme"), "/tmp/up": Link("../../.."), "/tmp/pipe": Fifo(),
                  "/opt/acme/x": "x", "/tmp/d/in": Link("/etc")})
    assert carried_out("temp-files", host) == ["/tmp/d", "/tmp/link", "/tmp/pipe", "/tmp/up"]
    assert host.root.read_text("/opt/acme/x") == "x"
    assert host.root.is_file("/etc/passwd")


def test_a_crowd_of_files_goes_and_the_report_does_not_guess_its_size(image):
    host = image({f"/tmp/f{number}": "x" for number in range(500)})
    plugins = [one for one in load("img_tools.cleaners", "plan") if one.id == "temp-files"]
    report = cleaning.report(host, plugins, dry_run=False)
    assert report.verdict == "pass"
    assert host.root.listdir("/tmp") == []
    assert "DONE: 500 actions, more than 0 bytes freed." in views.render_text(report)
