"""Which rows of two results are the same, so that one can be compared with the other row by row.

Rows are joined by their key where both datasets have the same key column, else by what the flow was given. Rows that
are on one side only, or not the same on both, are named and never compared.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pytest_llmops.hashing import canonical
from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import CellResult
from pytest_llmops.records.run import Row, RunResult

SAVE_COMMAND = "llmops baseline save"
SAVE_ANEW = f"save a new baseline with: {SAVE_COMMAND}"
_LINE = "line_number"
_NOT_FINITE = re.compile(r'(?<!\\)"(?:NaN|-?Infinity)"')

_Match = tuple[int, int]
_Kind = Literal["comparable", "changed", "unscored", "quarantined"]


@dataclass(frozen=True, slots=True)
class Words:
    """How messages speak of what a result is compared with, and what they say can be done, if anything."""

    it: str = "the baseline"
    its: str = "the baseline's"
    there: str = "in the baseline"
    todo: str = f"; {SAVE_ANEW}"


OF_BASELINE = Words()
OF_SESSION = Words("it", "its", "there", "")
"""For another result of the same session, which the message names first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Rows that two results have in common. ``pairs`` are line numbers, of the candidate and of the baseline.

    ``labels`` names each pair, by its key or as ``row N``. All else are labels too: of rows that only the candidate
    has (``added``) or only the baseline (``removed``), that have other inputs or another gold (``changed``), that
    were not scored on one of the sides (``unscored``), or that were left out on demand (``quarantined``).
    ``unscored_pairs`` are the line numbers of the unscored rows. ``same_outputs`` is true where all pairs have the very
    same outputs on both sides, and no common row failed; a candidate may have more of them.
    """

    pairs: tuple[_Match, ...] = ()
    labels: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unscored: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    same_outputs: bool = False
    unscored_pairs: tuple[_Match, ...] = ()

    @property
    def different(self) -> int:
        """How many rows are on one side only, or not the same on both."""
        return len(self.added) + len(self.removed) + len(self.changed)


def join(candidate: CellResult, baseline: CellResult, evaluator: str, *, quarantine: Collection[str] = ()) -> Joined:
    """Join the rows of two results, in the candidate's order. ``evaluator`` is ``run`` for metrics of the run itself.

    Rows that can't be told apart are paired in order, the k-th with the k-th. Golds are compared only where it is
    known which inputs of the evaluator they are. ``quarantine`` has labels.
    """
    mine, theirs = _sides(candidate, baseline, evaluator)
    matches = _matches(mine, theirs)
    kinds: dict[_Kind, list[_Match]] = defaultdict(list)
    for match in matches:
        kind = "quarantined" if mine.label(match[0]) in quarantine else _kind(mine, theirs, match)
        kinds[kind].append(match)

    def labels(kind: _Kind) -> tuple[str, ...]:
        return tuple(mine.label(number) for number, _ in kinds[kind])

    pairs = tuple(kinds["comparable"])
    same = all(_gave_the_same(mine, theirs, pair) for pair in pairs)
    return Joined(
        pairs=pairs,
        labels=labels("comparable"),
        added=mine.labels_without(here for here, _ in matches),
        removed=() if candidate.partial else theirs.labels_without(there for _, there in matches),
        changed=labels("changed"),
        unscored=labels("unscored"),
        quarantined=labels("quarantined"),
        unscored_pairs=tuple(kinds["unscored"]),
        same_outputs=same and bool(pairs) and not kinds["unscored"],
    )


def refusal(candidate: CellResult, baseline: CellResult, evaluator: str, words: Words = OF_BASELINE) -> str:
    """Say in one line why two results can't be compared, and what to do; nothing where they can be."""
    if baseline.run.status == "Failed":
        return f"{words.its} run failed: {_first_line(baseline.run.error)}{words.todo}"
    problem = "" if evaluator == RUN else _evaluator_refusal(candidate, baseline, evaluator, words)
    return problem or _row_refusal(*_sides(candidate, baseline, evaluator), words)


