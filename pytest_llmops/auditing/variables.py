"""Connections of a flow, and the environment variables that a candidate reads in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_llmops.auditing.clients import Read
from pytest_llmops.auditing.findings import Finding
from pytest_llmops.auditing.module import Module
from pytest_llmops.auditing.sources import load
from pytest_llmops.records.experiment import Candidate, Experiment
from pytest_llmops.secrets import is_secret
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.yaml_reader import read_yaml

_ADDRESSES = ("URL", "ENDPOINT", "BASE", "HOST")
ENV_FILE = Path("environment", "env.yaml")


def given_variables(experiment: Experiment) -> Mapping[str, str | None]:
    """Return the variables that an experiment gives to what it runs; None for a value that has to come from outside."""
    document = read_yaml(load(experiment.folder / ENV_FILE, "").text or "", ENV_FILE.as_posix(), Findings())
    written = document.value if document and isinstance(document.value, dict) else {}
    return {**dict.fromkeys(written), **experiment.environment_variables}


def variable_findings(
    experiment: Experiment, candidate: Candidate, code: Module, given: Mapping[str, str | None]
) -> Iterator[Finding]:
    """Say of each connection of the flow what the candidate reads in its place, and of each variable who gives it."""
    reads: dict[tuple[str, ...], Read] = {}
    for each in sorted(code.reads, key=lambda each: each.optional):
        reads.setdefault(each.names, each)
    for connection in experiment.flow.connections:
        instead = [_name(each) for each in reads.values() if _is_of_service(each)]
        if connection in candidate.flow.connections:
            yield Finding("connection", connection, "covered", "the candidate names it too")
        elif instead:
            yield Finding("connection", connection, "covered", f"read in its place: {'; '.join(instead)}")
        else:
            yield Finding("connection", connection, "open", "no variable is read that may be a key or an address")
    for each in reads.values():
        yield _variable(_name(each), each, experiment, code, given)


def _name(read: Read) -> str:
    return " or ".join(read.names)


def _is_of_service(read: Read) -> bool:
    """Tell whether a variable may be in the place of a property of a connection."""
    return any(is_secret(name) or name.upper().endswith(_ADDRESSES) for name in read.names)


def _variable(name: str, each: Read, experiment: Experiment, code: Module, given: Mapping[str, str | None]) -> Finding:
    if any(variable in given for variable in each.names):
        return Finding("variable", name, "covered", f"{ENV_FILE.as_posix()}, read at {each.place}")
    if any(variable in code.sets for variable in each.names):
        return Finding("variable", name, "covered", f"the code sets it, read at {each.place}")
    for connection in experiment.connections:
        if any(variable.casefold().startswith(f"{connection.name}_".casefold()) for variable in each.names):
            return Finding("variable", name, "covered", f"connection {connection.name}, read at {each.place}")
    nobody = f"neither {ENV_FILE.as_posix()} nor a connection gives it, read at {each.place}"
    if each.optional and not each.what:
        return Finding("variable", name, "covered", f"it has a default, read at {each.place}")
    if each.optional:
        return Finding("variable", name, "unknown", f"{nobody}; the client may not need it")
    return Finding("variable", name, "open", nobody)
