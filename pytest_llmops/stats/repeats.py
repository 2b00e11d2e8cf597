"""Several executions of the same rows: their scores become one score per row before anything else is computed.

More repeats make the score of a row surer. They don't make more rows, so intervals and tests count rows.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from pytest_llmops.records.experiment import Better
from pytest_llmops.stats.passing import passes


def reduce_scores(repeats: Sequence[Mapping[int, float]], how: str, better: Better, mark: float) -> dict[int, float]:
    """Reduce the scores of each row that was scored in every repeat to one, as ``GatePolicy.reduce`` says.

    ``mark`` is the score from which on a row passes, for ``k-of-n``.
    """
    if len(repeats) == 1:
        return dict(repeats[0])
    reduce = _reducer(how, better, mark)
    common = [number for number in repeats[0] if all(number in scores for scores in repeats)]
    return {number: reduce([scores[number] for scores in repeats]) for number in common}


def _reducer(how: str, better: Better, mark: float) -> Callable[[Sequence[float]], float]:
    worst, best = (min, max) if better == "higher" else (max, min)
    reducers: dict[str, Callable[[Sequence[float]], float]] = {
        "mean": statistics.fmean,
        "median": statistics.median,
        "all": worst,
        "any": best,
    }
    if how in reducers:
        return reducers[how]
    needed = int(how.partition("-")[0])
    won, lost = (1.0, 0.0) if better == "higher" else (0.0, 1.0)
    return lambda scores: won if sum(passes(score, mark, better) for score in scores) >= needed else lost
