"""The shape of ``experiment.yaml``: strict models, which check keys and types and give the JSON schema.

What needs more than one key, or other files, is checked elsewhere.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Tag, model_validator

from pytest_llmops.records.experiment import Strategy
from pytest_llmops.records.kinds import Engine
from pytest_llmops.spec.models_deployment import DeploymentBlock
from pytest_llmops.spec.models_gate import (
    Baseline,
    GateBlock,
    PriceBlock,
    Score,
    SlicesBlock,
    SliceThreshold,
    Thresholds,
)
from pytest_llmops.spec.shapes import BY_SHAPE, Amount, Block, Name, NotYet, Plain, Property, Text

Mappings = Annotated[
    dict[str, Plain],
    Field(description="Flow input to ${data.column}, ${run.outputs.output}, ${run.inputs.column} or a constant"),
]


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
    key: Text | None = Field(default=None, description="Column that names each row")
    thresholds: Thresholds | None = None


class EvaluatorBlock(Block):
    """An evaluation flow, and the datasets it is applied to."""

    name: Name
    flow: Text | None = Field(default=None, description="Folder of the evaluation flow; the name by default")
    datasets: list[EvaluatorDatasetBlock]
    scores: dict[str, Score] | None = Field(default=None, description="Metric to the output that is its score of a row")
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
    BY_SHAPE,
]


class VariantsBlock(Block):
    """Which variants of the flow are run."""

    strategy: Annotated[
        Annotated[Strategy, Tag("<text>")]
        | Annotated[Strategy, Tag("<mapping>")]
        | Annotated[list[Combination], Field(min_length=1), Tag("<list>")],
        BY_SHAPE,
    ] = Field(default="one-at-a-time", description="How variants are combined, or the list of combinations")
    include: list[Text] | None = Field(default=None, description="Patterns of the variants to run")
    exclude: list[Text] | None = Field(default=None, description="Patterns of the variants to leave out")
    overrides: dict[str, Annotated[list[Plain], Field(min_length=1)]] | None = Field(
        default=None, description="node.input or init.parameter to the values to try, the default first"
    )


class ParityBlock(Block):
    """How close a candidate has to come to the flow."""

    margin: Amount | None = Field(default=None, description="How much worse than the flow's a metric may be")
    agreement: SliceThreshold | None = Field(
        default=None, description="Rule for the share of rows with the same outputs"
    )

    @model_validator(mode="after")
    def _is_a_demand(self) -> ParityBlock:
        if self.margin is None and self.agreement is None:
            raise ValueError("demands nothing; write margin or agreement")
        return self


class CandidateBlock(Block):
    """Another implementation of the flow, such as one that is to take its place."""

    name: Name
    flow: Text = Field(description="Folder of the candidate")
    parity: ParityBlock
    engine: Engine | None = Field(default=None, description="What executes it, checked against what its files say")
    init: dict[str, Plain] | None = Field(default=None, description="What its create_workflow or __init__ is given")
    required: bool = Field(default=False, description="Whether verdicts on it can close the gate")


class LLMOpsBlock(Block):
    """Settings that Microsoft's template does not know."""

    variants: VariantsBlock | None = None
    gate: GateBlock | None = None
    thresholds: Thresholds | None = Field(default=None, description="evaluator.metric or run.metric to a rule")
    slices: SlicesBlock | None = None
    baseline: Baseline | None = Field(default=None, description="Results, or a variant, to compare with")
    prices: dict[Text, PriceBlock] | None = Field(default=None, description="Model to the price of its tokens")
    deployment: dict[str, DeploymentBlock] | None = Field(
        default=None, description="Environment to how the flow is deployed to it"
    )
    candidates: list[CandidateBlock] | None = Field(
        default=None, description="Other implementations, compared with the flow"
    )


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
