"""YAML text as values that remember where each key stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from pytest_llmops.errors import Problem
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.positions import Document, KeyPath, Place
from pytest_llmops.spec.suggest import describe

# The C loader is some ten times faster, but overflows the C stack on deep nesting: hence the check of the depth.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 50
_MAX_VALUES = 100_000
_STANDARD_TAG = "tag:yaml.org,2002:"
_BOOL_TAG = f"{_STANDARD_TAG}bool"
_MERGE_TAG = f"{_STANDARD_TAG}merge"


def read_yaml(
    text: str, file: str, findings: Findings, *, yaml_1_2: bool = False, first_line: int = 1
) -> Document | None:
    """Read YAML text; report duplicate keys and unreadable values, and return None where it isn't YAML at all.

    Values follow YAML 1.1, as ``yaml.safe_load`` reads them (``on`` is true). With ``yaml_1_2``, only ``true`` and
    ``false`` are booleans and every key is text, which is how prompt flow reads its own files.
    """
    try:
        _check_depth(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        builder = _Builder(loader, file, yaml_1_2=yaml_1_2, first_line=first_line)
        value = builder.build(node, ()) if node else None
    except (yaml.YAMLError, RecursionError) as error:
        findings.error(_syntax_problem(error, file, first_line))
        return None
    document = Document(value, {(): Place(file, first_line), **builder.places})
    for mistake in builder.mistakes:
        findings.error(Problem(file, mistake.line, document.key(mistake.path), mistake.what, mistake.todo))
    return document


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise _error("it is nested too deeply", event)


def _error(problem: str, at: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    error = yaml.MarkedYAMLError(problem=problem)
    error.problem_mark = at.start_mark  # type: ignore[assignment]  # the stubs know the marks of one loader only
    return error


def _syntax_problem(error: Exception, file: str, first_line: int) -> Problem:
    mark = getattr(error, "problem_mark", None)
    cause = getattr(error, "problem", None) or getattr(error, "reason", None) or "an alias contains itself"
    line = first_line + mark.line if mark else 0
    return Problem(file, line, "", f"not valid YAML: {cause}", "correct the file at or just above this line")


@dataclass(frozen=True, slots=True)
class _Mistake:
    path: KeyPath
    line: int
    what: str
    todo: str


class _Builder:
    """Makes values of YAML nodes, noting the place of each."""

    def __init__(self, loader: yaml.SafeLoader, file: str, *, yaml_1_2: bool, first_line: int) -> None:
        self.places: dict[KeyPath, Place] = {}
        self.mistakes: list[_Mistake] = []
        self._loader = loader
        self._file = file
        self._yaml_1_2 = yaml_1_2
        self._first_line = first_line
        self._open: set[int] = set()

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            raise _error("an alias contains itself", node)
        if len(self.places) > _MAX_VALUES:
            raise _error("it has too many values", node)
        self._open.add(id(node))
        value = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._items(node, path)
        self._open.remove(id(node))
        return value

    def _items(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        items = []
        for index, item in enumerate(node.value):
            self._note((*path, index), item)
            items.append(self.build(item, (*path, index)))
        return items

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        self._report_duplicates(node, path)
        self._loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is not None:
                self._note((*path, key), key_node)
                values[key] = self.build(value_node, (*path, key))
        return values

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode):
            key = node.value if self._yaml_1_2 else self._scalar(node, path)
            if isinstance(key, str):
                return key
        else:
            key = {} if isinstance(node, yaml.MappingNode) else []
        self._report(path, node, f"a key here is read as {describe(key)}, not as text", "put the key in quotes")
        return None

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        if self._yaml_1_2 and node.tag == _BOOL_TAG and node.value.lower() not in ("true", "false"):
            return node.value
        try:
            return self._loader.construct_object(node)
        # PyYAML lets any of these out for what only looks like a date or number, and for wrong tags.
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError):
            kind = node.tag.removeprefix(_STANDARD_TAG)
            self._report(path, node, f"{node.value!r} can't be read as {kind}", "put it in quotes if it is text")
            return node.value

    def _report_duplicates(self, node: yaml.MappingNode, path: KeyPath) -> None:
        first_lines: dict[tuple[str, str], int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE_TAG:
                continue
            identity = (key_node.tag, key_node.value)
            if identity in first_lines:
                what = f"key is already set on line {first_lines[identity]}"
                self._report((*path, key_node.value), key_node, what, "remove one of the two")
            first_lines.setdefault(identity, self._line(key_node))

    def _report(self, path: KeyPath, node: yaml.Node, what: str, todo: str) -> None:
        self.mistakes.append(_Mistake(path, self._line(node), what, todo))

    def _note(self, path: KeyPath, node: yaml.Node) -> None:
        self.places[path] = Place(self._file, self._line(node))

    def _line(self, node: yaml.Node) -> int:
        return int(self._first_line + node.start_mark.line)
