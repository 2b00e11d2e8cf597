"""One request to a flow that is served, and what is wrong with the answer. It asserts, where the template only logs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.records.cloud import Address
from pytest_llmops.records.experiment import Flow
from pytest_llmops.reports.text import one_line
from pytest_llmops.secrets import redact, without_secrets

if TYPE_CHECKING:
    from pytest_llmops.engines.endpoint.answers import Reply

_RETRIES = 1000
"""More than there is time for: what ends a request is its timeout."""
_LONGEST_PROBLEM = 400

_KEYED = {
    401: "where callers log in with Microsoft Entra, the login needs the right onlineEndpoints/score/action",
    403: "give the login a role with onlineEndpoints/score/action, such as AzureML Data Scientist",
}
_OPEN = dict.fromkeys(
    (401, 403), "App Service asks callers for a login: exclude the path /score, or allow this network"
)
"""What to do about a refusal, by its status, where a token was sent, and where what is served has none."""

Sample = Path | Mapping[str, Any]


def check(address: Address, sample: Sample | None, flow: Flow, *, timeout: float) -> list[str]:
    """Send a sample request to a served flow, and return what is wrong with the answer, one line for each problem.

    Nothing is wrong with a JSON object of status 200 that has every output the flow declares, not null, and no error.
    ``sample`` is a file with the request, or the request; without one there is nothing to go by, which is a problem
    too. A service that is busy, or can't be reached, is asked again for ``timeout`` seconds in all.
    """
    if sample is None:
        return ["there is no sample request to test it with; name one: sample, or TEST_FILE_PATH"]
    if address.token and not address.is_private:
        return [f"{address}: a token is only sent over https"]
    try:
        request = json.loads(sample.read_text("utf-8-sig")) if isinstance(sample, Path) else sample
    except (OSError, ValueError) as error:
        return [f"the sample request can't be read: {one_line(str(error))}"]
    problems = (without_secrets(redact(said, address.secrets)) for said in _asked(address, request, flow, timeout))
    return [f"{address}: {one_line(problem, _LONGEST_PROBLEM)}" for problem in problems]


def _asked(address: Address, request: Mapping[str, Any], flow: Flow, timeout: float) -> list[str]:
    from pytest_llmops.engines.endpoint.answers import Refused, outputs_of
    from pytest_llmops.engines.endpoint.client import EndpointClient

    try:
        reply = EndpointClient(address, _RETRIES).ask(request, timeout)
        if error := _error_in(reply, flow):
            return [error]
        return list(_wrong(outputs_of(reply, flow.outputs, _KEYED if address.token else _OPEN)))
    except Refused as problem:
        return [str(problem)]


def _error_in(reply: Reply, flow: Flow) -> str:
    """Return the error that an answer of status 200 holds, which the template takes for success; empty for none."""
    try:
        answer = json.loads(reply.content)
    except (ValueError, RecursionError):
        return ""
    if reply.status >= 300 or not isinstance(answer, dict) or "error" not in answer or "error" in flow.outputs:
        return ""
    return f"the answer is an error: {json.dumps(answer['error'], ensure_ascii=False)}"


def _wrong(outputs: Mapping[str, Any]) -> Iterator[str]:
    if not outputs:
        yield "the answer is empty"
    for name, value in outputs.items():
        if value is None:
            yield f"output '{name}' is null"
        elif isinstance(value, float) and math.isnan(value):
            yield f"output '{name}' is NaN"
