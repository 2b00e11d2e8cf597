"""Build contexts of container images that serve a flow.

``pf flow build`` makes one too, but of Python 3.9 and whatever release of prompt flow is the newest on the day, with
secrets of connections beside it. Here the image gets the Python and the packages that the flow was evaluated with, and
connections when it starts.
"""

from __future__ import annotations

import json
import shutil
import string
import sys
from pathlib import Path
from typing import Any

from pytest_llmops.azure.packages import Requirements, shown
from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.deployment import NOT_SERVED
from pytest_llmops.records.experiment import Flow

PORT = 8080
HEALTH = "/health"
SCORE = "/score"
RUNNING_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

_PARTS = Path(__file__).parent / "image"
# gthread keeps its heartbeat while a request waits for an LLM, and 22 closed two request smugglings.
_SERVER = "gunicorn>=22"


def write_context(flow: Flow, folder: Path, *, connections: tuple[str, ...] = (), mounted: bool = False) -> Path:
    """Write the build context of an image that serves a flow into an empty or new folder, and return the folder.

    The image listens on ``PORT``, with the routes ``HEALTH`` and ``SCORE``, as a user without rights. ``connections``
    are the names of connections beyond those that the flow's files name; at the start they are read from variables
    ``<CONNECTION>_<KEY>``, or from the workspace that PF_CONNECTION_PROVIDER names. The image has all files of the
    flow's folder, so there should be no others in it: see ``resolving.write_resolved``. With ``mounted`` it has none:
    they are in the model that an online endpoint mounts, so that one image serves all its versions.

    Raises:
        ConfigurationError: for a flow that can't be served, and for requirements that can't be installed there.
    """
    if flow.kind in NOT_SERVED:
        raise ConfigurationError.one(shown(flow.file), 0, "flow", *NOT_SERVED[flow.kind])
    names = tuple(dict.fromkeys((*flow.connections, *connections)))
    requirements = _requirements(flow, with_workspace=bool(names))
    folder.mkdir(parents=True, exist_ok=True)
    if mounted:
        (folder / "flow").mkdir()
    else:
        shutil.copytree(flow.folder, folder / "flow")
    template = string.Template((_PARTS / "Dockerfile").read_text(encoding="utf-8"))
    settings = {"definition": flow.file.name, "connections": names}
    _write(folder / "Dockerfile", template.substitute(python=RUNNING_PYTHON))
    _write(folder / "requirements.txt", "\n".join(requirements.lines))
    _write(folder / "constraints.txt", "\n".join(requirements.constraints))
    _write(folder / "serving.json", json.dumps(settings, indent=2))
    shutil.copyfile(_PARTS / "serve.py", folder / "serve.py")
    return folder


def _requirements(flow: Flow, *, with_workspace: bool) -> Requirements:
    environment = _definition(flow).get("environment")
    named = environment.get("python_requirements_txt") if isinstance(environment, dict) else None
    file = flow.folder / str(named or "requirements.txt")
    if named and not file.is_file():
        key = "environment.python_requirements_txt"
        raise ConfigurationError.one(shown(flow.file), 0, key, f"'{named}' is not there")
    # What prompt flow asks a workspace for connections with.
    workspace = ("azure-ai-ml", "azure-identity") if with_workspace else ()
    return Requirements.of(file if file.is_file() else None, "promptflow", "promptflow-tools", *workspace, _SERVER)


def _definition(flow: Flow) -> dict[str, Any]:
    if flow.kind == "prompty":
        return {}
    import yaml

    definition = yaml.safe_load(flow.file.read_text(encoding="utf-8"))
    return definition if isinstance(definition, dict) else {}


def _write(file: Path, text: str) -> None:
    file.write_text(text.rstrip("\n") + "\n", encoding="utf-8", newline="\n")
