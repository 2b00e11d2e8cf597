"""What the agent says, as it says it."""

from __future__ import annotations

import pytest

from pytest_llmops.ado.environment import is_on, read_pipeline


@pytest.mark.parametrize(
    ("setting", "agent", "on"),
    [
        (None, "True", True),
        (None, "", False),
        (None, "False", False),
        (True, "", True),
        (False, "True", False),
    ],
)
def test_the_setting_comes_before_the_agent(setting: bool | None, agent: str, on: bool) -> None:
    assert is_on(setting, {"TF_BUILD": agent}) is on


def test_a_pipeline_goes_by_its_number() -> None:
    named = {"BUILD_DEFINITIONNAME": "nightly"}
    assert read_pipeline({**named, "SYSTEM_DEFINITIONID": "5"}).definition == "5"
    assert read_pipeline(named).definition == "nightly"


def test_a_variable_that_is_not_set_arrives_as_its_macro() -> None:
    environ = {
        "SYSTEM_PULLREQUEST_PULLREQUESTID": "$(System.PullRequest.PullRequestId)",
        "SYSTEM_ACCESSTOKEN": "$(System.AccessToken)",
    }
    assert read_pipeline(environ) == read_pipeline({})


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(read_pipeline({"SYSTEM_ACCESSTOKEN": "secret"}))


def test_the_address_of_a_run() -> None:
    environ = {"SYSTEM_COLLECTIONURI": "https://dev/org/", "SYSTEM_TEAMPROJECT": "My Project", "BUILD_BUILDID": "7"}
    assert read_pipeline(environ).url == "https://dev/org/My%20Project/_build/results?buildId=7"
    assert read_pipeline({**environ, "BUILD_BUILDID": ""}).url == ""


@pytest.mark.parametrize(
    ("position", "total", "part"),
    [
        ("2", "5", (2, 5)),
        ("1", "1", None),
        ("0", "5", None),
        ("6", "5", None),
        ("x", "5", None),
        ("9" * 5000, "5", None),
    ],
)
def test_the_slice_of_a_job(position: str, total: str, part: tuple[int, int] | None) -> None:
    environ = {"SYSTEM_JOBPOSITIONINPHASE": position, "SYSTEM_TOTALJOBSINPHASE": total}
    assert read_pipeline(environ).slice == part
