from promptflow.core import tool


@tool
def compare(expected: str, found: str) -> bool:
    return expected == found
