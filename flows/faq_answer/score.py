import re
from collections import Counter
from typing import TypedDict

from promptflow.core import tool

# Numbers keep what is inside them: 9:30, 1,200 and 1.12 are one token each.
TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|\w+")
ARTICLES = {"a", "an", "the"}


class Score(TypedDict):
    """Of one answer: overlap with the gold answer (0 to 1), and whether it states the decisive fact (0 or 1)."""

    token_f1: float
    has_fact: int


@tool
def score(answer: str, gold: str, fact: str) -> Score:
    """Compare an answer with the gold answer, and look for the fact that makes it right."""
    given = tokens(answer)
    return Score(token_f1=token_f1(given, tokens(gold)), has_fact=int(contains(given, tokens(fact))))


def tokens(text: str) -> list[str]:
    """Split text into lower-case words and numbers, without articles."""
    return [token for token in TOKEN.findall(text.lower()) if token not in ARTICLES]


def token_f1(given: list[str], gold: list[str]) -> float:
    """Compute the F1 score of two bags of tokens."""
    shared = (Counter(given) & Counter(gold)).total()
    return 2 * shared / (len(given) + len(gold)) if shared else 0.0


def contains(given: list[str], fact: list[str]) -> bool:
    """Tell whether the tokens of the fact stand in the answer, one after the other."""
    return any(given[start : start + len(fact)] == fact for start in range(len(given) - len(fact) + 1))
