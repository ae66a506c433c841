import pytest

from img_tools import sshd
from img_tools.model import Skip, Undecided
from img_tools.sshd import Criterion
from tests.support import Fifo, File, Link

CONFIG = "/etc/ssh/sshd_config"


def read(image, text, **more):
    files = {CONFIG: text, **{f"/etc/ssh/{name.replace('__', '/')}": what
                              for name, what in more.items()}}
    return sshd.read(image(files).root)


def values(config, keyword):
    return [item.args for item in config.all(keyword)]


def texts(config):
    return [(problem.line, problem.certain) for problem in config.problems]


def root_login(config, user="root", groups=()):
    return [(found.directive.args[0], found.certain)
            for found in config.effective("PermitRootLogin", user, groups)]


@pytest.mark.parametrize("line", [
    "PermitRootLogin no", "permitrootlogin no", "PERMITROOTLOGIN=no", "PermitRootLogin = no",
    "\tPermitRootLogin\tno\r", "  PermitRootLogin no  ", 'PermitRootLogin "no"',
    '"PermitRootLogin" no', "PermitRootLogin no # since 2020", "PermitRootLogin no\f",
])
def test_a_line_may_be_written_in_many_ways(image, line):
    config = read(image, line)
    assert values(config, "PermitRootLogin") == [("no",)]
    assert config.problems == ()


def test_several_values_with_quotes_and_escapes(image):
    config = read(image, r'AuthorizedKeysFile .ssh/a "/etc/my keys/%u" /x\ y "q\"q" # none' "\n")
    assert values(config, "authorizedkeysfile") == [
        (".ssh/a", "/etc/my keys/%u", "/x y", 'q"q')]


def test_comments_and_empty_lines_count_as_lines(image):
    config = read(image, "# PermitRootLogin yes\n\n   # x\nPort 22\n")
    assert [(item.keyword, item.line) for item in config.directives] == [("port", 4)]


def test_the_first_value_wins(image):
    config = read(image, "PermitRootLogin no\nPermitRootLogin yes\n")
    assert root_login(config) == [("no", True)]
    assert config.first("PermitRootLogin") == "no"
    assert config.first("UsePAM", "no") == "no"


def test_drop_ins_are_read_where_they_are_included_in_order(image):
    config = read(image, "Include sshd_config.d/*.conf\nPermitRootLogin yes\n", **{
        "sshd_config.d__20-b.conf": "PermitRootLogin no\n",
        "sshd_config.d__10-a.conf": "PermitRootLogin prohibit-password\n",
        "sshd_config.d__.hidden.conf": "PermitRootLogin yes\n",
        "sshd_config.d__30.conf~": "PermitRootLogin yes\n"})
    assert values(config, "PermitRootLogin") == [("prohibit-password",), ("no",), ("yes",)]
    assert config.all("PermitRootLogin")[0].where == "/etc/ssh/sshd_config.d/10-a.conf line 1"


def test_an_include_may_be_absolute_several_and_missing(image):
    files = {CONFIG: "Include /srv/a.conf nothere.conf b.conf\n", "/srv/a.conf": "Port 1\n",
             "/etc/ssh/b.conf": "Port 2\n"}
    assert values(sshd.read(image(files).root), "port") == [("1",), ("2",)]


def test_an_include_stays_in_the_image(image, tmp_path):
    (tmp_path / "outside").write_text("Port 4\n")
    files = {CONFIG: "Include /link\n", "/link": Link(str(tmp_path / "outside"))}
    assert values(sshd.read(image(files).root), "port") == []


def test_a_block_outranks_what_stands_outside(image):
    config = read(image, "PermitRootLogin no\nMatch User root\nPermitRootLogin yes\n")
    assert root_login(config) == [("yes", True)]
    assert root_login(config, "bob") == [("no", True)]


def test_match_all_ends_a_block_and_outranks_too(image):
    config = read(image, "Match User bob\nBanner /x\nMatch all\nPermitRootLogin no\nPort 7\n")
    assert root_login(config) == [("no", True)]
    assert [item.args for item in config.outside("port")] == [("7",)]
    assert config.problems == ()


def test_a_block_ends_with_its_file(image):
    config = read(image, "Include a.conf\nPermitRootLogin no\n",
                  **{"a.conf": "Match User bob\nPermitRootLogin yes\n"})
    assert root_login(config) == [("no", True)]
    assert root_login(config, "bob") == [("yes", True)]


