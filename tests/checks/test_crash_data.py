import pytest

from tests.support import Link, check, codes

CORE = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x04\0" + b"\0" * 100
PROGRAM = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0" + b"\0" * 100


def test_a_clean_image(image):
    assert check("crash-data", image({"/var/crash": {}, "/var/lib/systemd/coredump": {},
                                      "/var/crash/kexec_cmd": "kexec -p"})) == []


@pytest.mark.parametrize("path", [
    "/var/crash/_usr_bin_x.0.crash", "/var/crash/202401010000/dump.1",
    "/var/lib/systemd/coredump/core.x.0.zst", "/var/lib/systemd/pstore/1/dmesg.txt",
    "/var/spool/abrt/ccpp-1/coredump", "/root/java_pid12.hprof", "/root/hs_err_pid12.log",
])
def test_dumps_where_tools_keep_them(image, path):
    assert codes(check("crash-data", image({path: "x"}))) == [("warn", "crash-dump")]


@pytest.mark.parametrize("path", ["/core", "/root/core", "/root/core.1234"])
def test_a_core_is_known_by_its_header(image, path):
    (finding,) = check("crash-data", image({path: CORE}))
    assert finding.path == path


@pytest.mark.parametrize("what", ["notes on the core", PROGRAM, {}, "", Link("/dev/null")])
def test_something_called_core_is_none(image, what):
    assert check("crash-data", image({"/root/core": what, "/core": what})) == []
