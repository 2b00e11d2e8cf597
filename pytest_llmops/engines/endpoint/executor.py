"""Executor of flows that are served somewhere: each line is a request. Needs no prompt flow."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from pytest_llmops.engines.endpoint.answers import Refused, outputs_of
from pytest_llmops.engines.endpoint.client import EndpointClient
from pytest_llmops.engines.endpoint.signature import inputs_for, served_outputs
from pytest_llmops.engines.executor import Aggregation
from pytest_llmops.engines.function.mapping import map_columns
from pytest_llmops.engines.function.rows import sources_of
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.run import Line, Row, RunRequest

_LONGEST_START = 30.0
"""Seconds that an endpoint has to become ready."""
_GRACE = 1.0
"""Seconds beyond a line's own limit after which it is given up from outside."""


class EndpointExecutor:
    """Asks what is served at an address for the outputs of each line.

    It computes no metrics: a flow that is served has no aggregation. Which tokens the flow uses stays unknown.
    """

    aggregates = False

    def __init__(self, address: Address) -> None:
        self.line_timeout = 0.0
        self._address = address
        self._timeout = 0.0
        self._outputs: tuple[str, ...] = ()
        self._client: EndpointClient

    def prepare(self, request: RunRequest) -> list[Line]:
        """Map the data to the flow's inputs, and wait until the endpoint is ready.

        Raises:
            RunError: with a message for the user, when no line can run.
        """
        flow = request.flow
        required = [name for name, port in flow.inputs.items() if port.required]
        lines = map_columns(sources_of(request), request.column_mapping, required=required)[: request.max_rows]
        self._outputs = served_outputs(flow)
        self._timeout = request.line_timeout
        self.line_timeout = request.line_timeout + _GRACE
        self._client = EndpointClient(self._address, request.llm.retries)
        self._client.wait_until_ready(min(_LONGEST_START, request.line_timeout / 2))
        return [(number, inputs_for(flow, inputs)) for number, inputs in lines]

    def run_line(self, inputs: Mapping[str, Any], line_number: int) -> Row:
        """Ask for the outputs of one line. Its duration is all that a caller waits, repeated requests included."""
        begun = time.monotonic()
        output: Mapping[str, Any] | None = None
        error: str | None = None
        try:
            output = outputs_of(self._client.ask(inputs, self._timeout), self._outputs)
        except Refused as problem:
            error = str(problem)
        duration = time.monotonic() - begun
        return Row(line_number=line_number, inputs=inputs, output=output, error=error, duration=duration, uncounted=1)

    def contribution(self, line_number: int) -> str | None:
        """Return nothing: there are no metrics."""
        return ""

    def restore(self, line: Line, contribution: str) -> None:
        """Do nothing: there are no metrics."""

    def aggregate(self, completed: Collection[int]) -> Aggregation:
        """Compute nothing."""
        return Aggregation()
