import os
import socket

from tests.support import carried_out, plan

ID = "0123456789abcdef0123456789abcdef"


def test_all_but_what_systemd_keeps(image):
    host = image({"/tmp/a/b": "x", "/var/tmp/.c": "x", "/etc/.x.swp": "x", "/etc/x.dpkg-old": "x",
                  f"/tmp/systemd-private-{ID}-ntp.service-AbCdEf/tmp": {}})
    assert carried_out("temp-files", host) == ["/etc/.x.swp", "/etc/x.dpkg-old", "/tmp/a",
                                               "/var/tmp/.c"]


def test_copies_made_by_hand_are_nobodys_to_remove(image):
    assert plan("temp-files", image({f"/etc/x.conf{end}": "x" for end in
                                     (".bak", ".orig", "~", ".save")})) == []


def test_what_a_process_uses_stays(image, monkeypatch):
    host = image({"/tmp/open/log": "x", "/tmp/other": "x", "/tmp/s": {}})
    top = host.root.top
    monkeypatch.chdir(f"{top}/tmp/s")
    with open(f"{top}/tmp/open/log"), socket.socket(socket.AF_UNIX) as listener:
        listener.bind("x.sock")
        assert [action.path for action in plan("temp-files", host)] == ["/tmp/other"]
    assert os.path.exists(f"{top}/tmp/open/log")
