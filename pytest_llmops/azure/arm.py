"""Azure Resource Manager by its REST API, for services that the SDKs of machine learning don't cover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pytest_llmops.azure.clients import Client
from pytest_llmops.azure.failures import installed

_HOST = "https://management.azure.com"
_POLL = 5.0
"""Seconds between looks at a long operation, where the service does not say."""


class ResourceManager:
    """Resources by their ids. Exceptions are those of azure-core, to be translated by who calls."""

    def __init__(self, client: Client) -> None:
        self._credential = client.credential

    def get(self, resource: str, version: str) -> dict[str, Any] | None:
        """Return a resource, None where there is none."""
        answer = self._send("GET", resource, version, None)
        return None if answer.status_code == 404 else _checked(answer)

    def list(self, collection: str, version: str) -> Iterator[dict[str, Any]]:
        """Yield the resources of a collection, page by page."""
        page = _checked(self._send("GET", collection, version, None))
        while True:
            yield from page["value"]
            if not page.get("nextLink"):
                return
            page = _checked(self._ask("GET", page["nextLink"], None))

    def send(self, method: str, resource: str, version: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request that is answered at once, and return the answer."""
        return _checked(self._send(method, resource, version, body))

    def text(self, method: str, resource: str, version: str) -> str:
        """Send a request that is answered by text, and return that; empty where there is nothing."""
        answer = self._send(method, resource, version, None)
        if answer.status_code == 404:
            return ""
        _check(answer)
        return str(answer.text())

    def begin(self, method: str, resource: str, version: str, body: Mapping[str, Any] | None = None) -> Any:
        """Begin a long operation and return its poller. It is not tried again: a second swap undoes the first one."""
        with installed():
            from azure.core.polling import LROPoller
            from azure.mgmt.core.polling.arm_polling import ARMPolling
        request = self._request(method, self._url(resource, version), body)
        answer = self._pipeline._pipeline.run(request, retry_total=0)
        return LROPoller(self._pipeline, answer, lambda _: None, ARMPolling(_POLL))

    def _send(self, method: str, resource: str, version: str, body: Mapping[str, Any] | None) -> Any:
        return self._ask(method, self._url(resource, version), body)

    def _ask(self, method: str, url: str, body: Mapping[str, Any] | None) -> Any:
        return self._pipeline.send_request(self._request(method, url, body))

    def _request(self, method: str, url: str, body: Mapping[str, Any] | None) -> Any:
        from azure.core.rest import HttpRequest

        return HttpRequest(method, url, json=body, headers={"Accept": "application/json"})

    def _url(self, resource: str, version: str) -> str:
        return f"{_HOST}{resource}?api-version={version}"

    @cached_property
    def _pipeline(self) -> Any:
        with installed():
            from azure.core.pipeline.policies import RequestIdPolicy, RetryPolicy, UserAgentPolicy
            from azure.mgmt.core import ARMPipelineClient
            from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy
        login = ARMChallengeAuthenticationPolicy(self._credential, f"{_HOST}/.default")
        # The id of a request is what ARMPolling asks for its outcome by.
        named = [RequestIdPolicy(), UserAgentPolicy("pytest-llmops")]
        return ARMPipelineClient(_HOST, policies=[*named, RetryPolicy(), login])


def _checked(answer: Any) -> dict[str, Any]:
    _check(answer)
    return dict(answer.json()) if answer.content else {}


def _check(answer: Any) -> None:
    if answer.status_code >= 400:
        from azure.core.exceptions import HttpResponseError
        from azure.mgmt.core.exceptions import ARMErrorFormat

        raise HttpResponseError(response=answer, error_format=ARMErrorFormat)
