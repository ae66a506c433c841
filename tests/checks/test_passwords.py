import time

import pytest

from img_tools.model import Undecided
from tests.support import Fifo, File, Link, check, codes, mended_by

SHA512 = "$6$saltsalt$" + "a" * 86
YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
PASSWD = "root:x:0:0:root:/root:/bin/bash\n"


def shadow(**fields):
    """A passwd and a shadow file with FIELDS as password fields, uids from 990 on."""
    return {
        "/etc/passwd": PASSWD + "".join(
            f"{name}:x:{990 + number}:990::/srv/{name}:/bin/bash\n"
            for number, name in enumerate(fields) if name != "root"),
        "/etc/shadow": "".join(
            f"{name}:{field}:20000:0:99999:7:::\n"
            for name, field in {"root": "*", **fields}.items()),
    }


def test_clean_image(image):
    assert check("passwords", image()) == []


@pytest.mark.parametrize("form", [
    SHA512, YESCRYPT, "$1$abcdefgh$" + "b" * 22, "$2b$12$" + "c" * 53,
    "$5$rounds=5000$s$" + "d" * 43,
    "$gy$j9T$x$" + "e" * 43, "$7$CU..../....x$" + "f" * 43, "abJnggxhB/yWI",
    "_J9..K0AyUubDrfOgO4s", "abJnggxhB/yWIabJnggxhB/y", "abJnggxhB/yWI,2.Qe",
    "$unheardof$stuff", "an unheard-of form is set".replace(" ", "-"), "$6", "_short",
])
def test_every_hash_is_a_password(image, form):
    (finding,) = check("passwords", image(shadow(root=form)))
    assert (finding.status, finding.code, finding.account) == ("fail", "password-set", "root")
    assert finding.remediation == "usermod -p '*' root && rm -f /etc/shadow-"


def test_unknown_form_is_said_to_be_one(image):
    (finding,) = check("passwords", image(shadow(root="$unheardof$stuff")))
    assert finding.evidence == {"form": "unknown form"}
    (finding,) = check("passwords", image(shadow(root=YESCRYPT)))
    assert finding.evidence == {"form": "yescrypt"}


@pytest.mark.parametrize("form", [
    "*", "!", "!!", "!*", "*LK*", "!locked", "*NP*", "x", "NP", "LK", "*!", "!x", "**", "no login",
    "*LOCKED-BY-ADMIN*", "disabled",
])
def test_locked_forms_are_no_password(image, form):
    """Defect 25: upstream knows only !, !! and *, and calls every other form a password."""
    assert check("passwords", image(shadow(root=form, app=form))) == []


@pytest.mark.parametrize("form", ["!" + SHA512, "!!" + SHA512, "*" + SHA512, "*LK*" + SHA512,
                                  "!abJnggxhB/yWI", "!_J9..K0AyUubDrfOgO4s", "!!" + YESCRYPT])
def test_hash_behind_a_lock(image, form):
    """Defect 25: a locked account's hash can still be cracked; it is neither clean nor open."""
    (finding,) = check("passwords", image(shadow(app=form)))
    assert (finding.status, finding.code, finding.account) == ("warn", "locked-hash", "app")


def test_empty_field_is_its_own_problem(image):
    """Defect 25: upstream says "has a password set" of an account that needs none (#180)."""
    (finding,) = check("passwords", image(shadow(app="")))
    assert (finding.status, finding.code) == ("fail", "password-empty")
    assert "needs no password" in finding.message
    assert finding.remediation == "passwd -l app"


def test_empty_in_passwd_counts_whatever_shadow_has(image):
    host = image({"/etc/passwd": PASSWD + "app::1000:1000::/home/app:/bin/sh\n",
                  "/etc/shadow": "root:*:::::::\napp:*:::::::\n"})
    (finding,) = check("passwords", host)
    assert (finding.code, finding.path) == ("password-empty", "/etc/passwd")
    assert "vipw" in finding.remediation


@pytest.mark.parametrize("line", [
    "svc:x:999:999::/srv/svc:/bin/bash", "git:x:100:100::/srv/git:/usr/bin/git-shell",
    "centos:x:1000:1000::/home/centos:/bin/bash", "nobody:x:65534:65534::/:/usr/sbin/nologin",
    "nfsnobody:x:65534:65534::/:/sbin/nologin", "toor:x:0:0::/root:/bin/sh",
])
def test_no_account_is_exempt(image, line):
    """Defect 4: upstream looks at uid 1000 and above only, and exempts "centos" and "nobody"."""
    name = line.split(":")[0]
    host = image({"/etc/passwd": f"{PASSWD}{line}\n",
                  "/etc/shadow": f"root:*:::::::\n{name}:{SHA512}:::::::\n"})
    assert codes(check("passwords", host)) == [("fail", "password-set")]


