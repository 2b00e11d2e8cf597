"""What a flow is made of, looked for in the files of a candidate: nodes, settings, prompts, variants, files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pytest_llmops.auditing.contents import LENGTH_KEYS, MODEL_KEYS, Contents, FlowSetting, Prompt, listed
from pytest_llmops.auditing.findings import Finding
from pytest_llmops.auditing.module import Setting, Value
from pytest_llmops.auditing.prompts import missing_lines
from pytest_llmops.auditing.python import snake_case
from pytest_llmops.auditing.sources import Sources
from pytest_llmops.records.experiment import Candidate, Flow, NodeVariants
from pytest_llmops.secrets import without_secrets

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
_SHOWN = 3
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Coverage:
    """Looks for the contents of a flow in a candidate's sources. ``given`` are the variables that it is run with."""

    flow: Flow
    contents: Contents
    candidate: Candidate
    sources: Sources
    given: Mapping[str, str | None]

    def findings(self) -> Iterator[Finding]:
        """Say of nodes, settings, prompts and variants whether they were found."""
        yield from map(self._node, self.contents.nodes)
        yield from self._settings()
        yield from map(self._prompt, self.contents.prompts)
        for node, variants in self.flow.variants.items():
            for choice in variants.choices:
                yield self._variant(node, variants, choice)

    def files(self) -> Iterator[Finding]:
        """Say of each file that the flow's code is in or reads whether the candidate has one of that name."""
        names = {part for name in self.sources.files for part in PurePosixPath(name).parts}
        for path, nodes in self.contents.files.items():
            places = [place for node in nodes if (place := self._place_of(node))]
            if PurePosixPath(path).name in names:
                yield Finding("file", path, "covered", "")
            elif places:
                yield Finding("file", path, "covered", f"its node is at {places[0]}")
            else:
                yield Finding("file", path, "open", "no file of this name")
        for name, trouble in self.contents.troubles.items():
            yield Finding("file", name, "open", f"the flow's, {trouble}")
        for name, trouble in self.sources.troubles.items():
            yield Finding("file", name, "open", f"the candidate's, {trouble}")

    def _place_of(self, node: str) -> str | None:
        """Return where an executor or agent of a node's name is; outside of workflows, a function or node of it."""
        code, name = self.sources.code, snake_case(node)
        return code.names.get(name) or (code.functions.get(name) if self.candidate.flow.kind != "workflow" else None)

    def _node(self, name: str) -> Finding:
        place = self._place_of(name)
        return Finding("node", name, "covered" if place else "open", place or "nothing of this name")

    def _settings(self) -> Iterator[Finding]:
        """Say of each value of a setting, with all nodes that have it, whether it is set anywhere."""
        for those in _grouped(self.contents.settings):
            first = those[0]
            subject = f"{first.key}: {_shown(first.value)} of {listed(each.owner for each in those)}"
            if first.is_reference:
                yield Finding("setting", subject, "unknown", "the flow takes it from elsewhere")
            else:
                yield self._setting(subject, first.key, first.value)

    def _setting(self, subject: str, key: str, wanted: Any) -> Finding:
        same: list[Setting] = []
        other: list[Setting] = []
        unclear: list[Setting] = []
        for each in self._set_as(key):
            value = self._known(each.value)
            if not value.known:
                unclear.append(each)
            else:
                (same if _normal(value.literal) == _normal(wanted) else other).append(each)
        elsewhere = [f"another value at {_places(other)}"] if other else []
        if same:
            return Finding("setting", subject, "covered", "; ".join([same[0].place, *elsewhere]))
        from_variables = [each for each in unclear if each.value.variable]
        from_code = [each for each in unclear if not each.value.variable]
        if from_variables:
            names = ", ".join(dict.fromkeys(each.value.variable for each in from_variables))
            elsewhere.append(f"it is read from {names}, whose value is not in the files")
        if from_code:
            elsewhere.append(f"it is set at {_places(from_code)}, to what only running tells")
        return Finding("setting", subject, "open", "; ".join(elsewhere) or "not found")

    def _set_as(self, key: str) -> Iterator[Setting]:
        family = next((keys for keys in (MODEL_KEYS, LENGTH_KEYS) if key in keys), (key,))
        yield from (each for each in self.sources.code.settings if each.key in family)
        if key in MODEL_KEYS:
            for read in self.sources.code.reads:
                if read.what == "model":
                    name = next((name for name in read.names if name in self.given), " or ".join(read.names))
                    yield Setting(key, Value(variable=name), read.place)

    def _known(self, value: Value) -> Value:
        """Give a value that is read from an environment variable the one that it is run with."""
        text = self.given.get(value.variable)
        return Value(known=True, literal=text) if text is not None else value

    def _prompt(self, prompt: Prompt) -> Finding:
        subject = f"{prompt.file} of {listed(prompt.owners)}"
        if prompt.text is None:
            return Finding("prompt", subject, "open", f"the flow's, {prompt.trouble}")
        missing, total = missing_lines(prompt.text, self.sources.prompts)
        if not total:
            return Finding("prompt", subject, "unknown", "it has no text beside its expressions to look for")
        if not missing:
            return Finding("prompt", subject, "covered", f"{total} of {total} lines")
        first = json.dumps(_cut(without_secrets(missing[0])), ensure_ascii=False)
        return Finding("prompt", subject, "open", f"{len(missing)} of {total} lines not found, first {first}")

    def _variant(self, node: str, variants: NodeVariants, choice: str) -> Finding:
        subject = f"{node}: {choice}"
        own = self.candidate.flow.variants.get(node)
        if own and choice in own.choices:
            return Finding("variant", subject, "covered", "the candidate has it too")
        in_init = set(_texts_of(self.candidate.init))
        if choice in in_init:
            return Finding("variant", subject, "covered", "the candidate is run with it: init")
        parameter = next((name for name in ("variant", "variants", node) if name in self.candidate.flow.init), "")
        if parameter and choice in (*self.sources.strings, *(PurePosixPath(name).stem for name in self.sources.files)):
            return Finding("variant", subject, "covered", f"it is named, and there is a parameter '{parameter}'")
        if parameter:
            return Finding("variant", subject, "open", f"nothing names it, though there is a parameter '{parameter}'")
        if choice == variants.default and not in_init & set(variants.choices):
            return Finding("variant", subject, "covered", "the default, which a candidate without variants stands for")
        return Finding("variant", subject, "open", f"no parameter 'variant', 'variants' or '{node}' to choose it by")


def _grouped(settings: Iterable[FlowSetting]) -> list[list[FlowSetting]]:
    """Put settings of the same name and value together."""
    groups: list[list[FlowSetting]] = []
    for each in settings:
        same = (
            those for those in groups if those[0].key == each.key and _normal(those[0].value) == _normal(each.value)
        )
        if (group := next(same, None)) is None:
            groups.append([each])
        else:
            group.append(each)
    return groups


def _places(settings: list[Setting]) -> str:
    places = list(dict.fromkeys(each.place for each in settings))
    more = f" and {len(places) - _SHOWN} more places" if len(places) > _SHOWN else ""
    return ", ".join(places[:_SHOWN]) + more


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts_of(item)


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    except (TypeError, ValueError):  # of a literal that JSON has no form for, or of a number with too many digits
        text = type(value).__name__
    return _cut(without_secrets(text if text.isprintable() else json.dumps(text)))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _normal(value: Any) -> Any:
    """Make values equal that services take for the same: 0 and "0.0", a text and a list of it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return _normal(value[0]) if len(value) == 1 else [_normal(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _normal(item) for key, item in value.items()}
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return value
