import time

from helper import NAME
from promptflow.core import tool


@tool
def say(text: str) -> dict:
    time.sleep(0.01)
    from late_helper import NAME as LATE

    with open("table.txt", encoding="utf-8") as file:
        return {"eager": NAME, "lazy": LATE, "file": file.read().strip()}
