import pytest

from tests.support import File, Link, check, codes

DIRECTORY = "/etc/update-motd.d"
SH = {"/bin/sh": File("", 0o755)}
STOCK = "Debian GNU/Linux comes with ABSOLUTELY NO WARRANTY, to the extent\n"


def test_a_script(image):
    host = image({**SH, f"{DIRECTORY}/99-one-click": File("#!/bin/sh\necho\n", 0o755)})
    assert check("motd", host) == []
    assert host.run.calls == []  # it was read and not run


@pytest.mark.parametrize("files", [
    {},
    {"/etc/motd": STOCK, f"{DIRECTORY}/10-uname": File("#!/bin/sh\n", 0o755)},
    {"/etc/motd": "\n"},
    {"/etc/motd.d/cockpit": Link("/run/cockpit/motd")},
])
def test_none(image, files):
    assert codes(check("motd", image(files))) == [("warn", "missing")]


@pytest.mark.parametrize("path", ["/etc/motd", "/etc/motd.d/acme"])
def test_a_text_of_one_s_own_does_as_well(image, path):
    assert check("motd", image({path: "Welcome to Acme\n"})) == []


@pytest.mark.parametrize(("name", "what", "found"), [
    ("99-x", File("#!/bin/sh\n", 0o644), [("warn", "not-executable")]),
    ("99-x", File("Welcome\n", 0o755), [("warn", "no-shebang")]),
    ("99-x", File("#!/usr/bin/nope\n", 0o755), [("warn", "no-interpreter")]),
    ("99-x", File("", 0o755), [("warn", "empty")]),
    ("99-x", File("#!/bin/sh\n", 0o777), [("fail", "writable-by-others")]),
    ("99-x", Link("/nowhere"), [("warn", "dangling-link")]),
    ("99-readme.sh", File("#!/bin/sh\n", 0o755), [("warn", "name")]),
    ("99-readme.txt", File("Welcome\n", 0o644), [("warn", "not-executable"),
                                                 ("warn", "no-shebang"), ("warn", "name")]),
    ("99-Image_README", File("#!/bin/sh\n", 0o755), []),
])
def test_a_script_that_would_not_be_shown(image, name, what, found):
    assert codes(check("motd", image({**SH, f"{DIRECTORY}/{name}": what}))) == found


@pytest.mark.parametrize("name", ["cockpit", "insights-client"])
def test_what_packages_of_the_rhel_family_say_is_no_message_of_the_image(image, name):
    assert codes(check("motd", image({f"/etc/motd.d/{name}": "Register!\n"}))) == [
        ("warn", "missing")]
