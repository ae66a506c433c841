"""What a row of the catalogue describes is found by the check and cleaned by the cleaner."""

from __future__ import annotations

import pytest

from img_tools.catalogue import CATALOGUE, Treat
from img_tools.catalogue.left_out import LEFT_OUT
from img_tools.plugins import load
from tests import residues
from tests.checks.test_ssh_host_keys import CLOUD
from tests.cleaners.apt import NOTHING_UNNEEDED
from tests.support import carried_out, check, dpkg, mended_by, plan

CLEANERS = {plugin.id for plugin in load("img_tools.cleaners", "plan")}


def image_of(image, row):
    return image({**CLOUD, "/var/lib/dpkg/status": dpkg(bash="5.2"), "/etc/apt/sources.list": "",
                  "/etc/machine-id": "", **residues.example(row)}, commands=NOTHING_UNNEEDED)


@pytest.mark.parametrize("row", [row for row in CATALOGUE if row.treat is not Treat.REPORT],
                         ids=lambda row: f"{row.topic}:{row.pattern}")
def test_what_is_flagged_is_what_goes(image, row):
    host = image_of(image, row)
    found = check(row.topic, host)
    assert row.code in {finding.code for finding in found}
    assert row.topic in {mended_by(finding) for finding in found}
    assert carried_out(row.topic, host)
    assert check(row.topic, host) == []


@pytest.mark.parametrize("row", [row for row in CATALOGUE if row.treat is Treat.REPORT],
                         ids=lambda row: f"{row.topic}:{row.pattern}")
def test_what_is_only_reported_stays(image, row):
    host = image_of(image, row)
    assert row.code in {finding.code for finding in check(row.topic, host)}
    if row.topic in CLEANERS:
        assert plan(row.topic, host) == []


def test_every_topic_has_a_cleaner_unless_all_of_it_is_reported():
    assert {row.topic for row in CATALOGUE if row.treat is not Treat.REPORT} <= CLEANERS


@pytest.mark.parametrize("path", [path.replace("~", "/root").replace("/**", "").replace("*", "x")
                                  for _, paths, _ in LEFT_OUT for path in paths])
def test_what_is_said_to_be_left_out_is(image, path):
    host = image({**CLOUD, "/var/lib/dpkg/status": dpkg(bash="5.2"), "/etc/machine-id": "",
                  path: "x"}, commands=NOTHING_UNNEEDED)
    assert {action.path for topic in CLEANERS - {"package-upgrade", "quiet", "free-space"}
            for action in plan(topic, host)} == set()


def test_the_document_is_current():
    message = "run python -m tests.residues"
    assert residues.DOCUMENT.read_text("utf-8") == residues.document(), message
