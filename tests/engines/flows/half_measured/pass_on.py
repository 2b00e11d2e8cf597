from promptflow.core import tool


@tool
def pass_on(value: int) -> int:
    if value < 0:
        raise ValueError(f"negative: {value}")
    return value
