from promptflow.core import tool


@tool
def tidy(completion: str) -> str:
    """Keep the expression of a completion: currency signs and a result after ``=`` are dropped."""
    expression, _, _ = completion.partition("=")
    return expression.replace("€", "").replace("$", "").strip()
