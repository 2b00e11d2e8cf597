"""Whether what two implementations were given tells that they were given the same rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pytest_llmops.hashing import canonical
from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.experiment import Experiment, Port
from pytest_llmops.records.gate import CellResult
from pytest_llmops.stats.joining import input_names, is_parity


def untold_inputs(candidate: CellResult, saved: CellResult, experiment: Experiment) -> str:
    """Say which inputs keep from telling whether a candidate's rows are those of a saved result; nothing if none do.

    In one session rows are of the same data. Of a saved result, only a key shows that, or all that its rows were given.
    """
    if not is_parity(candidate, saved) or (candidate.key is not None and candidate.key == saved.key):
        return ""
    ours, theirs = input_names(candidate), input_names(saved)
    if not ours & theirs:
        return ""  # no row is the same then, which is said
    mapped = next((each.mappings for each in experiment.datasets if each.name == candidate.cell.dataset), {})
    own = next((each.flow for each in experiment.candidates if each.name == candidate.cell.variant.id), None)
    more = theirs - ours - _at_default(saved, experiment.flow.inputs, mapped)
    less = ours - theirs - _at_default(candidate, own.inputs if own else {}, mapped)
    given = f"it was also given {_listed(more)}, which the candidate does not take" if more else ""
    taken = f"it was not given {_listed(less)}, which the candidate takes" if less else ""
    what = ", and ".join(filter(None, (given, taken)))
    return what and f"{what}, so it can't be told whether the rows are the same"


def _at_default(result: CellResult, ports: Mapping[str, Port], mapped: Collection[str]) -> frozenset[str]:
    """Return the inputs that no mapping fills, so that they are at their default on every row, whatever the data."""
    defaults = {name: port.default for name, port in ports.items() if not port.required and name not in mapped}
    given = [row.inputs for row in result.run.rows]
    return frozenset(
        name for name, default in defaults.items() if all(_text(inputs.get(name)) == _text(default) for inputs in given)
    )


def _text(value: object) -> str:
    return canonical(to_json(value))


def _listed(names: Collection[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