def test_every_finding_reaches_the_result(image):
    """Defect 1: upstream loses all that it finds about users in a subshell and passes."""
    findings = check("passwords", image(shadow(one=SHA512, two=SHA512, three="")))
    assert sorted(finding.account for finding in findings) == ["one", "three", "two"]
    assert {finding.status for finding in findings} == {"fail"}


def test_hash_in_passwd(image):
    """Defect 41: upstream never looks at field 2 of /etc/passwd."""
    host = image({"/etc/passwd": PASSWD + f"app:{SHA512}:1000:1000::/home/app:/bin/sh\n"})
    (finding,) = check("passwords", host)
    assert (finding.status, finding.code) == ("fail", "hash-in-passwd")


def test_shadow_counts_even_when_passwd_says_locked(image):
    """sshd without PAM asks shadow whatever passwd says."""
    host = image({"/etc/passwd": PASSWD + "app:*:1000:1000::/home/app:/bin/sh\n",
                  "/etc/shadow": f"root:*:::::::\napp:{SHA512}:::::::\n"})
    assert codes(check("passwords", host)) == [("fail", "password-set")]


def test_missing_shadow_line_is_said(image):
    """Defect 40: upstream says nothing of an account that /etc/shadow lacks."""
    host = image({"/etc/passwd": PASSWD + "app:x:1000:1000::/home/app:/bin/sh\n",
                  "/etc/shadow": "root:*:::::::\n"})
    (finding,) = check("passwords", host)
    assert (finding.status, finding.code, finding.account) == ("warn", "no-shadow-line", "app")
    assert finding.remediation == "usermod -p '*' app"


def test_missing_shadow_file_is_one_finding(image):
    assert codes(check("passwords", image({"/etc/shadow": None}))) == [("warn", "no-shadow-file")]


def test_field_is_not_expanded(image):
    """Defect 30: upstream expands a `*` in a field against the names in the working directory."""
    host = image({**shadow(app="*"), "/root:PWNED:1": "", "/etc/root:PWNED:1": ""})
    assert check("passwords", host) == []


def test_hash_that_no_account_uses(image):
    host = image({"/etc/shadow": f"root:*:::::::\ndaemon:*:::::::\ngone:{SHA512}:::::::\n"
                                 f"root:!{SHA512}:::::::\nold:*:::::::\n"})
    findings = check("passwords", host)
    assert codes(findings) == [("warn", "orphan-hash")] * 2
    assert sorted((finding.account, finding.line) for finding in findings) == [
        ("gone", 3), ("root", 4)]


def test_second_line_of_a_name_does_not_hide_the_first(image):
    host = image({"/etc/shadow": f"root:{SHA512}:::::::\nroot:*:::::::\ndaemon:*:::::::\n"})
    assert codes(check("passwords", host)) == [("fail", "password-set")]


def test_group_passwords(image):
    host = image({"/etc/group": f"root:x:0:\nops:{SHA512}:50:\nempty::51:\n",
                  "/etc/gshadow": f"root:*::\nops:!::\nadm:{SHA512}::\nold:!{SHA512}::\n"
                                  "empty:::\nbang:!*::\n"})
    findings = check("passwords", host)
    assert sorted((item.status.value, item.code, item.evidence["group"]) for item in findings) == [
        ("fail", "group-password", "adm"), ("fail", "group-password", "ops"),
        ("warn", "group-locked-hash", "old")]
    assert {item.remediation.split(" && ")[0] for item in findings} == {
        "gpasswd -r adm", "gpasswd -r ops", "gpasswd -r old"}


@pytest.mark.parametrize("path", [
    "/etc/shadow-", "/etc/shadow.dpkg-old", "/etc/shadow.bak", "/etc/shadow~",
    "/etc/shadow.rpmsave",
    "/etc/passwd-", "/etc/gshadow-", "/etc/group-", "/etc/.shadow.swo", "/var/backups/shadow.bak",
    "/var/backups/gshadow.bak",
])
def test_copy_that_holds_a_hash(image, path):
    copy = f"root:{SHA512}:20000:0:99999:7:::\napp:!:1::\n"
    (finding,) = check("passwords", image({path: copy}))
    assert (finding.status, finding.code, finding.path) == ("warn", "copy-with-hash", path)
    assert "for root" in finding.message
    assert mended_by(finding) == "accounts"


@pytest.mark.parametrize("path", ["/etc/security/opasswd", "/etc/security/opasswd.old"])
def test_former_passwords_that_pam_remembers(image, path):
    (finding,) = check("passwords", image({path: f"root:0:2:{SHA512},{YESCRYPT}\napp:1:0:\n"}))
    assert (finding.status, finding.code, finding.path) == ("warn", "copy-with-hash", path)
    assert finding.message == f"{path} still holds the hash of a password for root"
    assert mended_by(finding) == "accounts"


