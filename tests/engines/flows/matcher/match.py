from promptflow.core import tool


@tool
def match(queue: str, gold: str) -> int:
    return int(queue == gold)
