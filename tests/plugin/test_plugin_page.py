"""index.html at the end of a session, with what it is shown beside; and reports that can't be written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from project import Project
from report_samples import report, run_gate

from pytest_llmops.cli import main
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.reports.write import write_reports

ITEM = "compare.accuracy[shout-words-default]"
PATH = "evals/shouting/experiment.yaml"
BLOCK = re.compile(r'<script type="application/json" id="(.+?)">(.*?)</script>', re.DOTALL)


def page(project: Project) -> dict[str, Any]:
    """The data in the page, by the id of its element."""
    text = (project.path / "reports" / "index.html").read_text(encoding="utf-8")
    return {name: json.loads(values) for name, values in BLOCK.findall(text)}


def save_baseline(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run, save what came of it as a baseline, and have the experiment compared with it."""
    project.run()
    monkeypatch.chdir(project.path)
    assert main(["baseline", "save"]) == 0
    with (project.folder / "experiment.yaml").open("a", encoding="utf-8") as file:
        file.write("llmops: {baseline: baselines/shouting.json}\n")
    return project.folder / "baselines" / "shouting.json"


def test_a_session_without_baseline_or_history(project: Project) -> None:
    project.run()
    overview = page(project)["llmops-overview"]
    (point,) = overview["history"]
    assert point["gates"][f"{PATH}::{ITEM}"] == {"value": 0.75, "verdict": "PASS"}
    assert overview["experiments"][0]["baseline"] is None


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_rows_stand_beside_the_baseline(
    project: Project, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    save_baseline(project, monkeypatch)
    project.replace("shout.py", "word.upper() +", 'word.upper() + "?" +')
    project.run(*options)
    found = page(project)
    source = found["llmops-overview"]["experiments"][0]["baseline"]
    assert (source["path"], source["problem"]) == ("evals/shouting/baselines/shouting.json", "")
    now, before = found["llmops-rows-0"]["runs"]
    assert (now["variant"], before["variant"]) == ("default", "baseline")
    assert [
        (new[1]["loud"], old[1]["loud"]) for new, old in zip(now["executions"][0], before["executions"][0], strict=True)
    ] == [(f"{word}?!", f"{word}!") for word in ("ONE", "TWO", "THREE", "FOUR")]


def test_a_baseline_that_is_torn_is_a_line_and_the_page_is_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save_baseline(project, monkeypatch)
    file.write_bytes(file.read_bytes()[:100])
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["baseline evals/shouting/baselines/shouting.json: not valid JSON (*"])
    assert "not valid JSON" in page(project)["llmops-overview"]["experiments"][0]["baseline"]["problem"]


def test_the_history_has_earlier_sessions_and_this_one(project: Project) -> None:
    project.run()
    earlier = json.dumps(project.report() | {"created": "2026-01-01T00:00:00+00:00"})
    (project.path / "past" / "january").mkdir(parents=True)
    (project.path / "past" / "january" / "results.json").write_text(earlier, encoding="utf-8")
    (project.path / "past" / "results.json").write_text("torn", encoding="utf-8")
    result = project.run("--llmops-history=past")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["history past/results.json: not the whole results of a session (*); it is left out"])
    history = page(project)["llmops-overview"]["history"]
    assert [point["name"] for point in history] == ["january/results.json", ""]
    assert all(point["gates"][f"{PATH}::{ITEM}"]["verdict"] == "PASS" for point in history)


def test_a_history_that_is_not_there_is_a_line(project: Project) -> None:
    result = project.run("--llmops-history=past")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["history past: there is no such folder"])


HOSTILE_FLOW = '''
"""Answers with what no page expects."""


def shout(word: str) -> dict:
    deep = "end"
    for _ in range(150):
        deep = [deep]
    return {
        "loud": word.upper() + "!",
        "markup": "</script><script>alert(1)</script><!--",
        "control": "\\x00\\x1b[31m\\u202e\\ud800",
        "long": "x" * 1_000_000,
        "deep": deep,
        "number": 2**60,
    }
'''


def test_hostile_answers_are_in_the_page_as_text(project: Project) -> None:
    project.write("shout.py", HOSTILE_FLOW)
    assert project.run().ret == 0
    output = page(project)["llmops-rows-0"]["runs"][0]["executions"][0][0][1]
    assert output["markup"] == "</script><script>alert(1)</script><!--"
    assert output["control"] == "\\x00\\x1b[31m\\u202e\\ud800"
    assert output["long"].endswith("x… (1,000,000 characters, SHA-256 c63b4f01…; all of them are in results.json)")
    assert output["number"] == str(2**60)


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root may write everywhere, so it is somebody else for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder, as seen from the working directory: those above may be closed to others."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    folder = Path("reports")
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)


def test_a_folder_that_is_read_only_is_one_clear_line(read_only: Path, unprivileged: None) -> None:
    with pytest.raises(LLMOpsError) as raised:
        write_reports(report(run_gate()), read_only)
    assert str(raised.value) == (
        "reports: reports can't be written: Permission denied; give a folder that can, with --llmops-report-dir"
    )
    assert list(read_only.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["results.json", "index.html", "gate.json"])
def test_a_full_disk_is_one_clear_line_and_closes_the_gate(project: Project, name: str) -> None:
    assert project.run().ret == 0
    folder = project.path / "reports"
    assert project.report("gate.json")["state"] == "open"
    (folder / f".{name}.{os.getpid()}.tmp").symlink_to("/dev/full")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stdout.str().count("No space left on device") == 1
    result.stdout.fnmatch_lines(
        [
            f"{folder}: reports can't be written: No space left on device; "
            "give a folder that can, with --llmops-report-dir"
        ]
    )
    assert not (folder / "gate.json").exists()
    assert not list(folder.rglob("*.tmp"))
