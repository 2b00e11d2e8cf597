"""Results without the secrets of what was asked for, nor those of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from pytest_llmops.records.run import RunRequest, RunResult
from pytest_llmops.secrets import named_secrets, redact

_NO_SECRET = re.compile(r"[A-Za-z]{0,15}|[\d.,]*|[/~.].*|\w+://.*|\$\{.*\}", re.DOTALL)
"""A word, a number, a path, an address and a reference: ``TOKENIZERS_PARALLELISM=false`` is named like a secret."""


def redacted(result: RunResult, request: RunRequest, environment: Mapping[str, str]) -> RunResult:
    """Remove the secrets of the run's connections, init values, variables and address from every message.

    So are those of ``environment``, that of the process that asked for the run.
    """
    secrets = [secret for connection in request.connections for secret in connection.secrets.values()]
    secrets += [*named_secrets(request.variant.init), *named_secrets(request.environment_variables)]
    secrets += request.address.secrets if request.address else ()
    secrets += environment_secrets(environment)
    if not secrets:
        return result

    def clean(text: str | None) -> str | None:
        return None if text is None else redact(text, secrets)

    return replace(
        result,
        rows=tuple(replace(row, error=clean(row.error)) if row.error else row for row in result.rows),
        error=clean(result.error),
        aggregation_error=clean(result.aggregation_error),
    )


def environment_secrets(environment: Mapping[str, str]) -> list[str]:
    """Return the values of variables that are named like secrets, and look as if they were some."""
    return [value for value in named_secrets(environment) if not _NO_SECRET.fullmatch(value)]
