import os

from promptflow.core import tool


@tool
def look_up(name: str) -> str:
    return os.environ.get(name, "unset")
