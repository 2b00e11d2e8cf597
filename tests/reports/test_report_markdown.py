"""summary.md, exact; and hostile text in every place where text can come from."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from report_samples import HOSTILE, cell_result, metric_gate, report, reused, run_gate

from pytest_llmops.records.report import Decision, Report
from pytest_llmops.reports.markdown import summary

SUMMARY = r"""# Gate closed

**1 of 4 gates failed**

- FAIL matcher.exact_match_rate\[ner_extract-general-terse\]

4 gates: 2 FAIL, 2 PASS

Settings: env dev, llm replay

Created: 2026-09-01T10:00:00+00:00

## ner

Experiment file: evals/ner/experiment.yaml

| Item | Verdict | Value | Rule | n |
| --- | --- | ---: | --- | ---: |
| run\[ner_extract-general-terse\] | PASS |  |  | 2 |
| matcher.exact_match_rate\[ner_extract-general-terse\] | **FAIL** | 0.5 | >= 0.8 | 1 |
| run\[ner_extract-general-few_shot\] | PASS |  |  | 2 |
| matcher.exact_match_rate\[ner_extract-general-few_shot\] | FAIL, not blocking | 0.25 | >= 0.5 | 1 |

### What closed the gate

- FAIL matcher.exact_match_rate\[ner_extract-general-terse\]: 0.5, required >= 0.8 (n = 1): 1 of 2 rows failed
  - row 0: exact 0 gold=1

### Weaker, and not blocking

- FAIL matcher.exact_match_rate\[ner_extract-general-few_shot\]: 0.25, required >= 0.5 (n = 1)
  - row 1: exact 0

### Failed rows

| Cell | Run | Rows | Failed | First error |
| --- | --- | ---: | ---: | --- |
| ner_extract-general-terse | run | 2 | 1 | ValueError: no entity |
| ner_extract-general-few_shot | run | 2 | 1 | ValueError: no entity |
"""


def test_the_whole_summary() -> None:
    assert summary(report()) == SUMMARY


def test_what_is_reused_follows_the_date() -> None:
    shown = summary(report(run_gate(), cells=(reused(cell_result()),)))
    assert (
        "\n\nCreated: 2026-09-01T10:00:00+00:00\n\n"
        "Reused: 1 of 3 rows, oldest from 2 days ago (2026-08-30T10:00:00+00:00)\n\n## ner\n"
    ) in shown


def test_an_open_gate_comes_first_and_alone() -> None:
    assert summary(report(run_gate(), cells=())).startswith("# Gate open\n\n1 gate: 0 FAIL, 1 PASS\n")


def test_a_session_without_gates_says_so() -> None:
    closed = Decision(state="closed", reasons=("nothing was evaluated",))
    nothing = Report(experiments={"e.yaml": "ner"}, cells=(), gates=(), decision=closed)
    assert summary(nothing) == (
        "# Gate closed\n\n**nothing was evaluated**\n\n- nothing was evaluated\n\n0 gates\n\n"
        "## ner\n\nExperiment file: e.yaml\n\nNothing was evaluated.\n"
    )


def test_an_evaluator_without_thresholds_shows_its_metrics() -> None:
    judge = metric_gate(name="judge", value=None, verdict="PASS", rule="", blocking=False, reason="reported: a 0.5")
    shown = summary(report(judge, cells=()))
    assert "### Reported without a threshold\n\n- judge\\[ner_extract-general-terse\\]: reported: a 0.5\n" in shown


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    gate = metric_gate(verdict="FAIL", cell=text, rule=text, reason=text, details=(text,))
    broken = replace(cell_result().run.rows[1], error=text)
    result = reused(cell_result())
    result = replace(result, run=replace(result.run, rows=(*result.run.rows, broken)))
    session = replace(
        report(gate, cells=(result,)),
        experiments={"evals/ner/experiment.yaml": text},
        decision=Decision(state="closed", reasons=(text,), counts={"FAIL": 1}),
        created=text,
    )
    shown = summary(session)
    assert "<" not in shown
    assert "##vso[" not in shown
    assert "##[" not in shown
    assert not any(ord(character) < 32 and character != "\n" for character in shown)
    assert not re.search(r"(?<!\\)[`\[\]]", shown)
    tables = [line for line in shown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {6}
