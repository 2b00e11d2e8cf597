"""Where flows are run: picks the engine, and reads the address of a flow that is served somewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from pytest_llmops.azure.variables import variable
from pytest_llmops.cloudruns import IN_FLIGHT
from pytest_llmops.disclosure import refuse_secrets
from pytest_llmops.engines.base import Engine, Remote
from pytest_llmops.errors import RunError
from pytest_llmops.records.cloud import DEFAULT_TIMEOUT, Address, Backend, Workspace
from pytest_llmops.records.run import LLMMode
from pytest_llmops.versions import flow_files

if TYPE_CHECKING:
    from pytest_llmops.azure.clients import Client
    from pytest_llmops.plan import CellPlan

TOKEN = "LLMOPS_ENDPOINT_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable with the key or token of an endpoint."""
_EXAMPLE = "https://NAME.REGION.inference.ml.azure.com/score"
_SENDABLE = re.compile(r"[!-~]*")
"""What a bearer token may be made of: printable ASCII."""
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


def make_engine(
    backend: Backend,
    *,
    connect: Callable[[], Client],
    tags: Mapping[str, str] | None = None,
    fresh: str = "",
    timeout: float = DEFAULT_TIMEOUT,
    processes: int = 1,
    notes: tuple[Path, str] | None = None,
) -> Engine:
    """Make the engine of a backend, for one of the processes of a session.

    The rest is for a workspace: ``connect`` reaches it, where it is asked anything; ``tags`` are put on its runs; with
    ``fresh``, runs that it has are reused only where they were made with the same one; a run is waited for ``timeout``
    seconds; ``notes`` is a folder where runs under way are noted, and the text of each note.
    """
    from pytest_llmops.engines.local import LocalEngine

    if backend != "azureml":
        return LocalEngine()
    from pytest_llmops.engines.azureml import AzureMLEngine, Submissions

    return AzureMLEngine(
        connect,
        LocalEngine(),
        tags=tags,
        fresh=fresh,
        timeout=timeout,
        in_flight=max(1, IN_FLIGHT // processes),
        submissions=Submissions(*notes) if notes else None,
    )


def cancel_noted(folder: Path, *, connect: Callable[[str], Client]) -> None:
    """Cancel the runs that are noted in a folder, see ``make_engine``.

    ``connect`` takes the text of a note, and reaches the workspace.

    Raises:
        LLMOpsError: where that can't be reached.
    """
    from pytest_llmops.engines.azureml import AzureMLEngine, Submissions, notes_in
    from pytest_llmops.engines.local import LocalEngine

    if notes := notes_in(folder):
        client = connect(next(iter(notes.values())))  # a session has one workspace
        AzureMLEngine(lambda: client, LocalEngine(), submissions=Submissions.left_in(folder)).close()


def executions_at_once(engine: Engine, processes: int = 1) -> int:
    """Return how many runs one of the processes of a session has under way at once.

    This machine is busy with a few; one elsewhere is only waited for.
    """
    most = IN_FLIGHT if isinstance(engine, Remote) else max(2, os.cpu_count() or 2)
    return max(1, most // processes)


def llm_mode(given: LLMMode | None, backend: Backend) -> LLMMode:
    """Return where LLM answers come from, if nothing is given too: recordings are of flows that run here.

    Raises:
        RunError: for what a backend can't do.
    """
    if backend == "azureml" and given not in (None, "live"):
        raise RunError(f"llm is {given!r}, and LLM calls of the backend azureml are live; give 'live'")
    return given or ("live" if backend == "azureml" else "replay")


def check_uploads(plans: Iterable[CellPlan]) -> None:
    """Look for secrets in the flows that a workspace is to run: all of their files would be uploaded.

    Raises:
        ConfigurationError: naming the line of each.
        RunError: where a file can't be read.
    """
    requests = (request for plan in plans for request in plan.requests)
    flows = {request.flow.file: request.flow for request in requests if request.compute}
    for flow in flows.values():
        with suppress(OSError):  # which is told of when the flow is copied
            refuse_secrets(flow.folder, flow_files(flow))


def reach_workspace(
    given: Mapping[str, str | None], credential: str | None, *, folder: Path, root: Path, environ: Mapping[str, str]
) -> Client:
    """Log in and reach the workspace that is meant: see ``workspace_meant`` and ``log_in``.

    Raises:
        AccessError: where there is no login, no right, or no such workspace.
        CloudError: where the service fails.
    """
    return log_in(workspace_meant(given, folder=folder, root=root, environ=environ), credential, environ)


def workspace_meant(
    given: Mapping[str, str | None], *, folder: Path, root: Path, environ: Mapping[str, str]
) -> Workspace:
    """Find the workspace that is meant, from a folder of the repository whose root is ``root``. Nothing is asked of it.

    ``given`` are its coordinates, in place of what the environment and files say.

    Raises:
        AccessError: where a coordinate is missing, or can't be right.
        ConfigurationError: for a ``.env`` file that can't be read.
    """
    from pytest_llmops.azure.workspace import find_workspace
    from pytest_llmops.spec import read_env_files

    return find_workspace(given, environ, read_env_files(folder, root=root), folder=folder, root=root)


def log_in(workspace: Workspace, credential: str | None, environ: Mapping[str, str]) -> Client:
    """Reach a workspace; ``credential`` is the way to log in, in place of what the environment says.

    Raises:
        AccessError: where there is no login, no right, or no such workspace.
        CloudError: where the service fails.
    """
    from pytest_llmops.azure.clients import connect
    from pytest_llmops.azure.credentials import get_credential

    kind = credential or variable(environ, "LLMOPS_CREDENTIAL") or None
    return connect(workspace, get_credential(kind, environ)).check_access()


def make_address(url: str, deployment: str, environ: Mapping[str, str]) -> Address:
    """Make the address of what is served at a URL, with the token that the environment has for it, if any.

    Raises:
        ValueError: with a message for the user, which does not quote the URL: it may hold a key.
    """
    token = variable(environ, TOKEN)
    if not _SENDABLE.fullmatch(token):
        what = "holds a line break, a blank or another character that no header can hold"
        raise ValueError(f"{TOKEN} {what}; set it to the key or token alone")
    parts = _split(url)
    if parts is None:
        raise ValueError(f"it is not the URL of a flow that is served; give one such as {_EXAMPLE}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"a URL must not hold a password; put the endpoint's key or token into {TOKEN}")
    address = Address(url=url, deployment=deployment, token=token)
    if token and not address.is_private:
        raise ValueError(f"{TOKEN} is sent over https alone; give the URL with https")
    return address


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        # The port is read when it is asked for.
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if valid and not _BLANK.search(url) else None
