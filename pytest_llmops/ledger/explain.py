"""Why a run is not reused: what is different from the most similar one that is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_llmops.durations import format_duration
from pytest_llmops.ledger.files import UNREADABLE
from pytest_llmops.ledger.reads import Change
from pytest_llmops.records.run import Reads

NEVER = "never run before"
_ABSENT = object()
_Path = tuple[str, ...]
_Difference = tuple[_Path, object, object]


def context_reasons(now: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Say what is different in a context, compared to the kept one that it has most in common with."""
    if not kept:
        return (NEVER,)
    nearest = min((list(_differences(before, now)) for before in kept), key=len)
    return tuple(dict.fromkeys(_said(*difference) for difference in nearest))


def feed_reasons(now: Mapping[str, Any], rows: Sequence[str] | None, kept: Mapping[str, Any]) -> Iterator[str]:
    """Say what is different in what a run is fed with. ``rows`` are short digests of the data's rows."""
    if now["data"] != kept["data"]:
        yield _rows_said(rows, kept["rows"])
    for name, text in _FEED.items():
        if now[name] != kept[name]:
            yield text
    for path, before, after in _differences(kept["mapping"], now["mapping"]):
        yield f"mapping of {path[0]} {_how(before, after)}"


def change_reason(change: Change, reads: Reads) -> str:
    """Say what is different in what the flow read."""
    if change.kind == "variable":
        return f"variable {change.name} changed"
    if reads.files[change.name] == UNREADABLE:
        return f"read file {change.name} changed while it was read"
    return f"read file {change.name} changed"


def age_reason(max_age: float | None) -> str:
    """Say that what is kept is too old; without a limit, that nothing kept is wanted."""
    return "--llmops-no-cache" if max_age is None else f"older than --llmops-max-age {format_duration(max_age)}"


def _differences(before: object, after: object, path: _Path = ()) -> Iterator[_Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            yield from _differences(before.get(name, _ABSENT), after.get(name, _ABSENT), (*path, name))
    elif before != after:
        yield path, before, after


def _said(path: _Path, before: object, after: object) -> str:
    how, values = _how(before, after), f"{_shown(before)} -> {_shown(after)}"
    match path:
        case ("flow", "files", file):
            said = f"flow file {file} {how}"
        case ("variant", "nodes", node):
            said = f"variant of node {node}: {values}"
        case ("variant", "init", name):
            said = f"init value {name} {how}"
        case ("variant", "overrides", name):
            said = f"override {name} {how}"
        case ("variables", name):
            said = f"variable {name} {how}"
        case ("connections", name):
            said = f"connection {name} {how}"
        case ("connections", name, *_):
            said = f"connection {name} changed"
        case ("llm", "cassette"):
            said = f"cassette {how}"
        case ("compute",):
            said = "run elsewhere"
        case ("compute", name):
            said = f"{name.replace('_', ' ')}: {values}"
        case ("environment", "packages", package):
            said = f"package {package} {values}"
        case _:
            said = f"{' '.join(path[1:])} {values}"
    return said


def _how(before: object, after: object) -> str:
    if before in (_ABSENT, None):
        return "is new"
    return "is gone" if after in (_ABSENT, None) else "changed"


def _shown(value: object) -> str:
    return "none" if value in (_ABSENT, None, "") else str(value)


def _rows_said(rows: Sequence[str] | None, kept: Sequence[str] | None) -> str:
    if rows is None or kept is None:
        return "data changed"
    new = (Counter(rows) - Counter(kept)).total()
    gone = (Counter(kept) - Counter(rows)).total()
    if not new and not gone:
        return "data: the order of the rows changed"
    said = [f"{new} of {len(rows)} rows {'is' if new == 1 else 'are'} new"] if new else []
    said += [f"{gone} {'is' if gone == 1 else 'are'} gone"] if gone else []
    return "data: " + ", ".join(said)


_FEED = {
    "outputs": "outputs of the evaluated run changed",
    "inputs": "inputs of the evaluated run changed",
    "max_rows": "--llmops-max-rows changed",
    "repeat": "another repeat",
}
