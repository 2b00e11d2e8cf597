"""What is demanded of a candidate beside what is demanded of the flow, and with which cell it is compared. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_llmops.matrix import all_variants, kept_variants
from pytest_llmops.records.experiment import RUN, Candidate, Experiment, Flow, Threshold
from pytest_llmops.records.gate import Cell


def candidate_of(experiment: Experiment, cell: Cell) -> Candidate | None:
    """Return the candidate that a cell is of; None where it is of the flow itself."""
    if not cell.variant.is_candidate:
        return None
    return next(candidate for candidate in experiment.candidates if candidate.name == cell.variant.id)


def standing_in(candidate: Candidate, flow: Flow) -> Flow:
    """Return the candidate's flow, with the outputs of the flow that it stands for where its own can't be known."""
    return candidate.flow if candidate.flow.outputs else replace(candidate.flow, outputs=flow.outputs)


def recorded_as(experiment: Experiment, candidate: Candidate) -> str:
    """Name the cassette of a candidate: by its flow, and by itself too where another implementation's has that name.

    One file for two of them would hand the answers of one to the other. Case makes no difference to some file systems.
    """
    others = (experiment.flow, *(other.flow for other in experiment.candidates if other.name != candidate.name))
    name = candidate.flow.name
    shared = name.casefold() in {flow.name.casefold() for flow in others}
    return f"{name}.{candidate.name}" if shared else name


def held_to(candidate: Candidate, thresholds: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """Return what a candidate is held to: the thresholds of the flow, and what the flow comes to on the same rows.

    Thresholds that compare with a baseline compare with the flow then, and keep a margin of their own.
    """
    held = (
        replace(threshold, margin=candidate.margin) if _lacks_margin(threshold) else threshold
        for threshold in thresholds
    )
    if candidate.agreement is None:
        return tuple(held)
    name = candidate.agreement.name
    return (*(threshold for threshold in held if threshold.name != name), candidate.agreement)


def _lacks_margin(threshold: Threshold) -> bool:
    return threshold.evaluator != RUN and threshold.by is None and threshold.margin is None


def reference_of(experiment: Experiment, cell: Cell) -> Cell:
    """Name the cell that a candidate's is compared with: that of the flow's default variant, on the same dataset.

    Where the experiment's file leaves the default out, it is the first variant that it keeps.
    """
    variants = kept_variants(experiment)
    return replace(cell, variant=next((variant for variant in variants if variant.is_default), variants[0]))


def reference_name(experiment: Experiment, cell: Cell) -> str:
    """Name the cell that a candidate's is compared with for messages: by its variant too, where there are several."""
    several = len(all_variants(experiment.flow, experiment.variants)) > 1
    return f"flow {cell.flow}" + (f", variant {cell.variant.id}" if several else "")
