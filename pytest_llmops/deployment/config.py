"""What is to be deployed to an environment: found in the experiment file or the template's, completed, and checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_llmops.deployment import names
from pytest_llmops.deployment.sample import check_sample, first_request
from pytest_llmops.deployment.template import Entry, find_entries, read_entry
from pytest_llmops.errors import ConfigurationError, Problem
from pytest_llmops.ledger import holds_secret
from pytest_llmops.records.deployment import Release
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.spec.connections import PLACEHOLDER
from pytest_llmops.spec.dotenv import Variables
from pytest_llmops.spec.environment import read_variables
from pytest_llmops.spec.files import read_text
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.json_reader import read_json
from pytest_llmops.spec.resolve import Paths
from pytest_llmops.spec.suggest import did_you_mean, listing

FILES = ("configs/deployment_config.json", "config/deployment_config.json")
"""Where the template's file may lie in the folder of a use case."""


def read_release(
    experiment: Experiment,
    env: str,
    *,
    kind: str | None = None,
    environ: Mapping[str, str] = os.environ,
    root: Path | None = None,
) -> Release:
    """Read how the experiment's flow is deployed to an environment, and check all that can be without asking Azure.

    ``kind`` chooses where the template's file has several kinds for the environment. Values ``${NAME}`` of variables
    are resolved from ``environ`` and ``.env`` files. ``root`` is the folder that messages name files from, the
    current one by default.

    Raises:
        ConfigurationError: with every problem found; for an environment that nothing is said of, with those there are.
    """
    paths, findings = _paths(experiment.file, root), Findings()
    variables = read_variables(paths, environ, findings)
    release = _choose(experiment.file, experiment.releases, env=env, kind=kind, paths=paths, findings=findings)
    if release and not findings.errors:
        release = _completed(release, experiment, variables, findings)
        _check_names(release, findings)
        if release.sample:
            check_sample(release.sample, experiment.flow, paths, findings, named=release)
    return _sound(release, findings)


def find_release(
    file: Path, releases: Mapping[str, Release], env: str, *, kind: str | None = None, root: Path | None = None
) -> Release:
    """Find where and how a flow is deployed to an environment, for who deploys nothing: variables stay as written.

    ``file`` is the experiment file, and ``releases`` what it says of deployments.

    Raises:
        ConfigurationError: with every problem found; for an environment that nothing is said of, with those there are.
    """
    findings = Findings()
    release = _choose(file, releases, env=env, kind=kind, paths=_paths(file, root), findings=findings)
    if release and not findings.errors:
        _check_names(release, findings)
    return _sound(release, findings)


def request_for(release: Release, experiment: Experiment, *, root: Path | None = None) -> Path | Mapping[str, Any]:
    """Return the request that a deployment is tested with: the file that is named, or the first row of the data.

    Raises:
        ConfigurationError: where the file can't be sent, or there is neither.
        RunError: where the data can't be read, or lacks a column.
    """
    if release.sample:
        findings = Findings()
        check_sample(release.sample, experiment.flow, _paths(experiment.file, root), findings, named=release)
        if findings.errors:
            raise ConfigurationError(findings.errors)
        return release.sample
    if (request := first_request(experiment)) is not None:
        return request
    what = "there is no request to test the deployment with"
    raise ConfigurationError([release.problem("sample", what, "name a file with one, such as sample-request.json")])


def _paths(file: Path, root: Path | None) -> Paths:
    return Paths(base=file.parent, root=Path(os.path.abspath(root or Path.cwd())))


def _check_names(release: Release, findings: Findings) -> None:
    for problem in names.check(release):
        findings.error(problem)


def _sound(release: Release | None, findings: Findings) -> Release:
    if release is None or findings.errors:
        raise ConfigurationError(findings.errors)
    return release


