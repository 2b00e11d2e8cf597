"""What it takes to have a run executed by a workspace instead of this machine, and what a workspace is not given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_llmops.ledger import holds_secret
from pytest_llmops.records.cloud import Compute
from pytest_llmops.records.kinds import NOT_PROMPT_FLOW
from pytest_llmops.records.run import LLM, RunRequest
from pytest_llmops.secrets import find_secrets, is_secret

IN_FLIGHT = 16
"""Runs of a session that are under way in a workspace at once, over all its processes."""

_REFERENCE = re.compile(r"\s*\$\{[^{}]*\}\s*")
_NUMBER = re.compile(r"\s*(?:[+-]?[\d.]{1,12}|true|false|none|null)\s*", re.IGNORECASE)
_HARMLESS = re.compile(
    r"(?:.*[^a-z])?(?:"
    r"(?:bos|end|eos|mask|pad|sep|start|stop|unk)[_-]?tokens?"
    r"|(?:cache|foreign|group|join|order|partition|row|sort)[_-]?keys?"
    r"|keywords?|(?:key|token)[_-]?(?:column|count|field|limit|type)|key[_-]?vault[_-]?(?:name|ur[il])|tokeni[sz]er"
    r")",
    re.IGNORECASE | re.DOTALL,
)
"""Names that have the word of a secret in them, and are of text or data."""
_UNCOUNTED = ".parquet"
_PUT = "put it into a connection of the workspace"


def in_workspace(request: RunRequest, compute: Compute) -> RunRequest:
    """Have a run executed by a workspace, unless that does not run such flows. LLM calls there are live."""
    if request.flow.kind in NOT_PROMPT_FLOW:
        return request
    return replace(request, compute=compute, llm=LLM(retries=request.llm.retries))


def unfit(request: RunRequest) -> str:
    """Say why a workspace can't or must not execute a run; empty where it can."""
    flow = request.flow
    if kind := NOT_PROMPT_FLOW.get(flow.kind):
        name, todo = f"flow '{flow.name}'", "make it a flow with a definition"
        if request.variant.is_candidate:
            name, todo = f"candidate '{request.variant.id}'", "leave it out with --llmops-variants"
        return f"{name} is {kind}, which a workspace does not run; {todo}, or run it with --llmops-backend local"
    if isinstance(request.data, Path) and request.data.suffix.lower() == _UNCOUNTED:
        what = f"the lines of {request.data.name} can't be counted here, so one that gets lost would not be missed"
        return f"flow '{flow.name}': {what}; save it as .jsonl or .csv, or run it with --llmops-backend local"
    given = {
        "environment variable": (request.environment_variables, f"{_PUT}, and write ${{connection.key}} in env.yaml"),
        "init value": (request.variant.init, f"{_PUT}, and have the flow take that"),
        "override": (request.variant.overrides, f"{_PUT}, and override 'connection'"),
        "mapping": (request.column_mapping, f"{_PUT}, and have the flow take that"),
    }
    for what, (values, todo) in given.items():
        for name in _secrets(values):
            return f"flow '{flow.name}': {what} '{name}' holds a secret, which all who see the run would see; {todo}"
    return ""


def _secrets(values: object, name: str = "") -> Iterator[str]:
    """Yield the names of what may be a secret, at any depth. What stands in a list has the list's name."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _secrets(value, str(key))
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _secrets(value, name)
    elif isinstance(values, str) and _may_be_secret(name, values):
        yield name


def _may_be_secret(name: str, value: str) -> bool:
    """Tell it in doubt of what is none: it would be seen by all, and connections are made for it."""
    if not value or _REFERENCE.fullmatch(value):
        return False
    if holds_secret(name, value) or any(find_secrets(f"{name}={value}")) or any(find_secrets(value)):
        return True
    return is_secret(name) and not (_HARMLESS.fullmatch(name) or _NUMBER.fullmatch(value))
