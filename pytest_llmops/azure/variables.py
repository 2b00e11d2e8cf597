"""Environment variables as agents and ``.env`` files give them."""

from __future__ import annotations

from collections.abc import Mapping

_UNRESOLVED = "$("
_CI = ("TF_BUILD", "CI")
_NO = ("", "0", "false")


def variable(environ: Mapping[str, str], *names: str) -> str:
    """Return the value of the first of several variables that is set, else empty text.

    Pipelines leave a macro such as ``$(x)`` as it is where x is not set: that counts as not set.
    """
    values = (environ.get(name, "").strip() for name in names)
    return next((value for value in values if value and not value.startswith(_UNRESOLVED)), "")


def in_ci(environ: Mapping[str, str]) -> bool:
    """Tell whether this is a job of a pipeline, where nobody can be asked."""
    return any(environ.get(name, "").lower() not in _NO for name in _CI)
