"""What a flow has that another implementation of it may lose: nodes, settings of models, prompts, variants, files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_llmops.auditing.prompts import front_matter
from pytest_llmops.auditing.sources import File, load, local_modules, troubles_of
from pytest_llmops.ledger.files import files_below
from pytest_llmops.mutation.flow_files import TEMPLATES
from pytest_llmops.records.experiment import Flow
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.yaml_reader import read_yaml

MODEL_KEYS = ("model", "deployment_name", "azure_deployment", "model_id")
LENGTH_KEYS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_AMBIGUOUS = ("n", "stop", "seed", "tools", "functions", "best_of")
"""Names that mean something else in code as often as not."""
_KEYS = (
    *(*MODEL_KEYS, *LENGTH_KEYS, *_AMBIGUOUS, "temperature", "top_p", "response_format", "reasoning_effort"),
    *("presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "tool_choice"),
    "function_call",
)
_UNSET: tuple[Any, ...] = (None, "", [], {}, {"type": "text"})
"""What the editor of prompt flow writes for settings that are left as the model has them."""
_LLM = ("llm", "custom_llm")
_REFERENCE = re.compile(r"\$\{[^{}]*\}")
_Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose something is: a node, or a variant of one; in flows without nodes a place in the code, or the flow."""

    name: str
    variant: str = ""


