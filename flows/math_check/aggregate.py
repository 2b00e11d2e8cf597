from statistics import fmean

from promptflow.core import log_metric, tool


@tool
def aggregate(correct: list[int], invalid: list[int]) -> None:
    """Log the share of right answers, and of expressions that could not be computed (they count as wrong)."""
    log_metric("accuracy", fmean(correct))
    log_metric("error_rate", fmean(invalid))
