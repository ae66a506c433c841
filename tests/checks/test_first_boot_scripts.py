import pytest

from img_tools.model import Skip, Undecided
from tests.support import File, Link, check, codes

BASE = "/var/lib/cloud/scripts/per-instance"
SH = {"/bin/sh": File("", 0o755)}
CFG = "/etc/cloud/cloud.cfg"


def script(content="#!/bin/sh\n", mode=0o755):
    return File(content, mode)


def test_without_scripts_there_is_nothing_to_say(image):
    for files in ({}, {BASE: {}}):
        with pytest.raises(Skip):
            check("first-boot-scripts", image(files))


def test_good_scripts(image):
    host = image({**SH, f"{BASE}/001_onboot": script(), f"{BASE}/002-more.sh": script(),
                  CFG: "cloud_final_modules:\n- [scripts-per-instance, always]\n"})
    assert check("first-boot-scripts", host) == []


@pytest.mark.parametrize(("what", "found"), [
    (script(mode=0o644), ("fail", "not-executable")),
    (script("echo\n"), ("fail", "no-shebang")),
    (script("#!/bin/sh\r\n"), ("fail", "crlf")),
    (script("#!/usr/bin/nope\n"), ("fail", "no-interpreter")),
    (script(mode=0o777), ("fail", "writable-by-others")),
    (Link("/nowhere"), ("fail", "dangling-link")),
    (script(""), ("warn", "empty")),
    ({}, ("warn", "not-a-file")),
])
def test_what_would_not_run(image, what, found):
    """Defect 21: cloud-init passes over a script without a word, and upstream looks at none."""
    (finding,) = check("first-boot-scripts", image({**SH, f"{BASE}/01-x": what}))
    assert (finding.status, finding.code) == found
    assert finding.path == f"{BASE}/01-x"


def test_order(image):
    host = image({**SH, f"{BASE}/2-b": script(), f"{BASE}/10-a": script(), f"{BASE}/3": script()})
    (finding,) = check("first-boot-scripts", host)
    assert (finding.status, finding.code) == ("warn", "order")
    assert finding.evidence["order"] == "10-a, 2-b, 3"


def test_a_name_without_a_number(image):
    host = image({**SH, f"{BASE}/on boot": script()})
    (finding,) = check("first-boot-scripts", host)
    assert (finding.status, finding.code) == ("warn", "no-number")
    assert finding.remediation == f"mv '{BASE}/on boot' '{BASE}/NN-on boot'"


@pytest.mark.parametrize("name", ["01-x~", "01-x.bak", "01-x.dpkg-old"])
def test_a_copy_runs_too(image, name):
    host = image({**SH, f"{BASE}/01-x": script(), f"{BASE}/{name}": script()})
    assert codes(check("first-boot-scripts", host)) == [("warn", "copy")]
    host = image({**SH, f"{BASE}/01-x": script(), f"{BASE}/{name}": script(mode=0o644)})
    assert codes(check("first-boot-scripts", host)) == [("fail", "not-executable")]


def test_cloud_init_that_is_told_not_to_run_them(image):
    host = image({**SH, f"{BASE}/01-x": script(), CFG: "cloud_final_modules: [scripts-user]\n"})
    assert codes(check("first-boot-scripts", host)) == [("fail", "module-missing")]


def test_a_directory_of_boot_scripts_is_looked_at_too(image):
    host = image({**SH, "/var/lib/cloud/scripts/per-boot/01-x": script(mode=0o600)})
    assert codes(check("first-boot-scripts", host)) == [("fail", "not-executable")]


def test_configuration_that_is_not_understood_is_no_pass(image):
    host = image({**SH, f"{BASE}/01-x": script(), CFG: "a: !own b\n"})
    with pytest.raises(Undecided):
        check("first-boot-scripts", host)
