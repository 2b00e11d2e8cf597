"""B5: collecting 1,000 cells with 3 metrics each, against bare pytest and as many parametrized tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure, Settings, alternately, at_most
from benchmarks.processes import pytest_command, run
from benchmarks.projects import questions, write_json, write_rows

_FILES, _DATASETS, _VALUES = 10, 10, 10
_METRICS = ("one", "two", "three")
_FLOW = """\
class Answer:
    def __init__(self, size: int = 1) -> None:
        self.size = size

    def __call__(self, text: str) -> str:
        return text


def check(text: str) -> str:
    return text
"""
_TEST = "import pytest\n\n\n@pytest.mark.parametrize('number', range({}))\ndef test_number(number):\n    pass\n"


def measure(folder: Path, settings: Settings) -> Sequence[Figure]:
    """Measure ``pytest --collect-only`` on both. A cell has an item for its run, and one for each metric."""
    files = 1 if settings.quick else _FILES
    items = files * _DATASETS * _VALUES * (1 + len(_METRICS))
    for number in range(files):
        _write_experiment(folder / "evals" / f"use_case{number}")
        tests = folder / "tests" / f"test_file{number}.py"
        tests.parent.mkdir(exist_ok=True)
        tests.write_text(_TEST.format(items // files), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def collect(*arguments: str) -> float:
        finished = run(pytest_command("--collect-only", "-q", *arguments), folder)
        if f"{items} tests collected" not in finished.output:
            raise RuntimeError(f"not {items} tests:\n{finished.output[-2000:]}")
        return finished.seconds

    taken = alternately(
        {"ours": lambda: collect("evals"), "bare": lambda: collect("tests", "-p", "no:llmops")}, settings.repetitions
    )
    extra = [ours - bare for ours, bare in zip(taken["ours"], taken["bare"], strict=True)]
    against = f"bare pytest with {items:,} parametrized tests"
    return (at_most("collection, seconds more", against, extra, unit=" s", target=1),)


def _write_experiment(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "answer.py").write_text(_FLOW, encoding="utf-8")
    sources = [write_rows(folder / f"data{number}.jsonl", questions(20)) for number in range(_DATASETS)]
    mappings = {"text": "${run.outputs.output}"}
    write_json(
        folder / "experiment.yaml",
        {
            "name": folder.name,
            "flow": "answer:Answer",
            "datasets": [{"name": s.stem, "source": s.name, "mappings": {"text": "${data.text}"}} for s in sources],
            "evaluators": [
                {
                    "name": "match",
                    "flow": "answer:check",
                    "thresholds": dict.fromkeys(_METRICS, ">= 0"),
                    "datasets": [{"name": source.stem, "mappings": mappings} for source in sources],
                }
            ],
            "llmops": {"variants": {"overrides": {"init.size": [*range(_VALUES)]}}},
        },
    )
