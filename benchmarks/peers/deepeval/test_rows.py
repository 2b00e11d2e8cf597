# mypy: ignore-errors
"""As its documentation has it for CI: ``deepeval test run``, a test per row."""

import json
from pathlib import Path

import pytest
from answer import answer
from deepeval import assert_test
from deepeval.metrics import ExactMatchMetric
from deepeval.test_case import LLMTestCase

ROWS = [json.loads(line) for line in Path("rows.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_row(row):
    case = LLMTestCase(input=row["question"], actual_output=answer(row["question"]), expected_output=row["expected"])
    assert_test(case, [ExactMatchMetric()], run_async=False)
