# mypy: ignore-errors
"""As its documentation has it: a test per row, and an analysis of all of them."""

import json
from pathlib import Path

import pytest
from answer import answer

ROWS = [json.loads(line) for line in Path("rows.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.eval(name="rows")
@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_row(row, eval_bag):
    eval_bag.prediction = answer(row["question"])
    eval_bag.correct = eval_bag.prediction == row["expected"]


@pytest.mark.eval_analysis(name="rows")
def test_accuracy(eval_results):
    assert sum(result.result.correct for result in eval_results) / len(eval_results) >= 0.9
