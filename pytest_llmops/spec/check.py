"""Whether a column mapping fits the flow that reads it and the data that it reads.

Prompt flow itself ignores what it doesn't know, falls back to defaults, or fails the whole run: here it is said first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmops.records.experiment import Flow, Port
from pytest_llmops.spec.data import Table
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.flows import FlowFacts
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.suggest import listing, short, suggest

# Prompt flow's own pattern: anything else is a constant, and a column name may have dots.
_REFERENCE = re.compile(r"^\${([^{}]+)}$")
_LINE_NUMBER = "line_number"

_Origin = Literal["data", "run.outputs", "run.inputs"]
_ORIGINS: tuple[_Origin, ...] = ("data", "run.outputs", "run.inputs")
_WRITE_DATA = "write ${data.<column>}"
_WRITE_ANY = "write ${data.<column>}, ${run.outputs.<output>} or ${run.inputs.<column>}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSide:
    """What an evaluator can read of a run: None where it isn't known."""

    flow: str
    outputs: tuple[str, ...] | None
    inputs: Table | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A flow reading a dataset. ``path`` is the dataset's in the document; ``run`` is None where there is no parent."""

    path: KeyPath
    facts: FlowFacts
    mappings: Mapping[str, Any]
    data: Table | None
    run: RunSide | None = None


class MappingChecker:
    """Checks one binding."""

    def __init__(self, binding: Binding, report: Reporter) -> None:
        self._binding = binding
        self._flow = binding.facts.flow
        self._report = report
        self._path: KeyPath = (*binding.path, "mappings")

    def check(self) -> None:
        """Report everything that does not fit."""
        for name, value in self._binding.mappings.items():
            self._check_input(name)
            if isinstance(value, str):
                self._check_value(value, (*self._path, name))
        self._check_that_rows_matter()
        for port in self._flow.inputs.values():
            if port.name not in self._binding.mappings:
                self._check_unmapped(port)

    def _check_input(self, name: str) -> None:
        if not takes(self._flow, name):
            what = f"not an input of flow '{self._flow.name}', so prompt flow would ignore it"
            self._report.error((*self._path, name), what, suggest(name, self._flow.inputs, "its inputs"))

    def _check_value(self, value: str, path: KeyPath) -> None:
        if "${" not in value:
            return
        inner = _reference(value)
        write = _WRITE_ANY if self._binding.run else _WRITE_DATA
        if inner is None:
            self._report.error(
                path, f"{short(value)} is plain text to prompt flow: '${{...}}' must be all of the value", write
            )
            return
        origin, name = _split(inner)
        if origin is None:
            self._report.error(path, f"{value.strip()!r} can't be resolved", write)
        elif origin == "data":
            self._check_column(self._binding.data, name, path)
        elif self._binding.run is None:
            self._report.error(path, f"{value.strip()!r} has no run to read: only evaluators follow a run", write)
        elif origin == "run.inputs":
            self._check_column(self._binding.run.inputs, name, path)
        else:
            self._check_output(self._binding.run, name, path)

    def _check_column(self, table: Table | None, name: str, path: KeyPath) -> None:
        if table is None or table.rows == 0:
            return
        if name not in table.columns:
            self._report.error(
                path, f"{table.file} has no column {name!r}", suggest(name, table.columns, "its columns")
            )
        elif name in table.gaps:
            gap = table.gaps[name]
            what = f"{gap.rows} of the {table.rows} rows of {table.file} lack column {name!r}, first row {gap.first}"
            todo = "prompt flow reads NaN there: give each row a value, if only null"
            self._report.doubt(path, what, todo)

    def _check_output(self, run: RunSide, name: str, path: KeyPath) -> None:
        if run.outputs is not None and name not in (*run.outputs, _LINE_NUMBER):
            todo = suggest(name, run.outputs, "its outputs")
            self._report.error(path, f"flow '{run.flow}' has no output {name!r}", todo)

    def _check_that_rows_matter(self) -> None:
        if self._binding.run:
            self._check_that_run_matters(self._binding.run)
        elif self._reads_nothing():
            what = "reads no column, so that every row would be the same"
            self._report.error(self._path, what, f"map an input to a column: {_WRITE_DATA}")

    def _check_that_run_matters(self, run: RunSide) -> None:
        origins = set(map(_origin, self._binding.mappings.values()))
        # What can't be resolved was reported, and may well have been meant for the run.
        if not origins & {"run.outputs", "unresolved"}:
            known = f", outputs: {listing(run.outputs)}" if run.outputs else ""
            todo = f"map an input to ${{run.outputs.<output>}}{known}"
            self._report.error(self._path, "reads nothing of the run that it evaluates", todo)

    def _reads_nothing(self) -> bool:
        mappings = self._binding.mappings
        if mappings:
            # Prompt flow refuses a mapping of constants, even where an unmapped input would read the data.
            return not any(isinstance(value, str) and "${" in value for value in mappings.values())
        return bool(self._flow.inputs) and not any(port.required for port in self._flow.inputs.values())

    def _check_unmapped(self, port: Port) -> None:
        table = self._binding.data
        has_column = table is not None and port.name in table.columns
        if port.required:
            if table is not None and table.rows and not has_column:
                flow = self._flow.name
                what = f"input {port.name!r} of flow '{flow}' is not mapped, and {table.file} has no such column"
                self._report.error(self._path, what, f"map it, columns: {listing(table.columns)}")
            return
        if not (self._binding.run or has_column):
            return
        what = f"input {port.name!r} of flow '{self._flow.name}' is not mapped, so it is always {short(port.default)}"
        todo = f"write {port.name}: ${{data.{port.name}}}, the column alone is ignored" if has_column else "map it"
        self._report.doubt(self._path, what, todo)


def takes(flow: Flow, name: str) -> bool:
    """Tell whether a flow may have an input of that name."""
    return flow.open_inputs or name in flow.inputs or name == _LINE_NUMBER


def _split(inner: str) -> tuple[_Origin | None, str]:
    for origin in _ORIGINS:
        if inner.startswith(f"{origin}.") and len(inner) > len(origin) + 1:
            return origin, inner[len(origin) + 1 :]
    return None, inner


def _reference(value: object) -> str | None:
    """Return what is inside of ``${...}`` where that is all of the value."""
    match = _REFERENCE.search(value) if isinstance(value, str) else None
    return match[1] if match else None


def _origin(value: object) -> _Origin | Literal["unresolved"] | None:
    if not isinstance(value, str) or "${" not in value:
        return None
    inner = _reference(value)
    return (_split(inner)[0] if inner else None) or "unresolved"
