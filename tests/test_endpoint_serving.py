"""The endpoint backend on ``pf flow serve``: the same outputs and metrics as where the flow is executed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pf_serve import pf_serve

import pytest_llmops as llmops

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NER = ROOT / "evals" / "ner" / "experiment.yaml"
FLOW = ROOT / "flows" / "ner_extract"
CASSETTE = ROOT / "evals" / "ner" / "cassettes" / "ner_extract.json"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with pf_serve(FLOW, CASSETTE, ["local_llm"]) as served:
        yield served


def test_an_endpoint_has_the_metrics_of_a_local_run(url: str) -> None:
    experiment = llmops.load(NER)
    local = llmops.evaluate(experiment, variants="defaults")
    served = llmops.evaluate(experiment, backend="endpoint", endpoint=url)
    assert [cell.cell.id for cell in served.cells] == [cell.cell.id for cell in local.cells]
    for here, there in zip(local.cells, served.cells, strict=True):
        assert len(there.run.rows) == 40
        assert [row.output for row in there.run.rows] == [row.output for row in here.run.rows]
        assert [row.inputs for row in there.run.rows] == [row.inputs for row in here.run.rows]
        assert there.evaluations["matcher"].result.metrics == here.evaluations["matcher"].result.metrics
        assert all(row.duration > 0 for row in there.run.rows)
    assert [(gate.item, gate.verdict, gate.value) for gate in served.gates] == [
        (gate.item, gate.verdict, gate.value) for gate in local.gates
    ]
    comparison = served.compare(local)
    assert all(cell.rows.same_outputs for cell in comparison.cells)


def test_a_server_that_still_starts_is_waited_for() -> None:
    with pf_serve(FLOW, CASSETTE, ["local_llm"], wait=False) as url:
        results = llmops.evaluate(llmops.load(NER), backend="endpoint", endpoint=url, max_rows=2)
    assert {len(cell.run.completed) for cell in results.cells} == {2}


def test_an_answer_that_no_cassette_has_fails_its_row(url: str, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"text": "Nobody recorded this."}\n', encoding="utf-8")
    (tmp_path / "experiment.yaml").write_text(
        f"name: ner\nflow: {FLOW}\ndatasets:\n"
        "- {name: rows, source: rows.jsonl, mappings: {text: '${data.text}'}}\n"
        "connections:\n- {name: local_llm, connection_type: OpenAIConnection, api_key: k}\n",
        encoding="utf-8",
    )
    results = llmops.evaluate(llmops.load(tmp_path / "experiment.yaml"), backend="endpoint", endpoint=url)
    (row,) = results.cells[0].run.rows
    assert row.error is not None
    assert row.error.startswith("4")
    assert results.decision.state == "closed"
