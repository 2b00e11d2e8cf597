"""The temperature that definitions of flows set, raised: answers become more random."""

from __future__ import annotations

import re

HOT = 1.5
"""The temperature of the mutant: far above what any gated flow uses, and below the 2 that services allow at most."""

_FRONT_MATTER = re.compile(r"\A(\s*-{3,}[ \t]*\n)(.*?)(?=^-{3,}[ \t]*$)", re.DOTALL | re.MULTILINE)
_TEMPERATURE = re.compile(r"^([^#\n]*?\btemperature[\"']?:[ \t]+)(\$\{[^{}\s]*\}|[^\s,}#]+)", re.MULTILINE)


def raise_temperature(text: str, suffix: str) -> str:
    """Set each temperature of a flow's definition, or of a prompty's front matter, to ``HOT``."""
    if suffix != ".prompty":
        return _raised(text)
    return _FRONT_MATTER.sub(lambda match: match[1] + _raised(match[2]), text)


def _raised(text: str) -> str:
    return _TEMPERATURE.sub(rf"\g<1>{HOT}", text)
