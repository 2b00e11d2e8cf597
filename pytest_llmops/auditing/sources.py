"""The files that an implementation consists of, as text, and what they say together."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pytest_llmops.auditing.module import Module, Setting, Value, merged
from pytest_llmops.auditing.prompts import folded, front_matter, unescaped
from pytest_llmops.auditing.python import NotParsedError, read_module, snake_case
from pytest_llmops.ledger.files import files_below
from pytest_llmops.mutation.flow_files import TEMPLATES, NotReadError, flow_texts, read_text
from pytest_llmops.records.experiment import Experiment, Flow
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.yaml_reader import read_yaml

_SUFFIXES = (".py", ".md", ".txt", ".yaml", ".yml", *TEMPLATES)
_TESTS = ("test_", "conftest.", "readme.", "changelog.")
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class File:
    """The text of a file, and what it says as code or settings; ``module`` is None where it is neither.

    ``trouble`` is what of it is missing here, and why: all of it where ``text`` is None.
    """

    text: str | None
    module: Module | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the files of an implementation say. ``files`` are names of all of them, ``prompts`` all text in one piece.

    ``read`` is the number of those that were read. ``troubles`` says of files what keeps them from being understood:
    the text of Python that can't be parsed counts as text of prompts.
    """

    code: Module
    prompts: str
    files: tuple[str, ...]
    read: int
    troubles: Mapping[str, str]
    strings: frozenset[str]


def read_sources(experiment: Experiment, flow: Flow) -> Sources:
    """Read the files of a candidate: those in its folder, or, of a function, its module and what that imports.

    Beside a function there may be anything, the flow that it stands for too. Tests and READMEs are left out: what they
    quote is not what runs.
    """
    files = _files(experiment, flow)
    code = merged(file.module for file in files.values() if file.module)
    prose = [file.text for name, file in files.items() if file.text and not (name.endswith(".py") and file.module)]
    prose += [version for string in code.strings for version in unescaped(string)]
    own = _has_own_folder(experiment, flow)
    there = [name for name, _ in files_below(flow.folder)] if own else [*files, *code.strings]
    return Sources(
        code=code,
        prompts=folded("\n".join(prose)),
        files=tuple(name for name in there if len(name) <= _LONGEST_NAME),
        read=sum(file.text is not None for file in files.values()),
        troubles=troubles_of(files),
        strings=frozenset(code.strings),
    )


def troubles_of(files: Mapping[str, File]) -> dict[str, str]:
    """Map the names of files that were not read, or not understood, to what is missing of them and why."""
    return {name: file.trouble for name, file in files.items() if file.trouble}


def local_modules(start: Collection[Path], folder: Path) -> dict[str, File]:
    """Read modules, and those in a folder that they import, directly or not, by their names from the folder."""
    found: dict[str, File] = {}
    ahead = list(start)
    while ahead:
        path = ahead.pop(0)
        name = Path(os.path.relpath(path, folder)).as_posix()
        if name in found or not os.path.exists(path):
            continue
        found[name] = file = load(path, name)
        for level, module in file.module.imports if file.module else ():
            base = path.parents[level - 1] if 0 < level <= len(path.parents) else folder
            ahead += _files_of(module, base)
    return found


def load(path: Path, name: str) -> File:
    """Read a file; by its ``name``, which messages show, it is known for code or settings."""
    try:
        return _understood(read_text(path), name)
    except NotReadError as why:
        return _unread(str(why))


def _has_own_folder(experiment: Experiment, flow: Flow) -> bool:
    """Tell whether all in a flow's folder may be taken for its own: not where the flow that it stands for is too."""
    others = (experiment.flow.file, experiment.file)
    return flow.kind != "callable" and not any(other.is_relative_to(flow.folder) for other in others)


def _files(experiment: Experiment, flow: Flow) -> Mapping[str, File]:
    """Read an implementation's files, by their names from its folder."""
    if not _has_own_folder(experiment, flow):
        entry = flow.folder / f"{flow.entry.partition(':')[0].replace('.', '/')}.py"
        modules = local_modules([entry], flow.folder) if flow.entry else {}
        own = {} if flow.file == entry else {flow.file.name: load(flow.file, flow.file.name)}
        return {**own, **modules, **_named_in(modules, flow.file.parent)}
    found = flow_texts(replace(experiment, flow=flow), _SUFFIXES)
    files = {path: _understood(text, _name(path, flow)) for path, text in found.texts.items()}
    files |= {path: _unread(why) for path, why in found.unread.items()}
    return {_name(path, flow): file for path, file in files.items() if not path.name.lower().startswith(_TESTS)}


def _name(path: Path, flow: Flow) -> str:
    return Path(os.path.relpath(path, flow.folder)).as_posix()


def _unread(why: str) -> File:
    return File(None, trouble=f"not read: {why}")


def _understood(text: str, name: str) -> File:
    """Take out of the text of a file what it says as code or settings."""
    text = text.removeprefix("\ufeff")
    if not name.endswith(".py"):
        return File(text, _document(name, text))
    try:
        return File(text, read_module(text, name))
    except NotParsedError as why:
        return File(text, trouble=f"{why}: read as text alone")


def _named_in(modules: Mapping[str, File], folder: Path) -> dict[str, File]:
    """Read the texts that modules name and that lie beside them."""
    strings = {string for file in modules.values() if file.module for string in file.module.strings}
    beside = {name for name, _ in files_below(folder) if name.endswith(_SUFFIXES) and not name.endswith(".py")}
    return {name: load(folder / name, name) for name in sorted(strings & beside)}


def _files_of(module: str, base: Path) -> Iterator[Path]:
    """Yield the files below a folder that importing a module runs."""
    parts = PurePosixPath(module.replace(".", "/"))
    packages = (base / parent / "__init__.py" for parent in reversed(parts.parents[:-1]))
    for path in (*packages, base / parts / "__init__.py", base / f"{parts}.py"):
        if os.path.exists(path):
            yield path


def _document(name: str, text: str) -> Module | None:
    """Take settings, and names of nodes, out of YAML or a prompty's front matter; None for other texts."""
    yaml = front_matter(text) if name.endswith(".prompty") else text if name.endswith((".yaml", ".yml")) else ""
    document = read_yaml(yaml, name, Findings(), yaml_1_2=True) if yaml else None
    if document is None:
        return None
    module = Module()
    for path, place in document.places.items():
        key, value = path[-1] if path else 0, document.get(path)
        where = f"{name}:{place.line}"
        module.strings += [text for text in (key, value) if isinstance(text, str)]
        if isinstance(key, str):
            module.settings.append(Setting(key, Value(known=True, literal=value), where))
        if isinstance(value, dict) and isinstance(value.get("name"), str) and "nodes" in path:
            module.names.setdefault(snake_case(value["name"]), where)
    return module
