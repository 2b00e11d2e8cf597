"""A pipeline as Azure DevOps sees it before it runs: templates expanded, parameters bound.

It knows what this project's pipeline uses: typed parameters, ``template:``, ``${{ if/elseif/else }}`` and
``${{ expression }}``, and refuses all else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ado_expressions import evaluate, parse

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
_WHOLE = re.compile(r"\$\{\{([^{}]*)\}\}")
_KEYWORD = re.compile(r"\$\{\{\s*(if|elseif|else|each|insert)\b(.*)\}\}", re.DOTALL)
_CONTENT = ("stages", "jobs", "steps")
_TYPES: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "number": int,
    "boolean": lambda text: {"true": True, "false": False}[text.lower()],
}


class TemplateError(ValueError):
    """Azure DevOps would not start this pipeline."""


def read_yaml(path: Path) -> Any:
    """Read a file; all its scalars stay text, as in YAML 1.2 without a schema."""
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)


def expand(path: Path, parameters: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Expand a pipeline. ``variables`` are those that are known before it runs.

    Raises:
        TemplateError: naming the file, for a parameter that is not declared, not passed or not allowed.
    """
    expanded = _expand_file(path, parameters, variables)
    assert isinstance(expanded, dict)
    return expanded


def _expand_file(path: Path, parameters: Mapping[str, Any], variables: Mapping[str, str]) -> Any:
    if not path.is_file():
        raise TemplateError(f"{path.name}: there is no such template")
    content = read_yaml(path)
    bound = _bind(path, content.pop("parameters", []), parameters)
    return _Expander(path, {"parameters": bound, "variables": variables}).value(content)


def _bind(path: Path, declared: list[Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    names = [str(parameter["name"]) for parameter in declared]
    if unknown := sorted(set(given) - set(names)):
        raise TemplateError(f"{path.name}: no parameter {', '.join(unknown)}")
    return {name: _argument(path, parameter, given) for name, parameter in zip(names, declared, strict=True)}


def _argument(path: Path, parameter: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    name = parameter["name"]
    if name not in given and "default" not in parameter:
        raise TemplateError(f"{path.name}: parameter {name} is missing")
    raw = str(given.get(name, parameter.get("default")))
    if raw not in parameter.get("values", [raw]):
        raise TemplateError(f"{path.name}: parameter {name} may not be {raw!r}")
    try:
        return _TYPES[parameter["type"]](raw)
    except (KeyError, ValueError):
        raise TemplateError(f"{path.name}: parameter {name} of type {parameter['type']} is {raw!r}") from None


@dataclass(frozen=True, slots=True)
class _Expander:
    path: Path
    context: Mapping[str, Any]

    def value(self, node: Any) -> Any:
        if isinstance(node, dict):
            return dict(self._entries(node))
        if isinstance(node, list):
            return list(self._items(node))
        return self._text(node)

    def _entries(self, node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for key, value in self._chosen(node.items()):
            if key is None:
                yield from self._entries(value)
            else:
                yield self._text(key), self.value(value)

    def _items(self, node: list[Any]) -> Iterator[Any]:
        pairs = [next(iter(item.items())) if _is_conditional(item) else ("", item) for item in node]
        for key, value in self._chosen(pairs):
            if key is None:
                yield from self._items(value)
            elif isinstance(value, dict) and "template" in value:
                yield from self._template(value)
            else:
                yield self.value(value)

    def _chosen(self, pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str | None, Any]]:
        """Yield entries, those of a branch that is taken under no key, and leave out the other branches."""
        done = True
        for key, value in pairs:
            keyword = _KEYWORD.fullmatch(key)
            if keyword is None:
                yield key, value
                continue
            kind, condition = keyword[1], keyword[2].strip()
            if kind not in ("if", "elseif", "else"):
                raise TemplateError(f"{self.path.name}: {kind} is not known here")
            done = done and kind != "if"
            if not done and (kind == "else" or self._evaluate(condition)):
                done = True
                yield None, value

    def _template(self, node: Mapping[str, Any]) -> list[Any]:
        parameters = self.value(node.get("parameters", {}))
        content = _expand_file(self.path.parent / node["template"], parameters, self.context["variables"])
        return next(content[kind] for kind in _CONTENT if kind in content)

    def _text(self, text: str) -> Any:
        if whole := _WHOLE.fullmatch(text):
            return self._evaluate(whole[1])
        return _EXPRESSION.sub(lambda match: str(self._evaluate(match[1])), text)

    def _evaluate(self, text: str) -> Any:
        return evaluate(parse(text.strip()), self.context, {})


def _is_conditional(item: Any) -> bool:
    return isinstance(item, dict) and len(item) == 1 and _KEYWORD.fullmatch(next(iter(item))) is not None
