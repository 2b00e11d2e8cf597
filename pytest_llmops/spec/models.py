"""The shape of ``experiment.yaml``: strict models, which check keys and types and give the JSON schema.

What needs more than one key, or other files, is checked elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from pytest_llmops.records.experiment import Require, Severity, Strategy
from pytest_llmops.rules import parse_rule
from pytest_llmops.spec.suggest import describe

T = TypeVar("T")

NAME_PATTERN = r"^\w([\w .-]*[\w.-])?$"


SHAPES = ("<text>", "<list>", "<mapping>")


def _shape(value: object) -> str:
    if isinstance(value, Mapping):
        return "<mapping>"
    return "<list>" if isinstance(value, Sequence) and not isinstance(value, str) else "<text>"


# Where YAML may hold one of several shapes, errors are reported for the shape it has, not for all of them.
_BY_SHAPE = Discriminator(_shape)


def _plain(value: object) -> object:
    if isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            _plain(item)
    elif value is not None and not isinstance(value, (str, bool, int, float)):
        raise PydanticCustomError("not_plain", "{what}", {"what": f"YAML reads {value} as {describe(value)}"})
    elif isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("not_plain", "{what}", {"what": f"YAML reads this as the number {value}"})
    return value


def _property(value: object) -> str:
    if type(value) is date:  # YAML reads api_version: 2024-06-01 as one
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise PydanticCustomError("not_property", "expected text or a number")
    return str(value)


def _rule_text(value: object) -> object:
    parse_rule(value)
    return value


def _refused(value: object) -> object:
    raise PydanticCustomError("not_yet", "not supported yet")


Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Plain = Annotated[Any, AfterValidator(_plain)]
Property = Annotated[Any, AfterValidator(_property), WithJsonSchema({"type": ["string", "number"]})]
NotYet = Annotated[T | None, AfterValidator(_refused)]
Mappings = Annotated[
    dict[str, Plain],
    Field(description="Flow input to ${data.column}, ${run.outputs.output}, ${run.inputs.column} or a constant"),
]


class Block(BaseModel):
    """A mapping in the file: unknown keys and near types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class ThresholdBlock(Block):
    """A range that a metric must stay in, and what happens where it does not."""

    min: float | None = Field(default=None, description="Lowest value that passes")
    max: float | None = Field(default=None, description="Highest value that passes")
    severity: Severity = Field(default="fail", description="Whether a miss fails the gate or is only reported")
    max_drop: NotYet[float] = Field(default=None, description="Not supported yet")
    margin: NotYet[float] = Field(default=None, description="Not supported yet")
    confidence: NotYet[float] = Field(default=None, description="Not supported yet")

    @model_validator(mode="after")
    def _is_a_rule(self) -> ThresholdBlock:
        parse_rule({"min": self.min, "max": self.max})
        return self


Threshold = Annotated[
    Annotated[Annotated[str, BeforeValidator(_rule_text)], Tag("<text>")]
    | Annotated[Annotated[str, BeforeValidator(_rule_text)], Tag("<list>")]
    | Annotated[ThresholdBlock, Tag("<mapping>")],
    _BY_SHAPE,
]
Thresholds = Annotated[dict[str, Threshold], Field(description="Metric to a rule such as '>= 0.8'")]


class DatasetBlock(Block):
    """Rows for the flow."""

    name: Name
    source: Text = Field(description="Path of the rows, or azureml:<name>:<version>")
    mappings: Mappings | None
    description: str | None = None


class EvaluatorDatasetBlock(Block):
    """Rows for an evaluator: a dataset of the experiment by name, or gold rows that refer to one."""

    name: Name
    mappings: Mappings | None
    source: Text | None = Field(default=None, description="Path of the gold rows, or azureml:<name>:<version>")
    reference: Text | None = Field(default=None, description="Name of the dataset whose run is evaluated")
    description: str | None = None
    key: Text | None = Field(default=None, description="Column by which gold rows are checked against the run's rows")
    thresholds: Thresholds | None = None


