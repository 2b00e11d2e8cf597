"""How many rows it takes to show something, even if every one of them does what is hoped for."""

from __future__ import annotations

import math
from statistics import NormalDist

_ROUNDING = 1e-9  # what rounding leaves must not cost a row where the quotient is a whole number


def rows_for_confidence(bound: float, confidence: float, *, strict: bool = False) -> int:
    """Return the fewest rows with which a one-sided bound of a share can reach ``bound``: if all of them pass.

    With n of n rows, Clopper and Pearson's lower bound is (1 - confidence) ** (1 / n). With ``strict`` it has to be
    above ``bound``.

    Raises:
        ValueError: where one of the two is not between 0 and 1.
    """
    for name, value in (("bound", bound), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ValueError(f"{name} is {value}, not between 0 and 1")
    rows = math.log(1 - confidence) / math.log(bound)
    return math.floor(rows + _ROUNDING) + 1 if strict else max(1, math.ceil(rows - _ROUNDING))


def rows_to_show_unchanged(margin: float, *, alpha: float = 0.05) -> int:
    """Return the fewest rows with which a loss of ``margin`` can be ruled out: if not one of them changes its score.

    Without discordant pairs, the one-sided bound of Tango's score interval for a paired difference of shares is above
    -margin where n > z**2 * (1 - margin) / margin.

    Raises:
        ValueError: where the margin is not positive.
    """
    if not margin > 0:
        raise ValueError(f"no number of rows shows a margin of {margin:g}")
    z = NormalDist().inv_cdf(1 - alpha)
    return math.floor(z**2 * max(0.0, 1 - margin) / margin) + 1
