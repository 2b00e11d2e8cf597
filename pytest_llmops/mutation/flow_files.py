"""The text files of a flow that mutations and audits look at: prompt templates, examples, definitions, code."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_llmops.records.experiment import Experiment, Flow

TEMPLATES = (".jinja2", ".jinja", ".j2", ".prompty")
DEFINITIONS = ("flow.dag.yaml", "flow.dag.yml")

_LARGEST = 1_000_000  # bytes; a prompt or its examples are smaller by far
_OTHERS = ("flow.dag.yaml", "flow.dag.yml", "flow.flex.yaml", "flow.flex.yml", "experiment.yaml")
_NEVER = ("cassettes", "reports", "node_modules")


class NotReadError(Exception):
    """A file is not read; the message is why, in a few words."""


@dataclass(frozen=True, slots=True)
class FlowTexts:
    """The text files of a flow, by path, in order; ``unread`` says of those that could not be read why not."""

    texts: Mapping[Path, str]
    unread: Mapping[Path, str]


def flow_texts(experiment: Experiment, suffixes: tuple[str, ...]) -> FlowTexts:
    """Read those text files of an experiment's flow whose names end so.

    Folders in it that are flows or use cases themselves are not part of it, nor are data of the experiment. One that
    can't be listed is among what is unread.
    """
    sources = {dataset.source for dataset in experiment.datasets}
    sources |= {gold.source for evaluator in experiment.evaluators for gold in evaluator.datasets}
    texts: dict[Path, str] = {}
    unread: dict[Path, str] = {}
    for file in _files(experiment.flow, unread):
        if file.name.endswith(suffixes) and file not in sources:
            try:
                texts[file] = read_text(file)
            except NotReadError as why:
                unread[file] = str(why)
    return FlowTexts(texts, unread)


def read_text(file: Path) -> str:
    """Read a text file.

    Raises:
        NotReadError: for what is not there, no file, too large, or no UTF-8 text.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or device may never end
            raise NotReadError("it is no regular file")
        if status.st_size > _LARGEST:
            raise NotReadError("it is larger than 1 MB")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NotReadError("it is not UTF-8 text") from None
    except FileNotFoundError:
        raise NotReadError("there is no such file") from None
    except (OSError, ValueError) as error:
        raise NotReadError(_reason(error)) from error


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _files(flow: Flow, unlisted: dict[Path, str]) -> Iterator[Path]:
    """Yield the files of a flow, and note which folders can't be listed."""
    start = flow.file.parent

    def note(error: OSError) -> None:
        unlisted[Path(error.filename)] = _reason(error)

    for folder, folders, names in os.walk(start, onerror=note):
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
