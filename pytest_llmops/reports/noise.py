"""Text for the terminal: how noisy metrics are, and what to write into the experiment file because of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from pytest_llmops.reports.text import neutralise, one_line
from pytest_llmops.stats.noise import FLIP_LIMIT, WORTHWHILE_REPEATS, most_that_fits
from pytest_llmops.stats.reruns import CellNoise, MetricNoise

_LIMIT = 1000
_LABEL = 60
_INDENT = "  "
_SHOWN_ROWS = 10
_HEADS = ("metric", "mean", "sd", "lowest", "highest", "largest diff", "rerun SE", "rows SE", "rows that flip")


def noise_lines(name: str, cells: Sequence[CellNoise]) -> list[str]:
    """Show the noise of every cell of an experiment, and what is proposed because of it."""
    lines = [one_line(f"{name}: the same version against itself")]
    for cell in cells:
        lines += [
            "",
            one_line(f"{cell.cell}: {cell.repeats} runs of {cell.rows} row{'s' * (cell.rows != 1)}"),
            *_cell(cell),
        ]
    proposed = list(_yaml(cells))
    return [*lines, *(["", *proposed] if proposed else [])]


def _cell(cell: CellNoise) -> Iterator[str]:
    for problem in cell.problems:
        yield _INDENT + one_line(f"ERROR {problem}", _LIMIT)
    if cell.problems:
        return
    if cell.left_out:
        rows = _some(cell.left_out)
        yield _INDENT + one_line(f"failed in some repeat, so not in the figures of rows: {rows}", _LIMIT)
    if not cell.metrics:
        yield "  no evaluator logs a number"
        return
    yield from _table(cell.metrics)
    for metric in cell.metrics:
        yield from _flips(metric)
    if all(metric.steady for metric in cell.metrics):
        yield f"  {_steady(cell)}"
    for metric in cell.metrics:
        yield from _proposal(metric)
    if cell.too_noisy:
        yield (
            f"  {len(cell.flipping)} of {cell.rows} rows flip in more than {FLIP_LIMIT:.0%} of repeats: "
            "the flow is too noisy for gates row by row, and no row is proposed for quarantine; "
            "repeat rows, or lower the temperature"
        )


def _table(metrics: Sequence[MetricNoise]) -> Iterator[str]:
    table = [_HEADS, *map(_row, metrics)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *rest in table:
        numbers = (text.rjust(width) for text, width in zip(rest, widths[1:], strict=True))
        yield "  " + "  ".join((first.ljust(widths[0]), *numbers))


def _row(metric: MetricNoise) -> tuple[str, ...]:
    found = metric.spread
    figures = (found.mean, found.sd, found.low, found.high, found.largest, metric.error)
    flips = "?" if metric.unmarked else f"{len(metric.flips)} of {metric.rows}"
    by_row = (_figure(metric.sampling), flips) if metric.rows else ("?", "?")
    return (one_line(metric.name, _LABEL), *map(_figure, figures), *by_row)


def _flips(metric: MetricNoise) -> Iterator[str]:
    if not metric.rows:
        yield _INDENT + one_line(f"{metric.name}: {metric.why}, so its noise is known for the whole only", _LIMIT)
    if metric.unmarked:
        yield _INDENT + one_line(f"{metric.name}: which rows flip can't be told: {metric.unmarked}", _LIMIT)
    if metric.flips:
        rows = _some([f"{row} {_figure(rate)}" for row, rate in metric.flips.items()])
        yield _INDENT + one_line(f"{metric.name}: share of repeats in which a row flips: {rows}", _LIMIT)


def _steady(cell: CellNoise) -> str:
    if cell.replayed and cell.llm_calls:
        same = "all repeats are equal" if cell.same_outputs else "no score differs between repeats"
        return f"{same}, but answers were replayed: nothing is known of the model's noise now; use --llm live"
    if not cell.same_outputs:
        return "outputs differ between repeats, but no score does: nothing to propose"
    if cell.llm_calls == 0:
        return "all repeats are equal and no LLM was called: the flow is deterministic as far as this shows"
    most = most_that_fits(cell.repeats)
    return (
        f"all repeats are equal: nothing to propose. A row that flips in up to {most:.0%} of runs may still stay "
        f"unseen in {cell.repeats} of them"
    )


def _proposal(metric: MetricNoise) -> Iterator[str]:
    proposal, found = metric.proposal, metric.spread
    if proposal is None:
        return
    weight = f"; one row weighs {_figure(1 / metric.rows)}" if metric.rows else ""
    pairs = f"95 % of the {found.pairs} pairs of repeats differ by at most {_figure(found.usual)}{weight}"
    yield _INDENT + one_line(f"{metric.name}: margin: {_figure(proposal.margin)}  ({pairs})", _LIMIT)
    if proposal.repeat > WORTHWHILE_REPEATS:
        needed = f"only {proposal.repeat} repeats would have an unchanged version pass that margin in 95% of cases"
        yield _INDENT + one_line(f"{metric.name}: {needed}; widen the margin, or lower the temperature", _LIMIT)
        return
    chance = f"an unchanged version passes that margin in {proposal.passes_once:.0%} of cases with one run"
    more = f", in at least 95% with {proposal.repeat}" if proposal.repeat > 1 else ""
    yield _INDENT + one_line(f"{metric.name}: repeat: {proposal.repeat}  ({chance}{more})", _LIMIT)


def _yaml(cells: Sequence[CellNoise]) -> Iterator[str]:
    """Write what to paste into the experiment file. Only metrics with a threshold count: others gate nothing."""
    demanded = [metric for cell in cells for metric in cell.metrics if metric.threshold and metric.proposal]
    wanted = [metric.proposal.repeat for metric in demanded if metric.proposal]
    repeat = max((number for number in wanted if number <= WORTHWHILE_REPEATS), default=1)
    rows = list(dict.fromkeys(row for cell in cells for row in cell.quarantine))
    if repeat > 1 or rows:
        yield "to put into the experiment file, under 'gate:' of 'llmops:':"
    if repeat > 1:
        yield f"    repeat: {repeat}"
    if rows:
        yield f"    quarantine: {as_yaml(rows)}  # flip in more than {FLIP_LIMIT:.0%} of repeats"
    for metric in demanded:
        if metric.threshold and metric.proposal:
            place = f"{metric.threshold.file}:{metric.threshold.line}"
            yield one_line(f"{place}: {metric.name}: margin: {_figure(metric.proposal.margin)}", _LIMIT)


def as_yaml(texts: Sequence[str]) -> str:
    """Write texts as a YAML list on one line that reads back as they are, and is safe to print."""
    import yaml

    def dumped(*, plain: bool) -> str:
        return yaml.safe_dump(
            list(texts), default_style='"', default_flow_style=True, allow_unicode=plain, width=sys.maxsize
        ).rstrip("\n")

    text = dumped(plain=True)
    # Inside of double quotes, YAML knows each character by its number.
    return text if neutralise(text) == text else dumped(plain=False).replace("#", "\\x23")


def _some(texts: Sequence[str]) -> str:
    rest = len(texts) - _SHOWN_ROWS
    return ", ".join(one_line(text, _LABEL) for text in texts[:_SHOWN_ROWS]) + (f" and {rest} more" if rest > 0 else "")


def _figure(value: float) -> str:
    return f"{value:.4g}"
