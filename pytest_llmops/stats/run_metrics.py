"""Metrics that every run has by itself: failures, tokens, cost and times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from pytest_llmops.records.experiment import Price
from pytest_llmops.records.run import Row, RunResult

_MILLION = 1e6


class NotCounted(ValueError):
    """What a run used, or cost, can't be told."""


def run_metric(run: RunResult, metric: str, prices: Mapping[str, Price]) -> float:
    """Compute a metric of one run: a share, a number, seconds, or an amount in the currency of the prices.

    Raises:
        NotCounted: where a model has no price, nobody knows which model used the tokens, or how many they were.
    """
    if metric == "error_rate":
        return len(run.failed) / len(run.rows)
    if metric == "rows":
        return float(len(run.rows))
    if metric == "duration":
        return run.duration
    if metric.startswith("latency_"):
        return _latency([row.duration for row in run.rows], metric.removeprefix("latency_"))
    if uncounted := sum(row.uncounted for row in run.rows):
        raise NotCounted(f"the service did not report the tokens of {uncounted} LLM calls")
    if metric == "cost":
        return math.fsum(row_cost(row, prices) for row in run.rows)
    kind = metric.removesuffix("_tokens")
    return float(sum(getattr(row.tokens, kind) for row in run.rows))


def _latency(seconds: Sequence[float], which: str) -> float:
    """Return the largest of the durations, or a percentile of them by the nearest-rank method: always one seen."""
    ordered = sorted(seconds)
    if which == "max":
        return ordered[-1]
    rank = math.ceil(int(which.removeprefix("p")) / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]


def row_cost(row: Row, prices: Mapping[str, Price]) -> float:
    """Compute what the tokens of a row cost, in the currency of the prices.

    Raises:
        NotCounted: where a model has no price, or nobody knows which model used the tokens.
    """
    if row.tokens.total and not row.usage:
        raise NotCounted(f"row {row.line_number} used {row.tokens.total} tokens of a model that is not known")
    total = 0.0
    for model, tokens in row.usage.items():
        price = price_of(model, prices)
        total += (tokens.prompt * price.prompt + tokens.completion * price.completion) / _MILLION
    return total


def price_of(model: str, prices: Mapping[str, Price]) -> Price:
    """Find the price of a model: that of its name, else of the first pattern that its name matches.

    Raises:
        NotCounted: where there is none.
    """
    if model in prices:
        return prices[model]
    for pattern, price in prices.items():
        if fnmatchcase(model, pattern):
            return price
    raise NotCounted(f"model '{model}' has no price; add it under llmops.prices")
