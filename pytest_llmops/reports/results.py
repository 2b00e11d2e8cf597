"""results.json: everything a session found out, from which it can be decided again with other thresholds.

What differs between two sessions on the same inputs stands under the keys ``created``, ``duration`` and ``recorded``
alone, so that a comparison can drop them. The order of everything else does not depend on what ran when, or where.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_llmops.engines.depth import DEEPEST
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.decoding import from_json
from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.gate import CellResult, Evaluation
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import RunResult

SCHEMA_VERSION = 1
FILE = "results.json"

# A value of a flow as deep as can be, inside of the records around it, of which there are ten.
_DEEPEST = DEEPEST + 20


def document(report: Report) -> dict[str, Any]:
    """Turn a report into JSON values, in an order of its own."""
    known: dict[str, Any] = to_json(ordered(report))
    first = ("created", "versions", "settings", "experiments", "subjects", "baselines", "shard")
    return {"schema_version": SCHEMA_VERSION} | {name: known[name] for name in (*first, "decision", "gates", "cells")}


def parse(document: object, source: str = FILE) -> Report:
    """Turn JSON values back into the report, ordered as ``ordered`` has it. ``source`` names them in messages.

    Values of flows keep their JSON form: a NaN that a flow logged comes back as the text ``NaN``, a tuple as a list.

    Raises:
        LLMOpsError: for another schema version, or anything that is not a whole report.
    """
    if not isinstance(document, Mapping) or "schema_version" not in document:
        raise LLMOpsError(f"{source}: not the results of a session: schema_version is missing")
    found = document["schema_version"]
    if found != SCHEMA_VERSION:
        raise LLMOpsError(
            f"{source}: schema_version is {found!r}, this version of pytest-llmops reads {SCHEMA_VERSION}; "
            "run the evaluation again"
        )
    if _is_too_deep(document):
        raise LLMOpsError(f"{source}: not a whole report (nested too deeply); run the evaluation again")
    try:
        return from_json(Report, {key: value for key, value in document.items() if key != "schema_version"})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise LLMOpsError(f"{source}: not a whole report ({error}); run the evaluation again") from None


def read(path: Path) -> Report:
    """Read a results.json.

    Raises:
        LLMOpsError: where the file is missing, torn, or of another schema version.
    """
    try:
        return parse(json.loads(path.read_bytes()), str(path))
    except OSError as error:
        raise LLMOpsError(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise LLMOpsError(f"{path}: not valid JSON ({why}); run the evaluation again") from None


def _is_too_deep(document: object) -> bool:
    level: list[Any] = [document]
    for _ in range(_DEEPEST):
        below = (item.values() if type(item) is dict else item for item in level)
        level = [item for items in below for item in items if type(item) is dict or type(item) is list]
        if not level:
            return False
    return True


def ordered(report: Report) -> Report:
    """Sort all that may arrive in any order: experiments, cells, gates, reasons, evaluations, rows, cassette misses."""
    cells = sorted(report.cells, key=lambda result: (result.cell.experiment, result.cell.id))
    return replace(
        report,
        experiments=dict(sorted(report.experiments.items())),
        baselines=dict(sorted(report.baselines.items())),
        subjects=dict(sorted(report.subjects.items())),
        settings=dict(sorted(report.settings.items())),
        versions=dict(sorted(report.versions.items())),
        decision=replace(report.decision, reasons=tuple(sorted(report.decision.reasons))),
        cells=tuple(_ordered_cell(result) for result in cells),
        gates=tuple(sorted(report.gates, key=lambda gate: (gate.experiment, gate.cell, gate.name))),
    )


def _ordered_cell(result: CellResult) -> CellResult:
    return replace(
        result,
        run=_ordered_run(result.run),
        evaluations=_ordered_evaluations(result.evaluations),
        repeats=tuple(
            replace(repeat, run=_ordered_run(repeat.run), evaluations=_ordered_evaluations(repeat.evaluations))
            for repeat in result.repeats
        ),
        columns=dict(sorted(result.columns.items())),
    )


def _ordered_evaluations(evaluations: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    return {
        name: replace(evaluation, result=_ordered_run(evaluation.result))
        for name, evaluation in sorted(evaluations.items())
    }


def _ordered_run(run: RunResult) -> RunResult:
    rows = sorted(run.rows, key=lambda row: row.line_number)
    misses = sorted(run.misses, key=lambda miss: (miss.cassette, miss.request, miss.nearest))
    return replace(run, rows=tuple(rows), misses=tuple(misses))
