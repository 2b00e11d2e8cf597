"""What Azure allows for names and sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.deployment.names import check, deployment_name
from pytest_llmops.records.deployment import Kubernetes, Release, WebApp

MANAGED = Release(
    env="dev",
    kind="managed",
    endpoint="ner-dev",
    instance_type="Standard_F4s_v2",
    file="f.yaml",
    line=3,
    keys={"endpoint": ("llmops.deployment.dev.endpoint", 4)},
)
KUBERNETES = replace(
    MANAGED,
    kind="kubernetes",
    instance_type="",
    kubernetes=Kubernetes(compute="aks", cpu="0.5", memory="500Mi"),
)
WEB_APP = Release(
    env="dev",
    kind="webapp",
    endpoint="ner-app",
    webapp=WebApp(
        registry="registry1",
        registry_resource_group="rg_images",
        resource_group="rg.app(1)",
        plan="plan-1",
        sku="B3",
        identity="puller",
    ),
    file="f.yaml",
    line=3,
)


def problems(release: Release, **changes: Any) -> list[str]:
    return [str(problem) for problem in check(replace(release, **changes))]


@pytest.mark.parametrize("release", [MANAGED, KUBERNETES, WEB_APP], ids=lambda release: release.kind)
def test_nothing_is_wrong_with_what_azure_takes(release: Release) -> None:
    assert check(release) == []
    assert check(replace(release, deployment="blue", prior="green-2")) == []


@pytest.mark.parametrize("name", ["ab", "a" * 33, "1ner", "ner_dev", "ner-", "-ner", "ner dev", "ner\n", "nér", ""])
def test_names_of_endpoints_that_azure_refuses(name: str) -> None:
    assert problems(MANAGED, endpoint=name) == [
        f"f.yaml:4: llmops.deployment.dev.endpoint: Azure refuses {name!r}; "
        "write 3 to 32 letters, digits and hyphens, with a letter first and no hyphen last"
    ]


@pytest.mark.parametrize("setting", ["deployment", "prior"])
def test_names_of_deployments_that_azure_refuses(setting: str) -> None:
    for release in (MANAGED, KUBERNETES, WEB_APP):
        assert problems(release, **{setting: "1st"}) == [
            f"f.yaml:3: {setting}: Azure refuses '1st'; "
            "write 3 to 32 letters, digits and hyphens, with a letter first and no hyphen last"
        ]


@pytest.mark.parametrize("size", ["F4s_v2", "standard_F4s_v2", "Standard F4s", "Standard_"])
def test_sizes_of_machines_that_there_are_not(size: str) -> None:
    assert problems(MANAGED, instance_type=size) == [
        f"f.yaml:3: instance_type: Azure refuses {size!r}; write a size such as Standard_DS3_v2"
    ]


def test_more_instances_than_a_deployment_can_have() -> None:
    assert problems(MANAGED, instance_count=51) == [
        "f.yaml:3: instance_count: 51 instances are more than Azure allows for a deployment; write 50 or less"
    ]


def test_names_at_kubernetes_are_limited_together() -> None:
    assert problems(KUBERNETES, endpoint="e" * 32, deployment="d" * 30) == []
    assert problems(KUBERNETES, endpoint="e" * 32, deployment="d" * 31) == [
        "f.yaml:3: deployment: is too long together with the name of the endpoint: 62 characters is the most; "
        "shorten one of them"
    ]


@pytest.mark.parametrize(
    ("setting", "value", "wanted"),
    [
        ("compute", "my_aks", "the name of an attached compute"),
        ("cpu", "0", "such as 0.5 or 500m"),
        ("cpu", "two", "such as 0.5 or 500m"),
        ("memory", "500MB", "such as 500Mi or 2Gi"),
        ("memory", "", "such as 500Mi or 2Gi"),
    ],
)
def test_what_a_cluster_refuses(setting: str, value: str, wanted: str) -> None:
    cluster = replace(KUBERNETES.kubernetes or Kubernetes(compute="", cpu="", memory=""), **{setting: value})

    assert problems(KUBERNETES, kubernetes=cluster) == [f"f.yaml:3: {setting}: Azure refuses {value!r}; write {wanted}"]


@pytest.mark.parametrize(
    ("setting", "value", "wanted"),
    [
        ("registry", "ACR_NAME", "5 to 50 letters and digits"),
        ("resource_group", "rg.", "up to 90 letters, digits, '_', '-', '.' and parentheses, with no '.' last"),
        ("plan", "plan/web", "1 to 60 letters, digits, '_' and '-'"),
        ("sku", "B9", "a pricing tier such as B1, S1 or P0V3"),
        ("identity", "a b", "the name or resource id of a user-assigned identity"),
    ],
)
def test_what_a_web_app_can_not_have(setting: str, value: str, wanted: str) -> None:
    app = WEB_APP.webapp
    assert app is not None
    assert problems(WEB_APP, webapp=replace(app, **{setting: value})) == [
        f"f.yaml:3: {setting}: Azure refuses {value!r}; write {wanted}"
    ]


def test_the_plan_of_the_template_can_be_one() -> None:
    app = WEB_APP.webapp
    assert app is not None
    assert problems(WEB_APP, webapp=replace(app, plan="test_web_plan")) == []


def test_names_of_web_apps_that_azure_refuses() -> None:
    assert problems(WEB_APP, endpoint="test_web_app") == [
        "f.yaml:3: endpoint: Azure refuses 'test_web_app'; "
        "write 2 to 60 letters, digits and hyphens, with no hyphen first or last"
    ]


def test_the_identity_of_an_online_endpoint_is_a_resource_id() -> None:
    identity = (
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg"
        "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reader"
    )

    assert problems(MANAGED, identity=identity) == []
    assert problems(MANAGED, identity="reader") == [
        "f.yaml:3: identity: Azure refuses 'reader'; write the resource id of a user-assigned identity"
    ]


def test_values_of_variables_may_hold_anything_but_names_may_not() -> None:
    values = {"A": "a=b, c='d' \"e\" ${f} \n", "example-name": "", "_x.y": "ü"}

    assert problems(MANAGED, environment_variables=values) == []
    assert problems(MANAGED, environment_variables={"1A": "", "A=B": "", "A B": "", "": ""}) == [
        f"f.yaml:3: environment_variables.{name}: Azure refuses {name!r}; "
        "write letters, digits, '_', '-' and '.', with no digit first"
        for name in ("1A", "A=B", "A B", "")
    ]
    assert problems(WEB_APP, environment_variables={"example-name": ""}) == [
        "f.yaml:3: environment_variables.example-name: Azure refuses 'example-name'; write letters, digits, '_' and '.'"
    ]
    assert problems(MANAGED, environment_variables={"A": "s3cr3t\0"}) == [
        "f.yaml:3: environment_variables.A: holds a NUL character; remove it"
    ]


def test_variables_by_which_a_deployment_knows_itself_are_not_set_by_hand() -> None:
    assert problems(MANAGED, environment_variables={"PRT_CONFIG_OVERRIDE": "deployment.endpoint_name=a"}) == [
        "f.yaml:3: environment_variables.PRT_CONFIG_OVERRIDE: is set by the deployment itself; remove it"
    ]


@pytest.mark.parametrize(
    ("flow", "name"),
    [
        ("ner_extract", "ner-extract-3f2a9c1d"),
        ("Chat with PDF!", "chat-with-pdf-3f2a9c1d"),
        ("a_very_long_name_of_a_flow_that_goes_on", "a-very-long-name-of-a-f-3f2a9c1d"),
        ("4ever", "flow-4ever-3f2a9c1d"),
        ("日本", "flow-3f2a9c1d"),
    ],
)
def test_a_deployment_is_named_after_its_flow_and_version(flow: str, name: str) -> None:
    assert deployment_name(flow, "3f2a9c1d" * 8) == name


@given(st.text(), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_azure_takes_every_name_that_is_made(flow: str, digest: str) -> None:
    assert problems(MANAGED, deployment=deployment_name(flow, digest)) == []
