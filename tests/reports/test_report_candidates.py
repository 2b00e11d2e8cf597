"""Whether a candidate may take the flow's place: never said where anything of it is open."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_samples import EXPERIMENT, HOSTILE, TERSE, cell_result, comparison, metric_gate, report, run_gate

from pytest_llmops.records.gate import CellResult, GateResult
from pytest_llmops.records.report import Decision, Report, Shard
from pytest_llmops.records.run import Variant
from pytest_llmops.reports.candidates import switches, trouble_line
from pytest_llmops.reports.console import summary_lines
from pytest_llmops.reports.markdown import summary

NEW = Variant(id="agents", is_default=False, is_candidate=True)
KEPT = metric_gate(NEW, value=1.0, name="run.agreement", rule=">= 0.9", optional=True)
RAN = replace(run_gate(NEW), optional=True)
OPEN = Decision(state="open")


def made(*gates: GateResult, **changes: object) -> Report:
    """A session with the flow and a candidate that is not required."""
    candidate = replace(cell_result(NEW), implementation="ner_agents")
    fields: dict[str, object] = {
        "cells": (cell_result(TERSE), candidate),
        "gates": (run_gate(), RAN, *gates),
        "decision": OPEN,
    }
    return replace(report(), **{**fields, **changes})  # type: ignore[arg-type]


def said(found: Report) -> str:
    (switch,) = switches(found, EXPERIMENT)
    return switch.text


def candidate_with(**changes: object) -> tuple[CellResult, CellResult]:
    return cell_result(TERSE), replace(cell_result(NEW), **changes)  # type: ignore[arg-type]


def test_a_candidate_that_kept_everything_may_take_over() -> None:
    assert said(made(KEPT)) == "agents (ner_agents) may take the place of ner_extract: 2 of 2 gates kept"
    compared = metric_gate(NEW, optional=True, comparison=comparison(with_flow=True))
    assert said(made(compared)) == "agents (ner_agents) may take the place of ner_extract: 2 of 2 gates kept"
    assert said(made(KEPT, cells=candidate_with())) == "agents may take the place of ner_extract: 2 of 2 gates kept"


def test_a_candidate_that_failed_may_not_whatever_its_severity() -> None:
    failed = replace(KEPT, verdict="FAIL", severity="warn", blocking=False)
    assert (
        said(made(failed)) == "agents (ner_agents) may not take the place of ner_extract: 1 of 2 gates kept, 1 failed"
    )


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (made(replace(KEPT, verdict="INCONCLUSIVE")), "1 of 2 gates kept, 1 inconclusive"),
        (made(replace(KEPT, verdict="ERROR")), "1 of 2 gates kept, 1 broken"),
        (made(), "1 of 1 gate kept, not compared with the flow on general"),
        (made(metric_gate(NEW)), "2 of 2 gates kept, not compared with the flow on general"),
        (
            made(KEPT, decision=Decision(state="closed", reasons=(f"{EXPERIMENT}: only 3 of 9 items were decided",))),
            "2 of 2 gates kept, not everything asked for was decided",
        ),
        (
            made(KEPT, replace(KEPT, cell="ner_extract-noisy-agents")),
            "2 of 2 gates kept, not everything asked for was decided",
        ),
        (made(KEPT, shard=Shard(index=1, count=2)), "2 of 2 gates kept, shard 1/2 alone"),
        (
            made(KEPT, cells=candidate_with(partial=True, implementation="ner_agents")),
            "2 of 2 gates kept, only the first rows of general",
        ),
    ],
)
def test_what_is_open_is_said(found: Report, why: str) -> None:
    assert said(found) == f"whether agents (ner_agents) may take the place of ner_extract can't be told yet: {why}"


def test_what_another_experiment_lacks_does_not_matter() -> None:
    decision = Decision(state="closed", reasons=("evals/b.yaml: only 1 of 2 items were decided",))
    found = made(KEPT, decision=decision, experiments={EXPERIMENT: "ner", "evals/b.yaml": "b"})
    assert said(found) == "agents (ner_agents) may take the place of ner_extract: 2 of 2 gates kept"


def test_a_session_without_candidates_says_nothing() -> None:
    assert switches(report(), EXPERIMENT) == ()


def test_the_terminal_names_a_common_cause_once() -> None:
    broken = replace(RAN, verdict="ERROR", reason="5 of 5 LLM calls are not in cassettes/a.json")
    others = [replace(broken, name=name) for name in ("matcher.f1", "matcher.exact_match_rate")]
    found = made(gates=(run_gate(), broken, *others, replace(KEPT, verdict="FAIL")))
    lines = summary_lines(found)
    place = lines.index(
        "agents (ner_agents) may not take the place of ner_extract: 0 of 4 gates kept, 1 failed, 3 broken"
    )
    assert lines[place + 1 : place + 4] == [
        "agents (candidate): 4 of 4 gates failed or broken, none closes the gate; "
        "3 of them: 5 of 5 LLM calls are not in cassettes/a.json",
        "",
        "(FAIL) and (ERROR) do not close the gate",
    ]


def test_a_required_candidate_is_reported_as_any_failure_is() -> None:
    failed = replace(KEPT, verdict="FAIL", optional=False)
    (switch,) = switches(made(failed), EXPERIMENT)
    assert trouble_line(switch) == ""


def test_inconclusive_in_parentheses_is_explained() -> None:
    assert "(INCONCLUSIVE) does not close the gate" in summary_lines(made(replace(KEPT, verdict="INCONCLUSIVE")))


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_models_can_not_act_on_a_terminal(text: str) -> None:
    broken = replace(KEPT, verdict="ERROR", reason=text * 99)
    (switch,) = switches(made(broken), EXPERIMENT)
    line = trouble_line(switch)
    assert line.startswith("agents (candidate): 1 of 2 gates failed or broken, none closes the gate; ")
    assert len(line) < 400
    assert "##vso[" not in line
    assert not any(ord(character) < 32 for character in line)


def test_the_summary_says_it_and_what_values_are_compared_with() -> None:
    compared = metric_gate(NEW, optional=True, comparison=comparison(with_flow=True))
    text = summary(made(compared))
    line = "- agents (ner_agents) may take the place of ner_extract: 2 of 2 gates kept"
    assert f"\n\nCandidates, compared with the flow:\n\n{line}\n\n" in text
    assert "| Item | Verdict | Value | Rule | Flow (delta) | n |" in text
    text = summary(made(compared, metric_gate(comparison=comparison())))
    assert "| Item | Verdict | Value | Rule | Compared with (delta) | n |" in text
