"""What is asked of an engine, and what it gives back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pytest_llmops.records.cloud import Address, Compute
from pytest_llmops.records.experiment import Connection, Flow

LLMMode = Literal["live", "replay", "record", "auto"]
RunStatus = Literal["Completed", "Failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One choice of node variants, node input overrides (``node.input`` -> value) and init values.

    With ``is_candidate``, it is none of the flow's own, but the candidate of that name in its place.
    """

    id: str = "default"
    nodes: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    init: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_default: bool = True
    is_candidate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LLM:
    """How the LLM calls of a run are answered. ``cassette`` is needed for every mode but ``live``.

    ``recording`` names the session that records, one name over all its processes: in mode ``record`` it is how they
    know which answers are of this session. Without one, each process is a recording of its own.

    ``retries`` is how often a call that fails for want of capacity, a fault of the service or of the network is made
    again at most. ``limit`` is the address of what limits the calls under way over all runs of a session; without one,
    a run has a limit of its own, its ``concurrency``.
    """

    mode: LLMMode = "live"
    cassette: Path | None = None
    recording: str = ""
    retries: int = 5
    limit: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything that one run depends on. ``data`` is a file or folder, or rows.

    For a chained run (an evaluation), ``run_outputs`` holds the parent's completed rows, each with ``line_number``,
    and ``run_inputs`` the parent's own data, file or rows: what ``${run.outputs.x}`` and ``${run.inputs.x}`` read.
    ``concurrency`` is the number of lines that run at once, ``line_timeout`` is in seconds. ``repeat`` tells runs
    apart that are the same but for being another sample of what the flow may answer.

    With an ``address``, the flow is what answers there, and ``flow`` says what it takes and gives. ``asset`` is the
    data as a data asset of the workspace, ``azureml:name:version``, where it is one. ``parent`` is what the engine
    that executed it called the run that this one is chained on, empty where that has no name of its own. ``compute`` is
    what runs it in the cloud; None for a run on this machine.
    """

    flow: Flow
    data: Path | Sequence[Mapping[str, Any]] | None = None
    column_mapping: Mapping[str, Any] = field(default_factory=dict)
    variant: Variant = field(default_factory=Variant)
    environment_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    connections: tuple[Connection, ...] = ()
    run_outputs: Sequence[Mapping[str, Any]] | None = None
    run_inputs: Path | Sequence[Mapping[str, Any]] | None = None
    llm: LLM = field(default_factory=LLM)
    concurrency: int = 16
    max_rows: int | None = None
    line_timeout: float = 600.0
    repeat: int = 0
    address: Address | None = None
    asset: str = ""
    parent: str = ""
    compute: Compute | None = None


Line = tuple[int, Mapping[str, Any]]
"""Number and inputs of one row, after column mapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens that a row's LLM calls used, as the API reported them."""

    prompt: int = 0
    completion: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Outcome of one line: an output, or an error. ``inputs`` are the flow's inputs after mapping.

    ``duration`` is in seconds. ``tokens`` are split by model in ``usage``, as the service names it, else as the request
    did, empty if nobody did; an outcome from before models were noted has none. ``uncounted`` is the number of answers
    that reported no tokens. ``recorded`` is set where the outcome is reused: the Unix time it was first seen at.
    """

    line_number: int
    inputs: Mapping[str, Any]
    output: Mapping[str, Any] | None = None
    error: str | None = None
    duration: float = 0.0
    tokens: Tokens = field(default_factory=Tokens)
    usage: Mapping[str, Tokens] = field(default_factory=dict)
    uncounted: int = 0
    recorded: float | None = None

    @property
    def failed(self) -> bool:
        """True where the line gave no output."""
        return self.output is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """What a flow read beside what its request names, so its outcomes depend on it too.

    ``files`` maps paths, relative to the flow's folder, to the SHA-256 of what they hold; ``variables`` maps names of
    environment variables to the SHA-256 of their values. None stands for one that was looked for and is not there.
    """

    files: Mapping[str, str | None] = field(default_factory=dict)
    variables: Mapping[str, str | None] = field(default_factory=dict)


NO_READS = Reads()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished line, with what another process needs of it to go on in its place.

    ``aggregation`` is JSON text of what the line contributes to the metrics beyond its output, empty where that is
    nothing, and None where it can't be put into JSON: then only the process that executed the line can use it.
    """

    row: Row
    aggregation: str | None = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CassetteMiss:
    """An LLM request that the cassette does not hold, with the nearest one that it does."""

    cassette: str
    request: str
    nearest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """Outcome of one run, row by row. ``Failed`` means that no row could run, and ``error`` says why.

    ``aggregation_error`` is set where rows ran but the metrics could not be computed. ``metrics`` holds what the flow
    logged, unchanged (numbers, but also text, booleans, NaN). ``duration`` is in seconds, wall clock. ``llm_calls`` is
    None where a service does not tell. ``name`` is what that calls the run, empty on this machine. ``recorded`` is
    set where the whole run is reused: the Unix time its metrics were computed at. ``reads`` are the files that the flow
    read beside what the request names, as in ``Reads``; in the results of a session, those that belong to the flow's
    version, with short digests.
    """

    status: RunStatus
    rows: tuple[Row, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    aggregation_error: str | None = None
    duration: float = 0.0
    llm_calls: int | None = 0
    misses: tuple[CassetteMiss, ...] = ()
    recorded: float | None = None
    reads: Mapping[str, str | None] = field(default_factory=dict)
    name: str = ""

    @property
    def completed(self) -> tuple[Row, ...]:
        """Rows that gave an output."""
        return tuple(row for row in self.rows if not row.failed)

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows that gave none."""
        return tuple(row for row in self.rows if row.failed)

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """What ``${run.outputs.x}`` of a chained run reads: the outputs of completed rows, with their numbers."""
        return [{"line_number": row.line_number, **(row.output or {})} for row in self.completed]

    @property
    def reused(self) -> tuple[Row, ...]:
        """Rows whose outcome an earlier session found out."""
        return tuple(row for row in self.rows if row.recorded is not None)

    @property
    def oldest(self) -> float | None:
        """Unix time at which the oldest of what is reused was recorded; None where nothing is reused."""
        return earliest(self.recorded, *(row.recorded for row in self.rows))


def total_calls(runs: Iterable[RunResult]) -> int | None:
    """Return how many LLM calls some runs made; None where that is not known of one."""
    calls = [run.llm_calls for run in runs]
    return None if None in calls else sum(number or 0 for number in calls)


def earliest(*times: float | None) -> float | None:
    """Return the earliest of the times that are known; None where none is."""
    return min((time for time in times if time is not None), default=None)
