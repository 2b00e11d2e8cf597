"""Environment variables of a run: references to connections, and stand-ins for keys that a replay does without."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmops.errors import RunError
from pytest_llmops.records.experiment import Connection
from pytest_llmops.records.run import LLMMode

PLACEHOLDER_KEY = "no-key-is-needed-to-replay"
PLACEHOLDER_URL = "http://llm.invalid/v1"
_REFERENCE = re.compile(r"\$\{([^.{}]+)\.([^.{}]+)\}")


def needs_no_keys(mode: LLMMode) -> bool:
    """Tell whether LLM calls are answered without being made, at least those that are recorded."""
    return mode in ("replay", "auto")


def placeholders(mode: LLMMode) -> dict[str, str]:
    """Return variables without which the OpenAI clients refuse to start, for a run that needs no keys."""
    if not needs_no_keys(mode):
        return {}
    return {
        "OPENAI_API_KEY": PLACEHOLDER_KEY,
        "AZURE_OPENAI_API_KEY": PLACEHOLDER_KEY,
        "AZURE_OPENAI_ENDPOINT": PLACEHOLDER_URL,
    }


def resolve_variables(
    variables: Mapping[str, Any], connections: Iterable[Connection], mode: LLMMode = "live"
) -> dict[str, str]:
    """Replace values of the form ``${connection.key}`` by what the connection holds.

    A key that the connection lacks is left as it is written, as prompt flow does, but where the run needs no keys:
    there it is left out, and placeholders stand in.

    Raises:
        RunError: when the connection is not there.
    """
    by_name = {connection.name: connection for connection in connections}
    resolved = {name: _resolve(name, as_text(value), by_name) for name, value in variables.items()}
    return {
        name: value for name, value in resolved.items() if not (needs_no_keys(mode) and _REFERENCE.fullmatch(value))
    }


def as_text(value: Any) -> str:
    """Return the text of a variable as prompt flow writes those of a flow's YAML: lists and mappings as JSON."""
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def _resolve(name: str, value: str, connections: Mapping[str, Connection]) -> str:
    match = _REFERENCE.fullmatch(value.strip())
    if match is None:
        return value
    if match[1] not in connections:
        raise RunError(f"environment variable {name} refers to connection '{match[1]}', which is not configured")
    connection = connections[match[1]]
    return {**connection.values, **connection.secrets}.get(match[2], value)
