"""Results without the secrets of what was asked for."""

from __future__ import annotations

from dataclasses import replace

from pytest_llmops.records.run import RunRequest, RunResult
from pytest_llmops.secrets import named_secrets, redact


def redacted(result: RunResult, request: RunRequest) -> RunResult:
    """Remove the secrets of the run's connections, init values, environment and address from every message."""
    secrets = [secret for connection in request.connections for secret in connection.secrets.values()]
    secrets += [*named_secrets(request.variant.init), *named_secrets(request.environment_variables)]
    secrets += request.address.secrets if request.address else ()
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
