"""Column mappings against flows and data: what prompt flow would pass over in silence."""

from __future__ import annotations

import pytest
from spec_case import Case

FILE = "evals/case/experiment.yaml"
ROWS = "evals/case/data/rows.jsonl"


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("    text: ${data.text}\n    txet: ${data.text}",
         "8: datasets.rows.mappings.txet: not an input of flow 'main', so prompt flow would ignore it; "
         "did you mean 'text'?"),
        ("    text: ${data.text}\n    zzzz: ${data.text}",
         "8: datasets.rows.mappings.zzzz: not an input of flow 'main', so prompt flow would ignore it; "
         "its inputs: 'text'"),
        ("    text: ${data.txt}", f"7: datasets.rows.mappings.text: {ROWS} has no column 'txt'; did you mean 'text'?"),
        ("    text: ${data.zzzz}",
         f"7: datasets.rows.mappings.text: {ROWS} has no column 'zzzz'; its columns: 'id', 'text'"),
        ("    text: ${data:text}",
         "7: datasets.rows.mappings.text: '${data:text}' can't be resolved; write ${data.<column>}"),
        ("    text: ${data}", "7: datasets.rows.mappings.text: '${data}' can't be resolved; write ${data.<column>}"),
        ("    text: say ${data.text}",
         "7: datasets.rows.mappings.text: 'say ${data.text}' is plain text to prompt flow: "
         "'${...}' must be all of the value; write ${data.<column>}"),
        ("    text: ${run.outputs.answer}",
         "7: datasets.rows.mappings.text: '${run.outputs.answer}' has no run to read: only evaluators follow a run; "
         "write ${data.<column>}"),
        ("    text: always this",
         "6: datasets.rows.mappings: reads no column, so that every row would be the same; "
         "map an input to a column: write ${data.<column>}"),
    ],
)  # fmt: skip
def test_mapping_of_a_run(case: Case, new: str, message: str) -> None:
    case.edit("experiment.yaml", "    text: ${data.text}", new)

    assert case.errors() == [f"{FILE}:{message}"]


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("answer: ${run.outputs.anser}",
         "17: evaluators.score.datasets.gold.mappings.answer: flow 'main' has no output 'anser'; "
         "did you mean 'answer'?"),
        ("answer: ${run.inputs.text}",
         "14: evaluators.score.datasets.gold.mappings: reads nothing of the run that it evaluates; "
         "map an input to ${run.outputs.<output>}, outputs: 'answer'"),
        ("answer: ${run.output.answer}",
         "17: evaluators.score.datasets.gold.mappings.answer: '${run.output.answer}' can't be resolved; "
         "write ${data.<column>}, ${run.outputs.<output>} or ${run.inputs.<column>}"),
        ("answer: ${run.outputs.answer}\n      more: ${run.inputs.txt}",
         f"18: evaluators.score.datasets.gold.mappings.more: {ROWS} has no column 'txt'; did you mean 'text'?"),
    ],
)  # fmt: skip
def test_mapping_of_an_evaluator(case: Case, new: str, message: str) -> None:
    case.edit("experiment.yaml", "answer: ${run.outputs.answer}", new)
    case.edit("flows/score/flow.dag.yaml", "outputs:\n", "  more: {type: string, default: x}\noutputs:\n")

    assert case.errors() == [f"{FILE}:{message}"]


def test_line_numbers_may_be_mapped(case: Case) -> None:
    case.edit(
        "experiment.yaml", "      mode: strict\n", "      mode: strict\n      line_number: ${run.outputs.line_number}\n"
    )

    assert case.load().warnings == ()


def test_required_input_that_neither_mapping_nor_data_gives(case: Case) -> None:
    case.edit("flows/main/flow.dag.yaml", "outputs:\n", "  tone: {type: string}\noutputs:\n")

    assert case.errors() == [
        f"{FILE}:6: datasets.rows.mappings: input 'tone' of flow 'main' is not mapped, and {ROWS} has no such column; "
        "map it, columns: 'id', 'text'"
    ]


def test_required_input_is_read_from_the_column_of_its_name(case: Case) -> None:
    case.edit("experiment.yaml", "  mappings:\n    text: ${data.text}\n", "  mappings:\n")

    assert case.load().datasets[0].mappings == {}


def test_nothing_mapped_and_only_defaults(case: Case) -> None:
    case.edit("experiment.yaml", "  mappings:\n    text: ${data.text}\n", "  mappings: {}\n")
    case.write("data/rows.jsonl", '{"id": 1}\n{"id": 2}\n{"id": 3}\n')
    case.edit("flows/main/flow.dag.yaml", "  text:\n    type: string\n", "  text:\n    type: string\n    default: x\n")

    assert case.errors() == [
        f"{FILE}:6: datasets.rows.mappings: reads no column, so that every row would be the same; "
        "map an input to a column: write ${data.<column>}"
    ]


def test_default_of_an_evaluator_is_a_warning_and_strictly_an_error(case: Case) -> None:
    case.edit("experiment.yaml", "      mode: strict\n", "")
    case.edit("experiment.yaml", "- name: score\n", "- name: score\n  thresholds: {a: '> 0'}\n")
    message = (
        f"{FILE}:15: evaluators.score.datasets.gold.mappings: input 'mode' of flow 'score' is not mapped, "
        "so it is always 'strict'; map it"
    )

    assert case.load().warnings == (message,)
    assert case.errors(strict=True) == [message]


def test_default_hides_the_column_of_the_same_name(case: Case) -> None:
    case.edit("flows/main/flow.dag.yaml", "outputs:\n", "  id: {type: int, default: 7}\noutputs:\n")

    assert case.load().warnings == (
        f"{FILE}:6: datasets.rows.mappings: input 'id' of flow 'main' is not mapped, so it is always 7; "
        "write id: ${data.id}, the column alone is ignored",
    )


def test_column_that_some_rows_lack(case: Case) -> None:
    case.write("data/rows.jsonl", '{"id": 1, "text": "one"}\n{"id": 2}\n{"id": 3, "text": "three"}\n')

    assert case.load().warnings == (
        f"{FILE}:7: datasets.rows.mappings.text: 1 of the 3 rows of {ROWS} lack column 'text', first row 2; "
        "prompt flow reads NaN there: give each row a value, if only null",
    )


def test_outputs_of_aggregation_are_no_outputs_of_a_row(case: Case) -> None:
    case.edit("flows/main/flow.dag.yaml", "nodes:\n", "nodes:\n- {name: sum, inputs: {a: 1}, aggregation: true}\n")
    case.edit("flows/main/flow.dag.yaml", "outputs:\n", "outputs:\n  sum: {type: int, reference: '${sum.output}'}\n")
    case.edit("experiment.yaml", "${run.outputs.answer}", "${run.outputs.sum}")

    assert case.errors() == [
        f"{FILE}:17: evaluators.score.datasets.gold.mappings.answer: flow 'main' has no output 'sum'; "
        "its outputs: 'answer'"
    ]
