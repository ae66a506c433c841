"""The HTML report in a browser: its own script runs by its own policy, and nothing else does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from img_tools.report import html
from tests.engine.test_report_formats import ALL, NAMES, judged
from tests.support import needs

__all__ = ["judged"]  # a fixture
CHROMIUM = shutil.which("chromium")


def browse(page: Path, *options: str) -> str:
    """What Chromium makes of PAGE, without a network; it must have nothing to complain about."""
    needs(CHROMIUM is not None, "chromium")
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
         f"--user-data-dir={page.parent}/profile", *options, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "HOME": str(page.parent)})
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def driven(page: str, script: str) -> str:
    """PAGE with SCRIPT after its own, which may say something in the title."""
    return re.sub("<meta http-equiv[^>]*>", "", page).replace(
        "</body>", f"<script>{script}</script></body>")


def title(dom: str) -> str:
    found = re.search("<title>(.*?)</title>", dom)
    assert found
    return found[1]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "report.html"


def test_the_script_runs_by_the_policy_of_the_page(page):
    page.write_text(html.render(ALL))
    dom = browse(page, "--dump-dom")
    assert re.search('<div id="sieve" role="search"', dom), "without a script it stays hidden"
    assert dom.count("<button") == 2, "one to copy each command"


def test_nothing_of_a_hostile_image_runs_or_is_fetched(page, judged):
    page.write_text(html.render(judged(" ".join(NAMES))))
    dom = browse(page, "--dump-dom")
    assert not re.search(r"<(img|svg|iframe|object|embed|link)\b", dom)
    assert dom.count("<script") == dom.count("<style") == 1


@pytest.mark.parametrize(("words", "outcome", "shown"), [
    ("", "", "5"), ("ZLIB", "", "1"), ("title of", "", "5"), ("nothing like it", "", "0"),
    ("", "warn", "1"), ("zlib", "warn", "0"),
])
def test_results_are_filtered_by_words_and_outcome(page, words, outcome, shown):
    page.write_text(driven(html.render(ALL), f"""
        const [a, b] = document.querySelectorAll("input, select");
        a.value = "{words}"; b.value = "{outcome}";
        a.dispatchEvent(new Event("input", {{bubbles: true}}));
        const seen = [...document.querySelectorAll("[data-check]")].filter((e) => e.offsetHeight);
        document.title = `${{seen.length}}`;"""))
    assert title(browse(page, "--dump-dom")) == shown


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_screen(page, judged, width):
    """A window may not be as narrow as a phone, a frame may."""
    (page.parent / "inner.html").write_text(driven(html.render(judged("x" * 5000)), """
        parent.postMessage(document.documentElement.scrollWidth
            - document.documentElement.clientWidth, "*");"""))
    page.write_text(f"<title>?</title><iframe width={width} height=700 src=inner.html></iframe>"
                    "<script>addEventListener('message', (e) => { document.title = e.data; })"
                    "</script>")
    assert title(browse(page, "--dump-dom", "--virtual-time-budget=5000")) == "0"


def test_it_can_be_printed(page):
    page.write_text(html.render(ALL))
    browse(page, f"--print-to-pdf={page.parent}/report.pdf")
    assert (page.parent / "report.pdf").read_bytes().startswith(b"%PDF-")
