"""The shape of what an experiment demands: thresholds, slices, row scores, and how verdicts come about."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, Tag, model_validator

from pytest_llmops.records.experiment import MOST_REPEATS, Better, IntervalMethod, OnInconclusive, Require, Severity
from pytest_llmops.rules import ANY, Rule, parse_rule
from pytest_llmops.spec.reduction import parse_reduction
from pytest_llmops.spec.shapes import BY_SHAPE, Amount, Block, Finite, Text, Texts


def _rule_text(value: object) -> object:
    parse_rule(value)
    return value


def _reduction(value: str) -> str:
    parse_reduction(value)
    return value


_RuleText = Annotated[str, BeforeValidator(_rule_text)]


class SliceThresholdBlock(Block):
    """A range that a metric must stay in on each slice of the rows."""

    min: float | None = Field(default=None, description="Lowest value that passes")
    max: float | None = Field(default=None, description="Highest value that passes")
    severity: Severity = Field(default="fail", description="Whether a miss fails the gate or is only reported")

    @property
    def rule(self) -> Rule:
        """The range as a rule."""
        return parse_rule({"min": self.min, "max": self.max})

    @model_validator(mode="after")
    def _is_a_demand(self) -> SliceThresholdBlock:
        self._check()
        return self

    def _check(self) -> None:
        _ = self.rule


class ThresholdBlock(SliceThresholdBlock):
    """What is demanded of a metric: a range, no loss against a baseline, rows that must pass."""

    confidence: Annotated[float, Field(gt=0.5, lt=1, allow_inf_nan=False)] | None = Field(
        default=None, description="Compare the one-sided confidence bound of this level with the range"
    )
    max_drop: Amount | None = Field(default=None, description="How much lower than the baseline it may be")
    margin: Amount | None = Field(default=None, description="How much worse than the baseline it may be")
    better: Better | None = Field(default=None, description="Which way is better")
    must_pass: Texts | None = Field(default=None, description="Keys of the rows that must pass")
    keep_passing: bool = Field(default=False, description="Whether rows that pass in the baseline must pass")
    pass_mark: Finite | None = Field(default=None, description="Score with which a row passes")

    @property
    def rule(self) -> Rule:
        """The range as a rule; any value where there is none."""
        return ANY if self.min is None and self.max is None else super().rule

    def _check(self) -> None:
        ranged, by_row = self.rule is not ANY, bool(self.must_pass or self.keep_passing)
        compared = self.max_drop is not None or self.margin is not None
        if self.max_drop is not None and self.margin is not None:
            raise ValueError("has both max_drop and margin; keep one of them")
        if self.confidence is not None and not ranged:
            raise ValueError("confidence needs a bound to compare with; add min or max")
        if not (ranged or compared or by_row):
            raise ValueError("demands nothing; write min, max, max_drop, margin, must_pass or keep_passing")


Threshold = Annotated[
    Annotated[_RuleText, Tag("<text>")]
    | Annotated[_RuleText, Tag("<list>")]
    | Annotated[ThresholdBlock, Tag("<mapping>")],
    BY_SHAPE,
]
SliceThreshold = Annotated[
    Annotated[_RuleText, Tag("<text>")]
    | Annotated[_RuleText, Tag("<list>")]
    | Annotated[SliceThresholdBlock, Tag("<mapping>")],
    BY_SHAPE,
]
Thresholds = Annotated[dict[str, Threshold], Field(description="Metric to a rule such as '>= 0.8'")]


class ScoreBlock(Block):
    """The output that is a row's score of a metric, and the range it must be in."""

    output: Text = Field(description="Output of the evaluation flow")
    min: Finite | None = Field(default=None, description="Lowest score that a row can have")
    max: Finite | None = Field(default=None, description="Highest score that a row can have")

    @model_validator(mode="after")
    def _has_a_range(self) -> ScoreBlock:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"min {self.min} is not below max {self.max}; correct them")
        return self


Score = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[Text, Tag("<list>")] | Annotated[ScoreBlock, Tag("<mapping>")],
    BY_SHAPE,
]


class GateBlock(Block):
    """How results become verdicts, and verdicts a decision."""

    require: Require = Field(default="default", description="Which variants must pass")
    max_failed_rows: int = Field(default=0, ge=0)
    min_rows: int = Field(default=1, ge=1)
    repeat: int = Field(default=1, ge=1, le=MOST_REPEATS, description="How often each row is run")
    reduce: Annotated[Text, BeforeValidator(_reduction)] = Field(
        default="mean", description="How the scores of a row's repeats become one: mean, median, all, any or k-of-n"
    )
    on_inconclusive: OnInconclusive = Field(default="warn", description="What an INCONCLUSIVE verdict does")
    cluster: Text | None = Field(default=None, description="Column whose equal values mark rows that belong together")
    interval: IntervalMethod = Field(default="t", description="Method of the confidence intervals of means")
    quarantine: list[Text] | None = Field(default=None, description="Keys of rows that no comparison looks at")


class SlicesBlock(Block):
    """Groups of rows, and what is demanded of each group."""

    by: Texts = Field(description="Columns by whose values rows are grouped")
    thresholds: dict[str, SliceThreshold] | None = Field(
        default=None, description="evaluator.metric to a rule for each slice"
    )


class BaselineBlock(Block):
    """The variant that others are compared with."""

    variant: Text = Field(description="Id of the variant")


Baseline = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[Text, Tag("<list>")] | Annotated[BaselineBlock, Tag("<mapping>")],
    BY_SHAPE,
]


class PriceBlock(Block):
    """What a million tokens of a model cost."""

    prompt: Amount = Field(description="Price of a million prompt tokens")
    completion: Amount = Field(description="Price of a million completion tokens")
