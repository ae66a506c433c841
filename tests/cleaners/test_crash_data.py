import pytest

from tests.support import Fifo, File, Link, carried_out, check, plan

CORE = b"\x7fELF\2\1\1" + bytes(9) + b"\4\0" + bytes(40)
PROGRAM = b"\x7fELF\2\1\1" + bytes(9) + b"\2\0" + bytes(40)


def test_dumps_go_wherever_they_are_kept(image):
    host = image({"/var/crash/_usr_bin_x.0.crash": "x", "/var/crash/202611240000/dump": "x",
                  "/var/lib/systemd/coredump/core.x.zst": "x", "/root/core": CORE,
                  "/core.12": CORE, "/root/java_pid1.hprof": "x"})
    assert carried_out("crash-data", host) == [
        "/core.12", "/root/core", "/root/java_pid1.hprof", "/var/crash/202611240000",
        "/var/crash/_usr_bin_x.0.crash", "/var/lib/systemd/coredump/core.x.zst"]
    assert check("crash-data", host) == []


@pytest.mark.parametrize("files", [
    {"/root/core": PROGRAM}, {"/root/core": "the heart of acme"}, {"/root/core/x": "x"},
    {"/var/crash/kexec_cmd": "x", "/var/crash": {}}, {"/root/core": Fifo()},
    {"/root/core": File(size=1 << 30)}, {"/root/core": Link("/usr/bin/true")},
])
def test_what_is_only_called_so_stays(image, files):
    assert plan("crash-data", image(files)) == []


def test_the_directory_stays_and_a_link_leads_nowhere(image):
    host = image({"/var/crash/x": Link("/opt/acme"), "/opt/acme/x": "x"})
    assert carried_out("crash-data", host) == ["/var/crash/x"]
    assert host.root.is_dir("/var/crash")
    assert host.root.read_text("/opt/acme/x") == "x"
