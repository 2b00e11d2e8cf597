"""Short texts for people, made of what programs say at length."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_llmops.spec import suggest


def first_line(message: str) -> str:
    """Return the first line of a message that is not blank."""
    return next((line for line in message.split("\n") if line.strip()), "")


def headline(message: str) -> str:
    """Return what a message says first; a line that ends in a colon takes the next with it."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        return f"{lines[0]} {lines[1]}"
    return lines[0] if lines else ""


def one_line(problem: BaseException) -> str:
    """Describe an exception in one line: its kind, and what it says."""
    message = headline(str(problem))
    return f"({type(problem).__name__}) {message}".rstrip()


def aggregation_timeout(seconds: float) -> str:
    """Say that the metrics took too long to compute."""
    return f"the aggregation did not finish within {seconds:g} seconds"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint at the known word that is closest to a wrong one, to be put at the end of a message."""
    hint = suggest.did_you_mean(word, known)
    return f"; {hint}" if hint else ""
