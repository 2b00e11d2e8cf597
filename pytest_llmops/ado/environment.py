"""What an Azure Pipelines agent tells the processes of a step, in environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

_UNRESOLVED = "$("
_DIGITS = 9
"""No count of an agent has more; Python refuses to read thousands of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """One run of a pipeline, as one of its jobs sees it. Text is empty where the agent does not say.

    ``slice`` is this job's part of the work, such as (2, 5), None where the job is not one of several. ``commit`` is
    what was checked out, on a pull request the merge; ``source_commit`` is the pull request's own. ``definition`` is
    the number of the pipeline, its name where no number is known. ``host`` is ``build`` but in classic releases.
    ``token`` is there only where a step maps ``SYSTEM_ACCESSTOKEN``.
    """

    build: str = ""
    number: str = ""
    host: str = ""
    definition: str = ""
    commit: str = ""
    source_commit: str = ""
    collection: str = ""
    project: str = ""
    repository: str = ""
    provider: str = ""
    pull_request: str = ""
    attempt: int = 1
    slice: tuple[int, int] | None = None
    token: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """Address of the run's page; empty where it can't be told."""
        if not (self.collection and self.project and self.build):
            return ""
        return f"{self.collection.rstrip('/')}/{quote(self.project)}/_build/results?buildId={quote(self.build)}"


def is_agent(environ: Mapping[str, str]) -> bool:
    """Tell whether an Azure Pipelines agent started this process."""
    return environ.get("TF_BUILD", "").lower() == "true"


def is_on(setting: bool | None, environ: Mapping[str, str]) -> bool:
    """Tell whether to write for Azure DevOps: as the setting says, else wherever an agent is."""
    return is_agent(environ) if setting is None else setting


def read_pipeline(environ: Mapping[str, str]) -> Pipeline:
    """Read what the agent says. A variable that no pipeline has set arrives as its own macro, and counts as not set."""

    def text(name: str) -> str:
        value = environ.get(name, "")
        return "" if value.startswith(_UNRESOLVED) else value

    return Pipeline(
        build=text("BUILD_BUILDID"),
        number=text("BUILD_BUILDNUMBER"),
        host=text("SYSTEM_HOSTTYPE"),
        definition=text("SYSTEM_DEFINITIONID") or text("BUILD_DEFINITIONNAME"),
        commit=text("BUILD_SOURCEVERSION"),
        source_commit=text("SYSTEM_PULLREQUEST_SOURCECOMMITID"),
        collection=text("SYSTEM_COLLECTIONURI") or text("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"),
        project=text("SYSTEM_TEAMPROJECT"),
        repository=text("BUILD_REPOSITORY_ID"),
        provider=text("BUILD_REPOSITORY_PROVIDER"),
        pull_request=text("SYSTEM_PULLREQUEST_PULLREQUESTID"),
        attempt=_count(text("SYSTEM_JOBATTEMPT")) or 1,
        slice=_slice(_count(text("SYSTEM_JOBPOSITIONINPHASE")), _count(text("SYSTEM_TOTALJOBSINPHASE"))),
        token=text("SYSTEM_ACCESSTOKEN"),
    )


def _slice(position: int, total: int) -> tuple[int, int] | None:
    return (position, total) if total > 1 and 1 <= position <= total else None


def _count(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= _DIGITS else 0
