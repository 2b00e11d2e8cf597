from promptflow.core import tool
from words import split


@tool
def count(text: str) -> int:
    return len(split(text))
