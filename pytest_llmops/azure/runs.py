"""Runs of flows on the compute of a workspace: submitted, looked at, collected and cancelled with prompt flow's client.

Rows are taken from what the client calls child runs, one a line, because its ``get_details`` leaves out why a row
failed, how long it took and what it used. Of what the client asks, only part is repeated when the service is busy, so
it is repeated here.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.failures import installed, login_failed, status_of, translated
from pytest_llmops.azure.quiet import quieten
from pytest_llmops.azure.run_records import Lines, RunState, lines_of, state_of
from pytest_llmops.errors import LLMOpsError

_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between tries where the service is busy, fails, or can't be reached."""
_BUSY = (408, 429, 500, 502, 503, 504)
_IGNORING = (".amlignore", ".gitignore")
_CODE = re.compile(r"\bCode: (\d{3})\b")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What is submitted. ``flow`` is the definition's file, and its whole folder is uploaded.

    ``data`` is a local path, or a data asset as ``azureml:name:version``. ``parent`` is the run whose outputs
    ``${run.outputs.x}`` reads. ``variant`` is ``${node.variant}``. ``lineage`` names the flow wherever its folder is:
    runs of one lineage share a compute session. Without a ``runtime``, the service starts one, on ``instance_type``.
    """

    name: str
    flow: Path
    data: str = ""
    parent: str = ""
    column_mapping: Mapping[str, Any] = field(default_factory=dict)
    variant: str = ""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    init: Mapping[str, Any] = field(default_factory=dict)
    display_name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    lineage: str = ""
    runtime: str = ""
    instance_type: str = ""


class CloudRuns:
    """The runs of one workspace. ``pause`` is how it waits before it tries again."""

    def __init__(self, client: Client, *, pause: Callable[[float], object] = time.sleep) -> None:
        self._client = client
        self._pause = pause

    def submit(self, submission: Submission) -> None:
        """Upload what a run needs and start it. A run of that name that is there already is left as it is.

        Raises:
            AccessError: where it is not allowed.
            CloudError: where the service refuses it.
        """
        what = f"run '{submission.name}': submit"

        def submit() -> None:
            runs = self._runs
            from promptflow._sdk._errors import RunNotFoundError

            try:
                runs.create_or_update(_run_of(submission), runtime=submission.runtime or None)
            except RunNotFoundError:
                pass  # the client looks at the run that it has just made, which may be too soon
            except Exception:
                # An answer may be lost after the run was made.
                if self._find(submission.name) is None:
                    raise

        self._ask(what, submit)

    def find(self, name: str) -> RunState | None:
        """Return the state of a run; None where there is no run of that name.

        Raises:
            AccessError: where it is not allowed to look.
            CloudError: where the service can't tell.
        """
        return self._ask(f"run '{name}'", lambda: self._find(name))

    def look(self, name: str) -> RunState | None:
        """Do what ``find`` does, but once only: for who will ask again anyway."""
        with translated(f"run '{name}'"):
            return self._find(name)

    def lines(self, name: str) -> Lines:
        """Return what the service tells of the lines of a run.

        Raises:
            CloudError: where the service can't tell.
        """
        return lines_of(
            self._ask(f"run '{name}': rows", lambda: self._runs._get_flow_runs_pagination(name, sys.maxsize))
        )

    def metrics(self, name: str) -> dict[str, Any]:
        """Return what a completed run logged.

        Raises:
            CloudError: where the service can't tell.
        """
        return dict(self._ask(f"run '{name}': metrics", lambda: self._runs.get_metrics(name)))

    def cancel(self, name: str) -> None:
        """Have a run cancelled, which takes the service a while.

        Raises:
            CloudError: where the service refuses it, as it does for a run that is over.
        """
        with translated(f"run '{name}': cancel"):
            self._runs.cancel(name)

    @cached_property
    def _runs(self) -> Any:
        runs = self._client.flows.runs
        quieten()
        return runs

    def _find(self, name: str) -> RunState | None:
        runs = self._runs
        from promptflow._sdk._errors import RunNotFoundError

        try:
            # In this form the client asks once; else it asks for a link to the portal, too.
            return state_of(runs.get(name, original_form=True)["runMetadata"])
        except RunNotFoundError:
            return None

    def _ask(self, what: str, call: Callable[[], Answer]) -> Answer:
        with translated(what):
            for wait in _WAITS:
                try:
                    return call()
                except Exception as error:  # noqa: PERF203 - it waits in each round
                    if not _may_pass(error):
                        raise
                    self._pause(wait)
            return call()


def left_out(folder: Path) -> list[Path]:
    """List the files below a folder that are not uploaded with it: its ``.amlignore`` names them, else ``.gitignore``.

    Raises:
        AccessError: where Azure's libraries are not installed.
    """
    if not any((folder / name).exists() for name in _IGNORING):
        return []
    with installed():
        from promptflow._sdk._utilities.general_utils import PromptflowIgnoreFile
    ignored = PromptflowIgnoreFile(prompt_flow_path=folder)
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and ignored.is_file_excluded(path)]


def _run_of(submission: Submission) -> Any:
    """Make the client's record of a run. It is changed by submitting it, so each try has its own."""
    from promptflow._sdk.entities import Run

    run = Run(
        name=submission.name,
        flow=submission.flow,
        data=submission.data or None,
        run=submission.parent or None,
        column_mapping=dict(submission.column_mapping),
        variant=submission.variant or None,
        environment_variables=dict(submission.environment_variables),
        init=dict(submission.init) or None,
        display_name=submission.display_name or None,
        tags=dict(submission.tags) or None,
        resources={"instance_type": submission.instance_type} if submission.instance_type else None,
    )
    if submission.lineage:
        # The client would take the folder's path, which is another one in each session.
        run._lineage_id = submission.lineage
    return run


def _may_pass(error: BaseException) -> bool:
    """Tell whether the same call may succeed a little later."""
    if login_failed(error):
        return True  # it worked when the session began
    if isinstance(error, LLMOpsError):
        return False
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError
    from requests.exceptions import ConnectionError as LostConnectionError
    from requests.exceptions import Timeout

    if isinstance(error, (LostConnectionError, Timeout, ServiceRequestError, ServiceResponseError)):
        return True
    written = _CODE.search(str(error))
    status = status_of(error) or (int(written[1]) if written else None)
    return status in _BUSY
