"""Reports made by hand for the tests of the formats: one of every status, and a nasty one."""

from __future__ import annotations

from dataclasses import replace

from img_tools.model import Finding, PackageRef, Platform, Report, Result, Run, Status, fail, warn

RUN = Run(id="11111111-2222-3333-4444-555555555555", started_at="2026-01-02T03:04:05+00:00",
          duration=1.26, mode="rootfs", root="/mnt", profile="marketplace")
PLATFORM = Platform(os_id="debian", version_id="12", pretty_name="Debian GNU/Linux 12 (bookworm)",
                    kernel=None, arch=None, package_manager="apt",
                    index_time="2026-01-02T00:00:00Z")


def result(name: str, status: Status, message: str = "", *findings: Finding,
           incomplete: bool = False) -> Result:
    return Result(id=name, title=f"Title of {name}", category="traces", status=status,
                  message=message, duration=0.0123, references=("row S1",), findings=findings,
                  incomplete=incomplete)


PASSED = result("one", Status.PASS)
SKIPPED = result("two", Status.SKIP, "it does not apply")
WARNED = result("three", Status.WARN, "it is odd", warn("odd", "it is odd", path="/etc/odd"))
BROKEN = result("four", Status.ERROR, "the mirror does not answer")
FAILED = result(
    "five", Status.FAIL, "3 findings",
    fail("key", "/root/.ssh/id: a private key", path="/root/.ssh/id", line=3, account="root",
         evidence={"bits": 256, "encrypted": False}, fix="rm /root/.ssh/id"),
    fail("old", "openssl 1 is older than 2", package=PackageRef("openssl", "1", "2"),
         fix="apt-get update && apt-get dist-upgrade"),
    warn("odd", "zlib 1 is older than 2", package=PackageRef("zlib", "1", None),
         fix="apt-get update && apt-get dist-upgrade"),
)


def report(*results: Result, fail_on_warn: bool = False, left_out: tuple[str, ...] = ()) -> Report:
    return Report(run=replace(RUN, left_out=left_out), platform=PLATFORM, results=results,
                  fail_on_warn=fail_on_warn)
