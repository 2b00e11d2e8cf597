"""pytest-html's page: our columns and details, and no text of a dataset that a browser would take for markup."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from project import Project

HOSTILE = "<img src=x onerror=alert(1)>"


def page_data(project: Project) -> Any:
    """Read the data that the page's script renders."""
    page = (project.path / "report.html").read_text(encoding="utf-8")
    blob = re.search(r'data-jsonblob="([^"]*)"', page)
    assert blob is not None
    return json.loads(html.unescape(blob[1]))["tests"]


def test_the_page_has_our_columns_and_details(project: Project) -> None:
    project.replace("words.jsonl", '"four", "gold": "4"', f'"four", "gold": "{HOSTILE}"')
    project.run("--html=report.html", "--self-contained-html", "--llmops-threshold", "compare.accuracy=>= 0.9")
    tests = page_data(project)
    (failed,) = tests["evals/shouting/experiment.yaml::compare.accuracy[shout-words-default]"]
    cells = [re.sub(r"<[^>]*>", "", cell) for cell in failed["resultsTableRow"]]
    assert cells[2:5] == ["shout-words-default", "compare.accuracy", "FAIL"]
    assert cells[5:10] == ["0.75", "0.30 to 0.95", "&gt;= 0.9", "", "4"]
    assert failed["log"].startswith("<p><strong>FAIL compare.accuracy[shout-words-default]: 0.75, required")
    assert HOSTILE not in failed["log"]
    assert "&lt;img src=x onerror=alert(1)&gt;" in failed["log"]
    (passed,) = tests["evals/shouting/experiment.yaml::run[shout-words-default]"]
    assert passed["log"] == "<p><strong>PASS run[shout-words-default] (n = 4)</strong></p><p>4 rows ran</p>"
