"""Each fault of the Azure emulator, as the real SDK meets it."""

from __future__ import annotations

from typing import Any

import pytest
from azure_emulator import WORKSPACE, Credential, Emulator
from azure_endpoint_routes import place


@pytest.fixture
def operations(azure: Emulator) -> Any:
    """The SDK's operations on endpoints, where there is one with all traffic on blue."""
    from azure.ai.ml import MLClient

    place(azure.state, "ner", {"blue": 100, "green": 0})
    names = WORKSPACE.subscription, WORKSPACE.resource_group, WORKSPACE.name
    return MLClient(Credential(), *names, enable_telemetry=False, show_progress=False).online_endpoints


def move(operations: Any, **settings: Any) -> None:
    """Give green all traffic."""
    endpoint = operations.get("ner")
    endpoint.traffic = {"green": 100}
    operations.begin_create_or_update(endpoint, **settings).result()


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("quota", 400, "OutOfQuota"),
        ("conflict", 409, "Conflict"),
        ("unauthorized", 401, "InvalidAuthenticationToken"),
        ("forbidden", 403, "AuthorizationFailed"),
    ],
)
def test_a_refusal_reaches_the_caller(azure: Emulator, operations: Any, how: str, status: int, code: str) -> None:
    from azure.core.exceptions import HttpResponseError

    azure.fail("PUT", "onlineEndpoints/ner$", how)
    with pytest.raises(HttpResponseError, match=code) as raised:
        move(operations)
    assert raised.value.status_code == status
    assert azure.changes == [f"PUT onlineEndpoints/ner -> {status} {code}"]
    assert azure.state.traffic("ner") == {"blue": 100}


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("throttled", "429 TooManyRequests"),
        ("server-error", "500 InternalServerError"),
        ("unavailable", "503 ServiceUnavailable"),
        ("drop", "connection lost"),
        ("drop-answer", "200, answer lost"),
    ],
)
def test_what_passes_is_tried_again_by_the_sdk(azure: Emulator, operations: Any, how: str, line: str) -> None:
    azure.fail("PUT", "onlineEndpoints/ner$", how)
    # The second PUT of a lost answer would meet the operation of the first.
    azure.state.seconds = 0
    move(operations)
    assert azure.state.traffic("ner") == {"green": 100}
    assert [change for change in azure.changes if change.startswith("PUT")] == [
        f"PUT onlineEndpoints/ner -> {line}",
        "PUT onlineEndpoints/ner -> 200",
    ]


def test_an_operation_can_fail_after_it_was_accepted(azure: Emulator, operations: Any) -> None:
    azure.fail("PUT", "onlineEndpoints/ner$", "lro-failed")
    with pytest.raises(Exception, match="The operation failed"):
        move(operations)
    assert azure.state.traffic("ner") == {"blue": 100}


def test_nothing_at_all_can_come_back(azure: Emulator, operations: Any) -> None:
    from azure.core.exceptions import ServiceResponseError

    azure.fail("GET", "onlineEndpoints/ner$", "hang", times=4)
    with pytest.raises(ServiceResponseError, match="Read timed out"):
        operations._online_operation.get(
            endpoint_name="ner",
            resource_group_name=WORKSPACE.resource_group,
            workspace_name=WORKSPACE.name,
            read_timeout=0.1,
            retry_total=0,
        )


def test_faults_come_after_so_many_and_so_often(azure: Emulator, operations: Any) -> None:
    azure.fail("GET", "onlineEndpoints/ner$", "forbidden", after=1, times=2)
    operations.get("ner")
    for _ in range(2):
        with pytest.raises(Exception, match="AuthorizationFailed"):
            operations.get("ner")
    operations.get("ner")


def test_a_fault_that_there_is_not_is_refused(azure: Emulator) -> None:
    with pytest.raises(ValueError, match="no such fault: earthquake"):
        azure.fail("GET", "", "earthquake")
