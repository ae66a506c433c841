import pytest

from img_tools.model import Skip, Undecided
from tests.support import Fifo, File, Link, check, codes

SKEL = "# ~/.bashrc\nif [ -f ~/.bash_aliases ]; then\n    . ~/.bash_aliases\nfi\n"
HOOK = "/opt/acme/setup.sh"
GOOD = "#!/bin/bash\nread -r domain\ncp -f /etc/skel/.bashrc /root/.bashrc\n"


def login(image, lines, script=None, **more):
    files = {"/etc/skel/.bashrc": SKEL, "/root/.bashrc": SKEL + lines,
             "/bin/bash": File("", 0o755)}
    if script is not None:
        files[HOOK] = script if isinstance(script, File) else File(script, 0o755)
    return image({**files, **more})


@pytest.mark.parametrize("lines", [
    "",
    "# /opt/acme/setup.sh\n",
    "alias ll='/opt/acme/setup.sh'\n",
    "export PATH=$PATH:/opt/acme\n",
    'export NVM_DIR="$HOME/.nvm"\n[ -s "$NVM_DIR/nvm.sh" ] && \\. "$NVM_DIR/nvm.sh"\n',
    '. "$HOME/.cargo/env"\nsource /opt/ros/setup.bash\n',
    'eval "$(/opt/acme/setup.sh env)"\n',
    "/usr/bin/neofetch\n",
    "[ -x /opt/acme/gone.sh ] && /opt/acme/gone.sh\n",
    "echo 'an open quote\n",
])
def test_what_is_no_first_login_script(image, lines):
    with pytest.raises(Skip):
        check("first-login", login(image, lines))


def test_without_a_bashrc(image):
    with pytest.raises(Skip):
        check("first-login", image())


@pytest.mark.parametrize("lines", [
    f"{HOOK}\n",
    f"if [ -x {HOOK} ]; then {HOOK} --first; fi\n",
    f"bash -x {HOOK}\n",
    f"sudo {HOOK}; clear\n",
    f". {HOOK}\n",
])
def test_the_documented_way(image, lines):
    assert check("first-login", login(image, lines, GOOD)) == []


@pytest.mark.parametrize("last", [
    "sed -i '/setup.sh/d' /root/.bashrc",
    "cp /etc/skel/.bashrc /root",
    "mv ~/.bashrc.orig ~/.bashrc",
])
def test_other_ways_to_put_bashrc_back(image, last):
    assert check("first-login", login(image, f"{HOOK}\n", f"#!/bin/bash\n{last}\n")) == []


@pytest.mark.parametrize("script", ["#!/bin/bash\necho\n",
                                    "#!/bin/bash\n# cp -f /etc/skel/.bashrc /root/.bashrc\n"])
def test_a_script_that_runs_at_every_login(image, script):
    (found,) = check("first-login", login(image, f"{HOOK}\n", script))
    assert (found.status, found.code) == ("warn", "runs-again")
    assert found.remediation == "end it with: cp -f /etc/skel/.bashrc /root/.bashrc"


def test_a_script_that_is_not_there(image):
    (found,) = check("first-login", login(image, f"{HOOK}\n"))
    assert (found.status, found.code, found.path, found.line) == ("fail", "missing",
                                                                  "/root/.bashrc", 5)


@pytest.mark.parametrize(("lines", "found"), [
    (f"{HOOK}\n", [("fail", "not-executable")]),
    (f"[ -x {HOOK} ] && {HOOK}\n", [("fail", "not-executable")]),
    (f"bash {HOOK}\n", []),
    (f"chmod +x {HOOK}\n{HOOK}\n", []),
])
def test_execute_permission(image, lines, found):
    host = login(image, lines, File(GOOD, 0o644))
    assert codes(check("first-login", host)) == found


def test_other_flaws(image):
    host = login(image, f"{HOOK}\n", File(GOOD.replace("bash", "zsh", 1), 0o777))
    assert sorted(codes(check("first-login", host))) == [("fail", "no-interpreter"),
                                                         ("fail", "writable-by-others")]


def test_the_place(image):
    host = login(image, "~/setup.sh\n", **{"/root/setup.sh": File(GOOD, 0o755)})
    (found,) = check("first-login", host)
    assert (found.status, found.code, found.path) == ("warn", "not-in-opt", "/root/setup.sh")


def test_a_copy_of_nothing(image):
    host = login(image, f"{HOOK}\n", GOOD, **{"/etc/skel/.bashrc": None})
    assert codes(check("first-login", host)) == [("fail", "no-skel")]


def test_a_program_says_nothing_of_bashrc(image):
    assert check("first-login", login(image, f"{HOOK}\n", File(b"\x7fELF", 0o755))) == []


def test_a_fifo_is_not_waited_for(image):
    with pytest.raises(Undecided):
        check("first-login", image({"/root/.bashrc": Fifo()}))


def test_a_loop_of_links_leads_nowhere(image):
    host = login(image, f"bash {HOOK}\n", **{HOOK: Link(HOOK)})
    assert codes(check("first-login", host)) == [("fail", "dangling-link")]


def test_a_line_without_end_is_undecided(image):
    with pytest.raises(Undecided, match="over 10000 characters"):
        check("first-login", login(image, "a" * (1 << 21)))