class EvaluatorBlock(Block):
    """An evaluation flow, and the datasets it is applied to."""

    name: Name
    flow: Text | None = Field(default=None, description="Folder of the evaluation flow; the name by default")
    datasets: list[EvaluatorDatasetBlock]
    thresholds: Thresholds | None = None


class ConnectionBlock(BaseModel):
    """A connection by name and type; every further key is a property of it."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Property]

    name: Text
    connection_type: Text
    configs: dict[str, Property] | None = Field(default=None, description="Plain values of a custom connection")
    secrets: dict[str, Property] | None = Field(default=None, description="Secret values of a custom connection")


Combination = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[Text, Tag("<list>")] | Annotated[dict[str, Plain], Tag("<mapping>")],
    _BY_SHAPE,
]


class VariantsBlock(Block):
    """Which variants of the flow are run."""

    strategy: Annotated[
        Annotated[Strategy, Tag("<text>")]
        | Annotated[Strategy, Tag("<mapping>")]
        | Annotated[list[Combination], Field(min_length=1), Tag("<list>")],
        _BY_SHAPE,
    ] = Field(default="one-at-a-time", description="How variants are combined, or the list of combinations")
    include: list[Text] | None = Field(default=None, description="Patterns of the variants to run")
    exclude: list[Text] | None = Field(default=None, description="Patterns of the variants to leave out")
    overrides: dict[str, Annotated[list[Plain], Field(min_length=1)]] | None = Field(
        default=None, description="node.input or init.parameter to the values to try, the default first"
    )


class GateBlock(Block):
    """How verdicts add up to a decision."""

    require: Require = Field(default="default", description="Which variants must pass")
    max_failed_rows: int = Field(default=0, ge=0)
    min_rows: int = Field(default=1, ge=1)
    repeat: NotYet[int] = Field(default=None, description="Not supported yet")
    on_inconclusive: NotYet[Literal["warn", "fail"]] = Field(default=None, description="Not supported yet")


class SlicesBlock(Block):
    """Groups of rows with thresholds of their own. Not supported yet."""

    by: list[Text] | None = None
    thresholds: Thresholds | None = None


class BaselineBlock(Block):
    """The variant that others are compared with. Not supported yet."""

    variant: Text


class CandidateBlock(Block):
    """Another implementation of the flow. Not supported yet."""

    name: Name
    engine: Text | None = None
    flow: Text | None = None


Baseline = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[Text, Tag("<list>")] | Annotated[BaselineBlock, Tag("<mapping>")],
    _BY_SHAPE,
]


class LLMOpsBlock(Block):
    """Settings that Microsoft's template does not know."""

    variants: VariantsBlock | None = None
    gate: GateBlock | None = None
    thresholds: Thresholds | None = Field(default=None, description="evaluator.metric or run.metric to a rule")
    slices: NotYet[SlicesBlock] = Field(default=None, description="Not supported yet")
    baseline: NotYet[Baseline] = Field(default=None, description="Not supported yet")
    candidates: NotYet[list[CandidateBlock]] = Field(default=None, description="Not supported yet")


class ExperimentBlock(Block):
    """One use case: a flow, its datasets, its evaluators, and what is demanded of them."""

    # Nothing is required here: overlays are read with this model too.
    name: Name | None = Field(default=None, description="Name of the use case")
    flow: Text | None = Field(default=None, description="Folder of the flow; the name by default")
    datasets: list[DatasetBlock] | None = Field(default=None, description="Rows that the flow is run on")
    evaluators: list[EvaluatorBlock] | None = Field(default=None, description="Flows that evaluate each run")
    connections: list[ConnectionBlock] | None = None
    runtime: str | None = Field(default=None, description="Azure ML runtime of cloud runs")
    llmops: LLMOpsBlock | None = None
    repeat: NotYet[int] = Field(default=None, description="Not supported yet")
