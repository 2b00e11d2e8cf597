"""How far a run gave what another one gave: for each row that both have, whether the outputs are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from pytest_llmops.records.experiment import AGREEMENT, RUN, Experiment
from pytest_llmops.records.gate import CellResult
from pytest_llmops.records.run import Row, RunResult
from pytest_llmops.stats.against_baseline import Reference, other_rows
from pytest_llmops.stats.integrity import run_problems
from pytest_llmops.stats.joining import (
    Joined,
    Words,
    join,
    output_texts,
    refusal,
    same_output,
    same_outputs,
)
from pytest_llmops.stats.measuring import Measurement, cluster_problem
from pytest_llmops.stats.rows import described, short
from pytest_llmops.stats.untold import untold_inputs

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What outputs were compared with. ``measured`` is the share of rows whose outputs are the same, a score for each.

    ``differing`` describes rows that differ, with both outputs. ``joined`` names those that were not compared.
    """

    reference: Reference
    measured: Measurement
    differing: tuple[str, ...] = ()
    joined: Joined = field(default_factory=Joined)


def agreement(result: CellResult, experiment: Experiment, reference: Reference) -> Agreement:
    """Compare outputs by the names that the reference has; what a run gives beside them makes no difference.

    Values are compared as JSON; numbers that are not finite, which it lacks, agree with nothing. A row that failed on
    either side differs. Rows that were run more than once are compared run by run, the k-th with the k-th, and score
    the mean.
    """
    joined = Joined()
    problem = _problem(result, experiment, reference)
    if reference.cell is not None and not problem:
        joined = join(result, reference.cell, RUN, quarantine=experiment.gate.quarantine)
        problem = other_rows(result, joined, reference.words) or ("" if joined.pairs else "no row is on both sides")
        problem = problem and f"{reference.name}: {problem}"
    if reference.cell is None or problem:
        broken = Measurement(value=None, n=len(result.run.rows), problems=(problem,))
        return Agreement(reference=reference, measured=broken)
    scores = agreement_scores(result, reference.cell, joined)
    measured = Measurement(value=fmean(scores.values()), n=len(scores), scores=scores, output=AGREEMENT)
    differing = tuple(_differing(result, reference.cell, joined, scores))
    return Agreement(reference=reference, measured=measured, differing=differing, joined=joined)


def _problem(result: CellResult, experiment: Experiment, reference: Reference) -> str:
    """Say which side can't be compared, and why; nothing where both can be."""
    cell, words = reference.cell, reference.words
    if cell is None:
        return reference.problem
    if mine := cluster_problem(result, experiment) or _run_problems(result, experiment):
        return mine
    problem = refusal(result, cell, RUN, words) or _run_problems(cell, experiment) or _no_outputs(cell, words)
    if not problem and reference.saved:
        problem = untold_inputs(result, cell, experiment)
    if not problem and len(result.executions) != len(cell.executions):
        problem = f"each row was run {_times(cell)} {words.there}, and here {_times(result)}{words.todo}"
    return problem and f"{reference.name}: {problem}"


def _no_outputs(cell: CellResult, words: Words) -> str:
    completed = [row for execution in cell.executions for row in execution.run.completed]
    lacking = completed and not any(row.output for row in completed)
    return f"no row has an output {words.there}, so there is nothing to compare" if lacking else ""


def _run_problems(result: CellResult, experiment: Experiment) -> str:
    # As with run.error_rate, failed rows are not what breaks it: they are rows that differ.
    return "; ".join(run_problems(result, replace(experiment.gate, max_failed_rows=len(result.run.rows))))


def _times(result: CellResult) -> str:
    times = len(result.executions)
    return "once" if times == 1 else f"{times} times"


def agreement_scores(result: CellResult, cell: CellResult, joined: Joined) -> dict[int, float]:
    """Score the rows that two results have in common, run as often on both sides, by how often their outputs agree."""
    sides = [
        (_rows(ours.run), _rows(theirs.run)) for ours, theirs in zip(result.executions, cell.executions, strict=True)
    ]
    return {
        here: fmean(_agrees(ours.get(here), theirs.get(there)) for ours, theirs in sides)
        for here, there in joined.pairs
    }


def _rows(run: RunResult) -> dict[int, Row]:
    return {row.line_number: row for row in run.rows}


def _agrees(ours: Row | None, theirs: Row | None) -> bool:
    if ours is None or theirs is None or ours.failed or theirs.failed:
        return False
    return same_outputs(output_texts(ours), output_texts(theirs))


def _differing(result: CellResult, cell: CellResult, joined: Joined, scores: Mapping[int, float]) -> Iterator[str]:
    """Describe the rows that differ, those that agree least often first."""
    inputs = {row.line_number: row.inputs for row in result.run.rows}
    found = [item for item in zip(joined.pairs, joined.labels, strict=True) if scores[item[0][0]] < 1]
    found.sort(key=lambda item: scores[item[0][0]])
    for (here, there), label in found[:_SHOWN]:
        ours, theirs = _first_difference(result, cell, here, there)
        yield f"differs: {label}: was {theirs}  is {ours}  {described(inputs[here])}"
    if len(found) > _SHOWN:
        yield f"and {len(found) - _SHOWN} more rows that differ: {', '.join(label for _, label in found[_SHOWN:])}"


def _first_difference(result: CellResult, cell: CellResult, here: int, there: int) -> tuple[str, str]:
    """Write those outputs of a row that are not the same, of the first execution where any is not."""
    sides = zip(result.executions, cell.executions, strict=True)
    pairs = ((_rows(ours.run).get(here), _rows(theirs.run).get(there)) for ours, theirs in sides)
    ours, theirs = next(pair for pair in pairs if not _agrees(*pair))
    mine, others = output_texts(ours), output_texts(theirs)
    names = [name for name in (others or mine) if not same_output(mine.get(name), others.get(name))]
    return _shown(ours, names), _shown(theirs, names)


def _shown(row: Row | None, names: Sequence[str]) -> str:
    if row is None or row.output is None:
        error = "no such row" if row is None else str(row.error).partition("\n")[0]
        return f"failed ({short(error)})"
    values = {name: row.output[name] for name in names if name in row.output}
    return short(next(iter(values.values())) if len(names) == len(values) == 1 else values)
