import os

import pytest

from tests.support import Fifo, File, Link

EXE = 0o755
SH = File("", EXE)


def flaws(host, path="/s"):
    script = host.script(path)
    return None if script is None else list(script.flaws)


@pytest.mark.parametrize(("content", "expected"), [
    ("#!/bin/sh\necho\n", []),
    ("#! /bin/sh -e\n", []),
    ("#!/usr/bin/env -S python3 -u\n", []),
    ("#!/usr/bin/env X=1 python3\n", []),
    ("#!/usr/bin/env ruby\n", ["no-interpreter"]),
    ("#!/usr/local/bin/sh\n", ["no-interpreter"]),
    ("#!sh\n", ["no-interpreter"]),
    ("#!\n", ["no-interpreter"]),
    ("#!/bin/sh\r\necho\r\n", ["crlf"]),
    ("echo\n", ["no-shebang"]),
    ("\ufeff#!/bin/sh\n", ["no-shebang"]),
    ("", ["empty"]),
    ("\n \n", ["empty"]),
    (b"\x7fELF\x02\x01\x00", []),
])
def test_what_the_kernel_would_do(image, content, expected):
    host = image({"/s": File(content, EXE), "/bin/sh": SH, "/usr/bin/env": SH,
                  "/usr/bin/python3": SH})
    assert flaws(host) == expected


def test_the_interpreter_is_looked_for_in_the_image(image):
    """A link in the image that is absolute leads into the image, not to the machine we run on."""
    host = image({"/s": File("#!/bin/sh\n", EXE), "/bin": Link("/usr/bin"),
                  "/usr/bin/sh": Link("/etc/alternatives/sh")})
    assert flaws(host) == ["no-interpreter"]
    host = image({"/etc/alternatives/sh": SH})
    assert flaws(host) == []


@pytest.mark.parametrize(("what", "expected"), [
    (File("#!/bin/sh\n", 0o644), ["not-executable"]),
    (File("#!/bin/sh\n", 0o775), ["writable-by-others"]),
    (Link("/nowhere"), ["dangling-link"]),
    (Link("/s"), ["dangling-link"]),
    (Link("/bin/sh"), ["empty"]),
    (Fifo(), ["not-a-file"]),
    ({}, ["not-a-file"]),
    (None, None),
])
def test_files_that_are_not_as_they_should_be(image, what, expected):
    assert flaws(image({"/s": what, "/bin/sh": SH})) == expected


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_script_of_another_user(image):
    host = image({"/s": File("#!/bin/sh\n", EXE), "/bin/sh": SH})
    os.chown(host.root.host_path("/s"), 1000, 0)
    assert flaws(host) == ["writable-by-others"]


def test_a_large_file_is_read_in_part(image):
    host = image({"/s": File("#!/bin/sh\n", EXE, size=1 << 30), "/bin/sh": SH})
    script = host.script("/s")
    assert len(script.text) == 1 << 20
    assert script.flaws == ()
