"""What to say of a request that is not in the cassette: what it asked, and how the nearest recorded one differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmops.cassettes.call import Call
from pytest_llmops.cassettes.jsontext import one_line
from pytest_llmops.cassettes.scrub import leaves

_SHOWN = 60
_BEFORE = 20
_WORD = re.compile(r"\w+")
_Places = Mapping[str, Any]


def summary(call: Call) -> str:
    """Name a request in one short line: operation, model, and the last text of the prompt."""
    text = _prompt_text(call.body)
    return " ".join(filter(None, (call.operation, call.model, _shown(text) if text else "")))


def nearest_difference(call: Call, recorded: Iterable[Call]) -> str:
    """Say where the most similar recorded request of the same operation differs, or nothing where there is none.

    Most similar is the one that differs in the fewest places, and among those the one that shares the most words.
    """
    asked = _places(call)
    others = [_places(other) for other in recorded if other.operation == call.operation]
    differences = [(other, _differing(asked, other)) for other in others]
    fewest = min((len(paths) for _, paths in differences), default=0)
    if not fewest:
        return ""
    candidates = (pair for pair in differences if len(pair[1]) == fewest)
    nearest, paths = max(candidates, key=lambda pair: _likeness(asked, *pair))
    rest = f" (and {fewest - 1} more)" if fewest > 1 else ""
    return f"{_contrast(asked, nearest, paths[0])}{rest}"


def _places(call: Call) -> _Places:
    deployment = {} if call.deployment is None else {"deployment": call.deployment}
    return {**dict(leaves(call.body, "" if isinstance(call.body, dict) else "body")), **deployment}


def _differing(asked: _Places, recorded: _Places) -> list[str]:
    return [path for path in {**asked, **recorded} if not _same(path, asked, recorded)]


def _same(path: str, asked: _Places, recorded: _Places) -> bool:
    if path not in asked or path not in recorded:
        return False
    # True equals 1 in Python, and not in JSON.
    return bool(asked[path] == recorded[path]) and isinstance(asked[path], bool) == isinstance(recorded[path], bool)


def _likeness(asked: _Places, recorded: _Places, paths: list[str]) -> float:
    ours, theirs = (
        {word for path in paths for word in _WORD.findall(str(side.get(path)))} for side in (asked, recorded)
    )
    return len(ours & theirs) / max(len(ours | theirs), 1)


def _contrast(asked: _Places, recorded: _Places, path: str) -> str:
    if path not in recorded:
        return f"{path}: not recorded, {_shown(asked[path])} asked"
    if path not in asked:
        return f"{path}: {_shown(recorded[path])} recorded, not asked"
    old, new = recorded[path], asked[path]
    start = 0
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > _SHOWN:
        start = max(_common_start(old, new) - _BEFORE, 0)
    return f"{path}: {_shown(old, start)} recorded, {_shown(new, start)} asked"


def _common_start(one: str, other: str) -> int:
    """Count the characters that two different texts begin with alike."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _shown(value: Any, start: int = 0) -> str:
    """Render a value on one short line, text from ``start`` on."""
    if not isinstance(value, str):
        return _clipped(one_line(value), 0)
    return repr(_clipped(value, start))


def _clipped(text: str, start: int) -> str:
    end = start + _SHOWN
    return f"{'...' if start else ''}{text[start:end]}{'...' if len(text) > end else ''}"


def _prompt_text(body: Any) -> str:
    if not isinstance(body, Mapping):
        return str(body)
    prompt = next((body[name] for name in ("messages", "input", "prompt") if name in body), "")
    texts = [
        value for path, value in leaves(prompt) if isinstance(value, str) and not path.endswith((".role", ".type"))
    ]
    return texts[-1] if texts else ""
