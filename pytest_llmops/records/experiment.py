"""What an experiment file says, resolved: absolute paths, checked names, one value per setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pytest_llmops.rules import Rule

FlowKind = Literal["dag", "flex", "prompty", "callable"]
Strategy = Literal["one-at-a-time", "cartesian", "defaults"]
Severity = Literal["fail", "warn"]
Require = Literal["default", "best", "all"]

RUN = "run"
"""Stands for the run itself where evaluators are named: in items, metrics and thresholds."""

RUN_METRICS = ("error_rate", "total_tokens", "prompt_tokens", "completion_tokens", "rows")
"""Metrics that every run has by itself."""


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
    callable); ``folder`` is its working directory. ``entry`` is ``module:name`` for flex flows and callables.
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
    ``rows`` is the number of rows, and ``columns`` their names, where a local file of a known format tells.
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

    @property
    def run_dataset(self) -> str:
        """Name of the dataset whose run this one is evaluated against."""
        return self.reference or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A rule for one metric, with where it was written. ``evaluator`` is ``run`` for metrics of the run itself.

    ``dataset`` is the run dataset it is limited to, or None for all.
    """

    evaluator: str
    metric: str
    rule: Rule
    severity: Severity = "fail"
    dataset: str | None = None
    file: str = ""
    line: int = 0

    @property
    def name(self) -> str:
        """Full name of the metric, ``evaluator.metric``."""
        return f"{self.evaluator}.{self.metric}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """An evaluation flow, the datasets it is applied to, and the init values of a class flow."""

    name: str
    flow: Flow
    datasets: tuple[Dataset, ...]
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
class VariantRules:
    """Which variants to run. ``combinations`` is an explicit list (axis -> choice) that replaces the strategy."""

    strategy: Strategy = "one-at-a-time"
    combinations: tuple[Mapping[str, Any], ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    overrides: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """How the verdicts of an experiment's cells add up to a decision."""

    require: Require = "default"
    max_failed_rows: int = 0
    min_rows: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One use case: a flow, its datasets, its evaluators, and what is demanded of them."""

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
    warnings: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Folder of the use case."""
        return self.file.parent
