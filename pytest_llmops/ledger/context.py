"""The context of a run: everything it depends on, but for its data and what it turns out to read."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmops import __version__
from pytest_llmops.ledger.exact import digest, exact
from pytest_llmops.ledger.files import FileDigests, Stamp, check_readable, files_below, stamp
from pytest_llmops.records.experiment import Connection, Flow
from pytest_llmops.records.run import LLM, RunRequest, Variant

_SECRET_NAME = re.compile(
    r".*(api_?key|access_?key|account_?key|subscription_?key|access_?token|auth_?token|bearer_?token|password|secret"
    r"|connection_?string)",
    re.IGNORECASE | re.DOTALL,
)
_WORKFLOW_FILE = "workflow.py"
_NO_SECRET = re.compile(r"\$\{.*\}")
"""A reference to a secret, which is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Ingredients of a run as nested objects, so that two contexts can be compared, and the key made of them.

    ``ingredients`` holds names, digests and versions: no secrets, and no content. ``stamps`` are those of the files.
    """

    label: str
    ingredients: Mapping[str, Any]
    request: RunRequest = field(repr=False)
    stamps: Mapping[str, Stamp | None] = field(repr=False)

    @property
    def key(self) -> str:
        """Digest of all ingredients."""
        return digest("context", exact(self.ingredients))

    def is_current(self) -> bool:
        """Tell whether the files are still those that the key was made of."""
        try:
            return _stamps(self.request) == self.stamps
        except OSError:
            return False


def context_of(request: RunRequest, files: FileDigests, packages: Mapping[str, str]) -> Context:
    """Gather the context of a run.

    Raises:
        OSError: where a file or folder of the flow can't be read.
        TypeError: for a setting that JSON can't express.
    """
    stamps = _stamps(request)
    definition = definition_of(request.flow, files)
    check_readable(definition["files"])
    ingredients = {
        "flow": {**definition, **_named_outputs(request.flow)},
        "variant": _variant(request.variant),
        "variables": {name: variable(name, value) for name, value in request.environment_variables.items()},
        "connections": {connection.name: _connection(connection) for connection in request.connections},
        "llm": _llm(request.llm, files),
        **({"compute": asdict(request.compute)} if request.compute else {}),
        "environment": {
            "pytest-llmops": __version__,
            "python": platform.python_version(),
            "platform": f"{sys.platform} {platform.machine()}",
            "packages": packages,
        },
    }
    return Context(label=request.flow.name, ingredients=ingredients, request=request, stamps=stamps)


def definition_of(flow: Flow, files: FileDigests) -> dict[str, Any]:
    """Describe a flow by what its files hold, wherever its folder is.

    Raises:
        OSError: where its file can't be read. Of other files and folders, ``UNREADABLE`` says so.
    """
    return {
        "kind": flow.kind,
        "entry": flow.entry,
        "definition": _relative(flow.file, flow.folder),
        "files": {name: files.get(path) for name, path in _files(flow)},
    }


def is_its_folder(flow: Flow) -> bool:
    """Tell whether a flow is all that its folder holds.

    A callable or a ``.prompty`` file may lie in a folder that holds anything, such as the root of the repository, and
    so may a workflow that is named as a function: what they use beside themselves is known from what they read.
    """
    if flow.kind == "workflow":
        return flow.file == flow.folder / _WORKFLOW_FILE
    return flow.kind in ("dag", "flex")


def _named_outputs(flow: Flow) -> dict[str, Any]:
    """Return what names the outputs of a workflow that stands in for another flow: they are no part of its files."""
    return {"outputs": list(flow.outputs)} if flow.kind == "workflow" and flow.outputs else {}


def setting(value: object) -> str:
    """Return what stands for a value that may vary, whatever its name: its digest.

    Raises:
        TypeError: for a value that JSON does not have.
    """
    return digest(exact(value))


def variable(name: str, value: object) -> str:
    """Return what stands for the value of an environment variable: its digest, if it is no secret."""
    return "secret" if holds_secret(name, value) else setting(value)


def holds_secret(name: str, value: object) -> bool:
    """Tell whether the value of a variable, or the lack of one, is a secret, which makes no difference: keys rotate.

    Much stricter than ``secrets.is_secret``, which is for what people see: a ``SORT_KEY`` or ``STOP_TOKEN`` changes
    what a flow gives, so it must make a difference.
    """
    if not _SECRET_NAME.fullmatch(name):
        return False
    return value is None or (isinstance(value, str) and not _NO_SECRET.fullmatch(value.strip()))


def _files(flow: Flow) -> Iterator[tuple[str, str]]:
    """Yield the files that a flow consists of, by the name that explains them."""
    if not is_its_folder(flow):
        yield _relative(flow.file, flow.folder), str(flow.file)
        return
    yield from files_below(flow.folder)
    for include in _includes(flow):
        yield from _included(include, flow.folder)


def _includes(flow: Flow) -> Iterable[str]:
    content = flow.file.read_bytes()
    if b"additional_includes" not in content:
        return ()
    import yaml

    try:
        definition = yaml.safe_load(content)
    except yaml.YAMLError:
        return ()  # no such flow can be run
    includes = definition.get("additional_includes") if isinstance(definition, dict) else None
    return map(str, includes) if isinstance(includes, list) else ()


def _included(include: str, folder: Path) -> Iterator[tuple[str, str]]:
    path = folder / include
    if path.suffix == ".zip" and not path.exists():
        path = path.with_suffix("")  # prompt flow makes an archive of the folder
    if path.is_dir():
        yield from ((f"{include}/{name}", file) for name, file in files_below(path))
    else:
        yield include, str(path)


def _stamps(request: RunRequest) -> dict[str, Stamp | None]:
    paths = [path for _, path in _files(request.flow)]
    if request.llm.mode == "replay" and request.llm.cassette is not None:
        paths.append(str(request.llm.cassette))
    paths += [str(data) for data in (request.data, request.run_inputs) if isinstance(data, Path)]
    return {path: stamp(path) for path in paths}


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "nodes": dict(variant.nodes),
        "overrides": {name: setting(value) for name, value in variant.overrides.items()},
        "init": {name: setting(value) for name, value in variant.init.items()},
    }


def _connection(connection: Connection) -> dict[str, Any]:
    return {
        "type": connection.type,
        "values": {name: setting(value) for name, value in connection.values.items()},
        "secrets": sorted(connection.secrets),
    }


def _llm(llm: LLM, files: FileDigests) -> dict[str, Any]:
    if llm.mode != "replay":
        return {"mode": llm.mode}
    return {"mode": llm.mode, "cassette": files.get(str(llm.cassette)) if llm.cassette else None}


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
