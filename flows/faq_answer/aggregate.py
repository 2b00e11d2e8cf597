from statistics import fmean

from promptflow.core import log_metric, tool


@tool
def aggregate(token_f1: list[float], has_fact: list[int]) -> None:
    """Log the mean token F1 and the share of answers that state the decisive fact."""
    log_metric("token_f1", fmean(token_f1))
    log_metric("fact_rate", fmean(has_fact))
