"""What a session tells the pipeline's run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ado_log import issues, named, parse
from report_samples import EXPERIMENT, metric_gate, report, run_gate, unsure_gate

from pytest_llmops.ado.announcing import Issue, annotate, announce, issues_of
from pytest_llmops.records.report import Report, Shard
from pytest_llmops.reports.write import write_reports

ROOT = Path("/s")


def closed_by(*reasons: str) -> Report:
    made = report()
    return replace(made, gates=(), decision=replace(made.decision, reasons=reasons))


def test_the_gravest_comes_first() -> None:
    names = ("FAIL", "INCONCLUSIVE", "ERROR", "PASS")
    gates = (metric_gate(verdict=name, name=name, on_inconclusive="fail", file=EXPERIMENT, line=7) for name in names)
    found = issues_of(report(*gates))
    assert [(issue.kind, issue.message.split()[0], issue.file, issue.line) for issue in found] == [
        ("error", "ERROR", EXPERIMENT, 7),
        ("error", "FAIL", EXPERIMENT, 7),
        ("error", "INCONCLUSIVE", EXPERIMENT, 7),
    ]


def test_what_leaves_the_gate_open_is_a_warning() -> None:
    found = issues_of(report(run_gate(), unsure_gate(), metric_gate(verdict="FAIL", blocking=False)))
    assert [(issue.kind, issue.message.split()[0]) for issue in found] == [
        ("warning", "FAIL"),
        ("warning", "INCONCLUSIVE"),
    ]


def test_a_threshold_of_the_command_line_belongs_to_the_experiment() -> None:
    (found,) = issues_of(report(metric_gate(verdict="FAIL", file="--llmops-threshold", line=0)))
    assert (found.file, found.line) == (EXPERIMENT, 0)


@pytest.mark.parametrize(
    ("reason", "file", "line", "message"),
    [
        ("evals/e.yaml:6: datasets: unknown key", "evals/e.yaml", 6, "datasets: unknown key"),
        ("C:\\evals\\e.yaml:6: unknown\nkey", "C:\\evals\\e.yaml", 6, "unknown key"),
        ("rows.jsonl:12: not JSON", "rows.jsonl", 12, "not JSON"),
        ("evals/e.yaml: only 1 of 2 items were decided", "evals/e.yaml", 0, "evals/e.yaml: only 1 of 2 items were"),
        ("evals/test_a.py::test_b[x: y]: test failed", "evals/test_a.py", 0, "evals/test_a.py::test_b[x: y]: test fai"),
        ("the session did not finish (exit code 2)", "", 0, "the session did not finish (exit code 2)"),
        (f"a:{'9' * 5000}: b", "", 0, "a:999"),
        ("--llmops-threshold: f1: no such evaluator", "", 0, "--llmops-threshold: f1: no such evaluator"),
    ],
)
def test_the_place_of_a_reason(reason: str, file: str, line: int, message: str) -> None:
    (found,) = issues_of(closed_by(reason))
    assert (found.kind, found.file, found.line) == ("error", file, line)
    assert found.message.startswith(message)


@pytest.mark.parametrize(("count", "shown"), [(0, []), (10, []), (11, ["2 more errors: see the summary, or the log"])])
def test_the_tenth_says_how_many_there_are_more(count: int, shown: list[str]) -> None:
    found = [Issue(kind="error", message=f"m{number}", file="a.py", line=number) for number in range(count)]
    found.append(Issue(kind="warning", message="w"))
    commands = parse("\n".join(annotate(found, ROOT)))
    errors = issues("error", commands)
    assert len(named("task.logissue", commands)) == len(errors) + 1
    assert [error.message for error in errors] == [f"m{number}" for number in range(count)][
        : 9 if shown else 10
    ] + shown
    assert all(error.properties.get("sourcepath", "/s/a.py") == "/s/a.py" for error in errors)


def test_a_summary_that_was_removed_is_not_uploaded(tmp_path: Path) -> None:
    made = report(run_gate())
    written = write_reports(made, tmp_path)
    assert [command.name for command in parse("\n".join(announce(made, written, ROOT)))] == [
        *("task.uploadsummary", "build.addbuildtag"),
    ]
    (tmp_path / "summary.md").unlink()
    assert announce(made, written, ROOT) == ["##vso[build.addbuildtag]llmops-gate-open"]


def test_a_decision_that_could_not_be_written_is_closed() -> None:
    assert announce(report(run_gate()), [], ROOT) == [
        "##vso[task.logissue type=error;code=llmops]the reports could not be written, so the gate is closed",
        "##vso[build.addbuildtag]llmops-gate-closed",
    ]


def test_a_shard_has_annotations_alone(tmp_path: Path) -> None:
    made = replace(report(), shard=Shard(index=1, count=2))
    commands = parse("\n".join(announce(made, write_reports(made, tmp_path), ROOT)))
    assert [command.name for command in commands] == ["task.logissue", "task.logissue"]
