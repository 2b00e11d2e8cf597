from promptflow.core import log_metric, tool


@tool
def measure(values: list, originals: list):
    log_metric("pairs", [values, originals])
    raise ZeroDivisionError("no mean of nothing")
