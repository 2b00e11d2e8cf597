# mypy: ignore-errors
"""As its documentation has it for scripts: ``evaluate`` of a list of cases."""

import json
from pathlib import Path

from answer import answer
from deepeval import evaluate
from deepeval.metrics import ExactMatchMetric
from deepeval.test_case import LLMTestCase

ROWS = [json.loads(line) for line in Path("rows.jsonl").read_text(encoding="utf-8").splitlines()]

if __name__ == "__main__":
    cases = [
        LLMTestCase(input=row["question"], actual_output=answer(row["question"]), expected_output=row["expected"])
        for row in ROWS
    ]
    evaluate(cases, [ExactMatchMetric()])
