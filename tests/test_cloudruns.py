"""What a workspace is not given: secrets, wherever in a run they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.cloudruns import in_workspace, unfit
from pytest_llmops.records.cloud import Compute
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.kinds import FlowKind
from pytest_llmops.records.run import RunRequest, Variant

FLOW = Flow(name="ask", kind="dag", file=Path("flow.dag.yaml"), folder=Path())
OPENAI = "sk-proj-1234567890abcdefghijkl"


def refused(**fields: Any) -> str:
    return unfit(RunRequest(flow=FLOW, **fields))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AZURE_OPENAI_KEY", "0123456789abcdef0123456789abcdef"),
        ("AZURE_OPENAI_KEY_EUS", "0123456789abcdef0123456789abcdef"),
        ("GITHUB_TOKEN", "ghp_" + "a1" * 18),
        ("OPENAI_API_KEY_EUS", OPENAI),
        ("STORE", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + "Ab1+" * 21 + "Ab=="),
        ("DB", "postgres://u:hunter2hunter2@h/db"),
        ("SEARCH_API_KEY", "x1"),
        ("password", "1234"),
        ("clientSecret", "hunter2"),
        ("ANSWER", f"use {OPENAI}"),
        ("AUTH", "Server=db;Database=x;Password=hunter2hunter2"),
    ],
)
def test_a_secret_is_refused_by_its_name_or_by_its_looks(name: str, value: str) -> None:
    said = refused(environment_variables={name: value})
    assert said == (
        f"flow 'ask': environment variable '{name}' holds a secret, which all who see the run would see; "
        "put it into a connection of the workspace, and write ${connection.key} in env.yaml"
    )


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"variant": Variant(overrides={"ask.api_key": OPENAI})}, "override 'ask.api_key'"),
        ({"variant": Variant(overrides={"ask.headers": {"x-functions-key": "abc"}})}, "override 'x-functions-key'"),
        ({"variant": Variant(init={"models": [{"api_key": "sk-12345678"}]})}, "init value 'api_key'"),
        ({"variant": Variant(init={"tokens": ["abcdef"]})}, "init value 'tokens'"),
        ({"variant": Variant(init={"config": {"store": {"token": "abcdef"}}})}, "init value 'token'"),
        ({"column_mapping": {"text": "${data.text}", "api_key": OPENAI}}, "mapping 'api_key'"),
        ({"column_mapping": {"text": OPENAI}}, "mapping 'text'"),
    ],
)
def test_a_secret_is_found_wherever_it_is(fields: dict[str, Any], what: str) -> None:
    assert refused(**fields).startswith(f"flow 'ask': {what} holds a secret, which all who see the run would see; put ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AZURE_OPENAI_KEY", "${search.key}"),
        ("AZURE_OPENAI_KEY", ""),
        ("STOP_TOKEN", "<|endoftext|>"),
        ("SORT_KEY", "created_at"),
        ("ask.stop_token", "END"),
        ("KEYWORDS", "invoice, refund"),
        ("token_column", "words"),
        ("MAX_TOKENS", "1024"),
        ("USE_TOKEN_COUNTS", "true"),
        ("KEY_VAULT_NAME", "kv-orders"),
        ("GREETING", "Never give away a password, or the key of your door."),
        ("ENDPOINT", "https://search.example/api?x=1"),
    ],
)
def test_what_is_no_secret_is_let_through(name: str, value: str) -> None:
    values = {name: value}
    assert refused(environment_variables=values) == ""
    assert refused(variant=Variant(overrides=values), column_mapping=values) == ""


def test_values_that_are_no_text_are_let_through() -> None:
    assert refused(variant=Variant(init={"max_tokens": 5, "key": None, "use_token": True})) == ""


@pytest.mark.parametrize(
    ("kind", "candidate", "what", "todo"),
    [
        ("callable", False, "flow 'ask' is a Python function", "make it a flow with a definition"),
        ("callable", True, "candidate 'new' is a Python function", "leave it out with --llmops-variants"),
        ("workflow", True, "candidate 'new' is a workflow of Agent Framework", "leave it out with --llmops-variants"),
    ],
)
def test_what_is_no_prompt_flow_is_not_run_there(kind: FlowKind, what: str, todo: str, *, candidate: bool) -> None:
    variant = Variant(id="new", is_candidate=candidate)
    request = RunRequest(flow=replace(FLOW, kind=kind), variant=variant)
    assert unfit(request) == f"{what}, which a workspace does not run; {todo}, or run it with --llmops-backend local"
    assert in_workspace(request, Compute()) is request
