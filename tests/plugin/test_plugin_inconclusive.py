"""INCONCLUSIVE through a whole session: what pytest, JUnit and pytest-html make of it, and what closes the gate."""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from ado_junit import problems, read
from project import Project

# Decides as ever, then takes the verdict on the metric for one that too few rows support.
CONFTEST = """
from dataclasses import replace

from pytest_llmops.plugin.keys import RUNTIME
from pytest_llmops.records.estimates import Comparison, Interval


def pytest_sessionstart(session):
    runtime = session.config.stash[RUNTIME]
    judge = runtime.judge
    around = Interval(low=0.3006, high=0.9544, level=0.95, method="Wilson")
    lost = Interval(low=-0.7, high=0.2, level=0.9, method="t")
    compared = Comparison(name="main", value=0.75, baseline=1.0, delta=-0.25, n=4, interval=lost, worse=("3",))

    def unsure(plan, demand):
        gate = judge(plan, demand)
        if demand.threshold is None or gate.verdict != "PASS":
            return gate
        return replace(gate, verdict="INCONCLUSIVE", interval=around, margin=0.1, comparison=compared,
                       on_inconclusive=ON_INCONCLUSIVE, reason="1 row got worse", details=("worse: row 3: 1 -> 0",))

    runtime.judge = unsure
"""
ITEM = "compare.accuracy[shout-words-default]"
HEADLINE = (
    f"INCONCLUSIVE {ITEM}: 0.75, required >= 0.75, baseline 1, delta -0.25 (95 % bound -0.7) "
    "(n = 4 common rows, 95 % CI 0.30 to 0.95)"
)
NOTE = "1 inconclusive: not enough rows to tell; see summary.md"


def unsure(project: Project, on_inconclusive: str = "warn") -> Project:
    text = CONFTEST.replace("ON_INCONCLUSIVE", repr(on_inconclusive))
    (project.path / "conftest.py").write_text(text, encoding="utf-8")
    return project


def literally(line: str) -> str:
    """Write a line for ``fnmatch_lines``, in which brackets have a meaning."""
    return line.replace("[", "[[]")


@pytest.mark.parametrize(
    "arguments", [("-p", "no:xdist"), pytest.param(("-n", "2"), marks=pytest.mark.slow)], ids=["one process", "xdist"]
)
def test_a_warning_has_a_status_of_its_own_and_leaves_the_gate_open(
    project: Project, arguments: tuple[str, ...]
) -> None:
    result = unsure(project).run(*arguments)
    assert result.parseoutcomes() == {"passed": 1, "inconclusive": 1}
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [literally("*  0.75 [0.30, 0.95] (INCONCLUSIVE)"), "", "reports: *", NOTE, "gate: open"]
    )
    decision = project.report("gate.json")
    assert (decision["state"], decision["counts"]) == ("open", {"INCONCLUSIVE": 1, "PASS": 1})
    assert "### Inconclusive\n\nNot enough rows to tell" in (project.path / "reports" / "summary.md").read_text(
        encoding="utf-8"
    )


def test_a_failure_fails_its_item_and_closes_the_gate(project: Project) -> None:
    result = unsure(project, "fail").run("--junitxml=junit.xml")
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            literally(HEADLINE),
            "1 row got worse",
            "  worse: row 3: 1 -> 0",
            literally("*  0.75 [0.30, 0.95] INCONCLUSIVE"),
            "gate: closed: 1 of 2 gates inconclusive",
        ]
    )
    result.stdout.no_fnmatch_line("*not enough rows to tell*")
    assert project.report("gate.json")["reasons"] == [f"INCONCLUSIVE {ITEM}"]
    _, failed = read(project.path / "junit.xml")
    assert (failed.outcome, failed.message.splitlines()[0]) == ("Failed", HEADLINE)


def test_how_each_verbosity_shows_it(project: Project) -> None:
    unsure(project)
    project.run("-q").stdout.re_match_lines([r"\.I +\[100%\]", NOTE, r"1 passed, 1 inconclusive in .*"])
    project.run("-v").stdout.fnmatch_lines([literally(f"evals/*::{ITEM} INCONCLUSIVE *")])
    project.run("--color=yes", "-v").stdout.re_match_lines(
        [r".*\x1b\[33mINCONCLUSIVE\x1b.*", r".*\x1b\[33m.*1 inconclusive.*"]
    )


@pytest.mark.parametrize(("option", "listed"), [("-rx", True), ("-rA", True), ("-rf", False)])
def test_it_is_listed_where_xfailed_items_are(project: Project, option: str, listed: bool) -> None:
    line = f"evals/shouting/experiment.yaml: {HEADLINE}"
    assert (line in unsure(project).run(option).outlines) is listed


def test_a_failure_that_does_not_block_stays_xfailed(project: Project) -> None:
    project.replace("experiment.yaml", '{accuracy: ">= 0.75"}', "{accuracy: {min: 0.9, severity: warn}}")
    result = unsure(project).run("-rx")
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.fnmatch_lines([literally(f"XFAIL *::{ITEM} - *not blocking: FAIL {ITEM}: 0.75, required >= 0.9 *")])


def test_junit_shows_it_as_skipped_with_its_numbers(project: Project) -> None:
    unsure(project).run("--junitxml=junit.xml")
    file = project.path / "junit.xml"
    _, shown = read(file)
    assert (shown.title, shown.outcome, shown.message) == (ITEM, "NotExecuted", f"inconclusive: {HEADLINE}")
    assert problems(file) == []
    assert [suite.get("skipped") for suite in ET.parse(file).iter("testsuite")] == ["1"]


def page(file: Path) -> dict[str, Any]:
    """Read the one entry of each test in the data that pytest-html's script renders."""
    blob = re.search(r'data-jsonblob="([^"]*)"', file.read_text(encoding="utf-8"))
    assert blob is not None
    tests = json.loads(html.unescape(blob[1]))["tests"]
    return {name.rpartition("::")[2]: entry for name, (entry,) in tests.items()}


def test_the_html_page_names_it_and_counts_it_as_xfailed(project: Project) -> None:
    unsure(project).run("--html=report.html", "--self-contained-html")
    shown = page(project.path / "report.html")[ITEM]
    cells = [re.sub(r"<[^>]*>", "", cell) for cell in shown["resultsTableRow"]]
    assert cells[2:10] == [
        "shout-words-default",
        "compare.accuracy",
        "INCONCLUSIVE",
        "0.75",
        "0.30 to 0.95",
        "&gt;= 0.75",
        "1 (-0.25, 95 % bound -0.7)",
        "4",
    ]
    assert (cells[0], shown["result"]) == ("XFailed", "XFailed")
    assert "<p>1 row got worse</p>" in shown["log"]
    assert "worse: row 3: 1 -&gt; 0" in shown["log"]
