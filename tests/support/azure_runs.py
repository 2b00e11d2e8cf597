"""The emulated workspace runs flows: what is submitted is fetched from the blob store and executed on this machine.

Forms of requests and answers are those of the recordings of Azure; when a run changes its state, and what of it can be
asked when, is our reading.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any

from azure_emulator import Emulator
from azure_routes import WORKSPACE, Answer, Request, error
from azure_tls import DATA_PLANE, REGION

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.experiment import Connection, Flow
from pytest_llmops.records.kinds import FlowKind
from pytest_llmops.records.run import Row, RunRequest, RunResult, Variant

HOST = f"{REGION}{DATA_PLANE.removeprefix('*')}"
BULK_RUNS = f"/flow/api{WORKSPACE}/BulkRuns"
_UPLOADED = "/paths/"
_KINDS: dict[str, FlowKind] = {".prompty": "prompty", ".flex.yaml": "flex"}


@dataclass(slots=True)
class Run:
    """A run as it was submitted, and what has become of it."""

    submitted: Mapping[str, Any]
    status: str = "NotStarted"
    result: RunResult | None = None
    error: str = ""
    begun: datetime | None = None
    ended: datetime | None = None

    @property
    def rows(self) -> Sequence[Row]:
        """What is known of its lines, the last one first: the service does not order them."""
        return () if self.result is None else self.result.rows[::-1]


@dataclass(slots=True)
class Cloud:
    """The compute of an emulated workspace.

    Runs start as long as ``open`` is set, and wait until then. ``connections`` are those of the workspace. ``broken``
    is why the next run fails, ``lost`` are lines that are not told of.
    """

    emulator: Emulator
    folder: Path
    engine: LocalEngine
    connections: tuple[Connection, ...] = ()
    runs: dict[str, Run] = field(default_factory=dict)
    open: threading.Event = field(default_factory=threading.Event)
    broken: list[str] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    cancelled: list[str] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def add_routes(self) -> None:
        """Answer what prompt flow's client asks."""
        add = self.emulator.routes.add
        known = {"traceCosmosStatus": "Disabled", "traceCosmosConfiguration": "Disabled"}
        add("GET", HOST, f"/flow/api{WORKSPACE}/TraceSessions", lambda _: Answer(body=known, quiet=True))
        add("POST", HOST, f"{BULK_RUNS}/submit", self._submit)
        add("GET", HOST, f"{BULK_RUNS}/{{run}}", self._get)
        add("POST", HOST, f"{BULK_RUNS}/{{run}}/cancel", self._cancel)
        add("GET", HOST, f"{BULK_RUNS}/{{run}}/childRuns", self._children)
        add("POST", HOST, f"/history/v1.0{WORKSPACE}/rundata", self._state)
        add("POST", HOST, f"/metric/v2.0{WORKSPACE}/runs/{{run}}/lastvalues", self._metrics)

    @property
    def submissions(self) -> list[str]:
        """Names of all runs, in order of their submission."""
        return list(self.runs)

    def vanish(self, name: str) -> None:
        """Have the workspace know nothing of a run."""
        self.runs[name].status = "Canceled"
        del self.runs[name]

    def _submit(self, request: Request) -> Answer:
        name = request.json["runId"]
        if name in self.runs:
            return error(409, "Conflict", f"Run {name} already exists.")
        self.runs[name] = Run(submitted=request.json)
        self.threads.append(threading.Thread(target=self._execute, args=[name], daemon=True))
        self.threads[-1].start()
        return Answer(body=name)

    def _execute(self, name: str) -> None:
        run = self.runs[name]
        self.open.wait()
        if run.status != "NotStarted":
            return
        run.status, run.begun = "Running", datetime.now(timezone.utc)
        if self.broken:
            run.error, status = self.broken.pop(), "Failed"
        else:
            run.result = self.engine.run(self._request(name))
            status = run.result.status
            failed = next((row.error for row in run.result.failed), None)
            run.error = run.result.error or failed or run.result.aggregation_error or ""
        run.ended = datetime.now(timezone.utc)
        run.status = status

    def _request(self, name: str) -> RunRequest:
        """Make of a submission what the local engine executes."""
        told = self.runs[name].submitted
        parent = self.runs.get(told.get("variantRunId") or "")
        node, _, choice = (told.get("nodeVariant") or "").strip("${}").partition(".")
        data = told["batchDataInput"].get("dataUri")
        return RunRequest(
            flow=self._flow(told["flowDefinitionBlobPath"], self.folder / name),
            data=self._fetch(data, self.folder / name / "data") if data else None,
            column_mapping=told.get("inputsMapping") or {},
            variant=Variant(nodes={node: choice} if node else {}, init=told.get("initKWargs") or {}),
            environment_variables=told.get("environmentVariables") or {},
            connections=self.connections,
            run_outputs=parent.result.outputs if parent and parent.result else None,
            run_inputs=[{"line_number": row.line_number, **row.inputs} for row in reversed(parent.rows)]
            if parent
            else None,
        )

    def _flow(self, path: str, folder: Path) -> Flow:
        where = PurePosixPath(path)
        self._download(f"{where.parent}/", folder / "flow")
        kind: FlowKind = next((kind for ending, kind in _KINDS.items() if where.name.endswith(ending)), "dag")
        return Flow(name=where.parent.name, kind=kind, file=folder / "flow" / where.name, folder=folder / "flow")

    def _fetch(self, address: str, folder: Path) -> Path:
        if _UPLOADED not in address:
            asset, version = address.removeprefix("azureml:").split(":")
            address = self.emulator.state.resources[f"data/{asset}/versions/{version}"]["properties"]["dataUri"]
        path = address.partition(_UPLOADED)[2]
        self._download(path, folder)
        return folder / PurePosixPath(path).name if not path.endswith("/") else folder

    def _download(self, path: str, folder: Path) -> None:
        container = self.emulator.azurite.container(self.emulator.container)
        for blob in container.list_blobs(name_starts_with=path):
            name = PurePosixPath(blob.name).relative_to(path) if path.endswith("/") else PurePosixPath(blob.name).name
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(container.download_blob(blob.name).readall())

    def _get(self, request: Request) -> Answer:
        run = self.runs.get(request.names["run"])
        found = {"flowRunId": request.names["run"], "studioPortalTraceEndpoint": "https://ml.azure.com/trace"}
        return Answer(body=found, quiet=True) if run else _unknown(request.names["run"])

    def _cancel(self, request: Request) -> Answer:
        run = self.runs.get(request.names["run"])
        if run is None:
            return _unknown(request.names["run"])
        if run.ended is not None:
            return error(409, "Conflict", f"Run {request.names['run']} is {run.status}, and can't be cancelled.")
        self.cancelled.append(request.names["run"])
        run.status, run.ended = "Canceled", datetime.now(timezone.utc)
        return Answer()

    def _children(self, request: Request) -> Answer:
        name = request.names["run"]
        first, last = int(request.query["startIndex"]), int(request.query["endIndex"])
        told = [_child(name, row) for row in self.runs[name].rows if row.line_number not in self.lost]
        return Answer(body=told[first : last + 1])

    def _state(self, request: Request) -> Answer:
        name = request.json["runId"]
        run = self.runs.get(name)
        return Answer(body={"runMetadata": _metadata(name, run)}) if run else _unknown(name)

    def _metrics(self, request: Request) -> Answer:
        run = self.runs[request.names["run"]]
        logged = run.result.metrics if run.result else {}
        counts = {"__pf__.lines.completed": len(run.result.completed) if run.result else 0}
        values = [{"name": name, "value": [{"data": {name: value}}]} for name, value in {**logged, **counts}.items()]
        return Answer(body={"value": values})


