"""B3: many rows of a DAG flow in Python: is the time linear, how fast is it, and how much memory does it take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, Settings, alternately, at_most, ratio
from benchmarks.projects import questions, write_answer_flow, write_rows
from benchmarks.promptflow_runs import run_with_promptflow
from benchmarks.scripts import run_script

_NAME = "throughput"
_CLIENT = "`PFClient().run`"


class _Runs:
    """Runs of one flow on datasets of several sizes."""

    def __init__(self, folder: Path, sizes: Sequence[int]) -> None:
        self._folder = folder
        self._flow = write_answer_flow(folder / "flow")
        self._data = {size: write_rows(folder / f"{size}.jsonl", questions(size)) for size in sizes}
        self._warm_up = {"data": str(write_rows(folder / "warm_up.jsonl", questions(1)))}
        self.peaks: dict[int, list[float]] = {size: [] for size in sizes}
        self.warm: dict[str, list[float]] = {"theirs": [], **{f"ours {size}": [] for size in sizes}}

    def ours(self, size: int) -> float:
        """Run a script with our engine, once without and once with a first run that starts its server."""
        cold, _ = run_script(self._folder, self._arguments(size), size)
        warm, seconds = run_script(self._folder, self._arguments(size), size, warm_up=self._warm_up)
        self.warm[f"ours {size}"].append(seconds)
        self.peaks[size] += [cold.peak, warm.peak]
        return cold.seconds

    def theirs(self, size: int) -> float:
        """Run the same with promptflow."""
        arguments = self._arguments(size)
        cold = run_with_promptflow([arguments], self._folder)
        warm = run_with_promptflow([arguments | self._warm_up, arguments], self._folder)
        self.warm["theirs"].append(warm.seconds[-1])
        return cold.process.seconds

    def _arguments(self, size: int) -> dict[str, object]:
        mapping = {"text": "${data.text}"}
        return {"flow": str(self._flow), "data": str(self._data[size]), "column_mapping": mapping}


def measure(folder: Path, settings: Settings) -> Sequence[Figure]:
    """Measure three sizes, each ten times the one before."""
    small, middle, large = sizes = (100, 1_000, 10_000) if settings.quick else (1_000, 10_000, 100_000)
    runs = _Runs(folder, sizes)
    taken = alternately(
        {
            "theirs": partial(runs.theirs, small),
            **{f"ours {size}": partial(runs.ours, size) for size in sizes},
        },
        settings.repetitions,
    )
    times = {size: runs.warm[f"ours {size}"] for size in sizes}
    first, then = _per_row(times, small, middle), _per_row(times, middle, large)
    apart = max(first, then) / min(first, then) - 1
    return (
        ratio(f"{_NAME}, {small:,} rows, warm", _CLIENT, times[small], runs.warm["theirs"], target=20),
        ratio(f"{_NAME}, {small:,} rows, the whole script", _CLIENT, taken[f"ours {small}"], taken["theirs"]),
        Figure(
            name=f"{_NAME}, time per further row",
            against=f"{small:,} to {middle:,} rows, and {middle:,} to {large:,}",
            result=f"{apart:.0%} apart",
            spread=f"{first * 1e3:.2f} ms, then {then * 1e3:.2f} ms",
            target="at most 10% apart",
            reached=apart <= 0.1,
        ),
        at_most(f"{_NAME}, largest process at {large:,} rows", "", runs.peaks[large], unit=" MB", target=400),
    )


def _per_row(times: dict[int, list[float]], few: int, many: int) -> float:
    return (median(times[many]) - median(times[few])) / (many - few)
