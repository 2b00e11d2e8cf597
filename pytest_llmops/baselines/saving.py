"""Makes a baseline of what a session found out about one experiment: a file that is small, and good to read in a diff.

It has the format of ``results.json``, without what has its default value, and without what is of that session alone:
times at which outcomes were recorded, what is below a tenth of a millisecond, and the details of gates.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from pytest_llmops.baselines.reading import shown
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.records.gate import CellResult, Evaluation, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import RunResult
from pytest_llmops.regating import REGATED, THRESHOLDS, outdated, regate
from pytest_llmops.reports import results
from pytest_llmops.reports.verdicts import headline
from pytest_llmops.reports.write import write_file
from pytest_llmops.stats.gates import decide, obstacles_of
from pytest_llmops.stats.joining import SAVE_COMMAND

_SETTINGS = ("env", "llm", "max-rows", "variants", "repeat", THRESHOLDS, REGATED)
_PARTIAL = ("max-rows", "variants", "shard")
_WIDTH = 160
FORCED = "forced"


def default_output(experiment: Experiment) -> Path:
    """Tell where the baseline of an experiment is saved: where it is looked for, else below the experiment's folder.

    Raises:
        LLMOpsError: where it is looked for in the reports of another session, which are not to be touched.
    """
    source = experiment.baseline.path if experiment.baseline else None
    if source is not None and (source.suffix != ".json" or source.name == results.FILE):
        raise LLMOpsError(f"{shown(source)}: this baseline is what another session wrote; name a file with --output")
    return source or experiment.folder / "baselines" / f"{experiment.name}.json"


def save(report: Report, path: str, experiment: Experiment, output: Path, *, force: bool = False) -> Report:
    """Save what a session found out about the experiment at ``path`` as a baseline, and return what was saved.

    A gate that is closed for want of a baseline alone does not count against it. The commit is the one that the session
    was of.

    Raises:
        LLMOpsError: where the session had no open gate, was limited to a part, had other thresholds than the file or is
            of another version than what is there now, unless ``force`` is given; where it has nothing of the
            experiment; where the file can't be written, or holds something else.
    """
    _check_target(output)
    report = replace(report, baselines={}, shard=None)  # the settings tell of a shard
    cells = [result for result in report.cells if result.cell.experiment == path]
    if not cells:
        raise LLMOpsError(f"{path}: the session has no results of it; run pytest on it")
    reasons = list(_reasons_against(report, path, experiment))
    if reasons and not force:
        lines = "".join(f"\n  {reason}" for reason in reasons)
        raise LLMOpsError(f"{path}: not good enough for a baseline; make it so, or save it with --force:{lines}")
    gates = tuple(_bare(gate) for gate in report.gates if gate.experiment == path)
    baseline = replace(
        report,
        experiments={path: experiment.name},
        cells=tuple(_without_times(result) for result in cells),
        gates=gates,
        decision=decide(gates, _obstacles(report, path)),
        settings={
            **{name: report.settings[name] for name in _SETTINGS if name in report.settings},
            **({FORCED: "true"} if reasons else {}),
        },
    )
    write_file(Path(shown(output)), _text(baseline), "name another file with --output")
    return baseline


def _reasons_against(report: Report, path: str, experiment: Experiment) -> Iterator[str]:
    closing = [gate for gate in report.gates if gate.experiment == path and gate.closes_gate()]
    excused = _good_enough(report, path, experiment) if any(map(_lacks_baseline, closing)) else set()
    for gate in closing:
        if not (_lacks_baseline(gate) and gate.item in excused):
            yield headline(gate)
    yield from _obstacles(report, path)
    for name in _PARTIAL:
        if name in report.settings:
            yield f"the session was limited to a part: {name} {report.settings[name]}"
    if THRESHOLDS in report.settings:
        yield f"thresholds were given on the command line: {report.settings[THRESHOLDS]}"
    if REGATED in report.settings:
        yield "it was decided again since the session; run pytest again"
    yield from outdated(report, path, experiment)


def _lacks_baseline(gate: GateResult) -> bool:
    """Tell whether a gate could not be decided because there is nothing that it could be compared with."""
    return gate.verdict == "ERROR" and gate.comparison is None and SAVE_COMMAND in gate.reason


def _good_enough(report: Report, path: str, experiment: Experiment) -> set[str]:
    """Return the items that pass all that is demanded of them apart from comparisons."""
    alone = [replace(threshold, margin=None, keep_passing=False) for threshold in experiment.thresholds]
    agreements = {threshold.name for threshold in alone if threshold.is_agreement}
    kept = tuple(threshold for threshold in alone if threshold.name not in agreements)
    again = regate(report, {path: replace(experiment, thresholds=kept)})
    compared = {gate.item for gate in report.gates if gate.experiment == path and gate.name in agreements}
    return compared | {gate.item for gate in again.gates if not gate.closes_gate()}


def _obstacles(report: Report, path: str) -> Iterator[str]:
    """Yield what closed the session's gate beside verdicts, apart from what is about other experiments."""
    others = tuple(f"{other}:" for other in report.experiments if other != path)
    yield from (reason for reason in obstacles_of(report) if not reason.startswith(others))


