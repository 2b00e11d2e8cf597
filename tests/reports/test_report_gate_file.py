"""gate.json: the decision, and nothing that a model, a dataset or an exception said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from report_samples import (
    CREATED,
    EXPERIMENT,
    HOSTILE,
    cell_result,
    comparison,
    metric_gate,
    report,
    reused,
    run_gate,
    unsure_gate,
)

from pytest_llmops.records.decoding import from_json
from pytest_llmops.records.encoding import dumps
from pytest_llmops.records.estimates import SliceScore
from pytest_llmops.records.report import Subject
from pytest_llmops.reports.gate import GateFile, document, gate_file

NOTHING_COMPARED = dict.fromkeys(
    ("interval", "margin", "baseline", "delta", "bound", "p_value", "adjusted_p", "compared")
)


def test_the_whole_document() -> None:
    gate = metric_gate(value=0.625, verdict="FAIL", rule=">= 0.8", n=40, reason="r", details=("d",))
    item = "matcher.exact_match_rate[ner_extract-general-terse]"
    assert document(report(run_gate(), gate)) == {
        "schema_version": 1,
        "created": "2026-09-01T10:00:00+00:00",
        "commit": None,
        "build": None,
        "shard": None,
        "state": "closed",
        "reasons": [f"FAIL {item}"],
        "counts": {"FAIL": 1, "PASS": 1},
        "settings": {"env": "dev", "llm": "replay"},
        "recorded": None,
        "subjects": {},
        "gates": [
            {
                "experiment": EXPERIMENT,
                "item": item,
                "verdict": "FAIL",
                "value": 0.625,
                "rule": ">= 0.8",
                "n": 40,
                "weak": False,
                **NOTHING_COMPARED,
                "blocking": True,
                "optional": False,
                "closes": True,
                "bars": True,
                "reason": f"FAIL {item}: 0.625, required >= 0.8 (n = 40)",
                "recorded": None,
            },
            {
                "experiment": EXPERIMENT,
                "item": "run[ner_extract-general-terse]",
                "verdict": "PASS",
                "value": None,
                "rule": "",
                "n": 2,
                "weak": False,
                **NOTHING_COMPARED,
                "blocking": True,
                "optional": False,
                "closes": False,
                "bars": False,
                "reason": "PASS run[ner_extract-general-terse] (n = 2)",
                "recorded": None,
            },
        ],
    }


def test_what_was_evaluated() -> None:
    subject = Subject(flow="ner_extract", digest="a" * 64, data="b" * 64, criteria="c" * 64)
    made = document(replace(report(), subjects={EXPERIMENT: subject}))
    assert made["subjects"] == {
        EXPERIMENT: {"flow": "ner_extract", "digest": "a" * 64, "data": "b" * 64, "criteria": "c" * 64}
    }
    assert from_json(GateFile, made).subjects == {EXPERIMENT: subject}


@pytest.mark.parametrize(
    ("changes", "bars"),
    [
        ({"verdict": "PASS"}, False),
        ({"verdict": "FAIL"}, True),
        ({"verdict": "FAIL", "severity": "warn"}, False),
        ({"verdict": "ERROR", "severity": "warn"}, True),
        ({"verdict": "INCONCLUSIVE"}, False),
        ({"verdict": "INCONCLUSIVE", "on_inconclusive": "fail"}, True),
        ({"verdict": "INCONCLUSIVE", "on_inconclusive": "fail", "severity": "warn"}, False),
    ],
)
def test_what_bars_a_variant_does_so_whether_it_is_required_or_not(changes: dict[str, Any], bars: bool) -> None:
    (line,) = gate_file(report(metric_gate(blocking=False, **changes))).gates
    assert line.bars is bars


def test_no_text_of_model_dataset_or_exception() -> None:
    said = "##vso[task.setvariable variable=gate]open"
    gate = metric_gate(verdict="FAIL", reason=f"row 1: {said}", details=(said,))
    failed = replace(cell_result(output=said).run, error=said)
    text = dumps(document(report(gate, cells=(replace(cell_result(output=said), run=failed),))))
    assert "setvariable" not in text


def test_names_that_look_like_commands_are_broken_up() -> None:
    gate = metric_gate(cell="##vso[task.complete result=Failed]", verdict="FAIL")
    encoded = document(report(gate))
    assert encoded["reasons"] == ["FAIL matcher.exact_match_rate[# #vso[task.complete result=Failed]]"]


def test_what_is_reused_stands_under_recorded() -> None:
    gate = metric_gate(recorded=CREATED - 3600)
    encoded = document(report(gate, run_gate(), cells=(reused(cell_result()),)))
    assert encoded["recorded"] == {"oldest": "2026-08-30T10:00:00+00:00", "rows": 1, "of": 3}
    assert [line["recorded"] for line in encoded["gates"]] == ["2026-09-01T09:00:00+00:00", None]


def test_a_comparison_is_numbers() -> None:
    (line,) = document(report(unsure_gate(comparison=comparison(n=38, adjusted_p=0.6875), on_inconclusive="fail")))[
        "gates"
    ]
    assert {name: line[name] for name in NOTHING_COMPARED} == {
        "interval": {"low": 0.4461, "high": 0.7365, "level": 0.95, "method": "Wilson"},
        "margin": 0.05,
        "baseline": 0.65,
        "delta": -0.05,
        "bound": -0.1537,
        "p_value": 0.34375,
        "adjusted_p": 0.6875,
        "compared": 38,
    }
    assert (line["verdict"], line["blocking"], line["closes"]) == ("INCONCLUSIVE", True, True)


def test_where_lower_is_better_the_bound_is_the_upper_end() -> None:
    (line,) = document(report(unsure_gate(comparison=comparison(direction="lower"))))["gates"]
    assert (line["bound"], line["closes"]) == (0.0537, False)


@pytest.mark.parametrize("text", HOSTILE)
def test_neither_rows_nor_slices_are_named(text: str) -> None:
    rows = dict.fromkeys(("name", "test", "worse", "better", "added", "removed", "changed"), (text,)) | {"name": text}
    gate = unsure_gate(
        comparison=comparison(**rows),
        slices=(SliceScore(column=text, value=text, score=0.25, n=4),),
        reason=text,
        details=(text,),
    )
    assert document(report(gate)) == document(report(unsure_gate()))


def test_what_is_written_can_be_read_back() -> None:
    made = report(
        run_gate(), unsure_gate(), metric_gate(verdict="FAIL", recorded=CREATED), cells=(reused(cell_result()),)
    )
    assert from_json(GateFile, document(made)) == gate_file(made)


def test_closing_gates_and_what_else_closed_it() -> None:
    obstacle = "evals/test_a.py::test_b: test failed"
    made = report(run_gate(), metric_gate(verdict="FAIL", cell="##vso[x]"))
    made = replace(made, decision=replace(made.decision, reasons=(*made.decision.reasons, obstacle)))
    assert [line.item for line in gate_file(made).closing] == ["matcher.exact_match_rate[##vso[x]]"]
    assert gate_file(made).obstacles == (obstacle,)
