"""pytest-html's page: our columns, details and links, and no text of a dataset that a browser would take for markup."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from project import Project
from report_samples import HOSTILE as TEXTS

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Page

CHROMIUM = shutil.which("chromium")
HOSTILE = "<img src=x onerror=alert(1)>"
TOO_HIGH = ("--llmops-threshold", "compare.accuracy=>= 0.9")
FAILED = "evals/shouting/experiment.yaml::compare.accuracy[shout-words-default]"
PASSED = "evals/shouting/experiment.yaml::run[shout-words-default]"
ADDRESS = "#cell=evals%2Fshouting%2Fexperiment.yaml%3A%3Ashout-words-default&gate=compare.accuracy"


def page_data(project: Project, name: str = "report.html") -> Any:
    """Read the data that the page's script renders."""
    page = (project.path / name).read_text(encoding="utf-8")
    blob = re.search(r'data-jsonblob="([^"]*)"', page)
    assert blob is not None
    return json.loads(html.unescape(blob[1]))


def link(project: Project, name: str) -> str:
    """Return the address that the failed gate's row links to, empty where it links to none."""
    (failed,) = page_data(project, name)["tests"][FAILED]
    found = re.search(r'href="([^"]*)"', failed["resultsTableRow"][2])
    return html.unescape(found[1]) if found else ""


def test_the_page_has_our_columns_and_details(project: Project) -> None:
    project.replace("words.jsonl", '"four", "gold": "4"', f'"four", "gold": "{HOSTILE}"')
    project.run("--html=report.html", "--self-contained-html", *TOO_HIGH)
    data = page_data(project)
    (failed,) = data["tests"][FAILED]
    cells = [re.sub(r"<[^>]*>", "", cell) for cell in failed["resultsTableRow"]]
    assert cells[2:5] == ["shout-words-default", "compare.accuracy", "FAIL"]
    assert cells[5:10] == ["0.75", "0.30 to 0.95", "&gt;= 0.9", "", "4"]
    assert failed["log"].startswith("<p><strong>FAIL compare.accuracy[shout-words-default]: 0.75, required")
    assert HOSTILE not in failed["log"]
    assert "&lt;img src=x onerror=alert(1)&gt;" in failed["log"]
    (passed,) = data["tests"][PASSED]
    assert passed["log"] == "<p><strong>PASS run[shout-words-default] (n = 4)</strong></p><p>4 rows ran</p>"
    assert {"Python", "Platform", "Plugins"} <= data["environment"].keys()


@pytest.mark.parametrize(
    ("name", "folder", "expected"),
    [
        ("report.html", "reports", "reports/index.html"),
        ("reports/report.html", "reports", "./index.html"),
        ("out/deep/report.html", "re ports", "../../re%20ports/index.html"),
    ],
)
def test_a_gate_links_to_its_place_in_the_report(project: Project, name: str, folder: str, expected: str) -> None:
    project.run(f"--html={name}", "--llmops-report-dir", folder, *TOO_HIGH)
    assert link(project, name) == expected + ADDRESS
    path, _, _ = link(project, name).partition("#")
    assert ((project.path / name).parent / unquote(path)).resolve() == (project.path / folder / "index.html").resolve()


@pytest.mark.slow
def test_links_under_xdist(project: Project) -> None:
    project.run("--html=report.html", "-n", "2", *TOO_HIGH)
    assert link(project, "report.html") == f"reports/index.html{ADDRESS}"


def test_no_link_where_no_report_was_written(project: Project) -> None:
    (project.path / "reports").write_text("", encoding="utf-8")
    project.run("--html=report.html", *TOO_HIGH)
    assert FAILED not in page_data(project)["tests"] or link(project, "report.html") == ""
    (project.path / "reports").unlink()
    (project.path / "reports" / "results.json").mkdir(parents=True)
    project.run("--html=report.html", *TOO_HIGH)
    assert link(project, "report.html") == ""


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no browser: chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


# Real items whose verdicts, reasons, details and names hold what a model may say.
CONFTEST = """
from dataclasses import replace

from pytest_llmops.plugin.keys import RUNTIME
from pytest_llmops.records.estimates import SliceScore

TEXT = {text!r}


def pytest_sessionstart(session):
    runtime = session.config.stash[RUNTIME]
    judge = runtime.judge

    def hostile(plan, demand):
        gate = judge(plan, demand)
        worst = SliceScore(column=TEXT, value=TEXT, score=0.25, n=4)
        named = replace(gate, cell=TEXT[:5000], name=TEXT[:5000], rule=TEXT[:5000])
        return replace(named, verdict="FAIL", reason=TEXT, details=(TEXT, TEXT), slices=(worst,))

    runtime.judge = hostile


def pytest_collection_modifyitems(items):
    for item in items:
        if "test_plain" in item.nodeid:
            item._nodeid = item.nodeid + "[" + TEXT[:5000].replace(chr(0), "") + "]"
"""
SCRIPTS = "</script><script>alert(1)</script>"
LONG = "<b>" + "x" * 1_000_000
EVERYTHING = "\n".join((*TEXTS, SCRIPTS, "\x00nul", "😀 \u202e rtl \u05d0", "'\"><svg onload=alert(1)>", LONG))


@pytest.mark.slow
@pytest.mark.parametrize("self_contained", [True, False], ids=["self-contained", "with assets"])
def test_hostile_text_never_executes_and_stays_readable(
    project: Project, browser_page: Page, self_contained: bool
) -> None:
    (project.path / "conftest.py").write_text(CONFTEST.format(text=EVERYTHING), encoding="utf-8")
    (project.path / "evals" / "test_plain.py").write_text(
        f"def test_plain():\n    print({SCRIPTS!r})\n    raise AssertionError({SCRIPTS!r})\n", encoding="utf-8"
    )
    project.run("--html=report.html", *(["--self-contained-html"] if self_contained else []))
    acted: list[str] = []

    def refuse(dialog: Dialog) -> None:
        acted.append(dialog.message)
        dialog.dismiss()

    browser_page.on("dialog", refuse)
    browser_page.on("pageerror", lambda error: acted.append(str(error)))
    browser_page.goto((project.path / "report.html").as_uri())
    browser_page.wait_for_selector("tbody.results-table-row")
    for result in browser_page.query_selector_all("td.col-result.collapsed"):
        result.click()
    text = browser_page.inner_text("#results-table")
    made = browser_page.query_selector_all("img:not(.media-container *), svg, #results-table script, #results-table b")
    assert made == []
    for shown in (*TEXTS[:5], SCRIPTS, r"\x00nul", r"😀 \u202e rtl א", r"\ud800", "<b>xxx", "slice", "Baseline"):
        assert shown.split("\n")[0].casefold() in text.casefold()
    assert acted == []
