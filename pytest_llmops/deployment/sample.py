"""The request that a deployment is tested with: a file, such as ``sample-request.json``, or the data's first row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_llmops.engines.function.mapping import map_columns
from pytest_llmops.engines.function.rows import read_rows
from pytest_llmops.records.deployment import Release
from pytest_llmops.records.experiment import Experiment, Flow
from pytest_llmops.spec.files import read_text
from pytest_llmops.spec.findings import Findings, Reporter
from pytest_llmops.spec.json_reader import read_json
from pytest_llmops.spec.positions import Document
from pytest_llmops.spec.resolve import Paths
from pytest_llmops.spec.suggest import suggest


def check_sample(file: Path, flow: Flow, paths: Paths, findings: Findings, *, named: Release) -> None:
    """Check a sample request against the flow's inputs: what serves a flow ignores keys that it does not know.

    ``named`` is the release that names the file. As it is sent away, it has to be one of the repository.
    """
    shown = paths.show(file)
    if not file.resolve().is_relative_to(_repository(paths)):
        what = f"{file} is outside of the repository, and would be sent to the endpoint"
        findings.error(named.problem("sample", what, "name a file of the repository"))
        return
    if not file.is_file():
        findings.error(named.problem("sample", f"there is no file {shown}", "correct the path"))
        return
    text = read_text(file, shown, findings)
    document = read_json(text, shown, findings) if text is not None else None
    if document and not isinstance(document.value, dict):
        findings.error(document.problem((), "is not an object", "write an object with the inputs of the flow"))
    elif document:
        _check_inputs(document, flow, Reporter(document, findings))


def _repository(paths: Paths) -> Path:
    """Return the folder of the repository; where there is none, the one that files are named from."""
    base, root = paths.base.resolve(), paths.root.resolve()
    marked = (folder for folder in (base, *base.parents) if (folder / ".git").exists())
    return next(marked, root if base.is_relative_to(root) else base)


def _check_inputs(document: Document, flow: Flow, report: Reporter) -> None:
    for name in document.value if not flow.open_inputs else ():
        if name not in flow.inputs:
            todo = suggest(name, flow.inputs, "its inputs")
            report.error((name,), f"flow '{flow.name}' has no such input", todo)
    for name, port in flow.inputs.items():
        if port.required and name not in document.value:
            report.error((), f"input {name!r} of flow '{flow.name}' is missing", "add it")


def first_request(experiment: Experiment) -> Mapping[str, Any] | None:
    """Make a request of the first row of the first dataset whose file is here; None where there is none.

    Raises:
        RunError: where the file can't be read, or lacks a column.
    """
    required = [name for name, port in experiment.flow.inputs.items() if port.required]
    for dataset in experiment.datasets:
        if dataset.source:
            rows = read_rows(dataset.source)[:1]
            return map_columns({"data": rows}, dataset.mappings, required=required)[0][1]
    return None