def test_an_include_within_a_block_stands_under_its_conditions(image):
    config = read(image, "Match User bob\nInclude a.conf\nPermitRootLogin yes\n",
                  **{"a.conf": "Match Group g\nPermitRootLogin no\n"})
    assert root_login(config, "bob", ["g"]) == [("no", True)]
    assert root_login(config, "bob", ["h"]) == [("yes", True)]
    assert root_login(config, "eve", ["g"]) == []


def test_what_depends_on_the_client_is_uncertain(image):
    config = read(image, "PermitRootLogin no\nMatch Address 10.0.0.0/8\nPermitRootLogin yes\n")
    assert root_login(config) == [("yes", False), ("no", True)]


@pytest.mark.parametrize(("criterion", "holds"), [
    (Criterion("user", "root,bob"), True), (Criterion("user", "*,!root"), False),
    (Criterion("user", "ro?t"), True), (Criterion("user", "[r]oot"), False),
    (Criterion("user", "Root"), False), (Criterion("group", "wheel"), True),
    (Criterion("group", "adm"), False), (Criterion("group", "*,!wheel"), False),
    (Criterion("address", "*"), True), (Criterion("address", "10.0.0.1"), None),
    (Criterion("localport", "22"), None), (Criterion("all"), True),
    (Criterion("invalid-user"), False), (Criterion("tagged", "x"), None),
])
def test_criteria(criterion, holds):
    assert criterion.holds("root", ["root", "wheel"]) is holds


def test_conditions_of_one_line_must_all_hold(image):
    config = read(image, "Match User=root Group adm\nPermitRootLogin no\n")
    assert root_login(config, "root", ["adm"]) == [("no", True)]
    assert root_login(config, "root", ["root"]) == []


def test_lists_add_up_and_a_block_replaces_them(image):
    config = read(image, "AllowUsers a\nAllowUsers b c\nMatch User d\nAllowUsers d\n")
    assert [item.args for item in config.collected("AllowUsers", "a")] == [("a",), ("b", "c")]
    assert [item.args for item in config.collected("AllowUsers", "d")] == [("d",)]


@pytest.mark.parametrize(("text", "certain"), [
    ("Match User bob\nPort 22\n", True),
    ("Match User bob\nUsePAM yes\n", True),
    ("\nPermitRootLogin maybe\n", True),
    ("\nPermitRootLogin\n", True),
    ("\nPermitRootLogin no yes\n", True),
    ("\nPort ssh\n", True),
    ("\nPort 70000\n", True),
    ('\nBanner "x\n', True),
    ("\nForceCommand echo it's\n", False),
    ("\nMatch User\n", True),
    ("\nMatch all User bob\n", True),
    ("\nMatch Moon full\n", False),
    ("\nFrobnicate yes\n", False),
])
def test_what_sshd_refuses(image, text, certain):
    """What is certain was tried with sshd -t of OpenSSH 8.4, 9.2 and 10.0."""
    assert texts(read(image, text)) == [(2, certain)]


def test_a_lock_whose_quote_is_not_closed_is_still_seen(image):
    config = read(image, "Match User root\nForceCommand echo it's busy\n")
    assert values(config, "ForceCommand") == [("echo", "it's", "busy")]


def test_options_on_the_command_line_are_not_judged(image):
    files = {CONFIG: "", "/etc/default/ssh": "# SSHD_OPTS=-f /x\nSSHD_OPTS='-u0 -oPort=9'\n"}
    config = sshd.read(image(files).root)
    assert [(item.path, item.line, item.certain) for item in config.problems] == [
        ("/etc/default/ssh", 2, False)]
    files["/etc/default/ssh"] = "SSHD_OPTS=\n"
    assert sshd.read(image(files).root).problems == ()


def test_files_that_include_each_other_end(image):
    config = read(image, "Include a.conf\n", **{"a.conf": "Include a.conf\nPort 3\n"})
    assert [problem.certain for problem in config.problems] == [True]
    with pytest.raises(Undecided, match="includes over"):
        read(image, "Include *.conf\n", **{"a.conf": "Include *.conf\n",
                                           "b.conf": "Include *.conf\n"})


def test_no_configuration(image):
    with pytest.raises(Skip):
        sshd.read(image().root)


@pytest.mark.parametrize("what", [Fifo(), {}, File(size=1 << 30), b"Port 22\0\n"])
def test_what_cannot_be_read_is_undecided(image, what):
    with pytest.raises(Undecided):
        sshd.read(image({CONFIG: what}).root)


def test_a_fifo_that_is_included_is_undecided(image):
    with pytest.raises(Undecided):
        read(image, "Include x\n", x=Fifo())


def test_bytes_that_are_not_utf8(image):
    config = read(image, b"Banner /\xff\nPermitRootLogin no\n")
    assert config.first("PermitRootLogin") == "no"