@dataclass(frozen=True, slots=True)
class FlowSetting:
    """A setting of a model, and whose it is."""

    owner: Owner
    key: str
    value: Any

    @property
    def is_reference(self) -> bool:
        """Whether the flow itself takes the value from elsewhere."""
        return isinstance(self.value, str) and _REFERENCE.fullmatch(self.value) is not None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template of a prompt; ``text`` is None where it can't be read, and ``trouble`` says why."""

    owners: tuple[Owner, ...]
    file: str
    text: str | None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a flow's files have. ``files`` are those that its code is in or reads, to the nodes whose code they are.

    ``troubles`` says of modules what keeps them from being understood.
    """

    nodes: tuple[str, ...] = ()
    settings: tuple[FlowSetting, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    files: Mapping[str, tuple[str, ...]]
    troubles: Mapping[str, str] = field(default_factory=dict)


def read_contents(flow: Flow) -> Contents:
    """Read what a flow has."""
    if flow.kind == "prompty":
        return _of_prompty(flow)
    return _of_dag(flow) if flow.kind == "dag" else _of_code(flow)


def _of_prompty(flow: Flow) -> Contents:
    prompt = _prompt((Owner(flow.name),), flow.file.name, flow.file)
    model = _mapping(_mapping(_yaml(front_matter(prompt.text or ""), flow)).get("model"))
    settings = {**_mapping(model.get("configuration")), **_mapping(model.get("parameters"))}
    return Contents(
        settings=tuple(_settings(Owner(flow.name), settings)),
        prompts=(prompt,),
        files={},
    )


def _of_dag(flow: Flow) -> Contents:
    definition = _mapping(_yaml(load(flow.file, "").text or "", flow))
    includes = definition.get("additional_includes")
    included = [text for text in (includes if isinstance(includes, list) else ()) if isinstance(text, str)]
    every = list(_nodes(definition))
    prompts: dict[str, list[Owner]] = {}
    code: dict[str, list[Owner]] = {}
    for owner, node in every:
        source = _mapping(node.get("source"))
        path = source.get("path")
        if isinstance(path, str):
            is_prompt = node.get("type") in (*_LLM, "prompt") or _is_template(path)
            (prompts if is_prompt else code).setdefault(path, []).append(owner)
    where = {path: _find(path, included, flow.folder) for path in (*prompts, *code)}
    modules = local_modules([where[path] for path in code if path.endswith(".py")], flow.folder)
    used = [name for name in _used(modules, flow.folder) if name not in prompts]
    for name in filter(_is_template, used):
        prompts[name] = [Owner(flow.name)]
        where[name] = flow.folder / name
    files = [*(name for name in used if not _is_template(name)), *included]
    return Contents(
        nodes=tuple(dict.fromkeys(str(node["name"]) for node in _dicts(definition.get("nodes")) if node.get("name"))),
        settings=(
            *(each for owner, node in every for each in _settings(owner, _inputs(node), asks=node.get("type") in _LLM)),
            *_settings_of_code(modules),
        ),
        prompts=tuple(_prompt(tuple(owners), path, where[path]) for path, owners in prompts.items()),
        files={
            **dict.fromkeys(files, ()),
            **{path: tuple(owner.name for owner in owners) for path, owners in code.items()},
        },
        troubles=troubles_of(modules),
    )


def _of_code(flow: Flow) -> Contents:
    """Read what a flow has that is Python: the module of its entry is the flow itself, all else are files of it."""
    module = flow.entry.partition(":")[0].replace(".", "/")
    entry = flow.folder / f"{module}.py"
    modules = local_modules([entry], flow.folder)
    used = [name for name in _used(modules, flow.folder) if name != f"{module}.py"]
    templates = filter(_is_template, used)
    return Contents(
        settings=tuple(_settings_of_code(modules)),
        prompts=tuple(_prompt((Owner(flow.name),), name, flow.folder / name) for name in templates),
        files={name: () for name in used if not _is_template(name)},
        troubles=troubles_of(modules),
    )


def _prompt(owners: tuple[Owner, ...], name: str, path: Path) -> Prompt:
    file = load(path, "")
    return Prompt(owners, name, file.text, file.trouble)


def _is_template(path: str) -> bool:
    return path.endswith(TEMPLATES)


def listed(owners: Iterable[Owner]) -> str:
    """Name owners, the variants of each node together: ``node (one, other)``."""
    variants: dict[str, list[str]] = {}
    for owner in dict.fromkeys(owners):
        variants.setdefault(owner.name, []).extend([owner.variant] if owner.variant else [])
    return ", ".join(f"{name} ({', '.join(those)})" if those else name for name, those in variants.items())


def _nodes(definition: _Node) -> Iterator[tuple[Owner, _Node]]:
    """Yield the nodes that have a definition of their own, then what each variant makes of its node."""
    variants = _mapping(definition.get("node_variants"))
    for node in _dicts(definition.get("nodes")):
        name = str(node.get("name"))
        if not node.get("use_variants"):
            yield Owner(name), node
            continue
        written = variants.get(name)
        for choice, variant in _mapping(_mapping(written).get("variants")).items():
            yield Owner(name, choice), _mapping(_mapping(variant).get("node"))


def _inputs(node: _Node) -> _Node:
    return _mapping(node.get("inputs"))


def _settings(owner: Owner, written: _Node, *, asks: bool = True) -> Iterator[FlowSetting]:
    """Yield how something that ``asks`` a model does so, and all values, not references, that others are given."""
    for key, value in written.items():
        setting = FlowSetting(owner, key, value)
        if value not in _UNSET and (key in _KEYS if asks else not setting.is_reference):
            yield setting


def _settings_of_code(modules: Mapping[str, File]) -> Iterator[FlowSetting]:
    for each in (setting for file in modules.values() if file.module for setting in file.module.settings):
        is_one = each.key in _KEYS and each.key not in _AMBIGUOUS and not each.by_name
        if is_one and each.value.known and not each.value.variable and each.value.literal not in _UNSET:
            yield FlowSetting(Owner(each.place), each.key, each.value.literal)


def _used(modules: Mapping[str, File], folder: Path) -> list[str]:
    """List the modules of a flow's code, and the files and folders in its folder that this code names."""
    names = [name for name, _ in files_below(folder)]
    folders = {parent.as_posix() for name in names for parent in Path(name).parents} - {"."}
    named = sorted({path for name, file in modules.items() for path in _named(name, file)} & {*names, *folders})
    return list(dict.fromkeys((*modules, *named)))


def _named(name: str, file: File) -> Iterator[str]:
    """Yield the texts of a module, as paths from the flow's folder and from the module's own."""
    for text in file.module.strings if file.module else ():
        yield text
        yield (PurePosixPath(name).parent / text).as_posix()


def _find(path: str, included: list[str], folder: Path) -> Path:
    """Find a file that a node names: in the flow's folder, or among what the flow includes from elsewhere."""
    first = path.partition("/")[0]
    for include in included:
        if Path(include).name == first:
            return Path(os.path.normpath(folder / Path(include).parent / path))
    return folder / path


def _yaml(text: str, flow: Flow) -> Any:
    document = read_yaml(text, flow.file.name, Findings(), yaml_1_2=True)
    return document.value if document else None


def _mapping(value: Any) -> _Node:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> Iterator[_Node]:
    yield from (item for item in (value if isinstance(value, list) else ()) if isinstance(item, dict))
