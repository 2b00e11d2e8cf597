"""Whether a deployment may go ahead, by a gate.json as it is found. Whatever is not a sound, fresh, open one is closed.

It is asked by steps that act on the answer, often in another job than the one that evaluated. So nothing is taken on
trust: a file that is missing, torn, of another commit or run, old, or at odds with itself closes the gate.
"""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pytest_llmops.durations import format_duration
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.decoding import from_json
from pytest_llmops.reports.ages import age
from pytest_llmops.reports.gate import FILE, SCHEMA_VERSION, GateFile, Line
from pytest_llmops.reports.text import one_line

_LARGEST = 64 * 2**20  # bytes
_CLOCKS_DIFFER = 300.0  # seconds
_DIRTY = "-dirty"
_SHA_SHOWN = 12
_AGAIN = "run the evaluation again"
_ALL_VARIANTS = ("all", "*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a decision has to be of. ``now`` is the time; ``max_age`` is in seconds.

    ``commit``, at least its first seven digits, and ``build`` are not checked where they are empty. ``complete`` asks
    for a session that left nothing out.
    """

    now: datetime
    max_age: float
    commit: str = ""
    build: str = ""
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCheck:
    """The answer: open only where there is no reason against it. ``file`` is None where it can't be believed.

    ``problems`` are reasons that are not in the file, but with it.
    """

    problems: tuple[str, ...] = ()
    file: GateFile | None = field(default=None, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether a deployment may go ahead."""
        return self.file is not None and self.file.state == "open" and not self.problems

    @property
    def state(self) -> str:
        """``open`` or ``closed``."""
        return "open" if self.is_open else "closed"


def check_gate(folder: Path, expected: Expected) -> GateCheck:
    """Check the decision in a folder of reports. It never fails: what goes wrong is a problem, and closes the gate."""
    path = folder / FILE
    try:
        file = _parse(_read(path))
    except _Unsound as problem:
        return GateCheck(problems=(one_line(f"{path}: {problem}; {_AGAIN}", 400),))
    inconsistent = next(_contradictions(file), None)
    if inconsistent:
        return GateCheck(problems=(one_line(f"{path}: it contradicts itself: {inconsistent}; {_AGAIN}", 400),))
    return GateCheck(file=file, problems=tuple(one_line(problem, 400) for problem in _mismatches(file, expected)))


class _Unsound(LLMOpsError):
    """The file can't be taken for a decision at all."""


def _read(path: Path) -> str:
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise _Unsound("it is no regular file")
        if found.st_size > _LARGEST:
            raise _Unsound(f"it is larger than {_LARGEST // 2**20} MB")
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise _Unsound("there is none: nothing was decided here") from None
    except OSError as error:
        raise _Unsound(f"it can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _Unsound("it is not UTF-8") from None
    if not text.strip():
        raise _Unsound("it is empty")
    return text


def _parse(text: str) -> GateFile:
    try:
        values = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _Unsound("it is not valid JSON, or only a part of it") from None
    version = values.get("schema_version") if isinstance(values, dict) else None
    if type(version) is not int or version != SCHEMA_VERSION:
        shown = "none" if version is None else one_line(repr(version), 40)
        raise _Unsound(f"its schema_version is {shown}, this version of pytest-llmops reads {SCHEMA_VERSION}")
    try:
        return from_json(GateFile, values)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise _Unsound(f"it is not a whole decision ({error})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is there twice: of two states, a reader would see the last one alone."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is there twice")
    return values


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _contradictions(file: GateFile) -> Iterator[str]:
    """Yield where the parts of a decision don't fit together, so that one of them was not written by us."""
    verdicts = Counter(line.verdict for line in file.gates)
    if {name: count for name, count in file.counts.items() if count} != dict(verdicts):
        yield "counts are not those of its gates"
    if len({(line.experiment, line.item) for line in file.gates}) < len(file.gates):
        yield "a gate is there twice"
    for line in file.gates:
        if not _closes_rightly(line):
            yield f"{line.item} is {line.verdict}, and closes is {str(line.closes).lower()}"
        elif not _bars_rightly(line):
            yield f"{line.item} is {line.verdict}, and bars is {str(line.bars).lower()}"
    if file.state == "closed":
        return
    if not file.gates:
        yield "open without a gate"
    elif file.closing:
        yield f"open, and {file.closing[0].item} closes it"
    elif file.reasons:
        yield "open, and has reasons against it"


def _closes_rightly(line: Line) -> bool:
    if line.optional:
        return not (line.blocking or line.closes)
    if line.verdict == "INCONCLUSIVE":
        return line.blocking or not line.closes
    return line.closes is (line.verdict == "ERROR" or (line.verdict == "FAIL" and line.blocking))


def _bars_rightly(line: Line) -> bool:
    """Tell whether a line may bar its variant: what closes the gate does, and nothing that passed."""
    return line.bars if line.closes else line.verdict in ("FAIL", "INCONCLUSIVE") or not line.bars


def _mismatches(file: GateFile, expected: Expected) -> Iterator[str]:
    """Yield what is wrong with a sound decision here and now."""
    if file.shard is not None:
        yield f"it is the decision on shard {file.shard} alone; make the shards whole with: llmops merge"
    yield from _wrong_age(file.created, expected)
    yield from _wrong_commit(file.commit or "", expected.commit)
    if expected.build and file.build != expected.build:
        of = f"run {file.build}" if file.build else "no run of a pipeline"
        yield f"it is of {of}, this is run {expected.build}; decide in the run that evaluated"
    if expected.complete:
        yield from _incomplete(file)


def _incomplete(file: GateFile) -> Iterator[str]:
    if limits := narrowing(file):
        shown = ", ".join(f"{name} {value}" for name, value in limits.items())
        yield f"the session was limited ({shown}), and --complete asks for all; evaluate without these limits"
    if file.commit is not None and file.commit.endswith(_DIRTY):
        yield f"files were changed since commit {_short(file.commit)}, and --complete asks for a commit; {_AGAIN}"


def _wrong_age(created: str, expected: Expected) -> Iterator[str]:
    try:
        seconds = (expected.now - datetime.fromisoformat(created)).total_seconds()
    except (ValueError, TypeError, OverflowError):  # TypeError: a time without a zone
        yield f"it does not say when it was made; {_AGAIN}"
        return
    if seconds > expected.max_age:
        allowed = format_duration(expected.max_age)
        yield f"it is {age(seconds)} old, more than {allowed}; {_AGAIN}, or allow more with --max-age"
    elif seconds < -_CLOCKS_DIFFER:
        yield f"it is from the future ({created}); set the clocks, and {_AGAIN}"


def _wrong_commit(commit: str, expected: str) -> Iterator[str]:
    if not expected:
        if commit:
            yield f"it is of commit {_short(commit)}, and which one this is can't be told; name it with --commit"
    elif not commit:
        yield f"it is of no known commit, this is {_short(expected)}; evaluate in the repository"
    elif not commit.startswith(expected):
        yield f"it is of commit {_short(commit)}, this is {_short(expected)}; {_AGAIN}"
    elif commit.removeprefix(expected).endswith(_DIRTY):
        yield f"it is of commit {_short(commit)}, with files that were changed since; {_AGAIN} on the commit itself"


def _short(commit: str) -> str:
    return commit.removesuffix(_DIRTY)[:_SHA_SHOWN] + _DIRTY * commit.endswith(_DIRTY)


def narrowing(file: GateFile) -> Mapping[str, str]:
    """Return the settings by which an open gate says less than the experiment files ask for.

    Fewer rows or variants, another number of repeats or other thresholds than the files have, and what was decided
    again rather than measured.
    How LLM calls were answered, the environment and the baseline are choices, not limits.
    """
    settings = file.settings
    limits = {name: settings[name] for name in ("max-rows", "repeat", "thresholds", "regated") if name in settings}
    if settings.get("variants", "all") not in _ALL_VARIANTS:
        limits["variants"] = settings["variants"]
    return limits
