"""The lines of a run: data read and mapped to the flow's inputs with promptflow's own code, so with its results.

Imported only in worker processes, because it imports promptflow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

# What ``PFClient().run`` reads and maps data with; there is no public way to these steps.
from promptflow._sdk._orchestrator.run_submitter import RunSubmitter
from promptflow._utils.load_data import InvalidUserData
from promptflow.batch._batch_inputs_processor import BatchInputsProcessor

from pytest_llmops.engines.function.mapping import line_numbers
from pytest_llmops.engines.function.rows import read_rows
from pytest_llmops.errors import RunError
from pytest_llmops.records.run import RunRequest

Data = Path | Sequence[Mapping[str, Any]]


def map_lines(
    request: RunRequest, inputs: Mapping[str, Any], message_format: str, scratch: Path
) -> list[dict[str, Any]]:
    """Return the inputs of every line, each with its ``line_number``. ``inputs`` is promptflow's definition of them.

    Raises:
        RunError: for data that can't be read or joined.
        PromptflowException: for a mapping that reads what the data does not have.
    """
    RunSubmitter._validate_column_mapping({**request.column_mapping})
    processor = BatchInputsProcessor(request.flow.folder, inputs, request.max_rows, message_format)
    sources = {name: _load(processor, source, request.max_rows) for name, source in _sources(request, scratch).items()}
    for name, rows in sources.items():
        if not rows:
            raise RunError(f"the source '{name}' has no rows")
        # promptflow would go on without the rows that share a number with another one, or have none.
        line_numbers(name, rows)
    lines: list[dict[str, Any]] = processor._validate_and_apply_inputs_mapping(sources, {**request.column_mapping})
    return lines[: request.max_rows]


def _sources(request: RunRequest, scratch: Path) -> dict[str, Data]:
    sources: dict[str, Data] = {}
    if request.data is not None:
        sources["data"] = request.data
    if request.run_outputs or _reads_outputs(request):
        sources["run.outputs"] = _as_output_file(request.run_outputs, scratch)
    if request.run_inputs is not None:
        sources["run.inputs"] = request.run_inputs
    if not sources:
        raise RunError("the run has no data")
    return sources


def _reads_outputs(request: RunRequest) -> bool:
    mapped = map(str, request.column_mapping.values())
    return request.run_outputs is not None and any(value.startswith("${run.outputs.") for value in mapped)


def _as_output_file(outputs: Sequence[Mapping[str, Any]] | None, scratch: Path) -> Path:
    """Write a parent run's outputs as promptflow does, for reading them back changes some (``date`` columns)."""
    if not outputs:
        raise RunError("no row of the parent run completed, so there is nothing to run on")
    path = scratch / "output.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in outputs), encoding="utf-8")
    return path


def _load(processor: BatchInputsProcessor, source: Data, max_rows: int | None) -> list[Any]:
    if not isinstance(source, Path):
        return [dict(row) for row in source[:max_rows]]
    if not source.exists():
        raise RunError(f"{source.name}: no such file or folder")
    try:
        rows: list[Any] = processor._resolve_data_from_input_path(source)
    except (InvalidUserData, AttributeError, TypeError):
        # Our reader can say which line is wrong; promptflow's only that some file is, or not even that.
        read_rows(source)
        raise
    return _with_lists(rows) if source.is_dir() or source.suffix == ".parquet" else rows


def _with_lists(value: Any) -> Any:
    """Turn the arrays that Parquet's lists are read as into lists, which flows take and JSON can hold."""
    if isinstance(value, numpy.ndarray):
        return _with_lists(value.tolist())
    if isinstance(value, list):
        return [_with_lists(item) for item in value]
    return {key: _with_lists(item) for key, item in value.items()} if isinstance(value, dict) else value
