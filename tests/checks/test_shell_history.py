import pytest

from tests.support import File, Link, check, codes

TWO = "root:x:0:0::/root:/bin/bash\napp:x:990:990::/srv/app:/bin/sh\n"


@pytest.mark.parametrize("content", ["x", "mysql -ps3cret\n"])
def test_any_size_counts(image, content):
    """Defect 15: upstream passes a history below 200 bytes, which may hold a password."""
    host = image({"/root/.bash_history": content})
    assert codes(check("shell-history", host)) == [("fail", "shell-history")]


@pytest.mark.parametrize("name", [
    ".zsh_history", ".zhistory", ".histfile", ".sh_history", ".ash_history", ".history",
    ".local/share/fish/fish_history", ".config/nushell/history.txt", ".bash_history-01234.tmp",
    ".zsh_sessions/0.history", ".local/share/xonsh/history_json/xonsh-0.json",
])
def test_every_shell_counts(image, name):
    """Defect 15: upstream knows .bash_history alone."""
    assert codes(check("shell-history", image({f"/root/{name}": "ls\n"}))) == [
        ("fail", "shell-history")]


@pytest.mark.parametrize("name", [
    ".mysql_history", ".mariadb_history", ".psql_history", ".sqlite_history", ".rediscli_history",
    ".mongodb/mongosh/mongosh_repl_history", ".dbshell", ".python_history", ".node_repl_history",
    ".irb_history", ".php_history", ".lua_history", ".gdb_history", ".Rhistory", ".scala_history",
])
def test_statements_typed_at_clients_fail(image, name):
    (finding,) = check("shell-history", image({f"/root/{name}": "set password = 'x';\n"}))
    assert (finding.status, finding.code) == ("fail", "client-history")
    assert "set password" not in str(finding)


@pytest.mark.parametrize("name", [".lesshst", ".viminfo", ".wget-hsts",
                                  ".local/share/nano/search_history"])
def test_what_viewers_remember_is_a_warning(image, name):
    assert codes(check("shell-history", image({f"/root/{name}": "/var/log\n"}))) == [
        ("warn", "viewer-history")]


def test_every_account_is_looked_at(image):
    """Defect 15: upstream looks at root and at /home/NAME of accounts from uid 1000 on."""
    host = image({"/etc/passwd": TWO, "/srv/app/.bash_history": "x"})
    (finding,) = check("shell-history", host)
    assert (finding.path, finding.account) == ("/srv/app/.bash_history", "app")


@pytest.mark.parametrize("content", ["", Link("/dev/null"), Link("/nowhere"), {}, Link("h")])
def test_nothing_to_read_is_no_history(image, content):
    host = image({"/root/.bash_history": content})
    assert check("shell-history", host) == []


def test_a_link_to_a_history_elsewhere_counts(image):
    host = image({"/root/.bash_history": Link("/var/lib/h"), "/var/lib/h": "x"})
    (finding,) = check("shell-history", host)
    assert finding.path == "/root/.bash_history"
    assert "/var/lib/h" in finding.message
    assert finding.remediation.endswith("the link goes with rm /root/.bash_history")


def test_a_huge_history_is_not_read(image):
    (finding,) = check("shell-history", image({"/root/.bash_history": File(size=1 << 40)}))
    assert finding.evidence == {"bytes": 1 << 40}


@pytest.mark.parametrize(("startup", "line", "history"), [
    ("/root/.bashrc", "export HISTFILE=~/.log/h", "/root/.log/h"),
    ("/root/.zshrc", 'HISTFILE="$HOME/.mine"', "/root/.mine"),
    ("/etc/profile.d/hist.sh", "HISTFILE=${HOME}/.mine; export HISTFILE", "/root/.mine"),
    ("/etc/environment", "HISTFILE=/var/lib/history", "/var/lib/history"),
])
def test_histories_that_histfile_names_count(image, startup, line, history):
    host = image({startup: f"# HISTFILE=/etc/passwd\nHISTFILESIZE=20\n{line}\n", history: "ls\n"})
    (finding,) = check("shell-history", host)
    assert (finding.status, finding.path) == ("fail", history)
    assert finding.remediation == f"rm {history}"


@pytest.mark.parametrize("value", ["~/.bash_history", "/dev/null", "$XDG_STATE_HOME/h", "",
                                   "relative", "~other/h", "/nowhere", "/empty", "/dir"])
def test_histfile_that_names_nothing_new(image, value):
    host = image({"/root/.bashrc": f"HISTFILE={value}\n", "/root/.bash_history": "x",
                  "/relative": "x", "/empty": "", "/dir/x": "x"})
    assert [finding.path for finding in check("shell-history", host)] == ["/root/.bash_history"]


def test_one_shared_history_is_named_once(image):
    host = image({"/etc/passwd": TWO, "/srv/app": {}, "/etc/profile": "HISTFILE=/h\n", "/h": "x"})
    assert [finding.path for finding in check("shell-history", host)] == ["/h"]


def test_ten_thousand_accounts_give_a_short_report(image):
    passwd = "".join(f"u{n}:x:{n}:{n}::/home/u{n}:/bin/sh\n" for n in range(1000, 1200))
    host = image({"/etc/passwd": passwd, "/etc/profile": "HISTFILE=$HOME/.mine\n",
                  **{f"/home/u{n}/.mine": "x" for n in range(1000, 1200)}})
    found = check("shell-history", host)
    assert len(found) == 51
    assert found[-1].evidence == {"count": 200}
