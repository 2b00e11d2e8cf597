"""Reused results are marked with their age in every report."""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ET

import pytest
from project import Project

TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
STRICT = ("--llmops-threshold", "compare.accuracy=>= 0.9")


@pytest.fixture
def reusing(project: Project) -> Project:
    """A project whose last session reused everything, and failed on a stricter threshold."""
    project.run().assert_outcomes(passed=2)
    result = project.run(*STRICT, "--junitxml=junit.xml", "--html=report.html", "--self-contained-html")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines([r"reused: 8 of 8 rows, oldest from \d+ seconds? ago$"])
    result.stdout.re_match_lines([rf"rests on reused rows, the oldest from {TIME}$"])
    return project


def test_markdown(reusing: Project) -> None:
    summary = (reusing.path / "reports" / "summary.md").read_text(encoding="utf-8")
    assert re.search(rf"^Reused: 8 of 8 rows, oldest from \d+ seconds? ago \({TIME}\)$", summary, re.MULTILINE)


def test_json(reusing: Project) -> None:
    decision, results = reusing.report("gate.json"), reusing.report()
    oldest = decision["recorded"]["oldest"]
    assert decision["recorded"] == {"oldest": oldest, "rows": 8, "of": 8}
    assert [gate["recorded"] for gate in decision["gates"]] == [oldest, oldest]
    runs = [results["cells"][0]["run"], results["cells"][0]["evaluations"]["compare"]["result"]]
    assert all(row["recorded"] <= run["recorded"] for run in runs for row in run["rows"])


def test_tables(reusing: Project) -> None:
    for name, lines in (("result", 4), ("metrics", 1)):
        text = (reusing.path / "reports" / f"shouting_{name}.csv").read_text(encoding="utf-8")
        times = [line["reused"] for line in csv.DictReader(text.splitlines())]
        assert len(times) == lines
        assert all(re.fullmatch(TIME, time) for time in times)


def test_junit_and_html(reusing: Project) -> None:
    (failure,) = ET.parse(reusing.path / "junit.xml").getroot().iter("failure")
    assert re.search(rf"^rests on reused rows, the oldest from {TIME}$", failure.get("message", ""), re.MULTILINE)
    page = (reusing.path / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(rf"rests on reused rows, the oldest from {TIME}", page)) >= 2


def test_only_what_is_reused_is_marked(project: Project) -> None:
    project.run().assert_outcomes(passed=2)
    project.replace("words.jsonl", '"one"', '"five"')
    result = project.run("--llmops-threshold", "compare.accuracy=>= 0.5")
    result.stdout.re_match_lines([r"reused: 6 of 8 rows, oldest from \d+ seconds? ago$"])
    text = (project.path / "reports" / "shouting_result.csv").read_text(encoding="utf-8")
    assert [bool(line["reused"]) for line in csv.DictReader(text.splitlines())] == [False, True, True, True]


def test_a_session_that_reuses_nothing_does_not_speak_of_it(project: Project) -> None:
    result = project.run(*STRICT)
    result.stdout.no_fnmatch_line("*reused*")
    assert "Reused" not in (project.path / "reports" / "summary.md").read_text(encoding="utf-8")
    assert project.report("gate.json")["recorded"] is None
