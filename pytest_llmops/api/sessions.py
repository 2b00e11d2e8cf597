"""What evaluations have in common: plans, the engine of a backend, and sessions that end with their block."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from pytest_llmops.api.backends import check_uploads, executions_at_once, make_engine, reach_workspace, workspace_meant
from pytest_llmops.api.shared import engine, renew_engine, root_of
from pytest_llmops.baselines import commit_of
from pytest_llmops.engines.base import Engine
from pytest_llmops.errors import ConfigurationError
from pytest_llmops.ledger import Ledger
from pytest_llmops.plan import CellPlan, Options, plan
from pytest_llmops.records.cloud import Backend, Compute
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.session import Session
from pytest_llmops.store import Store


def planned(experiment: Experiment, options: Options) -> tuple[CellPlan, ...]:
    """Plan an experiment of which something has to be run.

    Raises:
        ConfigurationError: where it can't be planned, or there is nothing to run.
    """
    path = experiment.file.name
    plans = plan(experiment, path=path, options=options)
    if not plans and experiment.datasets:
        known = (cell.cell.variant.id for cell in plan(experiment, path=path, options=replace(options, variants=None)))
        what = f"no variant is selected by '{options.variants}'"
        raise ConfigurationError.one(path, 0, "variants", what, f"there are: {', '.join(dict.fromkeys(known))}")
    if not plans:
        raise ConfigurationError.one(path, 0, "datasets", "there are none, so there is nothing to run", "add one")
    check_uploads(plans)
    return plans


def compute_of(backend: Backend, experiment: Experiment, instance_type: str | None) -> Compute:
    """Return what a backend runs the flows of an experiment on, where that is a workspace.

    Raises:
        AccessError: where it is not said which.
    """
    if backend != "azureml":
        return Compute()
    folder = experiment.folder
    workspace = workspace_meant({}, folder=folder, root=root_of(folder), environ=os.environ)
    return Compute(workspace=workspace.id, instance_type=instance_type or "")


@contextmanager
def engine_of(backend: Backend, experiment: Experiment, fresh: str = "") -> Iterator[Engine]:
    """Give the engine of a backend: the warm one of the process, or one that runs flows in a workspace.

    With ``fresh``, runs that the workspace has are reused only where they were made with the same one.

    Raises:
        LLMOpsError: where the workspace can't be reached.
    """
    if backend == "azureml":
        folder = experiment.folder
        client = reach_workspace({}, None, folder=folder, root=root_of(folder), environ=os.environ)
        tags = commit_of(folder)
        own = make_engine(backend, connect=lambda: client, tags=tags, fresh=fresh)
        with closing(own):
            yield own
        return
    try:
        yield engine()
    except BaseException:
        renew_engine()  # its session has closed it
        raise


@contextmanager
def session_on(engine: Engine, ledger: Ledger | None) -> Iterator[Session]:
    """Give a session whose work ends with the block: at once, where that is left by an error or by Ctrl-C."""
    session = Session(engine, Store(None), ledger, at_once=executions_at_once(engine))
    try:
        yield session
    except BaseException:
        session.close()
        # What is under way was ended, but writes to the ledger and to recordings on its way out.
        session.finish()
        raise
    session.release()