def test_copy_without_a_hash_is_fine(image):
    assert check("passwords", image({
        "/etc/shadow-": "root:*:20000:0:99999:7:::\napp:!:20000:0:99999:7:::\n",
        "/etc/passwd-": "root:x:0:0:root:/root:/bin/bash\n", "/etc/group-": "root:x:0:\n",
        "/etc/passwdqc.conf": "min=disabled,24,11,8,7\n", "/etc/shadow.link": Link("/etc/shadow"),
        "/etc/subuid-": "app:100000:65536\n", "/etc/security/opasswd": "app:1:0:\n",
        "/etc/shadow.dpkg-old": "",
        "/etc/group.d/x": "a:b:c:d",
    })) == []


@pytest.mark.parametrize("content", [b"b0VIM 9.0\0\0root:$6$", b"\x1f\x8b\x08\0stuff",
                                     File(size=1 << 30)])
def test_copy_that_cannot_be_read(image, content):
    (finding,) = check("passwords", image({"/etc/.shadow.swp": content}))
    assert (finding.status, finding.code) == ("warn", "copy-not-read")


def test_malformed_lines_are_named_by_number_alone(image):
    host = image({"/etc/passwd": PASSWD + f"\nbroken {SHA512}\nshort:x:5\n",
                  "/etc/shadow": f"root:*:::::::\n# comment\nsecretword{SHA512}\n"})
    findings = check("passwords", host)
    assert sorted((item.code, item.path, item.line) for item in findings) == [
        ("malformed-line", "/etc/passwd", 3), ("malformed-line", "/etc/passwd", 4),
        ("malformed-line", "/etc/shadow", 3)]


def test_line_that_glibc_accepts_is_judged_though_malformed(image):
    """glibc takes an account without its last fields, blanks before it, and " 0" for 0."""
    host = image({"/etc/passwd": f"{PASSWD}  evil:{SHA512}: 0:0\n"})
    assert sorted(codes(check("passwords", host))) == [
        ("fail", "hash-in-passwd"), ("warn", "malformed-line")]


def test_no_hash_in_anything_reported(image):
    host = image({
        "/etc/passwd": f"{PASSWD}a:{SHA512}:5:5::/:/bin/sh\nb:x:6:6::/:/bin/sh\n{SHA512}\n",
        "/etc/shadow": f"root:{YESCRYPT}:::::::\nb:!{SHA512}:::::::\nc:{SHA512}:::::::\n"
                       f"{SHA512}:\n",
        "/etc/shadow-": f"root:{SHA512}:::::::\n", "/etc/gshadow": f"g:{SHA512}::\n"})
    text = repr(check("passwords", host)) + repr(host.accounts) + repr(host.password_files.groups)
    assert "aaaaaaa" not in text
    assert "F5Jx5f" not in text


def test_missing_passwd_is_undecided(image):
    with pytest.raises(Undecided, match="/etc/passwd is missing"):
        check("passwords", image({"/etc/passwd": None}))


@pytest.mark.parametrize("what", [Fifo(), {}, Link("shadow"), Link("/etc/shadow"),
                                  File(size=1 << 30)])
def test_shadow_that_is_no_file_is_undecided(image, what):
    with pytest.raises(Undecided):
        check("passwords", image({"/etc/shadow": what}))


def test_link_out_of_the_image_is_not_followed(image, tmp_path):
    (tmp_path / "shadow").write_text(f"root:{SHA512}:::::::\n")
    host = image({"/etc/shadow": Link(str(tmp_path / "shadow"))})
    assert codes(check("passwords", host)) == [("warn", "no-shadow-file")]


def test_bytes_that_are_not_utf8(image):
    host = image({"/etc/passwd": PASSWD.encode() + b"\xff\xfe:x:5:5::/:/bin/sh\n",
                  "/etc/shadow": b"root:*:::::::\n\xff\xfe:$6$\xff:::::::\n"})
    (finding,) = check("passwords", host)
    assert finding.sanitised().account == "\\xff\\xfe"


def test_name_is_quoted_in_the_fix(image):
    host = image({"/etc/passwd": PASSWD + "a;reboot:x:5:5::/:/bin/sh\n",
                  "/etc/shadow": f"root:*:::::::\na;reboot:{SHA512}:::::::\n"})
    assert "'a;reboot'" in check("passwords", host)[0].remediation


def test_ten_thousand_accounts(image):
    names = {f"u{number}": SHA512 for number in range(10_000)}
    host = image(shadow(**names))
    start = time.monotonic()
    findings = check("passwords", host)
    assert time.monotonic() - start < 5
    assert len(findings) == 51
    assert set(codes(findings)) == {("fail", "password-set")}
    assert findings[-1].evidence == {"count": 10_000}
    assert findings[-1].account is None