@contextmanager
def computing(emulator: Emulator, folder: Path, engine: LocalEngine) -> Iterator[Cloud]:
    """Have a workspace run flows on an engine, its files in a folder, for as long as it is needed."""
    cloud = Cloud(emulator, folder, engine)
    cloud.open.set()
    cloud.add_routes()
    try:
        yield cloud
    finally:
        cloud.open.set()
        for thread in cloud.threads:
            thread.join(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


def _unknown(name: str) -> Answer:
    return error(404, "UserError", f"Run runId={name} was not found")


def _child(name: str, row: Row) -> Mapping[str, Any]:
    counts = {"prompt_tokens": row.tokens.prompt, "completion_tokens": row.tokens.completion}
    return {
        "run_id": f"{name}_{row.line_number}",
        "status": "Failed" if row.failed else "Completed",
        "error": {"message": row.error, "code": "UserError"} if row.failed else None,
        "inputs": {**row.inputs, "line_number": row.line_number},
        "output": row.output,
        "index": row.line_number,
        "api_calls": [{"name": "flow", "type": "Flow", "children": []}],
        "system_metrics": {"duration": row.duration, "total_tokens": row.tokens.total, **counts},
    }


def _metadata(name: str, run: Run) -> Mapping[str, Any]:
    return {
        "runId": name,
        "status": run.status,
        "startTimeUtc": run.begun and run.begun.isoformat(),
        "endTimeUtc": run.ended and run.ended.isoformat(),
        "displayName": run.submitted.get("runDisplayName"),
        "tags": run.submitted.get("tags") or {},
        "properties": {"azureml.promptflow.total_tokens": "0"},
        "error": {"error": {"code": "UserError", "message": run.error}} if run.error else None,
        "outputs": None,
        "runType": "azureml.promptflow.FlowRun",
        "description": None,
        "hidden": False,
        "createdBy": {"userName": "build"},
        "createdUtc": datetime.now(timezone.utc).isoformat(),
    }
