"""Flows that are registered as models: what is uploaded, and which version holds which files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.failures import installed, translated
from pytest_llmops.azure.quiet import quiet
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.deployment import FLOW_DIGEST, ModelVersion

_SOURCE_FLOW = "azureml.promptflow.source_flow_id"
"""Property of a model by which the studio knows a prompt flow, and shows the test page of its endpoints."""
_LONGEST_NAME = 255
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


def model_name(experiment: str) -> str:
    """Make a name of a model that Azure accepts out of an experiment's name.

    Raises:
        LLMOpsError: where nothing of it can be used.
    """
    name = _NOT_IN_NAMES.sub("-", experiment).strip("-._")[:_LONGEST_NAME]
    if not name:
        what = f"experiment {experiment!r}: no model can have this name"
        raise LLMOpsError(f"{what}; give the experiment one with letters from A to Z or digits")
    return name


def upload_of(folder: Path) -> dict[str, int]:
    """Map the files below a folder that would be uploaded to their sizes, in bytes.

    Azure's library leaves out what ``.amlignore`` says, else ``.gitignore``; so it is asked.
    """
    with installed():
        from azure.ai.ml._utils._asset_utils import get_ignore_file, get_upload_files_from_folder
    found = get_upload_files_from_folder(folder, ignore_file=get_ignore_file(folder))
    return {str(name): Path(path).stat().st_size for path, name in sorted(found, key=lambda pair: str(pair[1]))}


def find(client: Client, name: str, digest: str, tags: Mapping[str, str] | None = None) -> ModelVersion | None:
    """Return the newest version of a model that was made of the files with a digest, and has these tags as well.

    A version that was archived does not count.

    Raises:
        AccessError, CloudError: where the workspace does not answer.
    """
    wanted = {**(tags or {}), FLOW_DIGEST: digest}
    found = [each for each in _versions(client, name) if wanted.items() <= each.tags.items()]
    return max(found, key=lambda each: int(each.version) if each.version.isdecimal() else 0, default=None)


def register(client: Client, name: str, folder: Path, *, flow: str, tags: Mapping[str, str]) -> ModelVersion:
    """Upload a flow's folder as the next version of a model.

    ``tags`` have the digest of the files under ``FLOW_DIGEST``; ``flow`` is the flow's name.

    Raises:
        AccessError, CloudError: where Azure refuses it.
    """
    with installed():
        from azure.ai.ml.entities import Model
    with translated(f"model '{name}': register"), quiet():
        made = client.ml.models.create_or_update(
            Model(
                name=name,
                path=str(folder),
                type="custom_model",
                description=f"Prompt flow {flow}",
                tags=dict(tags),
                properties={_SOURCE_FLOW: flow},
            )
        )
    return _version(made)


def _versions(client: Client, name: str) -> Iterator[ModelVersion]:
    with installed():
        from azure.core.exceptions import ResourceNotFoundError
    with translated(f"model '{name}': look for its versions"):
        try:
            yield from [_version(each) for each in client.ml.models.list(name=name)]
        except ResourceNotFoundError:  # of a model without any version
            return


def _version(model: Any) -> ModelVersion:
    tags = {str(key): str(value) for key, value in (model.tags or {}).items()}
    return ModelVersion(
        name=model.name, version=str(model.version), id=model.id or "", digest=tags.get(FLOW_DIGEST, ""), tags=tags
    )
