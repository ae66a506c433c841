import pytest

from img_tools.hashes import State, field, passwd_field

HASH = "$6$saltsalt$" + "a" * 86


@pytest.mark.parametrize(("text", "state", "form"), [
    ("", State.EMPTY, None), ("*", State.LOCKED, None), ("!", State.LOCKED, None),
    ("!!", State.LOCKED, None), ("x", State.LOCKED, None), ("twelve-chars", State.LOCKED, None),
    ("thirteenchars", State.SET, "descrypt"), ("with a blank in it", State.LOCKED, None),
    ("fourteen-chars", State.SET, "unknown form"), (HASH, State.SET, "sha512crypt"),
    ("!" + HASH, State.LOCKED_HASH, "sha512crypt"), ("!$9$x", State.LOCKED, None),
    ("$9$x", State.SET, "unknown form"), ("$sha1$1$x$y", State.SET, "sha1crypt"),
    ("$md5,rounds=5000$x$y", State.SET, "SunMD5"), ("_" + "a" * 19, State.SET, "bsdicrypt"),
    ("_" + "a" * 18, State.SET, "unknown form"),
])
def test_field(text, state, form):
    found = field(text)
    assert (found.state, found.form) == (state, form)


@pytest.mark.parametrize("text", ["x", "##app", "*NP*"])
def test_passwd_refers_to_shadow(text):
    assert passwd_field(text, "app").state is State.SHADOW


def test_another_name_after_the_marks_refers_to_nothing():
    assert passwd_field("##other-account", "app").state is State.SET


def test_lines_as_glibc_takes_them(image):
    host = image({"/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n\n  # note\n"
                                 "\tapp:x:7:8:g:/h:/s\nfew:x:9:9\nmore:x:9:9:g:/h:/s:extra\nbad:x:nine:9:g:/h:/s\n"
                                 "huge:x:" + "9" * 5000 + ":9:g:/h:/s\n:x:1:1:::\n"})
    found = {account.name: account for account in host.accounts.all}
    assert list(found) == ["root", "app", "few", "more", "huge"]
    assert (found["app"].uid, found["app"].home, found["app"].line) == (7, "/h", 4)
    assert (found["few"].home, found["few"].shell) == ("", "")
    assert found["few"].can_log_in
    assert found["huge"].uid == 2**32 - 1
    assert [item.line for item in host.accounts.malformed] == [5, 6, 7, 9]


def test_secrets_are_not_in_the_repr(image):
    host = image({"/etc/passwd": f"root:{HASH}:0:0:root:/root:/bin/bash\n",
                  "/etc/shadow": f"root:{HASH}:::::::\n"})
    assert "aaaa" not in repr(host.accounts)


def test_by_name_is_the_first_line(image):
    host = image({"/etc/passwd": "a:x:1:1::/one:\na:x:2:2::/two:\n"})
    assert host.accounts.by_name("a").home == "/one"
    assert host.accounts.by_name("b") is None
