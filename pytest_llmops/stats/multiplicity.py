"""Several tests at once: how to keep the risk of a false alarm over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")


def holm(p_values: Mapping[K, float]) -> dict[K, float]:
    """Adjust the p-values of a family of tests (Holm 1979), so that each may be compared with the risk of all.

    Raises:
        ValueError: where a value is not between 0 and 1.
    """
    if bad := [p for p in p_values.values() if not 0 <= p <= 1]:
        raise ValueError(f"{bad[0]} is not a p-value")
    adjusted: dict[K, float] = {}
    highest = 0.0
    for rank, key in enumerate(sorted(p_values, key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[key] * (len(p_values) - rank)))
        adjusted[key] = highest
    return {key: adjusted[key] for key in p_values}
