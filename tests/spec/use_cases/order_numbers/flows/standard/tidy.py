import re

from promptflow.core import tool


@tool
def tidy(answer: str) -> str:
    digits = re.search(r"\d+", answer)
    return digits[0] if digits else ""
