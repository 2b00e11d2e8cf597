"""The flow of a run with variants, overrides, includes and signature resolved, as promptflow does before a run.

Imported only in worker processes, because it imports promptflow.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What ``PFClient().run`` itself prepares a flow with; there is no public way to these steps.
from promptflow._sdk._load_functions import load_flow
from promptflow._sdk._orchestrator.utils import overwrite_variant
from promptflow._sdk._utilities.general_utils import _merge_local_code_and_additional_includes
from promptflow._sdk._utilities.signature_utils import update_signatures
from promptflow._utils.flow_utils import dump_flow_dag_according_to_content
from ruamel.yaml.error import MarkedYAMLError

from pytest_llmops.definitions import apply_variant
from pytest_llmops.engines.environment import PLACEHOLDER_KEY, PLACEHOLDER_URL
from pytest_llmops.engines.promptflow.connections import ENDPOINT_NAMES
from pytest_llmops.engines.text import headline
from pytest_llmops.errors import RunError
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunRequest

_ENVIRONMENT_REFERENCE = re.compile(r"^\$\{env:(.*)\}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedFlow:
    """A flow that is ready to be executed: its definition, a file that says the same, and the folder it runs in.

    A DAG flow's file is the original one: it is executed from its definition.
    """

    definition: dict[str, Any]
    file: Path
    folder: Path


def load_definition(flow: Flow) -> dict[str, Any]:
    """Read and validate a flow's YAML; that of a ``.prompty`` file is its front matter, that of a module its entry.

    Raises:
        RunError: for a definition that is wrong.
    """
    if flow.file.suffix == ".py":
        return {"entry": flow.entry}
    try:
        # promptflow's entity, not just its YAML: loading it validates flex flows.
        definition: dict[str, Any] = load_flow(flow.file)._data
    except MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise RunError(f"{flow.file.name}:{line}: not valid YAML: {problem.problem}") from problem
    except Exception as problem:
        raise RunError(f"{flow.file.name}: {headline(str(problem))}") from problem
    return definition


def unset_references(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return placeholders for the variables that a ``.prompty`` file's model refers to and that are not set."""
    configuration = (definition.get("model") or {}).get("configuration") or {}
    names = {key: _ENVIRONMENT_REFERENCE.match(str(value)) for key, value in configuration.items()}
    return {
        match[1]: PLACEHOLDER_URL if key in ENDPOINT_NAMES else PLACEHOLDER_KEY
        for key, match in names.items()
        if match is not None and match[1] not in os.environ
    }


def resolve_flow(definition: dict[str, Any], request: RunRequest, scratch: Path, until_end: ExitStack) -> ResolvedFlow:
    """Resolve a flow. What needs to be written goes below ``scratch``; the flow's own folder is not touched.

    Raises:
        RunError: for a variant, node or input that the flow does not have.
        PromptflowException: for a definition that is wrong.
    """
    flow, variant = request.flow, request.variant
    if flow.kind != "dag" and (variant.nodes or variant.overrides):
        raise RunError(f"flow '{flow.name}' has no nodes, so no variants or overrides of nodes either")
    file, folder = flow.file, flow.folder
    if flow.kind != "prompty" and definition.pop("additional_includes", None):
        folder = _merge_includes(file, scratch, until_end)
    if flow.kind == "dag":
        apply_variant(definition, variant)
        overwrite_variant(definition, None, None)  # each node that has variants is replaced by its default
    elif flow.kind == "flex":
        # promptflow converts inputs to the types of the entry's signature, which it looks for in the file.
        update_signatures(code=folder, data=definition)
        file = dump_flow_dag_according_to_content(flow_dag=definition, flow_path=scratch)
    return ResolvedFlow(definition=definition, file=file, folder=folder)


def _merge_includes(file: Path, scratch: Path, until_end: ExitStack) -> Path:
    with _temporary_files_in(scratch):
        return Path(until_end.enter_context(_merge_local_code_and_additional_includes(file)))


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Make temporary files in a folder that is removed even when this process is killed."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
