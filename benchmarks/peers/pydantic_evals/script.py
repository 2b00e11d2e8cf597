# mypy: ignore-errors
"""As its documentation has it: a dataset, evaluated and printed; the report is written to a file as well."""

import json
from pathlib import Path

from answer import answer
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected
from pydantic_evals.reporting import EvaluationReportAdapter

ROWS = [json.loads(line) for line in Path("rows.jsonl").read_text(encoding="utf-8").splitlines()]


async def task(question: str) -> str:
    return answer(question)


if __name__ == "__main__":
    cases = [Case(inputs=row["question"], expected_output=row["expected"]) for row in ROWS]
    report = Dataset(name="rows", cases=cases, evaluators=[EqualsExpected()]).evaluate_sync(task, progress=False)
    report.print()
    Path("report.json").write_bytes(EvaluationReportAdapter.dump_json(report))