def _bare(gate: GateResult) -> GateResult:
    return replace(
        gate, details=(), recorded=None, comparison=None, slices=(), file="", line=0, low=None, high=None, score=""
    )


def _without_times(result: CellResult) -> CellResult:
    repeats = (
        replace(repeat, run=_timeless(repeat.run), evaluations=_timeless_evaluations(repeat.evaluations))
        for repeat in result.repeats
    )
    return replace(
        result,
        run=_timeless(result.run),
        evaluations=_timeless_evaluations(result.evaluations),
        repeats=tuple(repeats),
    )


def _timeless_evaluations(evaluations: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    return {name: replace(evaluation, result=_timeless(evaluation.result)) for name, evaluation in evaluations.items()}


def _timeless(run: RunResult) -> RunResult:
    rows = (replace(row, recorded=None, duration=round(row.duration, 4)) for row in run.rows)
    return replace(run, rows=tuple(rows), duration=round(run.duration, 4), recorded=None)


def _text(report: Report) -> str:
    document = {"schema_version": results.SCHEMA_VERSION, **_compact(results.ordered(report))}
    return _spread(document) + "\n"


def _spread(value: Any, indent: str = "") -> str:
    """Write JSON with as much on a line as fits, so that a row that changed is a line that changed."""
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(indent) + len(flat) <= _WIDTH or not isinstance(value, (dict, list)):
        return flat
    inner = indent + " "
    if isinstance(value, dict):
        lines = [f"{json.dumps(key, ensure_ascii=False)}: {_spread(item, inner)}" for key, item in value.items()]
    else:
        lines = [_spread(item, inner) for item in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return f"{begin}\n{inner}" + f",\n{inner}".join(lines) + f"\n{indent}{end}"


def _compact(value: Any) -> Any:
    """Turn records into JSON values without the fields that have their default value."""
    if is_dataclass(value):
        return {f.name: _compact(getattr(value, f.name)) for f in fields(value) if not _is_default(f, value)}
    if isinstance(value, tuple):
        return [_compact(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _compact(item) for key, item in value.items()}
    return to_json(value)


def _is_default(field: Field[Any], record: object) -> bool:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return bool(getattr(record, field.name) == default)


def _check_target(file: Path) -> None:
    """Refuse to overwrite what is no baseline.

    Raises:
        LLMOpsError: that says what is in the way.
    """
    if file.suffix != ".json":
        raise LLMOpsError(f"{shown(file)}: a baseline is a file that ends in .json; name one with --output")
    if os.path.lexists(file) and not _is_results(file):
        what = f"{shown(file)}: it is there and is no baseline, so it is not overwritten"
        raise LLMOpsError(f"{what}; name another file with --output")


def _is_results(file: Path) -> bool:
    try:
        return file.is_file() and bool(results.read(file))
    except LLMOpsError:
        return False
