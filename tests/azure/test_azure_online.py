"""Online endpoints through Azure's own library, against the emulator."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure_blob import Azurite
from azure_control_plane import add_compute, add_connection
from azure_emulator import WORKSPACE, Emulator
from azure_routes import error

from pytest_llmops.azure import online_specs
from pytest_llmops.azure.online import OnlineEndpoints
from pytest_llmops.errors import AccessError, CloudError, ConfigurationError
from pytest_llmops.records.deployment import Kubernetes, ModelVersion, Release
from pytest_llmops.records.experiment import Flow

RELEASE = Release(
    env="prod",
    kind="managed",
    endpoint="ner-prod",
    deployment="green",
    instance_type="Standard_DS3_v2",
    instance_count=2,
    environment_variables={"MODE": "a=b, c"},
    file="deployment_config.json",
    line=3,
    timeout=30.0,
)
KUBERNETES = replace(
    RELEASE, kind="kubernetes", instance_type="", kubernetes=Kubernetes(compute="aks1", cpu="500m", memory="1Gi")
)
MODEL = ModelVersion(name="ner", version="4", id=f"{WORKSPACE.id}/models/ner/versions/4", digest="new")
TAGS = {"llmops_flow": "new", "llmops_traffic_before": "{}"}
IDENTITY = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/endpoint"


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    """Return a flow with an image of its own, which is quicker to upload."""
    folder = tmp_path / "flow"
    (folder / "docker").mkdir(parents=True)
    (folder / "docker" / "dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    (folder / "flow.dag.yaml").write_text("nodes: []\n", encoding="utf-8")
    return Flow(name="ner", kind="dag", file=folder / "flow.dag.yaml", folder=folder)


@pytest.fixture
def service(azure: Emulator, azurite: Azurite, flow: Flow) -> OnlineEndpoints:
    """Return managed endpoints of a workspace that has the model."""
    azure.state.put("models/ner/versions/4", {"properties": {"flavors": {}}})
    return OnlineEndpoints(azure.client(), "managed", flow=flow)


def deployed(service: OnlineEndpoints, *names: str, **traffic: int) -> None:
    """Make the endpoint with deployments that have this traffic."""
    if service.find("ner-prod") is None:
        service.create_endpoint(RELEASE)
    for name in names:
        service.create_deployment(replace(RELEASE, deployment=name), MODEL, TAGS)
    service.set_traffic("ner-prod", traffic)


def test_an_endpoint_is_made_with_deployments_and_gets_traffic(service: OnlineEndpoints, azure: Emulator) -> None:
    assert service.find("ner-prod") is None
    deployed(service, "blue", "green", blue=90, green=10)
    found = service.find("ner-prod")
    assert found is not None
    assert (found.name, found.state, found.url) == (
        "ner-prod", "Succeeded", "https://ner-prod.westeurope.inference.ml.azure.com/score"
    )  # fmt: skip
    assert found.traffic == {"blue": 90, "green": 10}
    assert {name: (one.state, dict(one.tags)) for name, one in found.deployments.items()} == {
        "blue": ("Succeeded", TAGS),
        "green": ("Succeeded", TAGS),
    }
    assert [line for line in azure.log if line.startswith("traffic")] == ["traffic ner-prod: blue 90, green 10"]


@pytest.mark.parametrize("how", ["", "throttled", "server-error", "drop", "drop-answer"])
def test_tags_change_without_the_deployment(service: OnlineEndpoints, azure: Emulator, how: str) -> None:
    deployed(service, "green", green=100)
    made = dict(azure.state.resources["onlineEndpoints/ner-prod/deployments/green"]["properties"])
    before = len(azure.log)
    if how:
        azure.fail("PATCH", "deployments/green", how)
    done = False
    with suppress(CloudError):
        done = service.retag("ner-prod", "green", {**TAGS, "llmops_verdict": "overridden"})
    found = service.find("ner-prod")
    assert found is not None
    noted = found.deployments["green"].tags.get("llmops_verdict")
    assert (noted == "overridden") is done is (how in ("", "drop-answer"))
    assert azure.state.resources["onlineEndpoints/ner-prod/deployments/green"]["properties"] == made
    assert not [line for line in azure.log[before:] if line.startswith("PUT")]


def test_tags_that_may_not_be_changed_are_said(service: OnlineEndpoints, azure: Emulator) -> None:
    deployed(service, "green", green=100)
    azure.fail("PATCH", "deployments/green", "forbidden")
    with pytest.raises(AccessError, match="tags of deployment 'green' of endpoint 'ner-prod': no right to do this"):
        service.retag("ner-prod", "green", TAGS | {"a": "b"})


def test_a_deployment_says_all_that_the_release_does(service: OnlineEndpoints, azure: Emulator) -> None:
    deployed(service, "green")
    endpoint = azure.state.resources["onlineEndpoints/ner-prod"]
    assert endpoint["properties"]["authMode"].lower() == "key"
    assert endpoint["identity"]["type"] == "SystemAssigned"
    made = azure.state.resources["onlineEndpoints/ner-prod/deployments/green"]
    properties = made["properties"]
    assert (properties["instanceType"], made["sku"]["capacity"]) == ("Standard_DS3_v2", 2)
    assert properties["model"] == MODEL.id
    assert properties["requestSettings"]["requestTimeout"] == "PT1M30S"
    assert properties["environmentVariables"] == {
        "MODE": "a=b, c",
        "PF_CONNECTION_PROVIDER": f"azureml:/{WORKSPACE.id}",
        "PROMPTFLOW_RUN_MODE": "serving",
        "PRT_CONFIG_OVERRIDE": (
            f"deployment.subscription_id={WORKSPACE.subscription},deployment.resource_group=rg-llmops,"
            "deployment.workspace_name=ws-llmops,deployment.endpoint_name=ner-prod,deployment.deployment_name=green"
        ),
    }
    (environment,) = (body for key, body in azure.state.resources.items() if key.startswith("environments/"))
    route = {"path": "/health", "port": 8080}
    assert environment["properties"]["inferenceConfig"] == {
        "livenessRoute": route,
        "readinessRoute": route,
        "scoringRoute": {"path": "/score", "port": 8080},
    }
    assert environment["properties"]["build"]["dockerfilePath"] == "dockerfile"


def test_what_prompt_flow_reads_of_the_variables_is_the_workspace() -> None:
    from promptflow._constants import AML_WORKSPACE_TEMPLATE

    provider = AML_WORKSPACE_TEMPLATE.format(WORKSPACE.subscription, WORKSPACE.resource_group, WORKSPACE.name)
    variables = online_specs.variables_of(RELEASE, WORKSPACE)
    assert variables["PF_CONNECTION_PROVIDER"] == provider
    # As azureml_extension.py reads it.
    pairs = dict(setting.split("=") for setting in variables["PRT_CONFIG_OVERRIDE"].split(","))
    assert pairs["deployment.deployment_name"] == "green"


def test_a_flow_without_an_image_gets_one_that_the_model_is_mounted_into(tmp_path: Path, flow: Flow) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "flow.dag.yaml").write_text("nodes: []\n", encoding="utf-8")
    plain_flow = replace(flow, folder=plain, file=plain / "flow.dag.yaml")
    release = replace(RELEASE, connections=("aoai",))
    environment = online_specs.environment_of(plain_flow, release, tmp_path / "image")
    assert environment.build.dockerfile_path == "Dockerfile"
    assert json.loads((tmp_path / "image" / "serving.json").read_text(encoding="utf-8")) == {
        "definition": "flow.dag.yaml",
        "connections": ["aoai"],
    }
    assert not list((tmp_path / "image" / "flow").iterdir())


def test_a_user_assigned_identity_is_named_to_the_endpoint_and_to_the_deployment(
    service: OnlineEndpoints, azure: Emulator
) -> None:
    release = replace(RELEASE, identity=IDENTITY)
    service.create_endpoint(release)
    endpoint = azure.state.resources["onlineEndpoints/ner-prod"]
    assert endpoint["identity"]["type"] == "UserAssigned"
    assert list(endpoint["identity"]["userAssignedIdentities"]) == [IDENTITY]
    endpoint["identity"]["userAssignedIdentities"][IDENTITY] = {"clientId": "client", "principalId": "principal"}
    service.create_deployment(release, MODEL, TAGS)
    made = azure.state.resources["onlineEndpoints/ner-prod/deployments/green"]
    assert made["properties"]["environmentVariables"]["AZURE_CLIENT_ID"] == "client"
    service.set_traffic("ner-prod", {"green": 100})
    assert list(azure.state.resources["onlineEndpoints/ner-prod"]["identity"]["userAssignedIdentities"]) == [IDENTITY]


def test_moving_traffic_changes_nothing_else_of_an_endpoint(service: OnlineEndpoints, azure: Emulator) -> None:
    service.create_endpoint(replace(RELEASE, endpoint_description="Names", auth="aad_token"))
    azure.state.resources["onlineEndpoints/ner-prod"]["tags"] = {"team": "nlp"}
    azure.state.resources["onlineEndpoints/ner-prod"]["properties"]["publicNetworkAccess"] = "Disabled"
    before = json.loads(json.dumps(azure.state.resources["onlineEndpoints/ner-prod"]))
    deployed(service, "green", green=100)
    after = azure.state.resources["onlineEndpoints/ner-prod"]
    assert after["tags"] == {"team": "nlp"}
    for name in ("description", "authMode", "publicNetworkAccess"):
        assert after["properties"][name] == before["properties"][name], name
    assert after["identity"]["type"] == before["identity"]["type"]


def test_a_second_deployment_puts_the_endpoint_only_for_its_traffic(service: OnlineEndpoints, azure: Emulator) -> None:
    deployed(service, "blue", blue=100)
    start = len(azure.log)
    service.create_deployment(RELEASE, MODEL, TAGS)
    assert [line for line in azure.log[start:] if line.startswith("PUT onlineEndpoints/ner-prod ")] == []
    assert azure.state.traffic("ner-prod") == {"blue": 100}


def test_a_new_endpoint_may_read_the_connections_that_the_flow_needs(service: OnlineEndpoints, azure: Emulator) -> None:
    add_connection(azure.state, "aoai")
    service.create_endpoint(replace(RELEASE, connections=("aoai",)))
    properties = azure.state.resources["onlineEndpoints/ner-prod"]["properties"]["properties"]
    assert properties["enforce_access_to_default_secret_stores"] == "enabled"


def test_a_connection_that_is_missing_is_noticed_before_anything_is_made(
    service: OnlineEndpoints, azure: Emulator
) -> None:
    add_connection(azure.state, "openai")
    release = replace(RELEASE, connections=("openai", "aoai"))
    with pytest.raises(ConfigurationError) as caught:
        service.check(release)
    assert str(caught.value) == (
        "deployment_config.json:3: connections: the workspace has no connection 'aoai', which the flow needs; "
        "make it there, or name it otherwise; it has: openai"
    )
    assert not [line for line in azure.log if line.startswith("PUT")]
    service.check(replace(release, environment_variables={"AOAI_API_KEY": "k"}))


def test_a_key_and_a_token_are_what_the_endpoint_takes(service: OnlineEndpoints, azure: Emulator) -> None:
    deployed(service, "green", green=100)
    address = service.address("ner-prod", "green")
    assert address.headers == {"azureml-model-deployment": "green", "Authorization": "Bearer key-of-ner-prod"}
    assert "key-of" not in repr(address)
    azure.state.resources["onlineEndpoints/ner-prod"]["properties"]["authMode"] = "AADToken"
    token = service.address("ner-prod").token
    assert token.count(".") == 2
    assert json.loads(_part(token))["aud"] == "https://ml.azure.com"


def _part(token: str) -> bytes:
    text = token.split(".")[1]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# Kubernetes


def test_an_endpoint_on_kubernetes_names_its_compute_and_resources(
    azure: Emulator, azurite: Azurite, flow: Flow
) -> None:
    azure.state.put("models/ner/versions/4", {"properties": {"flavors": {}}})
    add_compute(azure.state, "aks1")
    service = OnlineEndpoints(azure.client(), "kubernetes", flow=flow)
    service.create_endpoint(KUBERNETES)
    service.create_deployment(KUBERNETES, MODEL, TAGS)
    service.set_traffic("ner-prod", {"green": 100})
    assert azure.state.resources["onlineEndpoints/ner-prod"]["properties"]["compute"].endswith("/computes/aks1")
    made = azure.state.resources["onlineEndpoints/ner-prod/deployments/green"]["properties"]
    requirements = made["containerResourceRequirements"]
    asked = {"cpu": "500m", "memory": "1Gi"}
    assert {key: requirements["containerResourceRequests"][key] for key in asked} == asked
    assert {key: requirements["containerResourceLimits"][key] for key in asked} == asked
    service.create_deployment(replace(KUBERNETES, deployment="blue"), MODEL, TAGS)
    assert azure.state.traffic("ner-prod") == {"green": 100}, "a second deployment does not reset the traffic"
    assert [found.name for found in service.list()] == ["ner-prod"]
    assert OnlineEndpoints(azure.client(), "managed").list() == []


def test_a_cluster_that_is_not_attached_is_noticed_before_anything_is_made(azure: Emulator) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OnlineEndpoints(azure.client(), "kubernetes").check(KUBERNETES)
    assert str(caught.value) == (
        "deployment_config.json:3: compute: no compute 'aks1' is attached to the workspace; attach the cluster first"
    )
    assert not [line for line in azure.log if line.startswith("PUT")]


def test_an_endpoint_of_the_other_kind_is_refused(service: OnlineEndpoints, azure: Emulator, flow: Flow) -> None:
    service.create_endpoint(RELEASE)
    with pytest.raises(ConfigurationError, match="endpoint: endpoint 'ner-prod' is of kind managed; name another one"):
        OnlineEndpoints(azure.client(), "kubernetes", flow=flow).check(KUBERNETES)


# Failures


def test_a_deployment_that_fails_says_why_and_leaves_its_log(service: OnlineEndpoints, azure: Emulator) -> None:
    service.create_endpoint(RELEASE)
    azure.fail("PUT", "deployments/green", "unhealthy")
    with pytest.raises(CloudError) as caught:
        service.create_deployment(RELEASE, MODEL, TAGS)
    assert str(caught.value) == (
        "deployment 'green' of endpoint 'ner-prod': create: User container has crashed or terminated (ResourceNotReady)"
    )
    assert "ModuleNotFoundError" in service.log("ner-prod", "green", 50)
    found = service.find("ner-prod")
    assert found is not None
    assert found.deployments["green"].state == "Failed"
    service.create_deployment(RELEASE, MODEL, TAGS)
    assert azure.state.deployments("ner-prod") == {"green": "Succeeded"}


def test_a_failure_of_a_flow_with_connections_says_which_right_it_may_lack(
    azure: Emulator, azurite: Azurite, flow: Flow
) -> None:
    azure.state.put("models/ner/versions/4", {"properties": {"flavors": {}}})
    said: list[str] = []
    service = OnlineEndpoints(azure.client(), "managed", flow=flow, say=said.append)
    service.create_endpoint(RELEASE)
    azure.fail("PUT", "deployments/green", "unhealthy")
    with pytest.raises(CloudError):
        service.create_deployment(replace(RELEASE, connections=("aoai",)), MODEL, TAGS)
    assert said == [
        "where its log says that connections can't be read: identity 7d1c0f7e-0000-4000-8000-000000000003 of the "
        "endpoint needs the role 'Azure Machine Learning Workspace Connection Secrets Reader' on the workspace"
    ]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("quota", "Not enough quota available for Standard_DS3_v2 in subscription (OutOfQuota, HTTP 400)"),
        ("lro-failed", "The operation failed (InternalServerError)"),
    ],
)
def test_what_azure_refuses_is_one_line(service: OnlineEndpoints, azure: Emulator, how: str, message: str) -> None:
    service.create_endpoint(RELEASE)
    azure.fail("PUT", "deployments/green", how)
    with pytest.raises(CloudError) as caught:
        service.create_deployment(RELEASE, MODEL, TAGS)
    assert str(caught.value) == f"deployment 'green' of endpoint 'ner-prod': create: {message}"


@pytest.mark.parametrize("how", ["throttled", "server-error", "unavailable", "drop", "drop-answer"])
def test_what_passes_is_waited_for(service: OnlineEndpoints, azure: Emulator, how: str) -> None:
    service.create_endpoint(RELEASE)
    azure.fail("PUT", "deployments/green", how)
    azure.fail("PUT", "onlineEndpoints/ner-prod$", how)
    service.create_deployment(RELEASE, MODEL, TAGS)
    service.set_traffic("ner-prod", {"green": 100})
    assert azure.state.traffic("ner-prod") == {"green": 100}


def test_a_right_that_is_missing_is_said_before_anything_is_made(service: OnlineEndpoints, azure: Emulator) -> None:
    azure.fail("PUT", "onlineEndpoints/ner-prod", "forbidden")
    with pytest.raises(AccessError, match="endpoint 'ner-prod': create: no right to do this"):
        service.create_endpoint(RELEASE)


def test_a_login_that_ends_half_way_is_a_failure(service: OnlineEndpoints, azure: Emulator) -> None:
    azure.fail("GET", "mfeOperationsStatus", "unauthorized", times=3)
    with pytest.raises(CloudError, match="endpoint 'ner-prod': create: the login was refused"):
        service.create_endpoint(RELEASE)


def test_what_takes_longer_than_allowed_is_a_failure(service: OnlineEndpoints, azure: Emulator) -> None:
    service.create_endpoint(RELEASE)
    azure.state.seconds = 60.0
    with pytest.raises(CloudError) as caught:
        service.create_deployment(replace(RELEASE, timeout=1.0), MODEL, TAGS)
    assert str(caught.value) == "deployment 'green' of endpoint 'ner-prod': create: not done after 1s"


def test_what_an_earlier_command_began_is_waited_for(service: OnlineEndpoints, azure: Emulator) -> None:
    service.create_endpoint(RELEASE)
    azure.state.seconds = 1.0
    with pytest.raises(CloudError, match="not done after"):
        service.create_deployment(replace(RELEASE, timeout=0.5), MODEL, TAGS)
    start = len(azure.log)
    service.create_deployment(RELEASE, MODEL, TAGS)
    assert [line for line in azure.log[start:] if line.startswith("PUT")] == []
    assert azure.state.deployments("ner-prod") == {"green": "Succeeded"}


def test_a_deployment_with_traffic_is_not_deleted_and_one_that_is_gone_is_fine(
    service: OnlineEndpoints, azure: Emulator
) -> None:
    deployed(service, "green", green=100)
    with pytest.raises(CloudError, match="Deployment green has traffic and can't be deleted"):
        service.delete_deployment("ner-prod", "green")
    service.set_traffic("ner-prod", {})
    service.delete_deployment("ner-prod", "green")
    service.delete_deployment("ner-prod", "green")
    assert azure.state.deployments("ner-prod") == {}


def test_a_workspace_that_is_gone_is_not_an_endpoint_that_is_not_there(azure: Emulator) -> None:
    from pytest_llmops.azure.clients import connect

    client = connect(replace(WORKSPACE, name="ws-other"), azure.client().credential)
    with pytest.raises(AccessError, match="correct the subscription, the resource group or the workspace's name"):
        OnlineEndpoints(client, "managed").find("ner-prod")


def test_nothing_is_printed_by_the_library(service: OnlineEndpoints, capfd: pytest.CaptureFixture[str]) -> None:
    deployed(service, "green", green=100)
    service.set_traffic("ner-prod", {})
    service.delete_deployment("ner-prod", "green")
    assert capfd.readouterr() == ("", "")


def test_no_key_is_in_a_message(service: OnlineEndpoints, azure: Emulator) -> None:
    def leak(*_: Any) -> Any:
        return error(400, "InternalServerError", 'bad {"primaryKey": "key-of-ner-prod"}')

    service.create_endpoint(RELEASE)
    azure.routes.add("POST", "management.azure.com", f"{WORKSPACE.id}/onlineEndpoints/{{e}}/listKeys", leak)
    with pytest.raises(CloudError) as caught:
        service.address("ner-prod")
    assert "key-of-ner-prod" not in str(caught.value)
