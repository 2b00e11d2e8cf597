"""What users read where Azure's libraries raise exceptions."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_llmops.azure.failures import installed, translated
from pytest_llmops.errors import AccessError, CloudError, LLMOpsError, RunError

pytestmark = pytest.mark.usefixtures("azure_sdks")


def failed(error: Exception) -> LLMOpsError:
    with pytest.raises(LLMOpsError) as raised, translated("endpoint 'web': create"):
        raise error
    return raised.value


def http_error(status: int, code: str, message: str, *details: str) -> Exception:
    from azure.core.exceptions import HttpResponseError

    body = {"error": {"code": code, "message": message, "details": [{"code": "x", "message": d} for d in details]}}
    response: Any = SimpleNamespace(status_code=status, reason="Refused", text=lambda: json.dumps(body))
    error: Exception = HttpResponseError(response=response)
    return error


def test_what_the_service_says_is_one_line() -> None:
    error = failed(http_error(400, "BadRequest", "The request is\n invalid.", "Quota is used up.", "Quota is used up."))

    assert isinstance(error, CloudError)
    assert str(error) == "endpoint 'web': create: The request is invalid; Quota is used up (BadRequest, HTTP 400)"


@pytest.mark.parametrize(
    ("status", "code"), [(404, "ResourceGroupNotFound"), (404, "SubscriptionNotFound"), (400, "InvalidSubscriptionId")]
)
def test_coordinates_that_lead_nowhere(status: int, code: str) -> None:
    error = failed(http_error(status, code, "It could not be found."))

    assert isinstance(error, AccessError)
    assert str(error) == (
        "endpoint 'web': create: It could not be found; "
        "correct the subscription, the resource group or the workspace's name"
    )


def test_something_of_the_workspace_that_is_not_there_is_no_wrong_workspace() -> None:
    message = "The Resource 'Microsoft.MachineLearningServices/workspaces/ws/onlineEndpoints/web' was not found."

    assert isinstance(failed(http_error(404, "ResourceNotFound", message)), CloudError)


def test_the_failed_answer_in_an_exception_of_prompt_flow() -> None:
    from promptflow.exceptions import UserErrorException

    inner = http_error(403, "Forbidden", "No.")

    assert str(failed(UserErrorException(message=str(inner), error=inner))) == (
        "endpoint 'web': create: no right to do this (No); have the login given a role that allows it"
    )


def test_a_status_that_prompt_flow_only_writes_down() -> None:
    from promptflow.azure._restclient.flow_service_caller import FlowRequestException

    text = "Calling submit_bulk_run failed with request id: 1 \nStatus code: 401 \nError message: Expired \n"
    error = failed(FlowRequestException(text))

    assert isinstance(error, AccessError)
    assert "the login was refused" in str(error)


def test_a_connection_that_is_lost() -> None:
    from azure.core.exceptions import ServiceRequestError

    error = failed(ServiceRequestError("Connection aborted."))

    assert (type(error), str(error)) == (CloudError, "endpoint 'web': create: Connection aborted")
    assert isinstance(failed(ConnectionResetError("reset")), CloudError)


def test_an_answer_that_the_library_does_not_understand() -> None:
    from azure.ai.ml.entities import Data

    with pytest.raises(CloudError, match=r"^data: "), translated("data"):
        Data._from_rest_object(SimpleNamespace())


def test_a_fault_of_our_own_goes_through() -> None:
    with pytest.raises(KeyError), translated("data"):
        raise KeyError("ours")


def test_an_error_for_the_user_goes_through() -> None:
    with pytest.raises(RunError, match=r"^said already$"), translated("data"):
        raise RunError("said already")


def test_secrets_that_a_service_repeats_are_not_shown() -> None:
    leak = (
        "key sk-LIVE-0123456789abcdef https://user:PASSW0RD1@host/x?token=TOKTOKTOK1&sig=SIGSIG1&code=CODECODE1&se=1 "
        "AccountName=a;AccountKey=AKAKAK1==;EndpointSuffix=b Authorization: Basic QkFTSUM6QkFTSUM= Pwd=PWDPWD2; "
        'api-key: APIKEYAPI1 Ocp-Apim-Subscription-Key: SUBKEYSUB1 "primaryKey": "PRIKEYPRI1" '
        "InstrumentationKey=INSTKEY1-1111 client_assertion=ASSERT1&x=1 token eyJhbGciOi.eyJhdWQiOi.JWTJWT"
    )

    assert str(failed(http_error(400, "Bad", leak))) == (
        "endpoint 'web': create: key *** https://***@host/x?token=*** "
        "AccountName=a;AccountKey=***;EndpointSuffix=b Authorization: Basic *** Pwd=***; "
        'api-key: *** Ocp-Apim-Subscription-Key: *** "primaryKey": "***" '
        "InstrumentationKey=*** client_assertion=*** token *** (Bad, HTTP 400)"
    )


def test_packages_that_are_missing() -> None:
    with pytest.raises(AccessError) as refused, installed():
        import azure.ai.ml.no_such_module  # noqa: F401

    assert str(refused.value) == (
        "Azure needs packages that are not installed, or too new (no module 'azure.ai.ml.no_such_module'); "
        "install them: pip install 'pytest-llmops[azure]'"
    )
