"""A repository whose pipeline is run by the stand-in for Azure Pipelines: the repository, the agent and the run."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ado_agent import Agent, Seen
from ado_run import Run
from ado_templates import expand

_IN_LITTLE_TIME = {
    "PIP_COMPILE": "0",
    "PYTEST_ADDOPTS": "--assert=plain -p no:hypothesispytest -p no:anyio",
    "PYTEST_XDIST_AUTO_NUM_WORKERS": "1",
}
"""Of each job's new environment, little is used once: it is not compiled, nor rewritten, for what comes after."""
_FOREIGN = ("PYTEST", "LLMOPS", "COV_", "BUILD_", "SYSTEM_", "AGENT_", "TF_BUILD", "VIRTUAL_ENV", "PYTHON")


def git(folder: Path, *arguments: str) -> str:
    """Run git, as somebody, and return what it prints."""
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def commit(folder: Path, message: str) -> None:
    """Commit all that is in a repository."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def installed(base: Path) -> dict[str, str]:
    """Return variables of a machine that has the packages of this environment, but not the project itself.

    The pipeline installs that one. The others are where Python expects those of a user, so that nobody takes them for
    files of a flow.
    """
    folder = Path(sysconfig.get_path("purelib", f"{os.name}_user", vars={"userbase": str(base)}))
    folder.mkdir(parents=True)
    for source in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}:
        for found in source.iterdir():
            if not found.name.startswith(("pytest_llmops", "__")):
                (folder / found.name).symlink_to(found)
    return {"PYTHONUSERBASE": str(base), "PYTHONPATH": str(folder), **_IN_LITTLE_TIME}


def make_run(
    repository: Path,
    folder: Path,
    parameters: Mapping[str, Any],
    variables: Mapping[str, str],
    environ: Mapping[str, str],
) -> Run:
    """Make a run of a repository's pipeline for its last commit, by default as after a push to main.

    ``environ`` is what the machine of the agent has, beside the environment of this process.
    """
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN)}
    seen = Seen(artifacts=folder / "artifacts")
    known = {
        "Build.BuildId": "42",
        "Build.Reason": "IndividualCI",
        "Build.SourceBranch": "refs/heads/main",
        "Build.SourceVersion": git(repository, "rev-parse", "HEAD").strip(),
        "System.AccessToken": "token-of-the-job",
        "System.HostType": "build",
        **variables,
    }
    return Run(
        pipeline=expand(repository / "azure-pipelines.yml", parameters, known),
        agent=Agent(repository=repository, environ={**inherited, **environ}, seen=seen),
        folder=folder,
        variables=known,
    )


def results(run: Run) -> dict[str, str]:
    """Return the result of each stage."""
    return {name: stage.result for name, stage in run.stages.items()}


def logs(run: Run) -> str:
    """Return all that the steps printed, for the message of a failed assertion."""
    jobs = [job for stage in run.stages.values() for job in stage.jobs]
    return "\n".join(f"{job.name}: {step.title}: {step.result}\n{step.log}" for job in jobs for step in job.steps)
