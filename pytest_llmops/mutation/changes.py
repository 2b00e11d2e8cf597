"""What can be broken about a use case, by name. A mutation finds what it would change, and changes nothing itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmops.mutation import context, examples, prompts
from pytest_llmops.mutation.flow_files import DEFINITIONS, TEMPLATES, flow_texts
from pytest_llmops.mutation.temperature import HOT, raise_temperature
from pytest_llmops.records.experiment import Dataset, Experiment

_ORDINALS = ("first", "second", "last")


class NothingToMutate(Exception):
    """A use case that a mutation finds nothing in. The message says what it looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedData:
    """New rows of a dataset, as the text of a file of the same kind, and the mappings that read them."""

    dataset: str
    text: str
    mappings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One way to break a use case. ``files`` are new texts of the flow's files; ``said`` names what changes."""

    name: str
    said: str
    files: Mapping[Path, str] = field(default_factory=dict)
    data: tuple[ChangedData, ...] = ()
    init: Mapping[str, Any] = field(default_factory=dict)


def drop_lines(experiment: Experiment) -> Iterator[Change]:
    """Take a third of the lines of each prompt template away; three mutants, so each line is missing once."""
    texts = flow_texts(experiment, TEMPLATES).texts
    for part, ordinal in enumerate(_ORDINALS):
        after = {file: prompts.drop_lines(text, part) for file, text in texts.items()}
        changed = {file: text for file, text in after.items() if text != texts[file]}
        if changed:
            count = sum(len(texts[file].splitlines()) - len(text.splitlines()) for file, text in changed.items())
            said = f"{count} line{'s' * (count != 1)} dropped, the {ordinal} third of {_names(experiment, changed)}"
            yield Change(name=f"drop-lines {part + 1}/{prompts.PARTS}", said=said, files=changed)
    if not any(prompts.drop_lines(text, 0) != text for text in texts.values()):
        raise NothingToMutate(f"the flow has no prompt template ({', '.join(TEMPLATES)}) with lines of text")


def swap_labels(experiment: Experiment) -> Iterator[Change]:
    """Give few-shot examples, in prompt templates and in example files of the flow, each other's answers."""
    changed = _changed(flow_texts(experiment, TEMPLATES).texts, lambda text, _: prompts.swap_answers(text))
    changed |= _changed(flow_texts(experiment, examples.SUFFIXES).texts, examples.swap_answers)
    if not changed:
        raise NothingToMutate("neither prompt templates nor files of the flow hold examples with different answers")
    said = f"answers of examples swapped in {_names(experiment, changed)}"
    yield Change(name="swap-labels", said=said, files=changed)


def truncate_context(experiment: Experiment) -> Iterator[Change]:
    """Cut each text or list that the flow gets from the data to its first half. Gold rows stay whole."""
    found = [(dataset, _halved(experiment, dataset)) for dataset in experiment.datasets]
    changed = tuple(data for _, data in found if data)
    if not changed:
        kinds = ", ".join(context.SUFFIXES)
        raise NothingToMutate(f"no input of the flow is a text or list of a data file ({kinds})")
    untouched = [dataset.name for dataset, data in found if not data]
    rest = f"; {', '.join(untouched)}: nothing to cut" if untouched else ""
    inputs = sorted({name for data in changed for name in data.mappings if _is_half(data.mappings[name])})
    yield Change(name="truncate-context", said=f"first half only of {', '.join(inputs)}{rest}", data=changed)


def raise_temperatures(experiment: Experiment) -> Iterator[Change]:
    """Set each temperature that the flow's files, or its init values, give to the model."""
    pinned = [name for name in experiment.variants.overrides if name.endswith(".temperature")]
    if pinned:
        raise NothingToMutate(f"llmops.variants.overrides sets {pinned[0]}, which goes before the flow's own")
    changed = _changed(flow_texts(experiment, (*DEFINITIONS, ".prompty")).texts, raise_temperature)
    init = {"temperature": HOT} if "temperature" in experiment.flow.init else {}
    if not changed and not init:
        raise NothingToMutate("neither nodes, prompty files nor init parameters of the flow set a temperature")
    where = ", ".join([*([_names(experiment, changed)] if changed else []), *(["init"] if init else [])])
    yield Change(name="raise-temperature", said=f"temperature {HOT} in {where}", files=changed, init=init)


MUTATIONS: Mapping[str, Callable[[Experiment], Iterator[Change]]] = {
    "drop-lines": drop_lines,
    "swap-labels": swap_labels,
    "truncate-context": truncate_context,
    "raise-temperature": raise_temperatures,
}
"""All mutations by name. Each is a generator, and raises ``NothingToMutate`` where it finds nothing to change."""


def _changed(texts: Mapping[Path, str], change: Callable[[str, str], str]) -> dict[Path, str]:
    """Apply a change, given text and suffix, to each text; return those that it altered."""
    after = {file: change(text, file.suffix) for file, text in texts.items()}
    return {file: text for file, text in after.items() if text != texts[file]}


def _names(experiment: Experiment, files: Iterable[Path]) -> str:
    return ", ".join(Path(os.path.relpath(file, experiment.flow.folder)).as_posix() for file in sorted(files))


def _halved(experiment: Experiment, dataset: Dataset) -> ChangedData | None:
    source = dataset.source
    if source is None or not source.name.endswith(context.SUFFIXES) or not source.is_file():
        return None
    columns = dataset.columns or ()
    read = context.data_columns(dataset.mappings, experiment.flow.inputs, columns)
    new_names = {column: _half_name(column, columns) for column in read.values()}
    text, cut = context.add_halves(source.read_text(encoding="utf-8-sig"), source.suffix, new_names)
    halves = {name: f"${{data.{new_names[column]}}}" for name, column in read.items() if column in cut}
    return ChangedData(dataset=dataset.name, text=text, mappings={**dataset.mappings, **halves}) if halves else None


_HALF = "first_half_of_"


def _half_name(column: str, columns: Iterable[str]) -> str:
    name = f"{_HALF}{column}"
    return _half_name(name, columns) if name in columns else name


def _is_half(mapping: object) -> bool:
    return isinstance(mapping, str) and mapping.startswith(f"${{data.{_HALF}")
