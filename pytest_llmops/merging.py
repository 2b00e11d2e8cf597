"""Makes one result of those of all shards of a session, where they are all there and of one session. Pure.

A whole that can't be put together has a closed gate that says why: a part that is missing may be the one that failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from pytest_llmops.records.gate import GateResult, cell_key
from pytest_llmops.records.report import Report, Shard
from pytest_llmops.sharding import idle_reason
from pytest_llmops.stats.gates import NOTHING, decide, incomplete, obstacles_of

Named = tuple[str, Report]
"""The results of a session, and what messages call them: their folder."""

_OF_AN_AGENT = ("shard", "report-dir", "ledger", "history", "baseline")
"""Settings that may differ between the agents of one session: what they do of it, and where they keep files.

What a baseline holds has to be the same: the digests tell.
"""
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    name: str
    report: Report
    shard: Shard


def merge(found: Sequence[Named], troubles: Sequence[str] = (), aside: Sequence[str] = ()) -> Report:
    """Make one report of those of shards: what one session on all of it would have found out.

    ``troubles`` is what else is wrong with their results, a line each, such as some that can't be read; ``aside`` is
    what is wrong beside them. They and ``problems`` close the gate. What shards found out is in the report unless they
    are not of one session. It is as old as its oldest part.
    """
    parts, conflicts = _last(found), list(_conflicts(found))
    missing = list(_missing(parts))
    obstacles = [*troubles, *conflicts, *missing]
    if conflicts or not parts:
        created = min((report.created for _, report in found), default="")
        decision = decide((), [*obstacles, *aside])
        return Report(experiments={}, cells=(), gates=(), decision=decision, created=created)
    first = parts[0]
    gates = _gates(parts)
    keys = dict.fromkeys(cell_key(gate.experiment, gate.cell) for gate in gates)
    results = [result for part in reversed(parts) for result in part.report.cells]
    cells = {cell_key(result.cell.experiment, result.cell.id): result for result in results}
    obstacles += [reason for part in parts for reason in _obstacles(part)]
    obstacles += _decided_twice(parts)
    # What a missing shard leaves undecided needs no reasons of its own.
    planned = [part.shard.own for part in parts] if missing else [first.shard.planned]
    obstacles += [reason for items in planned for reason in incomplete(items, gates)]
    return replace(
        first.report,
        experiments={path: name for part in parts for path, name in part.report.experiments.items()},
        cells=tuple(cells[key] for key in keys if key in cells),
        gates=gates,
        decision=decide(gates, dict.fromkeys((*obstacles, *aside))),
        settings={name: value for name, value in first.report.settings.items() if name != "shard"},
        created=min(part.report.created for part in parts),
        baselines={path: source for part in parts for path, source in part.report.baselines.items()},
        shard=None,
    )


def problems(found: Sequence[Named]) -> list[str]:
    """Say, a line each, why results are not all the shards of one session, each once; nothing where they are."""
    return [*_conflicts(found), *_missing(_last(found))]


def last_attempts(found: Sequence[Named]) -> list[Named]:
    """Return the results that hold: of each shard those of its last attempt, by number."""
    return [(part.name, part.report) for part in _last(found)]


def superseded(found: Sequence[Named]) -> list[str]:
    """Say, a line each, which results another attempt at the same shard stands for."""
    last = {part.shard.index: part for part in _last(found)}
    lines = []
    for part in _parts(found):
        holds = last[part.shard.index]
        if part.shard.attempt < holds.shard.attempt:
            by = f"attempt {holds.shard.attempt} of shard {holds.shard} in {holds.name}"
            lines.append(f"{part.name}: attempt {part.shard.attempt}, replaced by {by}")
    return lines


def _parts(found: Sequence[Named]) -> list[_Part]:
    return [_Part(name=name, report=report, shard=report.shard) for name, report in found if report.shard is not None]


def _last(found: Sequence[Named]) -> list[_Part]:
    last: dict[int, _Part] = {}
    for part in sorted(_parts(found), key=lambda part: (part.shard.index, part.shard.attempt)):
        last[part.shard.index] = part
    return list(last.values())


def _conflicts(found: Sequence[Named]) -> Iterator[str]:
    """Yield why what was found can't be of one session."""
    for name, report in found:
        if report.shard is None:
            yield f"{name}: no shard, but a whole session; shards are made with --llmops-shard, a single one with 1/1"
        elif not 1 <= report.shard.index <= report.shard.count:
            yield f"{name}: there is no shard {report.shard}"
    tries: dict[tuple[int, int], str] = {}
    for part in _parts(found):
        other = tries.setdefault((part.shard.index, part.shard.attempt), part.name)
        if other != part.name:
            yield f"{other} and {part.name} are both attempt {part.shard.attempt} of shard {part.shard}; keep one"
    parts = _last(found)
    for part in parts[1:]:
        if differences := list(_differences(parts[0], part)):
            yield f"{part.name}: not of the same session as {parts[0].name}: {'; '.join(differences)}"


