"""How an experiment is judged: the policy of its gate, what it is compared with, what tokens cost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_llmops.records.experiment import BaselineSource, Dataset, GatePolicy, Price
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.models import LLMOpsBlock
from pytest_llmops.spec.models_gate import GateBlock
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.reduction import parse_reduction
from pytest_llmops.spec.suggest import count

_PATH: KeyPath = ("llmops", "gate")


def read_gate(block: GateBlock | None, datasets: Sequence[Dataset], report: Reporter) -> GatePolicy:
    """Read the gate's policy; more rows than a dataset has, or other repeats than there are, can't be demanded."""
    if block is None:
        return GatePolicy()
    for dataset in datasets:
        if dataset.rows is not None and dataset.rows < block.min_rows:
            what = f"demands {count(block.min_rows)}, but dataset '{dataset.name}' has {count(dataset.rows)}"
            report.error((*_PATH, "min_rows"), what, "lower it or add rows")
    some = parse_reduction(block.reduce)
    if some and some[1] != block.repeat:
        what = f"{block.reduce!r} is about {some[1]} repeats, but repeat is {block.repeat}"
        report.error((*_PATH, "reduce"), what, f"write repeat: {some[1]}")
    return GatePolicy(
        require=block.require,
        max_failed_rows=block.max_failed_rows,
        min_rows=block.min_rows,
        repeat=block.repeat,
        reduce=block.reduce,
        on_inconclusive=block.on_inconclusive,
        cluster=block.cluster,
        interval=block.interval,
        quarantine=tuple(dict.fromkeys(block.quarantine or ())),
    )


def read_baseline(block: LLMOpsBlock, given: Path | None, base: Path) -> BaselineSource | None:
    """Find out what to compare with: what was given for the session, else what the file says, from its folder."""
    if given is not None:
        return BaselineSource(path=Path(os.path.abspath(given)))
    if block.baseline is None:
        return None
    if isinstance(block.baseline, str):
        return BaselineSource(path=Path(os.path.normpath(base / block.baseline)))
    return BaselineSource(variant=block.baseline.variant)


def read_prices(block: LLMOpsBlock) -> Mapping[str, Price]:
    """Read what a million tokens of each model cost."""
    prices = block.prices or {}
    return {model: Price(prompt=price.prompt, completion=price.completion) for model, price in prices.items()}
