from promptflow.core import tool


@tool
def compare(queue: str, gold: str) -> bool:
    return queue == gold
