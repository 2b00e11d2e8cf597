"""From a document to the model of an experiment, with every mistake in words of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.models import ExperimentBlock
from pytest_llmops.spec.models_gate import ThresholdBlock
from pytest_llmops.spec.positions import Document, KeyPath
from pytest_llmops.spec.schema import json_schema
from pytest_llmops.spec.shapes import SHAPES
from pytest_llmops.spec.suggest import describe, suggest

_EXPECTED = {
    "not_property": "text or a number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
_MESSAGES = {
    "not_yet": "not supported yet; remove it",
    "not_plain": "{message}; put it in quotes if it is text",
    "value_error": "{error}",
    "literal_error": "{value!r} is not a choice; write {expected}",
    "greater_than_equal": "{value} is too small; write {ge:g} or more",
    "greater_than": "{value} is too small; write more than {gt}",
    "less_than_equal": "{value} is too large; write {le:g} or less",
    "less_than": "{value} is too large; write less than {lt:g}",
    "finite_number": "{value} is not a finite number; correct it",
    "string_too_short": "is empty; give it a value or remove it",
    "too_short": "is empty; give it a value or remove it",
    "string_pattern_mismatch": "{value!r} can't be part of test and file names; use letters, digits, '_', '-', '.'",
}
_SLICE_THRESHOLDS: KeyPath = ("llmops", "slices", "thresholds")
_RUN_DATASET_REFERENCE = "remove it: only a dataset of an evaluator refers to another one"


def validate(document: Document, findings: Findings) -> tuple[ExperimentBlock, Document]:
    """Check a document's keys and types, and return what is sound of it.

    Whatever has a mistake is left out, so that the rest can still be checked against flows and data. The document
    that comes back lacks the same parts, so that paths into the model and into the document agree.
    """
    first = True
    while True:
        try:
            return ExperimentBlock.model_validate(document.value), document
        except ValidationError as error:
            mistakes = error.errors(include_url=False)
        # Later rounds only see what the removals of earlier ones left incomplete.
        if first:
            for mistake in mistakes:
                _report(mistake, document, findings)
        first = False
        victim = _victim(mistakes[0], document)
        document = document.without(victim) if victim else Document({}, document.places)


def _victim(mistake: ErrorDetails, document: Document) -> KeyPath:
    path = _path(mistake, document)
    return path[:-1] if mistake["type"] == "missing" else path


def _path(mistake: ErrorDetails, document: Document) -> KeyPath:
    """Leave the names of shapes out of pydantic's path: what remains are keys and indices of the file."""
    path: KeyPath = ()
    for part in mistake["loc"]:
        if part not in SHAPES or (*path, part) in document.places:
            path = (*path, part)
    return path


def _report(mistake: ErrorDetails, document: Document, findings: Findings) -> None:
    path = _path(mistake, document)
    what, todo = _explain(mistake, path)
    findings.error(document.problem(path, what, todo))


def _explain(mistake: ErrorDetails, path: KeyPath) -> tuple[str, str]:
    """Say what is wrong and what to do, in words of the file instead of pydantic's."""
    kind, value = mistake["type"], mistake["input"]
    if kind == "extra_forbidden":
        return _explain_unknown(path)
    if kind in _EXPECTED:
        return _explain_type(_EXPECTED[kind], value)
    if kind == "missing":
        return "key is missing", "add it, it may be empty" if path[-1] == "mappings" else "add it"
    context: Mapping[str, Any] = mistake.get("ctx", {})
    template = _MESSAGES.get(kind, "{message}")
    what, _, todo = template.format(value=value, message=mistake["msg"], **context).partition(";")
    return what, todo.strip()


def _explain_unknown(path: KeyPath) -> tuple[str, str]:
    if path[0] == "datasets" and path[-1] == "reference":
        return "not a key of a run's dataset", _RUN_DATASET_REFERENCE
    if path[:3] == _SLICE_THRESHOLDS and path[-1] in ThresholdBlock.model_fields:
        return "not a key of a threshold for slices", "remove it: slices only have min, max and severity"
    return "unknown key", suggest(str(path[-1]), _known_keys(path[:-1]), "known keys")


def _explain_type(expected: str, value: object) -> tuple[str, str]:
    if value is None:
        return f"expected {expected}, but it is empty", "give it a value"
    is_scalar = not isinstance(value, (list, dict))
    todo = "put it in quotes" if expected.startswith("text") and is_scalar else "correct it"
    return f"expected {expected}, but YAML reads this as {describe(value)}", todo


def _known_keys(path: KeyPath) -> list[str]:
    """List the keys that the schema allows in the mapping at a path."""
    schema = json_schema()
    nodes: list[Any] = [schema]
    for part in path:
        nodes = [inner for node in nodes for inner in _step(schema, node, part)]
    return [key for node in nodes for shape in _shapes(schema, node) for key in shape.get("properties", {})]


def _step(schema: Mapping[str, Any], node: Mapping[str, Any], part: str | int) -> Iterator[Any]:
    for shape in _shapes(schema, node):
        if isinstance(part, int):
            inner = shape.get("items")
        else:
            inner = shape.get("properties", {}).get(part) or shape.get("additionalProperties")
        if inner:
            yield inner


def _shapes(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    choices = node.get("anyOf") or node.get("oneOf")
    if not choices:
        yield node
        return
    for choice in choices:
        yield from _shapes(schema, choice)
