"""The library face, for notebooks and scripts: run a flow, load an experiment, evaluate it.

This is the composition root: the one place, beside the plugin, that picks implementations.
"""

from __future__ import annotations

import atexit
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pytest_llmops.engines.base import Engine
from pytest_llmops.errors import RunError
from pytest_llmops.judging import Judge
from pytest_llmops.plan import Options, plan
from pytest_llmops.records.experiment import Connection, Experiment
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import LLM, LLMMode, Row, RunRequest, RunResult, RunStatus, Variant
from pytest_llmops.session import Session
from pytest_llmops.spec import find_flow, load_experiment, make_connection
from pytest_llmops.stats.gates import decide
from pytest_llmops.store import Store

if TYPE_CHECKING:
    import pandas

_ROOT_MARKERS = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", ".git")
_VARIANT = re.compile(r"\$\{([^.{}]+)\.([^.{}]+)\}")


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run: what was asked, and what came of it."""

    request: RunRequest
    result: RunResult

    @property
    def status(self) -> RunStatus:
        """``Completed``, also where rows failed, or ``Failed`` where no row could run."""
        return self.result.status

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every row, in order of its line number, failed ones included."""
        return self.result.rows

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What the flow logged while it aggregated."""
        return self.result.metrics

    @property
    def error(self) -> str | None:
        """Why no row could run, or why the metrics could not be computed."""
        return self.result.error or self.result.aggregation_error

    def to_pandas(self) -> pandas.DataFrame:
        """Make a table with a line for each row: ``inputs.*``, ``outputs.*``, error, duration in seconds, tokens."""
        import pandas as pd

        if not self.rows:
            return pd.DataFrame(index=pd.Index([], name="line_number"))
        return pd.DataFrame([_flat(row) for row in self.rows]).set_index("line_number")


def run(
    flow: str | Path,
    *,
    data: str | Path | Sequence[Mapping[str, Any]] | None = None,
    column_mapping: Mapping[str, Any] | None = None,
    variant: str | Mapping[str, str] | None = None,
    run: Run | None = None,
    init: Mapping[str, Any] | None = None,
    environment_variables: Mapping[str, str] | None = None,
    connections: Mapping[str, Mapping[str, str]] | None = None,
    llm: LLMMode = "live",
    cassette: str | Path | None = None,
    concurrency: int = 16,
    line_timeout: float = 600.0,
) -> Run:
    """Run a flow on every row of its data, as prompt flow's ``PFClient.run`` does, and wait for it.

    ``flow`` is a flow folder, a ``.prompty`` file or ``module:function``; ``data`` a file, a folder, or rows.
    ``variant`` is ``"${node.variant}"``, or a mapping of several nodes to their variants. ``run`` is a finished run
    that ``column_mapping`` may refer to. ``connections`` defines connections by name, each with its ``type`` and
    properties. ``line_timeout`` is in seconds.

    Raises:
        ConfigurationError: where the flow can't be found or read.
        RunError: where ``run`` has no completed rows.
    """
    if run is not None and not run.result.completed:
        raise RunError(f"the run given as 'run' has no completed rows: {run.error or 'all of them failed'}")
    here = Path.cwd()
    request = RunRequest(
        flow=find_flow(str(flow), base=here, root=_root(here)),
        data=_data(data),
        column_mapping=column_mapping or {},
        variant=Variant(nodes=_nodes(variant), init=init or {}),
        environment_variables=environment_variables or {},
        connections=_connections(connections or {}),
        run_outputs=_outputs(run) if run else None,
        run_inputs=run.request.data if run else None,
        llm=LLM(mode=_checked(llm), cassette=Path(cassette).absolute() if cassette else None),
        concurrency=concurrency,
        line_timeout=line_timeout,
    )
    return Run(request, _engine().run(request))


def load(
    path: str | Path, env: str | None = None, *, root: str | Path | None = None, strict: bool = False
) -> Experiment:
    """Load an experiment file with its overlay for ``env``. ``root`` is the repository's root, found if not given.

    Raises:
        ConfigurationError: with every problem of the file.
    """
    file = Path(path).absolute()
    return load_experiment(
        file, root=Path(root).absolute() if root else _root(file.parent), env=env, environ=os.environ, strict=strict
    )


def evaluate(
    experiment: Experiment,
    *,
    llm: LLMMode = "replay",
    variants: str | None = None,
    max_rows: int | None = None,
    concurrency: int = 16,
) -> Report:
    """Run and evaluate every cell of an experiment, judge its thresholds, and return all results.

    The arguments mean what ``--llmops-llm``, ``--llmops-variants``, ``--llmops-max-rows`` and
    ``--llmops-concurrency`` mean to pytest.
    """
    options = Options(llm=_checked(llm), concurrency=concurrency, max_rows=max_rows, variants=variants)
    plans = plan(experiment, path=experiment.file.name, options=options)
    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        session = Session(_engine(), Store(Path(folder)), at_once=max(2, os.cpu_count() or 2))
        session.start(plans)
        results = {item.key: session.result(item) for item in plans}
        session.release()
    decider = Judge(plans, lambda item: results[item.key])
    gates = tuple(decider.decide(item, demand) for item in plans for demand in item.demands)
    return Report(
        experiments={experiment.file.name: experiment.name},
        cells=tuple(results.values()),
        gates=gates,
        decision=decide(gates),
        settings={"llm": llm, "concurrency": str(concurrency)},
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


@lru_cache(maxsize=1)
def _engine() -> Engine:
    """Keep one warm engine for all runs of the process."""
    from pytest_llmops.engines.local import LocalEngine

    engine = LocalEngine()
    atexit.register(engine.close)
    return engine


def _root(folder: Path) -> Path:
    candidates = (folder, *folder.parents)
    return next((c for c in candidates if any((c / marker).exists() for marker in _ROOT_MARKERS)), folder)


def _data(data: str | Path | Sequence[Mapping[str, Any]] | None) -> Path | Sequence[Mapping[str, Any]] | None:
    return Path(data).absolute() if isinstance(data, (str, Path)) else data


def _nodes(variant: str | Mapping[str, str] | None) -> Mapping[str, str]:
    if not isinstance(variant, str):
        return variant or {}
    match = _VARIANT.fullmatch(variant)
    if match is None:
        raise RunError(f"variant {variant!r} is not of the form '${{node.variant}}'")
    return {match[1]: match[2]}


def _connections(definitions: Mapping[str, Mapping[str, str]]) -> tuple[Connection, ...]:
    return tuple(make_connection(name, properties) for name, properties in definitions.items())


def _checked(mode: LLMMode) -> LLMMode:
    if mode not in get_args(LLMMode):
        raise RunError(f"llm is {mode!r}; give {', '.join(get_args(LLMMode))}")
    return mode


def _outputs(run: Run) -> list[dict[str, Any]]:
    return [{"line_number": row.line_number, **(row.output or {})} for row in run.result.completed]


def _flat(row: Row) -> dict[str, Any]:
    return {
        "line_number": row.line_number,
        **{f"inputs.{name}": value for name, value in row.inputs.items() if name != "line_number"},
        **{f"outputs.{name}": value for name, value in (row.output or {}).items()},
        "error": row.error,
        "duration": row.duration,
        "tokens": row.tokens.total,
    }
