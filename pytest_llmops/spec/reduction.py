"""How the scores of a row that is run several times become one."""

from __future__ import annotations

import re

_NAMED = ("mean", "median", "all", "any")
_SOME = re.compile(r"(\d{1,6})-of-([1-9]\d{0,5})")


def parse_reduction(text: object) -> tuple[int, int] | None:
    """Check how scores are reduced; return k and n of ``k-of-n``, None for the named ways.

    Raises:
        ValueError: with a message for the user.
    """
    match = _SOME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        if text not in _NAMED:
            raise ValueError(f"{text!r} is no way to reduce repeats; write {', '.join(_NAMED)}, or 2-of-3")
        return None
    some, repeats = int(match[1]), int(match[2])
    if not 1 <= some <= repeats:
        raise ValueError(f"{text!r} can't be met; write a number from 1 to {repeats} before '-of-'")
    return some, repeats
