"""The files of a flow that mutations look at: prompt templates, examples, definitions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_llmops.records.experiment import Experiment, Flow

TEMPLATES = (".jinja2", ".jinja", ".j2", ".prompty")
DEFINITIONS = ("flow.dag.yaml", "flow.dag.yml")

_LARGEST = 1_000_000  # bytes; a prompt or its examples are smaller by far
_OTHERS = ("flow.dag.yaml", "flow.dag.yml", "flow.flex.yaml", "flow.flex.yml", "experiment.yaml")
_NEVER = ("cassettes", "reports", "node_modules")


def flow_texts(experiment: Experiment, suffixes: tuple[str, ...]) -> Mapping[Path, str]:
    """Read those text files of an experiment's flow whose names end so, by path, in order.

    Folders in it that are flows or use cases themselves are not part of it, nor are data of the experiment.
    """
    sources = {dataset.source for dataset in experiment.datasets}
    sources |= {gold.source for evaluator in experiment.evaluators for gold in evaluator.datasets}
    found = (file for file in _files(experiment.flow) if file.name.endswith(suffixes) and file not in sources)
    texts = ((file, _text(file)) for file in found)
    return {file: text for file, text in texts if text is not None}


def _files(flow: Flow) -> Iterator[Path]:
    start = flow.file.parent
    for folder, folders, names in os.walk(start):
        if Path(folder) != start and any(name in names for name in _OTHERS):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and name not in _NEVER)
        prompties = flow.file.name if flow.kind == "prompty" and Path(folder) == start else None
        # Beside a prompty that is the flow itself, others are flows of their own.
        yield from (
            Path(folder, name)
            for name in sorted(names)
            if prompties is None or not name.endswith(".prompty") or name == prompties
        )


def _text(file: Path) -> str | None:
    """Read a text file; None for what is too large, or no UTF-8 text."""
    try:
        return file.read_text(encoding="utf-8") if file.stat().st_size <= _LARGEST else None
    except (OSError, UnicodeDecodeError):
        return None
