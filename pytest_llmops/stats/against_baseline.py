"""A metric of a cell against the same metric of the baseline, on the rows that both have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from pytest_llmops.records.estimates import Comparison
from pytest_llmops.records.experiment import RUN, Experiment, Threshold
from pytest_llmops.records.gate import CellResult, Verdict
from pytest_llmops.records.run import Row
from pytest_llmops.stats.joining import OF_BASELINE, OF_SESSION, Joined, Words, join, refusal
from pytest_llmops.stats.measuring import Measurement, measure
from pytest_llmops.stats.noninferiority import Pairs, compare_pairs, noninferior
from pytest_llmops.stats.passing import pass_mark, passes
from pytest_llmops.stats.rows import described, short
from pytest_llmops.stats.untold import untold_inputs

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a cell is compared with: the result of another one, or the ``problem`` why there is none.

    It is ``saved`` where it is of a baseline, not of another cell of the same session. ``name`` is what reports call
    it. ``is_flow`` is true of the flow itself, where a candidate is compared with it.
    """

    name: str
    cell: CellResult | None = None
    problem: str = ""
    saved: bool = True
    is_flow: bool = False

    @property
    def words(self) -> Words:
        """How messages speak of it that begin with its name."""
        return OF_BASELINE if self.saved else OF_SESSION

    @property
    def within(self) -> str:
        """How it is named within a sentence."""
        return OF_BASELINE.it if self.saved and not self.is_flow else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Candidate and baseline side by side. ``scores`` holds both scores of each pair of rows that can be compared.

    ``pairs`` is None where no scores of rows support statistics, for the reason ``why``: then only the metric itself
    counts, and ``whole`` whether it is of the same rows on both sides. ``flips`` describes the rows whose score
    changed, those that got worse first. ``missing`` are the rows that have a score in the baseline and none now, with
    that score.
    """

    reference: Reference
    joined: Joined
    value: float
    baseline: float
    scores: tuple[tuple[float, float], ...] = ()
    pairs: Pairs | None = None
    why: str = ""
    whole: bool = True
    flips: tuple[str, ...] = ()
    missing: tuple[tuple[str, float], ...] = ()


def contrast(
    result: CellResult, mine: Measurement, threshold: Threshold, experiment: Experiment, reference: Reference
) -> Contrast | str:
    """Put a metric beside the baseline's. Returns text that says why, where that can't be done."""
    cell = reference.cell
    if cell is None:
        return reference.problem
    theirs = measure(cell, threshold, experiment)
    problem = _obstacle(result, reference, threshold, experiment) or "; ".join(theirs.problems or mine.problems)
    joined = Joined() if problem else join(result, cell, threshold.evaluator, quarantine=experiment.gate.quarantine)
    if problem := problem or other_rows(result, joined, reference.words):
        return f"{reference.name}: {problem}"
    why = mine.why or theirs.why
    if not why and mine.output != theirs.output:
        why = f"the scores are in '{mine.output}' now and in '{theirs.output}' in {reference.within}"
    if why:
        whole = not (joined.added or joined.removed or joined.changed or joined.unscored or joined.quarantined)
        return Contrast(
            reference=reference,
            joined=joined,
            value=mine.value or 0.0,
            baseline=theirs.value or 0.0,
            why=why,
            whole=whole and not (reference.saved and (result.partial or cell.partial)),
        )
    missing = _missing(joined, mine, theirs)
    joined = _with_scores(joined, mine, theirs)
    scores = tuple((mine.scores[here], theirs.scores[there]) for here, there in joined.pairs)
    if not scores:
        return f"{reference.name}: no row has a score on both sides"
    ours, others = [score for score, _ in scores], [score for _, score in scores]
    clusters = clusters_of(result, experiment, [here for here, _ in joined.pairs])
    return Contrast(
        reference=reference,
        joined=joined,
        value=fmean(ours),
        baseline=fmean(others),
        scores=scores,
        pairs=compare_pairs(ours, others, better=threshold.better, clusters=clusters, method=experiment.gate.interval),
        flips=tuple(_flips(result, cell, joined, scores, threshold)),
        missing=missing,
    )


def other_rows(result: CellResult, joined: Joined, words: Words) -> str:
    """Say how the rows of a candidate are not those of the flow: parity is of all rows. Nothing where they are."""
    if not (result.cell.variant.is_candidate and joined.different):
        return ""
    where = {f"not {words.there}": joined.added, f"only {words.there}": joined.removed, "changed": joined.changed}
    said = ", ".join(f"{what}: {listed(labels)}" for what, labels in where.items() if labels)
    return f"other rows were run ({said}){words.todo}"


def listed(labels: Sequence[str]) -> str:
    """Name some of the rows, and say how many more there are."""
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(labels[:_SHOWN]) + more


def _obstacle(result: CellResult, reference: Reference, threshold: Threshold, experiment: Experiment) -> str:
    """Say why a cell can't be compared with another one; nothing where it can be."""
    cell, words, policy = reference.cell, reference.words, experiment.gate
    if cell is None:
        return reference.problem
    if policy.reduce != "mean" and len(result.executions) != len(cell.executions):
        times = f"{len(cell.executions)} times, and here {len(result.executions)} times"
        return f"each row was run {times}, and 'reduce: {policy.reduce}' depends on that"
    if problem := refusal(result, cell, threshold.evaluator, words):
        return problem
    if reference.saved and (problem := untold_inputs(result, cell, experiment)):
        return problem
    versions = [side.evaluations[threshold.evaluator].digest for side in (result, cell) if threshold.evaluator != RUN]
    unknown = f"it is not known by which version of the evaluator it was scored{words.todo}"
    return "" if all(versions) else unknown