def _choose(
    file: Path, releases: Mapping[str, Release], *, env: str, kind: str | None, paths: Paths, findings: Findings
) -> Release | None:
    template, entries = _template(paths, findings)
    of_env = [entry for entry in entries if entry.env == env]
    block = releases.get(env)
    if block and any(not entry.is_blank for entry in of_env):
        what = f"environment '{env}' is in {template} too"
        findings.error(Problem(block.file, block.line, f"llmops.deployment.{env}", what, "keep one of the two"))
    elif block:
        if kind in (None, block.kind):
            return block
        what, todo = f"is of kind {block.kind}, not {kind}", "correct it, or leave out --kind"
        findings.error(block.problem("kind", what, todo))
    elif of_env:
        entry = _one(of_env, kind, findings)
        if entry and not (findings.errors and entry.is_blank):  # another one was meant, which is not understood
            return read_entry(entry, paths.base, findings)
    elif not findings.errors:
        places = [(each.file, each.line) for each in releases.values()]
        places += [(template, entry.document.place(entry.path).line) for entry in entries]
        known = dict.fromkeys([*releases, *(entry.env for entry in entries)])
        findings.error(_unknown(env, known, *(places[0] if places else (template or paths.show(file), 0))))
    return None


def _unknown(env: str, known: Iterable[str], file: str, line: int) -> Problem:
    if not known:
        todo = f"add llmops.deployment.{env} to the experiment file, or {FILES[0]} beside it"
        return Problem(file, line, "", "nothing says how the flow is deployed", todo)
    what = f"there is no environment {env!r}, only {listing(known)}"
    return Problem(file, line, "", what, did_you_mean(env, known) or "name one of these")


def _template(paths: Paths, findings: Findings) -> tuple[str, Sequence[Entry]]:
    """Find the template's file, and the entries in it; an empty name where there is no such file."""
    found = [paths.base / name for name in FILES if (paths.base / name).is_file()]
    if not found:
        return "", ()
    shown = [paths.show(file) for file in found]
    if len(found) > 1:
        findings.error(Problem(shown[0], 0, "", f"{shown[1]} is there too", "keep one of the two"))
        return shown[0], ()
    text = read_text(found[0], shown[0], findings)
    document = read_json(text, shown[0], findings) if text is not None else None
    return shown[0], find_entries(document, findings) if document else ()


def _one(entries: Sequence[Entry], kind: str | None, findings: Findings) -> Entry | None:
    """Choose one of an environment's entries: the one that is filled in, or the one of the kind that is asked for."""
    wanted = [entry for entry in entries if entry.kind == kind] if kind else _filled_in(entries)
    if len(wanted) == 1:
        return wanted[0]
    env, kinds = entries[0].env, list(dict.fromkeys(entry.kind for entry in wanted or entries))
    if not wanted:
        findings.error(entries[0].problem("", f"environment '{env}' has no entry of kind {kind}", f"use {kinds[0]}"))
    elif len(kinds) == 1:
        findings.error(wanted[1].problem("", f"a second entry for environment '{env}'", "remove one of the two"))
    else:
        choices = " or ".join(f"--kind {kind}" for kind in kinds)
        findings.error(wanted[0].problem("", f"environment '{env}' has several kinds of endpoint", f"choose {choices}"))
    return None


def _filled_in(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Leave out the template's blanks; where all are blanks, its first one is the one to fill in."""
    return [entry for entry in entries if not entry.is_blank] or entries[:1]


def _completed(release: Release, experiment: Experiment, variables: Variables, findings: Findings) -> Release:
    resolved = {
        name: _resolved(release, name, value, variables, findings)
        for name, value in release.environment_variables.items()
    }
    return replace(
        release,
        environment_variables=resolved,
        connections=release.connections or experiment.flow.connections,
        notes=(*release.notes, *_in_plain_text(release)),
    )


def _resolved(release: Release, name: str, value: str, variables: Variables, findings: Findings) -> str:
    match = PLACEHOLDER.fullmatch(value)
    if match is None:
        if "${" in value:
            what = "'${...}' is only resolved where it is all of the value"
            todo = "write ${NAME} alone, and the rest into the variable"
            findings.error(release.problem(f"environment_variables.{name}", what, todo))
        return value
    found = variables.get(match[1])
    if found is None:
        what = f"needs the environment variable {match[1]}, which is not set"
        findings.error(release.problem(f"environment_variables.{name}", what, "set it"))
    return found or ""


def _in_plain_text(release: Release) -> Iterator[str]:
    for name, value in release.environment_variables.items():
        if value and holds_secret(name, value):
            todo = f"write ${{{name}}}, and set that in the environment, or use a connection of the workspace"
            yield str(release.problem(f"environment_variables.{name}", "looks like a secret in plain text", todo))
