"""From what is asked of an engine to what is submitted: files to upload, lines to expect, and a name to find it by."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_llmops.azure.runs import Submission, left_out
from pytest_llmops.cloudruns import unfit
from pytest_llmops.disclosure import refuse_secrets
from pytest_llmops.engines.function.mapping import LINE_NUMBER, map_columns
from pytest_llmops.engines.function.rows import sources_of
from pytest_llmops.errors import RunError
from pytest_llmops.hashing import digest
from pytest_llmops.ledger import digest_of
from pytest_llmops.ledger.files import files_below
from pytest_llmops.records.cloud import Compute
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunRequest, Variant
from pytest_llmops.resolving import write_resolved
from pytest_llmops.versions import flow_digest

KEY_TAG = "llmops"
"""Tag of a run that holds the digest of all that decides its outcome."""

_OF_RUN = re.compile(r"\$\{run\.(outputs|inputs)\.([^{}]+)\}")
_DIGITS = 20
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run to be made. ``numbers`` are the lines that it has.

    ``submission`` lacks nothing but its name, which is ``name`` and the number of the attempt.
    """

    submission: Submission
    numbers: tuple[int, ...]
    name: str
    key: str

    def attempt(self, number: int) -> Submission:
        """Return what is submitted at an attempt, counted from 1."""
        return replace(self.submission, name=f"{self.name}-{number}")


def prepare(request: RunRequest, scratch: Path, *, tags: Mapping[str, str], fresh: str) -> Work:
    """Write the files of a run below ``scratch``, and describe it. All that is uploaded lies there.

    Its key is made of the content of what is submitted, and of nothing that differs from one machine to the next; so
    a session finds the run that another one left. ``fresh`` names a session that is to find no run but its own.

    Raises:
        RunError: for what a workspace can't execute, and data that can't be read.
        ConfigurationError: for a flow with a file that holds a secret.
    """
    if reason := unfit(request):
        raise RunError(reason)
    flow, variant = _flow(request, scratch / "flow" / request.flow.folder.name)
    data, mapping, numbers = _data(_with_own_data(request, scratch / "source"), scratch / "data")
    compute = request.compute or Compute()
    submission = Submission(
        name="",
        flow=flow.file,
        data=data,
        parent=request.parent,
        column_mapping=mapping,
        variant=variant,
        environment_variables=request.environment_variables,
        init=request.variant.init,
        display_name=" ".join(filter(None, (request.flow.name, request.variant.id))),
        lineage=digest(request.flow.name),
        runtime=compute.runtime,
        instance_type=compute.instance_type,
    )
    key = _key(submission, flow, {"repeat": request.repeat, "fresh": fresh})
    slug = re.sub(r"[^A-Za-z0-9]+", "-", request.flow.name).strip("-")[:_LONGEST_NAME]
    return Work(
        submission=replace(submission, tags={**tags, KEY_TAG: key}),
        numbers=numbers,
        name=f"llmops-{slug}-{key[:_DIGITS]}",
        key=key,
    )


def _flow(request: RunRequest, folder: Path) -> tuple[Flow, str]:
    """Copy the flow. The service takes the variant of one node by its name, all else has to be in the definition."""
    chosen, known = request.variant, request.flow.variants
    named = ""
    if len(chosen.nodes) == 1 and not chosen.overrides:
        ((node, choice),) = chosen.nodes.items()
        if node in known and choice in known[node].choices:
            chosen, named = Variant(), f"${{{node}.{choice}}}"
    flow = write_resolved(request.flow, chosen, folder)
    # What is not uploaded makes no difference, so it must not be in the key.
    for path in left_out(folder):
        path.unlink()
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    refuse_secrets(folder, sorted(names), shown=request.flow.folder)
    return flow, named


def _with_own_data(request: RunRequest, folder: Path) -> RunRequest:
    """Copy the data that is uploaded: it may be edited until then, and would be taken for what it was before."""
    data = request.data
    if data is None:
        raise RunError("the run has no data")
    if not isinstance(data, Path) or request.asset:
        return request
    copy = folder / data.name
    files = files_below(data) if data.is_dir() else [("", str(data))]
    try:
        for name, file in files:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy / name)
    except OSError as problem:
        raise RunError(f"{data.name}: {problem.strerror}") from problem
    return replace(request, data=copy)


def _data(request: RunRequest, folder: Path) -> tuple[str, Mapping[str, Any], tuple[int, ...]]:
    """Return what the run reads (a path or asset), how its columns are mapped, and the lines that it has.

    Outputs of a parent that the workspace does not know, because they were kept from an earlier session, become
    columns of the data.
    """
    data, sources = request.data, sources_of(request)
    numbers = tuple(number for number, _ in map_columns(sources, {}, required=()))
    if request.run_outputs is not None and not request.parent:
        rows, mapping = _merged(sources, numbers, request.column_mapping)
        return str(_write(rows, folder, "merged.jsonl")), mapping, numbers
    if isinstance(data, Path) and (request.max_rows is None or request.parent):
        return request.asset or str(data), request.column_mapping, numbers
    name = f"{data.stem}.jsonl" if isinstance(data, Path) else "data.jsonl"
    return str(_write(sources["data"], folder, name)), request.column_mapping, numbers


def _merged(
    sources: Mapping[str, Sequence[Mapping[str, Any]]], numbers: Sequence[int], mapping: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Put the columns of a parent that a mapping reads beside those of the data, and read them there."""
    read = {
        value: match for value in mapping.values() if isinstance(value, str) and (match := _OF_RUN.fullmatch(value))
    }
    columns = {value: f"llmops_run_{match[1]}_{place}" for place, (value, match) in enumerate(read.items())}
    values = dict(map_columns(sources, {columns[value]: value for value in read}, required=()))
    own = _by_number(sources["data"])
    rows = [{**own.get(number, {}), **values[number], LINE_NUMBER: number} for number in numbers]
    return rows, {name: _read_in(value, columns) for name, value in mapping.items()}


def _by_number(rows: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    return {number: row for (number, _), row in zip(map_columns({"data": rows}, {}, required=()), rows, strict=True)}


def _read_in(value: Any, columns: Mapping[str, str]) -> Any:
    return f"${{data.{columns[value]}}}" if isinstance(value, str) and value in columns else value


def _write(rows: Sequence[Mapping[str, Any]], folder: Path, name: str) -> Path:
    folder.mkdir()
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def _key(submission: Submission, flow: Flow, more: Mapping[str, Any]) -> str:
    """Return the digest of all that decides the outcome.

    Raises:
        RunError: for a setting that JSON does not have, and files that can't be read.
    """
    files = flow_digest(flow)
    if not files:
        raise RunError(f"flow '{flow.name}': its files can't be read")
    try:
        return digest(
            {
                "flow": files,
                "data": _content(submission.data),
                "parent": submission.parent,
                "mapping": submission.column_mapping,
                "variant": submission.variant,
                "variables": submission.environment_variables,
                "init": submission.init,
                "compute": [submission.runtime, submission.instance_type],
                **more,
            }
        )
    except (TypeError, ValueError) as problem:
        raise RunError(f"flow '{flow.name}': a setting can't be handed to the workspace: {problem}") from problem


def _content(data: str) -> Any:
    if not data or data.startswith("azureml:"):
        return data  # no version of a data asset ever changes
    if Path(data).is_dir():
        return {name: digest_of(file) for name, file in files_below(Path(data))}
    return {Path(data).suffix.lower(): digest_of(data)}  # by which the service knows how to read it