def clusters_of(result: CellResult, experiment: Experiment, numbers: Sequence[int]) -> list[str] | None:
    """Return the cluster of each of the rows, or None where rows are not clustered."""
    column = experiment.gate.cluster
    values = result.columns.get(column) if column else None
    return None if values is None else [values[number] for number in numbers]


def weigh(found: Contrast, threshold: Threshold, p_value: float | None) -> tuple[Verdict, str]:
    """Decide whether a metric is not worse than its baseline by more than its margin, and say why.

    ``p_value`` is the one to decide by: that of the pairs, after correction for the family of comparisons.
    """
    margin = threshold.margin
    if margin is None:
        return "PASS", ""
    if found.pairs is None:
        if not found.whole:
            where = found.reference.within
            return "INCONCLUSIVE", f"the metric alone is not of the same rows as in {where}, and {found.why}"
        delta = found.value - found.baseline
        alone: Verdict = "PASS" if (delta if threshold.better == "lower" else -delta) <= margin + 1e-12 else "FAIL"
        return alone, f"decided on the metric alone, without an interval: {found.why}"
    where = found.reference.within
    same = found.joined.same_outputs and not found.missing
    verdict, reason = noninferior(
        found.pairs, margin, better=threshold.better, p_value=p_value, same_outputs=same, reference=where
    )
    if verdict == "PASS" and found.missing:
        return "INCONCLUSIVE", f"{len(found.missing)} rows that have a score in {where} have none now; {reason}"
    return verdict, reason


def kept_rows(found: Contrast, threshold: Threshold) -> tuple[list[str], list[str]]:
    """Name the rows that reached the pass mark in the baseline: those that still do, and those that don't."""
    mark, better = pass_mark(threshold), threshold.better
    pairs = zip(found.joined.labels, found.scores, strict=True)
    passed = [(label, passes(ours, mark, better)) for label, (ours, theirs) in pairs if passes(theirs, mark, better)]
    passed += [(label, False) for label, theirs in found.missing if passes(theirs, mark, better)]
    return [label for label, keeps in passed if keeps], [label for label, keeps in passed if not keeps]


def record(found: Contrast, threshold: Threshold, adjusted_p: float | None) -> Comparison:
    """Sum a contrast up for the reports."""
    joined, pairs = found.joined, found.pairs
    labelled = list(zip(joined.labels, found.scores, strict=False))
    return Comparison(
        name=found.reference.name,
        with_flow=found.reference.is_flow,
        value=found.value,
        baseline=found.baseline,
        delta=found.value - found.baseline,
        n=pairs.n if pairs else len(joined.pairs),
        interval=pairs.interval if pairs else None,
        p_value=pairs.p_value if pairs else None,
        adjusted_p=None if pairs and adjusted_p == pairs.p_value else adjusted_p,
        test=pairs.test if pairs else "",
        direction=threshold.better,
        worse=tuple(label for label, scores in labelled if _loss(scores, threshold) > 0),
        better=tuple(label for label, scores in labelled if _loss(scores, threshold) < 0),
        added=joined.added,
        removed=joined.removed,
        changed=(*joined.changed, *joined.unscored),
    )


def _missing(joined: Joined, mine: Measurement, theirs: Measurement) -> tuple[tuple[str, float], ...]:
    pairs = (*zip(joined.pairs, joined.labels, strict=True), *zip(joined.unscored_pairs, joined.unscored, strict=True))
    return tuple(
        (label, theirs.scores[there])
        for (here, there), label in pairs
        if there in theirs.scores and here not in mine.scores
    )


def _with_scores(joined: Joined, mine: Measurement, theirs: Measurement) -> Joined:
    """Leave out the pairs that have no score on one of the sides, and name them."""
    labelled = list(zip(joined.pairs, joined.labels, strict=True))
    known = [(pair, label) for pair, label in labelled if pair[0] in mine.scores and pair[1] in theirs.scores]
    lacking = tuple(label for pair, label in labelled if (pair, label) not in known)
    return replace(
        joined,
        pairs=tuple(pair for pair, _ in known),
        labels=tuple(label for _, label in known),
        unscored=(*joined.unscored, *lacking),
    )


def _flips(
    result: CellResult,
    cell: CellResult,
    joined: Joined,
    scores: Sequence[tuple[float, float]],
    threshold: Threshold,
) -> Iterator[str]:
    now, before = _outputs(result), _outputs(cell)
    inputs = {row.line_number: row.inputs for row in result.run.rows}
    found = [item for item in zip(joined.pairs, joined.labels, scores, strict=True) if item[2][0] != item[2][1]]
    found.sort(key=lambda item: -_loss(item[2], threshold))
    for (here, there), label, (ours, theirs) in found[:_SHOWN]:
        word = "worse" if _loss((ours, theirs), threshold) > 0 else "better"
        change = f"{theirs:g} -> {ours:g}  was {short(before.get(there))}  is {short(now.get(here))}"
        yield f"{word}: {label}: {change}  {described(inputs[here])}"
    if len(found) > _SHOWN:
        yield f"and {len(found) - _SHOWN} more rows whose score changed"


def _loss(scores: tuple[float, float], threshold: Threshold) -> float:
    ours, theirs = scores
    return theirs - ours if threshold.better == "higher" else ours - theirs


def _outputs(result: CellResult) -> dict[int, object]:
    def shown(row: Row) -> object:
        output = dict(row.output or {})
        return next(iter(output.values())) if len(output) == 1 else output

    return {row.line_number: shown(row) for row in result.run.completed}
