"""What an experiment file says, resolved: absolute paths, checked names, one value per setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pytest_llmops.records.deployment import Release
from pytest_llmops.records.kinds import FlowKind
from pytest_llmops.rules import ANY, Rule

Strategy = Literal["one-at-a-time", "cartesian", "defaults"]
Severity = Literal["fail", "warn"]
Require = Literal["default", "best", "all"]
Better = Literal["higher", "lower"]
OnInconclusive = Literal["warn", "fail"]
IntervalMethod = Literal["t", "bca"]

RUN = "run"
"""Stands for the run itself where evaluators are named: in items, metrics and thresholds."""

RUN_DURATIONS = ("latency_p50", "latency_p95", "latency_max", "duration")
"""Metrics of a run that are times, in seconds."""

RUN_METRICS = (
    "error_rate",
    "rows",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "cost",
    *RUN_DURATIONS,
)
"""Metrics that every run has by itself."""

AGREEMENT = "agreement"
"""Metric of a run that is compared with another: the share of rows for which both gave the same."""

MOST_REPEATS = 1000
"""How often each row may be run in one session."""

COVERAGE = "coverage"
"""Metric that every evaluator has by itself, unless it logs one of this name: the share of rows that it scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One input of a flow, or one parameter of a flex class's ``__init__``."""

    name: str
    type: str = "object"
    default: Any = None
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeVariants:
    """The variants of one node of a DAG flow."""

    default: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What can be known of a flow by reading its files, without importing or running anything of it.

    ``file`` is the flow's definition (``flow.dag.yaml``, ``flow.flex.yaml``, ``x.prompty``, or the module of a
    callable or a workflow); ``folder`` is its working directory. ``entry`` is ``module:name`` for flex flows, callables
    and workflows. ``init`` are what a class's ``__init__``, or what makes a workflow, takes.
    ``open_inputs`` is true where a signature can't be read statically (``**kwargs``): input names are then not checked.
    """

    name: str
    kind: FlowKind
    file: Path
    folder: Path
    entry: str = ""
    inputs: Mapping[str, Port] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    init: Mapping[str, Port] = field(default_factory=dict)
    node_inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    variants: Mapping[str, NodeVariants] = field(default_factory=dict)
    connections: tuple[str, ...] = ()
    open_inputs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Rows for a flow (``reference`` is None) or gold rows for an evaluator, with the column mapping that reads them.

    ``source`` is an absolute path, or None for a remote asset, whose ``azureml:name:version`` is in ``remote``.
    ``rows`` is the number of rows, and ``columns`` their names, where a local file of a known format tells. ``kept``
    holds the values, row by row, of those columns that gates need: keys, clusters and slices.
    """

    name: str
    mappings: Mapping[str, Any]
    source: Path | None = None
    remote: str | None = None
    reference: str | None = None
    key: str | None = None
    description: str | None = None
    rows: int | None = None
    columns: tuple[str, ...] | None = None
    kept: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, repr=False)

    @property
    def run_dataset(self) -> str:
        """Name of the dataset whose run this one is evaluated against."""
        return self.reference or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What is demanded of one metric, and where it was written. ``evaluator`` is ``run`` for metrics of the run itself.

    ``rule`` is compared with the metric, or, with ``confidence`` (such as 0.95), with the one-sided confidence bound of
    it. ``margin`` is how much worse than the baseline the metric may be, in its own units; ``better`` says which way
    is worse. ``must_pass`` are keys of rows whose score has to reach ``pass_mark``; ``keep_passing`` demands it of
    every row that reached it in the baseline. With ``by``, a column, the rule holds for each slice of the rows by it.
    ``dataset`` is the run dataset it is limited to, or None for all.
    """

    evaluator: str
    metric: str
    rule: Rule = ANY
    severity: Severity = "fail"
    confidence: float | None = None
    margin: float | None = None
    better: Better = "higher"
    must_pass: tuple[str, ...] = ()
    keep_passing: bool = False
    pass_mark: float | None = None
    by: str | None = None
    dataset: str | None = None
    file: str = ""
    line: int = 0

    @property
    def name(self) -> str:
        """Full name of what is demanded: ``evaluator.metric``, or ``evaluator.metric@column`` for slices."""
        return f"{self.evaluator}.{self.metric}" + (f"@{self.by}" if self.by else "")

    @property
    def compares(self) -> bool:
        """Whether a baseline is needed, or another reference."""
        return self.margin is not None or self.keep_passing or self.is_agreement

    @property
    def is_agreement(self) -> bool:
        """Whether it is about outputs that are the same as those of what a run is compared with."""
        return (self.evaluator, self.metric) == (RUN, AGREEMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Which output of an evaluation flow is a row's score of a metric, and the range that the score must be in."""

    output: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """An evaluation flow, the datasets it is applied to, and the init values of a class flow.

    ``scores`` maps metrics to the outputs that score them row by row, where the file says so.
    """

    name: str
    flow: Flow
    datasets: tuple[Dataset, ...]
    scores: Mapping[str, Score] = field(default_factory=dict)
    init: Mapping[str, Any] = field(default_factory=dict, repr=False)
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection of the experiment. ``values`` holds plain properties, ``secrets`` those that are never shown."""

    name: str
    type: str
    values: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Another implementation of an experiment's flow, such as one that is to take its place.

    It is run on the same rows, scored by the same evaluators and held to the same thresholds. What is demanded of it
    beside them is parity with the flow: no metric of an evaluator that has a threshold may be more than ``margin``
    worse, in its own units, and ``agreement`` is a threshold for the share of rows with the same outputs. Verdicts on
    it close the gate only where it is ``required``.
    """

    name: str
    flow: Flow
    init: Mapping[str, Any] = field(default_factory=dict, repr=False)
    margin: float | None = None
    agreement: Threshold | None = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRules:
    """Which variants to run. ``combinations`` is an explicit list (axis -> choice) that replaces the strategy."""

    strategy: Strategy = "one-at-a-time"
    combinations: tuple[Mapping[str, Any], ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    overrides: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """How results become verdicts, and verdicts a decision.

    ``repeat`` is how often each row is run, and ``reduce`` how its scores become one: ``mean``, ``median``, ``all``
    (the worst), ``any`` (the best), or ``k-of-n`` (1 where k of the n pass, else 0). ``cluster`` is a column whose
    equal values mark rows that are not independent. ``interval`` is the method for means. ``quarantine`` are keys of
    rows that no comparison with a baseline and no ``must_pass`` looks at.
    """

    require: Require = "default"
    max_failed_rows: int = 0
    min_rows: int = 1
    repeat: int = 1
    reduce: str = "mean"
    on_inconclusive: OnInconclusive = "warn"
    cluster: str | None = None
    interval: IntervalMethod = "t"
    quarantine: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSource:
    """What a session is compared with: results in a file or folder, or another variant of the same session."""

    path: Path | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Price of a model's tokens, for a million of them, in a currency that is the user's affair."""

    prompt: float
    completion: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One use case: a flow, its datasets, its evaluators, and what is demanded of them.

    ``slices`` are the columns by which results are looked at in groups. ``prices`` maps models to what they cost.
    ``releases`` maps environments to how the flow is deployed to them, as far as this file says it.
    """

    name: str
    file: Path
    env: str | None
    flow: Flow
    datasets: tuple[Dataset, ...]
    evaluators: tuple[Evaluator, ...]
    connections: tuple[Connection, ...] = ()
    runtime: str | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    init: Mapping[str, Any] = field(default_factory=dict, repr=False)
    variants: VariantRules = field(default_factory=VariantRules)
    gate: GatePolicy = field(default_factory=GatePolicy)
    thresholds: tuple[Threshold, ...] = ()
    slices: tuple[str, ...] = ()
    baseline: BaselineSource | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    releases: Mapping[str, Release] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Folder of the use case."""
        return self.file.parent