def _differences(first: _Part, other: _Part) -> Iterator[str]:
    expected, known = _facts(first), _facts(other)
    for name in dict.fromkeys((*expected, *known)):
        if expected.get(name) != known.get(name):
            yield f"{name} is {known.get(name, 'none')}, not {expected.get(name, 'none')}"
    mine, theirs = first.shard, other.shard
    if unlike := _unlike(mine.planned, theirs.planned):
        yield f"other items are planned in {_listed(unlike)}"
    elif unlike := _unlike(mine.digests, theirs.digests):
        yield f"other thresholds, flows, data or baselines are in {_listed(unlike)}"
    elif unlike := _unlike(first.report.subjects, other.report.subjects):
        yield f"another flow, other data or other criteria are in {_listed(unlike)}"
    if unlike := _unlike(mine.tests, theirs.tests):
        yield f"other tests were selected in {_listed(unlike)}"


def _unlike(mine: Mapping[str, object], theirs: Mapping[str, object]) -> list[str]:
    return sorted(path for path in mine.keys() | theirs.keys() if mine.get(path) != theirs.get(path))


def _listed(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more


def _facts(part: _Part) -> dict[str, str]:
    """Return what all shards of a session have in common."""
    settings = part.report.settings.items()
    return {
        "the number of shards": str(part.shard.count),
        **part.report.versions,
        **{f"setting {name}": value for name, value in settings if name not in _OF_AN_AGENT},
    }


def _missing(parts: Sequence[_Part]) -> Iterator[str]:
    if not parts:
        return
    count, there = parts[0].shard.count, {part.shard.index: part.name for part in parts}
    absent = (str(index) for index in range(1, count + 1) if index not in there)
    shown, number = list(islice(absent, _SHOWN)), count - len(there)
    if shown:
        more = f" and {number - _SHOWN} more" if number > _SHOWN else ""
        missing = f"{', '.join(shown)}{more} {'is' if number == 1 else 'are'} missing"
        known = ", ".join(f"{index} in {name}" for index, name in there.items())
        yield f"of {count} shards, {missing} (there are: {known})"


def _gates(parts: Sequence[_Part]) -> tuple[GateResult, ...]:
    """Return all verdicts, as their items were planned. Where there are two on one item, the first counts."""
    gates = {(gate.experiment, gate.item): gate for part in reversed(parts) for gate in part.report.gates}
    items = ((path, item) for path, items in sorted(parts[0].shard.planned.items()) for item in items)
    places = {key: place for place, key in enumerate(items)}
    return tuple(gates[key] for key in sorted(gates, key=lambda key: (key[0], places.get(key, len(places)))))


def _decided_twice(parts: Sequence[_Part]) -> Iterator[str]:
    by: dict[tuple[str, str], _Part] = {}
    for part in parts:
        for gate in part.report.gates:
            other = by.setdefault((gate.experiment, gate.item), part)
            if other is not part:
                yield f"{gate.experiment}: {gate.item} was decided in {other.name} and in {part.name}"


def _obstacles(part: _Part) -> Iterator[str]:
    """Yield what closed a shard's gate beside verdicts, without what is about it being a part alone.

    What was not decided is counted again, over all of the whole.
    """
    decision = part.report.decision
    if decision.state == "closed" and not decision.reasons:
        yield f"{part.name}: its gate is closed, and does not say why"
    of_part = {NOTHING, idle_reason(part.shard), *incomplete(part.shard.own, part.report.gates)}
    yield from (reason for reason in obstacles_of(part.report) if reason not in of_part)
