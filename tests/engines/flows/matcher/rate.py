from promptflow.core import log_metric, tool


@tool
def rate(matches: list):
    log_metric("match_rate", sum(matches) / len(matches))
