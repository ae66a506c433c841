"""The JSON report: valid by the shipped schema, ASCII, the same for the same results."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator, ValidationError

from img_tools import checking
from img_tools.model import Status, fail
from img_tools.report.json import render, schema
from tests.engine.checking.common import plugin, yields
from tests.engine.reports import (
    BROKEN,
    FAILED,
    PASSED,
    PLATFORM,
    SKIPPED,
    WARNED,
    report,
    result,
)
from tests.support import validated


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(json.loads(schema()))


@pytest.mark.parametrize(("results", "verdict", "code"), [
    ([], "error", 3), ([PASSED], "pass", 0), ([SKIPPED], "error", 3), ([WARNED], "warn", 0),
    ([BROKEN, WARNED], "error", 3), ([PASSED, BROKEN, FAILED], "fail", 1),
])
def test_every_status_makes_a_valid_report(results, verdict, code):
    document = validated(render(report(*results)))
    assert (document["verdict"], document["exit_code"]) == (verdict, code)
    assert [check["id"] for check in document["checks"]] == [one.id for one in results]
    assert document["counts"]["total"] == len(results)
    assert sum(document["counts"][status.value] for status in Status) == len(results)


def test_every_field_arrives():
    document = validated(render(report(PASSED, FAILED, left_out=("motd",))))
    assert document["run"] == {
        "id": "11111111-2222-3333-4444-555555555555", "started_at": "2026-01-02T03:04:05+00:00",
        "duration_ms": 1260, "mode": "rootfs", "root": "/mnt", "profile": "marketplace",
        "policy": None, "complete": True, "left_out": ["motd"]}
    assert document["platform"]["pretty_name"] == "Debian GNU/Linux 12 (bookworm)"
    assert document["platform"]["kernel"] is None
    check = document["checks"][1]
    assert check["duration_ms"] == 12
    assert check["references"] == ["row S1"]
    key, old, _ = check["findings"]
    assert (key["path"], key["line"], key["account"]) == ("/root/.ssh/id", 3, "root")
    assert key["evidence"] == {"bits": 256, "encrypted": False}
    assert key["remediation"] == "rm /root/.ssh/id"
    assert key["package"] is None
    assert old["package"] == {"name": "openssl", "installed": "1", "candidate": "2"}


def test_fail_on_warn_is_seen_in_the_exit_code():
    document = validated(render(report(WARNED, fail_on_warn=True)))
    assert (document["verdict"], document["exit_code"]) == ("warn", 1)


def test_what_a_hostile_image_says_arrives_as_text(image):
    nasty = "\x1b]0;owned\x07\x9b31m\u202e\udcff\ud800\n\0\x7f"
    result_ = checking.evaluate(image(), plugin(yields(fail(
        "bad", nasty, path=nasty, account=nasty, evidence={nasty: nasty}, fix=nasty))))
    text = render(report(result_))
    validated(text)
    for check in json.loads(text)["checks"]:
        for value in [check["message"], *check["findings"][0]["evidence"],
                      check["findings"][0]["path"], check["findings"][0]["remediation"]]:
            assert value.isprintable()
            value.encode("utf-8")


def test_ascii_alone_is_written_and_any_text_comes_back():
    text = render(report(result("x", Status.SKIP, "größer 漢字 \U0001f600")))
    assert text.isascii()
    assert validated(text)["checks"][0]["message"] == "größer 漢字 \U0001f600"
    assert text.endswith("}\n")


def test_the_same_results_make_the_same_text():
    assert render(report(FAILED, WARNED)) == render(report(FAILED, WARNED))


def test_a_fingerprint_outlives_other_runs_lines_and_words(image):
    def fingerprint(**changes: object) -> str:
        finding = replace(fail("key", "a key", path="/x", line=3, account="a"), **changes)
        document = validated(render(report(result("c", Status.FAIL, "", finding))))
        return document["checks"][0]["findings"][0]["fingerprint"]

    assert fingerprint() == fingerprint(line=9, message="other words", evidence={"a": 1})
    assert len({fingerprint(), fingerprint(path="/y"), fingerprint(account="b"),
                fingerprint(code="other")}) == 4


def test_later_minor_versions_may_add_keys_anywhere():
    document = json.loads(render(report(FAILED)))
    document["new"] = document["run"]["new"] = document["checks"][0]["new"] = {"any": ["thing"]}
    document["checks"][0]["findings"][0]["new"] = 1
    document["schema_version"] = "1.7"
    validated(json.dumps(document))


@pytest.mark.parametrize("damage", [
    lambda document: document.pop("verdict"),
    lambda document: document.update(schema_version="2.0"),
    lambda document: document.update(exit_code=2),
    lambda document: document["run"].update(started_at="yesterday"),
    lambda document: document["checks"][0].update(status="ok"),
    lambda document: document["checks"][0].update(id="Not An Id"),
    lambda document: document["checks"][0]["findings"][0].update(line=0),
    lambda document: document["checks"][0]["findings"][0]["evidence"].update(x=[]),
    lambda document: document["checks"][0]["findings"][0].pop("fingerprint"),
    lambda document: document["counts"].pop("error"),
])
def test_the_schema_refuses_what_is_not_the_contract(damage):
    document = json.loads(render(report(FAILED)))
    damage(document)
    with pytest.raises(ValidationError):
        validated(json.dumps(document))


def test_each_key_of_the_report_is_described_in_the_schema():
    """So that a key added to the code is not forgotten there."""
    rules = json.loads(schema())
    document = json.loads(render(report(FAILED)))

    def described(value: object, rule: dict) -> None:
        if "$ref" in rule:
            rule = rules["$defs"][rule["$ref"].rpartition("/")[2]]
        if "anyOf" in rule and value is not None:
            rule = next(one for one in rule["anyOf"] if one["type"] != "null")
        if isinstance(value, dict) and "properties" in rule:
            assert set(value) == set(rule["properties"])
            assert set(rule["required"]) == set(value)
            for key, inner in value.items():
                described(inner, rule["properties"][key])
        if isinstance(value, list):
            for inner in value:
                described(inner, rule.get("items", {}))

    described(document, rules)


def test_the_platform_may_be_unknown():
    unknown = replace(PLATFORM, **dict.fromkeys(
        ("os_id", "version_id", "pretty_name", "package_manager", "index_time")))
    document = validated(render(replace(report(PASSED), platform=unknown)))
    assert set(document["platform"].values()) == {None}


def test_ids_and_codes_are_for_machines():
    """Defect 39: upstream has no ids and no JSON; its text is all there is to test."""
    document = validated(render(report(PASSED, FAILED)))
    for check in document["checks"]:
        assert re.fullmatch(r"[a-z][a-z0-9-]*", check["id"])
        assert all(finding["code"] for finding in check["findings"])
