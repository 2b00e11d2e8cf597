"""Reports divided into those of shards, as sessions on parts would have left them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.report import Report, Shard
from pytest_llmops.stats.gates import decide


def shards(report: Report, count: int) -> list[Report]:
    """Divide a report among shards, cell by cell in turn."""
    return [_shard(report, index, count) for index in range(1, count + 1)]


def _shard(report: Report, index: int, count: int) -> Report:
    cells = report.cells[index - 1 :: count]
    mine = {(result.cell.experiment, result.cell.id) for result in cells}
    gates = tuple(gate for gate in report.gates if (gate.experiment, gate.cell) in mine)
    return replace(
        report,
        experiments={path: name for path, name in report.experiments.items() if path in {path for path, _ in mine}},
        cells=cells,
        gates=gates,
        decision=decide(gates),
        settings={**report.settings, "shard": f"{index}/{count}", "report-dir": f"shards/{index}"},
        shard=Shard(index=index, count=count, planned=_items(report.gates), own=_items(gates)),
    )


def _items(gates: Iterable[GateResult]) -> dict[str, tuple[str, ...]]:
    items: dict[str, tuple[str, ...]] = {}
    for gate in gates:
        items[gate.experiment] = (*items.get(gate.experiment, ()), gate.item)
    return items
