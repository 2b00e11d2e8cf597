from promptflow.core import tool


@tool
def compare(predicted: str, expected: str) -> int:
    """Return 1 where the ticket went to the right queue, else 0."""
    return int(predicted == expected)
