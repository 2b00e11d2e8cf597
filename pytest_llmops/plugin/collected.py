"""What a process collected: experiments, the items that they ask for, and which of those are this session's to do."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmops.records.report import Subject

if TYPE_CHECKING:
    from pytest_llmops.baselines import Baselines
    from pytest_llmops.plan import CellPlan
    from pytest_llmops.plugin.settings import Settings
    from pytest_llmops.records.experiment import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What the main process has to know of a collection, wherever it happened; workers send it as text.

    ``planned`` are the items of all experiments by path, in order, ``own`` those of this session's shard, without the
    experiments that have none in it. ``compared_with`` names the baselines of experiments. ``marked`` are the tests of
    the shard that the mark ``llmops`` made, ``unmatched`` the thresholds of the command line whose evaluator no
    experiment has. ``idle`` is set where all that was selected belongs to other shards. ``digests`` and ``tests`` are
    those of ``Shard``. ``commits`` were checked out when experiments were read, each as ``commit_of`` names it.
    ``subjects`` are what experiments are about, as their files were then.
    """

    planned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    compared_with: Mapping[str, str] = field(default_factory=dict)
    marked: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    idle: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)
    tests: Mapping[str, str] = field(default_factory=dict)
    commits: tuple[str, ...] = ()
    subjects: Mapping[str, Subject] = field(default_factory=dict)

    def __or__(self, other: Collected) -> Collected:
        """Put together what two processes of a session collected."""
        return Collected(
            planned={**self.planned, **other.planned},
            own={**self.own, **other.own},
            compared_with={**self.compared_with, **other.compared_with},
            marked=tuple(dict.fromkeys((*self.marked, *other.marked))),
            unmatched=tuple(dict.fromkeys((*self.unmatched, *other.unmatched))),
            troubles=tuple(dict.fromkeys((*self.troubles, *other.troubles))),
            idle=self.idle or other.idle,
            digests={**self.digests, **other.digests},
            tests={**self.tests, **other.tests},
            commits=tuple(dict.fromkeys((*self.commits, *other.commits))),
            subjects=_agreed(self.subjects, other.subjects),
        )


class Inventory:
    """Keeps the plans of a process's experiments by their file, and selects the items that are this session's."""

    def __init__(self, root: Path, settings: Settings) -> None:
        self.plans: dict[Path, tuple[CellPlan, ...]] = {}
        self._root = root
        self._settings = settings
        self._collected: set[Path] = set()
        self._marked: list[str] = []
        self._digests: dict[str, str] = {}
        self._tests: dict[str, str] = {}
        self._subjects: dict[Path, Subject] = {}
        self.idle = False

    def name(self, path: Path) -> str:
        """Write a path as reports do: from the root folder."""
        return Path(os.path.relpath(path, self._root)).as_posix()

    def note_collected(self, path: Path) -> None:
        """Note that an experiment file was collected itself, so that its items have to be decided."""
        self._collected.add(path)

    def note_subject(self, path: Path, experiment: Experiment) -> None:
        """Note what an experiment is about, before anything of it is executed. What an endpoint serves is not known."""
        from pytest_llmops.subjects import subject_of

        subject = subject_of(experiment)
        served = self._settings["backend"] == "endpoint"
        self._subjects[path] = replace(subject, digest="") if served else subject

    def note_marked(self, items: Sequence[pytest.Item]) -> None:
        """Note the tests of this shard that the mark ``llmops`` made, before any of them is deselected."""
        if not self.plans:
            return
        here = self._cells_here()
        made = ((item, plan_of(item)) for item in items if hasattr(item, "callspec"))
        self._marked += [item.nodeid for item, plan in made if plan is not None and plan.key in here]

    def note_work(self, items: Sequence[pytest.Item], baselines: Baselines) -> None:
        """Note what all shards have to have in common: what is to be done in all, and which tests were selected."""
        from pytest_llmops.fingerprints import digests_of_plans, digests_of_tests

        plans = (plan for plans in self.plans.values() for plan in plans)
        self._digests = digests_of_plans(plans, baselines.file)
        self._tests = digests_of_tests(item.nodeid for item in items if not hasattr(item, "demand"))

    def select(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Take the items of other shards out, and return them. Those that need no cell are in the first one.

        A session without any cell is whole: what it does is none of our business.
        """
        shard = self._settings["shard"]
        if shard is None or not any(self.plans.values()):
            return []
        here = self._cells_here()
        kept: list[pytest.Item] = []
        others: list[pytest.Item] = []
        for item in items:
            plan = plan_of(item)
            belongs = shard[0] == 1 if plan is None else plan.key in here
            (kept if belongs else others).append(item)
        items[:] = kept
        self.idle = bool(others) and not kept
        return others

    def unmatched_thresholds(self) -> list[str]:
        """List the thresholds of the command line whose evaluator no experiment met so far has."""
        from pytest_llmops.records.experiment import RUN

        known = {e.name for plans in self.plans.values() for plan in plans[:1] for e in plan.experiment.evaluators}
        return [t.name for t in self._settings.thresholds if t.evaluator not in known | {RUN}]

    def summary(self, baselines: Baselines, troubles: Sequence[str]) -> Collected:
        """Sum up what was collected, for the process that writes the reports."""
        here = self._cells_here()
        own = {path: [plan for plan in self.plans[path] if plan.key in here] for path in self._collected}
        experiments = {path: plan.experiment for path in self._collected for plan in self.plans[path][:1]}
        sources = {path: baselines.source(experiment) for path, experiment in experiments.items()}
        return Collected(
            planned={self.name(path): _items(self.plans[path]) for path in self._collected},
            own={self.name(path): _items(plans) for path, plans in own.items() if plans or not self.plans[path]},
            compared_with={self.name(path): self.name(source) for path, source in sources.items() if source},
            marked=tuple(self._marked),
            unmatched=tuple(self.unmatched_thresholds()),
            troubles=tuple(troubles),
            idle=self.idle,
            digests=self._digests,
            tests=self._tests,
            subjects={self.name(path): found for path, found in self._subjects.items() if path in self._collected},
        )

    def _cells_here(self) -> Collection[str]:
        """Return the keys of the cells that are in this session's shard: all, once every file was collected."""
        from pytest_llmops.sharding import cells_of

        return cells_of([plan for plans in self.plans.values() for plan in plans], self._settings["shard"])


def _agreed(some: Mapping[str, Subject], others: Mapping[str, Subject]) -> dict[str, Subject]:
    """Put together what two processes saw. Where that differs, files changed meanwhile: which were run isn't known."""
    unsure = [path for path in some.keys() & others.keys() if some[path] != others[path]]
    return {**some, **others, **{path: replace(some[path], digest="", data="", criteria="") for path in unsure}}


def plan_of(item: pytest.Item) -> CellPlan | None:
    """Return the plan of the cell that an item needs: one of ours, or a test that the mark ``llmops`` parametrizes."""
    plan: CellPlan | None = getattr(item, "plan", None) if hasattr(item, "demand") else None
    callspec = getattr(item, "callspec", None)
    return plan or (callspec.params.get("llmops_cell") if callspec else None)


def _items(plans: Sequence[CellPlan]) -> tuple[str, ...]:
    return tuple(item for plan in plans for item in plan.items)
