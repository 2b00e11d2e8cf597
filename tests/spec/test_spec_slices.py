"""Slices: their thresholds, and the columns that rows are grouped by."""

from __future__ import annotations

import pytest
from spec_case import Case

FILE = "evals/case/experiment.yaml"


def slice_by(case: Case, by: str, thresholds: str = "{score.f1: '>= 0.6'}") -> None:
    """Set the slices on line 19, their columns on 20 and their thresholds on 21."""
    case.append(f"llmops:\n  slices:\n    by: {by}\n    thresholds: {thresholds}\n")


def test_one_threshold_for_each_metric_and_column(case: Case) -> None:
    slice_by(case, "[label, id, label]", "{score.f1: '>= 0.6', run.error_rate: {max: 0.5, severity: warn}}")
    experiment = case.load()

    assert experiment.slices == ("label", "id")
    assert [(t.name, t.by, t.rule.text, t.severity) for t in experiment.thresholds] == [
        ("score.f1@label", "label", ">= 0.6", "fail"),
        ("score.f1@id", "id", ">= 0.6", "fail"),
        ("run.error_rate@label", "label", "<= 0.5", "warn"),
        ("run.error_rate@id", "id", "<= 0.5", "warn"),
    ]
    assert {(t.file, t.line) for t in experiment.thresholds} == {(FILE, 21)}


def test_slices_beside_a_threshold_of_the_same_metric(case: Case) -> None:
    slice_by(case, "[label]")
    case.append("  thresholds: {score.f1: '>= 0.5'}\n")

    assert [threshold.name for threshold in case.load().thresholds] == ["score.f1", "score.f1@label"]


def test_slices_without_thresholds_are_only_looked_at(case: Case) -> None:
    case.append("llmops:\n  slices: {by: [label]}\n")

    assert (case.load().slices, case.load().thresholds) == (("label",), ())


def test_an_overlay_changes_slices_key_by_key(case: Case) -> None:
    slice_by(case, "[label]")
    case.write("experiment.dev.yaml", "llmops:\n  slices: {by: [id]}\n")

    assert [threshold.name for threshold in case.load(env="dev").thresholds] == ["score.f1@id"]


def test_values_of_the_columns_are_kept(case: Case) -> None:
    case.edit("experiment.yaml", "    source: gold.jsonl\n", "    source: gold.jsonl\n    key: id\n")
    slice_by(case, "[label]")
    case.append("  gate: {cluster: text}\n")
    experiment = case.load()

    assert experiment.datasets[0].kept == {"id": (1, 2, 3), "text": ("one", "two", "three")}
    assert experiment.evaluators[0].datasets[0].kept == {"id": (1, 2, 3), "label": ("a", "b", "c")}


@pytest.mark.parametrize(
    ("by", "thresholds", "message"),
    [
        ("[labl]", "{}", "20: llmops.slices.by.0: neither dataset 'rows' nor its gold rows have a column 'labl'; "
         "did you mean 'label'?"),
        ("[labl]", "{score.f1: '> 0'}", "20: llmops.slices.by.0: neither dataset 'rows' nor its gold rows have a "
         "column 'labl'; did you mean 'label'?"),
        ("[]", "{}", "20: llmops.slices.by: is empty; give it a value or remove it"),
        ("label", "{}", "20: llmops.slices.by: expected a list, but YAML reads this as the text 'label'; correct it"),
        ("[label]", "{scor.f1: '> 0'}",
         "21: llmops.slices.thresholds.scor.f1: there is no evaluator 'scor'; did you mean 'score'?"),
        ("[label]", "{score.f1: {min: 1, margin: 0.1}}", "21: llmops.slices.thresholds.score.f1.margin: "
         "not a key of a threshold for slices; remove it: slices only have min, max and severity"),
        ("[label]", "{score.f1: {min: 1, maxi: 0.1}}",
         "21: llmops.slices.thresholds.score.f1.maxi: unknown key; did you mean 'max'?"),
        ("[label]", "{score.f1: {severity: warn}}", "21: llmops.slices.thresholds.score.f1: a rule needs 'min' or "
         "'max'; write '>= 0.8', '< 5', '== 1', '>= 80 %', '<= 3 s', '>= 0.7 and <= 0.9', or {min: 0.8, max: 1}"),
        ("[label, id]", "{run.latency_p95: '<= 3 s'}", "21: llmops.slices.thresholds.run.latency_p95: only metrics "
         "with a score per row have slices, and 'run.latency_p95' has none; remove it"),
    ],
)  # fmt: skip
def test_slices_that_can_not_be(case: Case, by: str, thresholds: str, message: str) -> None:
    slice_by(case, by, thresholds)

    assert case.errors() == [f"{FILE}:{message}"]


def test_columns_are_those_of_the_evaluator_that_the_threshold_is_for(case: Case) -> None:
    case.append("- {name: other, flow: score, datasets: [{name: rows, mappings: {label: '${data.text}', mode: x, "
                "answer: '${run.outputs.answer}'}}]}\n")  # fmt: skip
    case.append("llmops:\n  slices: {by: [label], thresholds: {score.f1: '> 0', other.f1: '> 0'}}\n")

    assert case.errors() == [
        f"{FILE}:20: other.f1@label: neither dataset 'rows' nor the evaluator's gold rows for it have a column "
        "'label'; their columns: 'id', 'text'"
    ]


def test_columns_of_files_that_are_not_looked_into_are_taken_to_be_there(case: Case) -> None:
    case.write("data/rows.parquet", "PAR1")
    case.edit("experiment.yaml", "source: rows.jsonl", "source: rows.parquet")
    slice_by(case, "[anything]")

    assert case.load().slices == ("anything",)


def test_names_that_two_thresholds_would_have(case: Case) -> None:
    slice_by(case, "[label]")
    case.append("  thresholds: {score.f1@label: '>= 0.5'}\n")

    assert case.errors() == [
        f"{FILE}:21: llmops.slices.thresholds.score.f1: another threshold is named 'score.f1@label' too; "
        "rename the metric or the column"
    ]
