"""Runs one flow on rows, as prompt flow's ``PFClient.run`` does."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.api.shared import checked, engine, root_of
from pytest_llmops.engines.environment import as_text
from pytest_llmops.errors import RunError
from pytest_llmops.records.experiment import Connection, Flow
from pytest_llmops.records.run import LLM, LLMMode, Row, RunRequest, RunResult, RunStatus, Variant
from pytest_llmops.spec import find_flow, make_connection

if TYPE_CHECKING:
    import pandas

_VARIANT = re.compile(r"\$\{([^.{}]+)\.([^.{}]+)\}")


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run: what was asked, and what came of it. ``name``, ``display_name`` and ``tags`` are as given."""

    request: RunRequest
    result: RunResult
    name: str | None = None
    display_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

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
    flow: str | Path | Callable[..., Any],
    *,
    data: str | Path | Sequence[Mapping[str, Any]] | None = None,
    column_mapping: Mapping[str, Any] | None = None,
    variant: str | Mapping[str, str] | None = None,
    run: Run | None = None,
    init: Mapping[str, Any] | None = None,
    environment_variables: Mapping[str, Any] | None = None,
    connections: Mapping[str, Mapping[str, Any]] | None = None,
    code: str | Path | None = None,
    name: str | None = None,
    display_name: str | None = None,
    tags: Mapping[str, str] | None = None,
    llm: LLMMode = "live",
    cassette: str | Path | None = None,
    concurrency: int = 16,
    line_timeout: float = 600.0,
    llm_retries: int = 5,
) -> Run:
    """Run a flow on every row of its data, as prompt flow's ``PFClient.run`` does, and wait for it.

    ``flow`` is a flow folder or its definition, a ``.prompty`` file, ``module:function``, or a function or class of a
    module; ``data`` a file, a folder, or rows. ``variant`` is ``"${node.variant}"``, or a mapping of several nodes to
    their variants. ``run`` is a finished run that ``column_mapping`` may refer to. ``connections`` defines connections
    by name, each with its ``type`` and properties; an entry without ``type`` is, as in prompt flow, named after a node,
    and gives it another ``connection``, ``deployment_name`` or ``model``. ``code`` is the folder that functions and
    classes run in, instead of the current one. ``name``, ``display_name`` and ``tags`` are kept with the run.
    ``line_timeout`` is in seconds.

    Raises:
        ConfigurationError: where the flow can't be found or read.
        RunError: where ``run`` failed, or a variant or callable can't be understood.
    """
    if run is not None and run.status == "Failed":
        raise RunError(f"the run given as 'run' failed: {run.error}")
    definitions, overrides = _split_connections(connections or {})
    request = RunRequest(
        flow=_flow(flow, Path(code).absolute() if code else Path.cwd()),
        data=_data(data),
        column_mapping=column_mapping or {},
        variant=Variant(nodes=_nodes(variant), overrides=overrides, init=init or {}),
        environment_variables={key: as_text(value) for key, value in (environment_variables or {}).items()},
        connections=definitions,
        run_outputs=run.result.outputs if run else None,
        run_inputs=run.request.data if run else None,
        llm=LLM(mode=checked(llm), cassette=Path(cassette).absolute() if cassette else None, retries=llm_retries),
        concurrency=concurrency,
        line_timeout=line_timeout,
    )
    return Run(request, engine().run(request), name=name, display_name=display_name, tags=tags or {})


def _flow(flow: str | Path | Callable[..., Any], folder: Path) -> Flow:
    if not callable(flow):
        return find_flow(str(flow), base=folder, root=root_of(folder))
    if not (inspect.isfunction(flow) or inspect.isclass(flow)):
        raise RunError(f"flow is an instance of {type(flow).__name__}; give the class, and its arguments as 'init'")
    file = getattr(sys.modules.get(flow.__module__), "__file__", None)
    if file is None or flow.__module__ == "__main__" or "." in flow.__qualname__:
        raise RunError(f"another process can't import '{flow.__qualname__}'; define it at the top level of a module")
    entry = f"{flow.__module__}:{flow.__name__}"
    return Flow(name=flow.__name__, kind="flex", file=Path(file), folder=folder, entry=entry)


def _data(data: str | Path | Sequence[Mapping[str, Any]] | None) -> Path | Sequence[Mapping[str, Any]] | None:
    return Path(data).absolute() if isinstance(data, (str, Path)) else data


def _nodes(variant: str | Mapping[str, str] | None) -> Mapping[str, str]:
    if not isinstance(variant, str):
        return variant or {}
    match = _VARIANT.fullmatch(variant)
    if match is None:
        raise RunError(f"variant {variant!r} is not of the form '${{node.variant}}'")
    return {match[1]: match[2]}


def _split_connections(
    given: Mapping[str, Mapping[str, Any]],
) -> tuple[tuple[Connection, ...], Mapping[str, Any]]:
    """Tell definitions of connections from what nodes are given instead of their own, by ``node.input``."""
    definitions = {name: entry for name, entry in given.items() if {"type", "connection_type"} & entry.keys()}
    overrides = {
        f"{node}.{key}": value
        for node, entry in given.items()
        if node not in definitions
        for key, value in entry.items()
    }
    return tuple(make_connection(name, entry) for name, entry in definitions.items()), overrides


def _flat(row: Row) -> dict[str, Any]:
    return {
        "line_number": row.line_number,
        **{f"inputs.{name}": value for name, value in row.inputs.items() if name != "line_number"},
        **{f"outputs.{name}": value for name, value in (row.output or {}).items()},
        "error": row.error,
        "duration": row.duration,
        "tokens": row.tokens.total,
    }
