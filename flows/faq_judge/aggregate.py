from statistics import fmean

from promptflow.core import log_metric, tool


@tool
def aggregate(covered: list[int], accepted: list[int | None], agrees: list[int | None]) -> None:
    """Log how often there was a verdict, how often it was yes, and how often it agreed with a person."""
    log_metric("coverage", fmean(covered))
    log_share("acceptance_rate", accepted)
    log_share("agreement", agrees)
    log_metric("labelled_rows", sum(value is not None for value in agrees))


def log_share(name: str, values: list[int | None]) -> None:
    """Log the share of ones, where there is any value at all."""
    known = [value for value in values if value is not None]
    if known:
        log_metric(name, fmean(known))
