"""What a process that collects and runs items keeps: plans, the engine, and the cells under way.

Without xdist there is one; with xdist, one in each worker, and they share the store of results.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from pytest_llmops.plugin.backend import Backend
from pytest_llmops.plugin.collected import Collected, Inventory, plan_of

if TYPE_CHECKING:
    from pytest_llmops.baselines import Baselines
    from pytest_llmops.engines.base import Engine
    from pytest_llmops.engines.workers import Library
    from pytest_llmops.judging import Judge
    from pytest_llmops.ledger import Ledger
    from pytest_llmops.plan import CellPlan
    from pytest_llmops.plugin.ending import Watch
    from pytest_llmops.plugin.settings import Settings
    from pytest_llmops.records.experiment import Experiment
    from pytest_llmops.records.gate import CellResult, Demand, GateResult
    from pytest_llmops.session import Session
    from pytest_llmops.store import Store
    from pytest_llmops.throttle import LimitServer


_FLOW = re.compile(r"^[-\s]*flow:\s*(\S+)", re.MULTILINE)
"""Flows of an experiment file, at a glance. Those with a colon are Python callables."""
_ALWAYS_SHOWN = ("llm", "concurrency", "report-dir")


class LLMOpsWarning(pytest.PytestWarning):
    """Something in an experiment file that is allowed, and probably not meant."""


class Runtime:
    """Plans experiments, executes their cells, and judges them, for one process of a pytest session."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.settings = settings
        self._config = config
        self.inventory = Inventory(config.rootpath, settings)
        self._commits: tuple[str, ...] = ()
        self._judges: dict[Path, Judge] = {}
        self._known_baselines: Baselines | None = None
        self._backend = Backend(settings, config.rootpath)
        self._engine: Engine | None = None
        self._session: Session | None = None
        self._store: Store | None = None
        shared = self._worker_input().get("llmops_store")
        self._store_folder: Path | None = Path(shared) if shared else None
        self.name: str = self._worker_input().get("llmops_session", uuid4().hex)
        self._ledger: Ledger | None = None
        self._limit: LimitServer | None = None
        self._watch: Watch | None = None
        self._heed_no_more: Callable[[], object] = lambda: None
        self.begun: float = self._worker_input().get("llmops_begun", time.time())

    def header(self) -> str:
        """Say the settings that matter most, and all that are not defaults, with where they come from."""
        sources = self.settings.sources
        shown = {n: v for n, v in self.settings.described().items() if n in sources or n in _ALWAYS_SHOWN}
        said = ", ".join(f"{n}={v} ({sources[n]})" if n in sources else f"{n}={v}" for n, v in shown.items())
        served = "\nllmops: an endpoint serves one variant: only the default one of each experiment is evaluated"
        own = "concurrency and llm-retries are for evaluators that are Python functions"
        remote = f"\nllmops: flows run in the workspace, with live LLM calls; {own}"
        return f"llmops: {said}" + (served if self.settings.address else remote if self._backend.is_workspace else "")

    def plans(self, path: Path) -> tuple[CellPlan, ...]:
        """Load and plan an experiment file, once.

        Raises:
            LLMOpsError: with everything that is wrong with it.
        """
        plans = self.inventory.plans
        if path not in plans:
            self._foresee(path)
            self._note_commit()
            plans[path] = self._load(path)
            if not self._config.option.collectonly:
                self._prepare(plans[path])
        return plans[path]

    def collected(self) -> Collected:
        """Sum up what this process collected, and what was wrong with the ledger."""
        if not self.inventory.plans:  # a session that is none of our business pays for nothing
            return Collected()
        return replace(self.inventory.summary(self._baselines(), self.troubles()), commits=self._commits)

    def note_work(self, items: Sequence[pytest.Item]) -> None:
        """Note what is to be done, where this session does a part of it, while files are as they were."""
        if self.settings["shard"] is not None and any(self.inventory.plans.values()):
            self.inventory.note_work(items, self._baselines())

    def start(self, items: Sequence[pytest.Item]) -> None:
        """Begin to execute every cell that the selected items need."""
        plans = [plan for item in items if (plan := plan_of(item)) is not None]
        if self._config.option.collectonly or not plans:
            return
        from pytest_llmops.api.backends import executions_at_once
        from pytest_llmops.plugin.ending import Watch
        from pytest_llmops.session import Session

        engine = self._started_engine()
        at_once = executions_at_once(engine, self._processes)
        self._session = Session(engine, self.store(), self.ledger(), at_once=at_once)
        if self._backend.is_workspace and self._store_folder is not None:
            self._watch = Watch(self._store_folder, self._session.close)
        self._session.start(plans)

    def wait_for(self, item: pytest.Item) -> None:
        """Wait for the cell that an item needs, showing what is going on."""
        plan = plan_of(item)
        if plan is None or self._session is None or self._worker_input():
            return
        from pytest_llmops.plugin.terminal import wait_with_progress

        wait_with_progress(self._session, plan, self._config)

    def cell_result(self, plan: CellPlan) -> CellResult:
        """Return the result of a cell, waiting for it."""
        if self._session is None:
            raise RuntimeError("no cell has been started: the collection of this session did not finish")
        return self._session.result(plan)

    def judge(self, plan: CellPlan, demand: Demand) -> GateResult:
        """Decide on one demand of one cell."""
        from pytest_llmops.judging import Judge

        file = plan.experiment.file
        if file not in self._judges:
            baseline_of = self._baselines().finder(plan.experiment)
            self._judges[file] = Judge(self.inventory.plans[file], self.cell_result, baseline_of)
        return self._judges[file].decide(plan, demand)

    def ledger(self) -> Ledger:
        """Outcomes of earlier sessions."""
        if self._ledger is None:
            from pytest_llmops.ledger import Ledger

            self._ledger = Ledger(
                self._config.rootpath / str(self.settings["ledger"]),
                read=not self.settings["no-cache"],
                max_age=self.settings["max-age"],
                begun=self.begun,
            )
        return self._ledger

    def _baselines(self) -> Baselines:
        from pytest_llmops.baselines import Baselines

        if self._known_baselines is None:
            self._known_baselines = Baselines(self._baseline_path())
        return self._known_baselines

    def _baseline_path(self) -> Path | None:
        given = self.settings["baseline"]
        return self._config.rootpath / given if given else None

    def troubles(self) -> list[str]:
        """Say what was wrong with the ledger, if anything was."""
        return [] if self._ledger is None else list(self._ledger.troubles)

    def store(self) -> Store:
        """Results of this session, those of its other processes included."""
        if self._store is None:
            from pytest_llmops.store import Store

            self._store = Store(self._store_folder)
        return self._store

    def share_store(self) -> str:
        """Make the folder by which the processes of this session share their results, and return its path."""
        if self._store_folder is None:
            self._store_folder = Path(tempfile.mkdtemp(prefix="llmops-"))
        return str(self._store_folder)

    def llm_limit(self) -> str:
        """Address of the one limit on LLM calls of all processes of this session, empty where none is made."""
        if self._worker_input() or self.settings["llm"] == "replay":
            return str(self._worker_input().get("llmops_llm_limit", ""))
        if self._limit is None:
            from pytest_llmops.throttle import LimitServer

            self._limit = LimitServer(self.settings["concurrency"])
        return self._limit.address

    def finish(self) -> None:
        """Wait for the cells that this process has begun: items of other processes may need them."""
        if self._session is not None:
            self._session.finish()

    def stop(self) -> None:
        """End all work that is under way, that of the workers of this process too."""
        if self._shares_runs:
            from pytest_llmops.plugin.ending import tell_workers

            tell_workers(Path(self.share_store()))
        if self._watch is not None:
            self._watch.stop()
        if self._session is not None:
            self._session.close()
        elif self._engine is not None:
            self._engine.close()
        if self._ledger is not None:
            self._ledger.close()

    def clean_up(self) -> None:
        """Give up what this process owns on behalf of the session: its limit on LLM calls, and its results."""
        if self._limit is not None:
            self._limit.close()
            self._limit = None
        if self._store_folder is not None and not self._worker_input():
            if self._shares_runs and (problem := self._backend.cancel_left(self._store_folder)):
                self._config.get_terminal_writer().line(f"llmops: {problem}")
            shutil.rmtree(self._store_folder, ignore_errors=True)
        self._heed_no_more()

    def heed_sigterm(self) -> None:
        """Have SIGTERM end the session as Ctrl-C does, where runs elsewhere would go on."""
        if self._backend.is_workspace and not self._worker_input():
            from pytest_llmops.plugin.ending import heed_sigterm

            self._heed_no_more = heed_sigterm()

    @property
    def _shares_runs(self) -> bool:
        """Whether this process has workers that submit runs."""
        return self._backend.is_workspace and self._store_folder is not None and not self._worker_input()

    @property
    def _processes(self) -> int:
        return int(self._worker_input().get("workercount", 1))

    def _foresee(self, path: Path) -> None:
        """Have libraries imported while the file is still read, where nothing can be reused and they seem needed."""
        if self._engine is not None or self._config.option.collectonly:
            return
        if not (self._backend.is_local and self._knows_nothing()):
            return
        with suppress(OSError):  # which is told when the file is read in earnest
            flows = _FLOW.findall(path.read_text(encoding="utf-8", errors="replace"))
            for library in sorted({self._library_at_a_glance(flow, path.parent) for flow in flows if ":" not in flow}):
                self._started_engine().warm_up(library)

    def _library_at_a_glance(self, flow: str, base: Path) -> Library:
        places = (base, base / "flows", self._config.rootpath / "flows")
        is_workflow = any((place / flow / "workflow.py").is_file() for place in places)
        return "agent_framework" if is_workflow else "promptflow"

    def _note_commit(self) -> None:
        """Note, before the first file is read, which commit is checked out: what comes of it is of that one."""
        if not self._commits and not self._config.option.collectonly:
            from pytest_llmops.baselines import commit_of
            from pytest_llmops.records.report import COMMIT

            self._commits = (commit_of(self._config.rootpath).get(COMMIT, ""),)

    def _note_subject(self, path: Path, experiment: Experiment) -> None:
        """Note what an experiment is about, where anything is to be decided."""
        if not self._config.option.collectonly:
            self.inventory.note_subject(path, experiment)

    def _knows_nothing(self) -> bool:
        folder = self._config.rootpath / str(self.settings["ledger"])
        return bool(self.settings["no-cache"]) or not folder.exists()

    def _prepare(self, plans: Sequence[CellPlan]) -> None:
        from pytest_llmops.engines.workers import library_of
        from pytest_llmops.reports.write import remove_decision

        # However early this session ends, nobody may take an earlier session's decision for this one's.
        remove_decision(self.settings.report_dir(self._config.rootpath), of_shard=self.settings["shard"] is not None)
        if plans:
            self._backend.check(plans[0].experiment.folder, plans)
        requests = (request for plan in plans for request in plan.requests)
        libraries = {library for request in requests if (library := library_of(request))}
        if libraries and not self._are_known(plans):
            for library in sorted(libraries):
                self._started_engine().warm_up(library)

    def _are_known(self, plans: Sequence[CellPlan]) -> bool:
        runs = (execution.request for plan in plans for execution in plan.executions)
        return all(self.ledger().explain(request).reused for request in runs)

    def _load(self, path: Path) -> tuple[CellPlan, ...]:
        from pytest_llmops.plan import plan
        from pytest_llmops.spec import load_experiment
        from pytest_llmops.thresholds import with_rules

        experiment = load_experiment(
            path,
            root=self._config.rootpath,
            env=self.settings["env"],
            environ=os.environ,
            live=self.settings["llm"] != "replay",
            in_workspace=self._backend.is_workspace,
            strict=self.settings["strict"],
            max_rows=self.settings["max-rows"],
            baseline=self._baseline_path(),
            fetch=partial(self._backend.fetch, path.parent),
        )
        self._note_subject(path, experiment)
        for warning in experiment.warnings:
            self._config.issue_config_time_warning(LLMOpsWarning(warning), stacklevel=2)
        return plan(
            with_rules(experiment, self.settings.thresholds),
            path=self.inventory.name(path),
            options=replace(
                self.settings.options(recording=self.name, llm_limit=self.llm_limit()),
                compute=self._backend.compute_for(path.parent),
            ),
        )

    def _started_engine(self) -> Engine:
        if self._engine is None:
            self._engine = self._backend.make_engine(
                self._tags(), session=self.name, begun=self.begun, processes=self._processes, shared=self._store_folder
            )
        return self._engine

    def _tags(self) -> dict[str, str]:
        """Name the commit and the pipeline's run, as reports do."""
        from pytest_llmops.plugin.slicing import pipeline_of
        from pytest_llmops.records.report import BUILD, COMMIT

        known = {COMMIT: "".join(self._commits), BUILD: pipeline_of(self.settings, os.environ).build}
        return {name: value for name, value in known.items() if value}

    def _worker_input(self) -> dict[str, Any]:
        return getattr(self._config, "workerinput", {})