def same_outputs(ours: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    """Tell whether each output of theirs, as text by name, is the same in ours, which may have more of them.

    No output at all is the same as no output only: nothing would be compared else.
    """
    return all(same_output(ours.get(name), text) for name, text in theirs.items()) if theirs else not ours


def same_output(ours: str | None, theirs: str | None) -> bool:
    """Tell whether two outputs are the same, as ``output_texts`` has them; None is no output.

    JSON has texts in the place of numbers that are not finite: what may be such a number is never the same.
    """
    return ours == theirs and not (theirs and _NOT_FINITE.search(theirs))


def output_texts(row: Row | None) -> dict[str, str]:
    """Return what a row gave, by name, as texts that are equal where they are the same JSON."""
    return {str(name): _canonical(value) for name, value in ((row and row.output) or {}).items()}


def _evaluator_refusal(candidate: CellResult, baseline: CellResult, evaluator: str, words: Words) -> str:
    mine, theirs = candidate.evaluations.get(evaluator), baseline.evaluations.get(evaluator)
    if mine is None:
        return f"evaluator '{evaluator}' did not run, so there is nothing to compare"
    if theirs is None:
        return f"{words.it} has no results of evaluator '{evaluator}'{words.todo}"
    if mine.digest and theirs.digest and mine.digest != theirs.digest:
        return f"evaluator '{evaluator}' has changed since it scored {words.it}{words.todo}"
    error = theirs.result.error or theirs.result.aggregation_error
    return f"evaluator '{evaluator}' failed {words.there}: {_first_line(error)}{words.todo}" if error else ""


def _row_refusal(mine: _Side, theirs: _Side, words: Words) -> str:
    if theirs.result.partial and not mine.result.partial:
        return f"{words.it} has only the first {len(theirs.contents)} rows of its dataset{words.todo}"
    for side, of in ((mine, "this run"), (theirs, words.it)):
        if problem := side.key_problem():
            return f"key '{side.key}' of {of}: {problem}; give every row a value of its own"
    same = sum(_kind(mine, theirs, match) != "changed" for match in _matches(mine, theirs))
    sides = [(mine, "of this run's")]
    if not mine.result.partial:
        sides.append((theirs, f"of {words.its}"))
    for side, of in sides:
        if not same or 2 * same < len(side.contents):
            return f"another dataset: only {same} {of} {len(side.contents)} rows are the same{words.todo}"
    return ""


@dataclass(frozen=True)
class _Side:
    """The rows of one result, by line number, as they are joined. ``contents`` are the flow's inputs as text.

    ``key`` is the column that both sides know rows by. A label needs it on one side only. ``ignored`` are inputs that
    don't count.
    """

    result: CellResult
    evaluator: str
    key: str | None
    ignored: frozenset[str] = frozenset()

    @cached_property
    def contents(self) -> Mapping[int, str]:
        rows = sorted(self.result.run.rows, key=lambda row: row.line_number)
        return {row.line_number: _text(row.inputs, leave_out=(_LINE, *self.ignored)) for row in rows}

    @cached_property
    def outputs(self) -> Mapping[int, list[dict[str, str]]]:
        """Outputs of each row in all executions, without the rows that failed in any."""
        runs = [_texts_by_row(execution.run) for execution in self.result.executions]
        return {number: [run[number] for run in runs] for number in runs[0] if all(number in run for run in runs)}

    @cached_property
    def gold(self) -> Mapping[int, str]:
        """What each row was evaluated with beside the run's outputs; nothing where that can't be told."""
        evaluation = self.result.evaluations.get(self.evaluator)
        if evaluation is None or not evaluation.of_run:
            return {}
        known = (_LINE, *evaluation.of_run)
        return {row.line_number: _text(row.inputs, leave_out=known) for row in evaluation.result.rows}

    @cached_property
    def scored(self) -> frozenset[int]:
        """Rows that were scored in every execution. The run itself has a score for failed rows too: they failed."""
        if self.evaluator == RUN:
            return frozenset(self.contents)
        found = [execution.evaluations.get(self.evaluator) for execution in self.result.executions]
        completed = [evaluation.result.completed if evaluation else () for evaluation in found]
        return frozenset.intersection(*(frozenset(row.line_number for row in rows) for rows in completed))

    def identity(self, number: int) -> str:
        return self.contents[number] if self.key is None else self._value(self.key, number)

    def label(self, number: int) -> str:
        return self._value(self.result.key, number) or f"row {number}"

    def labels_without(self, numbers: Iterable[int]) -> tuple[str, ...]:
        known = frozenset(numbers)
        return tuple(self.label(number) for number in self.contents if number not in known)

    def key_problem(self) -> str:
        """Say why the keys don't tell the rows apart, if they don't."""
        if self.key is None:
            return ""
        keys = {number: self._value(self.key, number) for number in self.contents}
        if missing := [number for number, key in keys.items() if not key]:
            return f"row {missing[0]} has none"
        repeated = [key for key, times in Counter(keys.values()).items() if times > 1]
        return f"'{repeated[0]}' stands in more than one row" if repeated else ""

    def _value(self, column: str | None, number: int) -> str:
        values = self.result.columns.get(column, ()) if column else ()
        return values[number] if 0 <= number < len(values) else ""


def _sides(candidate: CellResult, baseline: CellResult, evaluator: str) -> tuple[_Side, _Side]:
    key = candidate.key if candidate.key == baseline.key else None
    ignored = _not_common(candidate, baseline) if is_parity(candidate, baseline) else frozenset[str]()
    return _Side(candidate, evaluator, key, ignored), _Side(baseline, evaluator, key, ignored)


def is_parity(candidate: CellResult, baseline: CellResult) -> bool:
    """Tell whether two implementations are compared: one may take or give more than the other."""
    return candidate.cell.variant.is_candidate != baseline.cell.variant.is_candidate


def _not_common(candidate: CellResult, baseline: CellResult) -> frozenset[str]:
    """Return the inputs that one of two implementations takes alone; none where they have none in common."""
    mine, theirs = input_names(candidate), input_names(baseline)
    return mine ^ theirs if mine & theirs else frozenset()


def input_names(result: CellResult) -> frozenset[str]:
    """Return the names of what the rows of a result were given."""
    return frozenset(name for row in result.run.rows for name in row.inputs) - {_LINE}


def _gave_the_same(mine: _Side, theirs: _Side, match: _Match) -> bool:
    here, there = match
    ours, others = mine.outputs.get(here), theirs.outputs.get(there, [])
    if ours is None or not is_parity(mine.result, theirs.result):
        return ours == others
    return len(ours) == len(others) and all(map(same_outputs, ours, others))


def _matches(mine: _Side, theirs: _Side) -> list[_Match]:
    """Pair the line numbers of rows with the same identity."""
    waiting: dict[str, list[int]] = defaultdict(list)
    for number in reversed(list(theirs.contents)):
        waiting[theirs.identity(number)].append(number)
    found = ((number, waiting[mine.identity(number)]) for number in mine.contents)
    return [(number, numbers.pop()) for number, numbers in found if numbers]


def _kind(mine: _Side, theirs: _Side, match: _Match) -> _Kind:
    here, there = match
    golds = mine.gold.get(here), theirs.gold.get(there)
    if mine.contents[here] != theirs.contents[there] or (None not in golds and golds[0] != golds[1]):
        return "changed"
    return "comparable" if here in mine.scored and there in theirs.scored else "unscored"


def _texts_by_row(run: RunResult) -> dict[int, dict[str, str]]:
    return {row.line_number: output_texts(row) for row in run.completed}


def _first_line(error: str | None) -> str:
    return str(error).split("\n")[0]


def _text(values: Mapping[str, Any], leave_out: Collection[str] = ()) -> str:
    return _canonical({name: value for name, value in values.items() if name not in leave_out})


def _canonical(value: Any) -> str:
    # Results of this session hold values as Python has them, results from a file as JSON has them.
    return canonical(to_json(value))
