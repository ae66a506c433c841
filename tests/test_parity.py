"""docs/parity.md is true: each defect has a test that names it, and what went still goes."""

import re

import pytest

from img_tools.plugins import load
from tests import parity
from tests.checks.test_ssh_host_keys import CLOUD
from tests.cleaners.apt import NOTHING_UNNEEDED
from tests.support import carried_out, dpkg

CHECK = [str(number) for number in range(1, 42)]
CLEANUP = [f"C{number}" for number in range(1, 24)]


def test_the_list_of_tests_is_current():
    message = "run python -m tests.parity"
    assert parity.DOCUMENT.read_text("utf-8") == parity.current(), message


def test_every_defect_has_a_row_and_a_test():
    assert parity.rows() == CHECK + CLEANUP
    assert {*CHECK, *CLEANUP} <= set(parity.named())


@pytest.mark.parametrize(("cleaner", "path"), [  # what is left of each after cleanup.sh: nothing
    ("temp-files", "/tmp/x"), ("temp-files", "/var/tmp/x"),
    ("shell-history", "/root/.bash_history"), ("logs", "/var/log/syslog"),
    ("logs", "/var/log/nginx/access.log"), ("logs", "/var/log/x.gz"), ("logs", "/var/log/x.1"),
    ("logs", "/var/log/messages-20261124"), ("cloud-init-state", "/var/lib/cloud/instances/1"),
    ("ssh-keys", "/root/.ssh/authorized_keys"), ("ssh-host-keys", "/etc/ssh/ssh_host_rsa_key"),
    ("ssh-host-keys", "/etc/ssh/ssh_host_rsa_key.pub"),
    ("package-cache", "/var/cache/apt/archives/x_1_all.deb"),
])
def test_what_cleanup_sh_removes_goes(image, cleaner, path):
    host = image({**CLOUD, "/var/lib/dpkg/status": dpkg(bash="5.2"), path: "x"}, NOTHING_UNNEEDED)
    assert carried_out(cleaner, host) == [path]
    assert not host.root.exists(path) or host.root.stat(path).size == 0


def test_every_cleaner_has_its_place_in_the_table():
    table = parity.DOCUMENT.read_text("utf-8").split("what does it now")[1].split("\n## ")[0]
    cells = re.findall(r"^\|[^|]*\|([^|]*)\|", table, re.M)
    named = {name for cell in cells for name in re.findall(r"[a-z][a-z-]+", cell)}
    assert named - {"img-clean"} == {plugin.id for plugin in load("img_tools.cleaners", "plan")}
