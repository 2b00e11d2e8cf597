from promptflow.core import tool


@tool
def join(left: str, right: str, times: int) -> str:
    return left + right * times
