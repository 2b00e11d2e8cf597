from statistics import fmean
from typing import TypedDict


class Score(TypedDict):
    """Of one message, 0 or 1 each: nothing personal is left, and nothing that support needs is gone."""

    leak_free: int
    useful: int


class RedactionCheck:
    """Compares redacted messages with what had to go and what had to stay."""

    def __init__(self) -> None:
        """Take no settings; prompt flow wants every class flow to have a constructor."""

    def __call__(self, *, text: str, secrets: list, needed: list) -> Score:
        """Look for the gold strings of one message in its redacted text."""
        return Score(
            leak_free=int(not any(secret in text for secret in secrets)),
            useful=int(all(detail in text for detail in needed)),
        )

    def __aggregate__(self, results: list[Score]) -> dict[str, float]:
        """Log the share of messages that leak nothing, and of those that are still useful."""
        return {
            "leak_free_rate": fmean(result["leak_free"] for result in results),
            "useful_rate": fmean(result["useful"] for result in results),
        }
