import a_module_that_is_not_there
from promptflow.core import tool


@tool
def a(text: str) -> str:
    return text
