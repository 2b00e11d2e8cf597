from collections import Counter
from statistics import fmean

from promptflow.core import log_metric, tool


@tool
def report(predicted: list[str], expected: list[str]) -> None:
    """Log the recall of every queue and the mean of their F1 scores. A missing prediction counts as wrong."""
    hits = Counter(e for p, e in zip(predicted, expected, strict=True) if p == e)
    asked, given = Counter(expected), Counter(predicted)
    for queue in sorted(asked):
        log_metric(f"recall_{queue}", hits[queue] / asked[queue])
    # F1 of a class is 2 TP / (2 TP + FP + FN), and its denominator is what was given plus what was asked for.
    log_metric("macro_f1", fmean(2 * hits[queue] / (given[queue] + asked[queue]) for queue in asked))
