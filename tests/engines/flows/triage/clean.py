from promptflow.core import tool


@tool
def clean(text: str) -> str:
    return text.strip().lower()
