from statistics import fmean

from promptflow.core import log_metric, tool


@tool
def aggregate(hits: list[int], reciprocal_ranks: list[float]) -> None:
    """Log the hit rate and the mean reciprocal rank."""
    log_metric("hit_rate", fmean(hits))
    log_metric("mrr", fmean(reciprocal_ranks))
