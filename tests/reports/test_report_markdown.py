"""summary.md, exact; and hostile text in every place where text can come from."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from report_samples import (
    FEW_SHOT,
    HOSTILE,
    cell_result,
    comparison,
    metric_gate,
    report,
    reused,
    run_gate,
    unsure_gate,
)

from pytest_llmops.records.estimates import Interval, SliceScore
from pytest_llmops.records.gate import Repeat
from pytest_llmops.records.report import Decision, Report
from pytest_llmops.reports.markdown import summary

SUMMARY = r"""# Gate closed

**1 of 4 gates failed**

- FAIL matcher.exact_match_rate\[ner_extract-general-terse\]

4 gates: 2 FAIL (1 not blocking), 2 PASS

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


UNSURE = r"""## ner

Experiment file: evals/ner/experiment.yaml

| Item | Verdict | Value | 95 % CI | Rule | Baseline (delta) | n |
| --- | --- | ---: | --- | --- | --- | ---: |
| run\[ner_extract-general-terse\] | PASS |  |  |  |  | 2 |
| matcher.exact_match_rate\[ner_extract-general-terse\] | INCONCLUSIVE, not blocking | 0.6 | 0.45 to 0.74 | >= 0.5, at most 0.05 worse | 0.65 (-0.05, 95 % bound -0.1537) | 40 |
| matcher.exact_match_rate\[ner_extract-general-few_shot\] | **INCONCLUSIVE** | 0.6 | 0.45 to 0.74 | at most 0.05 worse | 0.65 (-0.05, 95 % bound -0.1537) | 40 |

### What closed the gate

- INCONCLUSIVE matcher.exact_match_rate\[ner_extract-general-few_shot\]: 0.6, required at most 0.05 worse, baseline 0.65, delta -0.05 (95 % bound -0.1537) (n = 40 common rows, 95 % CI 0.45 to 0.74, p = 0.3438)

### Inconclusive

Not enough rows to tell, or rows that vary too much. Look at the rows that changed; then add rows, run each of them more than once, or allow a wider margin. With on_inconclusive: fail these verdicts close the gate.

- INCONCLUSIVE matcher.exact_match_rate\[ner_extract-general-terse\]: 0.6, required >= 0.5, at most 0.05 worse, baseline 0.65, delta -0.05 (95 % bound -0.1537) (n = 40 common rows, 95 % CI 0.45 to 0.74, p = 0.3438): the loss may be as large as 0.1537; 4 rows got worse, 2 better
  - worse: row 3: 1 -> 0
  - better: row 5: 0 -> 1
  - slice language=de: 0.25 (n = 4)
- INCONCLUSIVE matcher.exact_match_rate\[ner_extract-general-few_shot\]: 0.6, required at most 0.05 worse, baseline 0.65, delta -0.05 (95 % bound -0.1537) (n = 40 common rows, 95 % CI 0.45 to 0.74, p = 0.3438): no row is like another
"""  # noqa: E501


def test_inconclusive_gates_have_a_section_that_says_what_to_do() -> None:
    closing = replace(
        unsure_gate(FEW_SHOT, rule="at most 0.05 worse", on_inconclusive="fail"),
        reason="no row is like another",
        details=(),
        slices=(),
    )
    shown = summary(report(run_gate(), unsure_gate(), closing, cells=()))
    assert shown.startswith("# Gate closed\n\n**1 of 3 gates inconclusive**\n")
    assert "\n3 gates: 2 INCONCLUSIVE (1 not blocking), 1 PASS\n" in shown
    assert shown[shown.index("## ner") :] == UNSURE


def test_a_column_that_is_empty_for_every_gate_is_left_out() -> None:
    sure = metric_gate(interval=Interval(low=0.4461, high=0.7365, level=0.95, method="Wilson"))
    shown = summary(report(run_gate(), sure, cells=()))
    assert "\n| Item | Verdict | Value | 95 % CI | Rule | n |\n| --- | --- | ---: | --- | --- | ---: |\n" in shown


def test_what_is_to_be_said_of_a_pass_is_said() -> None:
    passed = metric_gate(
        reason="a weak pass: the rule's bound lies inside the confidence interval",
        slices=(SliceScore(column="language", value="de", score=0.25, n=4),),
    )
    assert summary(report(run_gate(), passed, metric_gate(FEW_SHOT), cells=())).endswith(
        "\n\n### Passed, with remarks\n\n"
        "- PASS matcher.exact_match_rate\\[ner_extract-general-terse\\]: 0.5, required >= 0.5 (n = 1): "
        "a weak pass: the rule's bound lies inside the confidence interval\n"
        "  - slice language=de: 0.25 (n = 4)\n"
    )


def test_failed_rows_of_later_executions_are_listed_too() -> None:
    first = cell_result()
    twice = replace(first, repeats=(Repeat(run=first.run, evaluations=first.evaluations),))
    assert summary(report(run_gate(), cells=(twice,))).endswith(
        "| ner_extract-general-terse | run | 2 | 1 | ValueError: no entity |\n"
        "| ner_extract-general-terse | run, execution 2 | 2 | 1 | ValueError: no entity |\n"
    )


def test_what_is_reused_follows_the_date() -> None:
    shown = summary(report(run_gate(), cells=(reused(cell_result()),)))
    assert (
        "\n\nCreated: 2026-09-01T10:00:00+00:00\n\n"
        "Reused: 1 of 3 rows, oldest from 2 days ago (2026-08-30T10:00:00+00:00)\n\n## ner\n"
    ) in shown


def test_an_open_gate_comes_first_and_alone() -> None:
    assert summary(report(run_gate(), cells=())).startswith("# Gate open\n\n1 gate: 1 PASS\n")


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
    compared = comparison(name=text, test=text, worse=(text,), removed=(text,))
    slices = (SliceScore(column=text, value=text, score=0.25, n=4),)
    gate = unsure_gate(cell=text, rule=text, reason=text, details=(text,), comparison=compared, slices=slices)
    gates = (gate, replace(gate, verdict="FAIL"), replace(gate, verdict="PASS"))
    broken = replace(cell_result().run.rows[1], error=text)
    result = reused(cell_result())
    result = replace(result, run=replace(result.run, rows=(*result.run.rows, broken)))
    session = replace(
        report(*gates, cells=(result,)),
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
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {8, 6}
