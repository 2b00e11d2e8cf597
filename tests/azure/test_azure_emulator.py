"""The emulator of Azure itself, asked by the real SDKs. What holds here is our reading of Azure, not Azure."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from azure_blob import Azurite
from azure_control_plane import KEY, add_compute, add_connection
from azure_emulator import WORKSPACE, Credential, Emulator, emulated
from azure_endpoint_routes import key_of, place, token_of
from azure_guard import NOTES
from azure_routes import Answer
from azure_servers import running
from azure_tls import Authority

SCORING = "https://ner.westeurope.inference.ml.azure.com/score"
ROUTE = {"path": "/health", "port": 8080}
ROUTES = {"liveness_route": ROUTE, "readiness_route": ROUTE, "scoring_route": ROUTE | {"path": "/score"}}


def client(name: str = WORKSPACE.name, group: str = WORKSPACE.resource_group) -> Any:
    from azure.ai.ml import MLClient

    return MLClient(Credential(), WORKSPACE.subscription, group, name, enable_telemetry=False, show_progress=False)


def deployment(name: str, **settings: Any) -> Any:
    from azure.ai.ml.entities import Environment, ManagedOnlineDeployment

    environment = Environment(name="flow", version="1", image="flow:1", inference_config=ROUTES)
    size = {"instance_type": "Standard_DS3_v2", "instance_count": 1}
    return ManagedOnlineDeployment(name=name, endpoint_name="ner", environment=environment, **size, **settings)


def create(entity: Any) -> Any:
    """Create an endpoint or deployment, and wait for it."""
    operations = client().online_deployments if hasattr(entity, "endpoint_name") else client().online_endpoints
    return operations.begin_create_or_update(entity).result()


def move_traffic(traffic: Mapping[str, int]) -> None:
    ml = client()
    endpoint = ml.online_endpoints.get("ner")
    endpoint.traffic = traffic
    ml.online_endpoints.begin_create_or_update(endpoint).result()


def ask(body: Any, key: str = key_of("ner"), deployment: str = "") -> requests.Response:
    named = {"azureml-model-deployment": deployment} if deployment else {}
    return requests.post(SCORING, json=body, headers={"Authorization": f"Bearer {key}", **named}, timeout=10)


def test_an_endpoint_gets_deployments_and_traffic(azure: Emulator) -> None:
    from azure.ai.ml.entities import ManagedOnlineEndpoint

    create(ManagedOnlineEndpoint(name="ner", auth_mode="key"))
    assert create(deployment("blue")).provisioning_state == "Succeeded"
    move_traffic({"blue": 100})
    create(deployment("green"))
    move_traffic({"blue": 90, "green": 10})
    assert client().online_endpoints.get("ner").traffic == {"blue": 90, "green": 10}
    assert azure.changes == [
        "PUT onlineEndpoints/ner -> 201",
        "PUT environments/flow/versions/1 -> 201",
        "PUT onlineEndpoints/ner/deployments/blue -> 201",
        "PUT onlineEndpoints/ner -> 200",
        "traffic ner: blue 100",
        "PUT environments/flow/versions/1 -> 200",
        "PUT onlineEndpoints/ner/deployments/green -> 201",
        "PUT onlineEndpoints/ner -> 200",
        "traffic ner: blue 90, green 10",
    ]
    assert "GET mfeOperationsStatus/1 -> 200 onlineEndpoints/ner Succeeded" in azure.log


@pytest.mark.parametrize("traffic", [{"blue": 90}, {"blue": 60, "green": 60}])
def test_traffic_that_does_not_add_up_is_refused(azure: Emulator, traffic: Mapping[str, int]) -> None:
    from azure.core.exceptions import HttpResponseError

    place(azure.state, "ner", {"blue": 100, "green": 0})
    with pytest.raises(HttpResponseError, match="must add up to 0 or 100 percent"):
        move_traffic(traffic)
    assert azure.state.traffic("ner") == {"blue": 100}
    assert azure.changes == ["PUT onlineEndpoints/ner -> 400 BadArgument"]


def test_traffic_for_an_unknown_deployment_is_refused(azure: Emulator) -> None:
    place(azure.state, "ner", {"blue": 100})
    with pytest.raises(Exception, match="Traffic names deployments that do not exist: red"):
        move_traffic({"blue": 90, "red": 10})


def test_an_endpoint_that_is_put_without_traffic_loses_it(azure: Emulator) -> None:
    from azure.ai.ml.entities import ManagedOnlineEndpoint

    place(azure.state, "ner", {"blue": 100})
    create(ManagedOnlineEndpoint(name="ner", auth_mode="key"))
    assert azure.changes == ["PUT onlineEndpoints/ner -> 200", "traffic ner: none"]


def test_an_endpoint_changes_one_thing_at_a_time(azure: Emulator) -> None:
    place(azure.state, "ner", {"blue": 100, "green": 0})
    azure.state.seconds = 60
    ml = client()
    endpoint = ml.online_endpoints.get("ner")
    endpoint.traffic = {"green": 100}
    ml.online_endpoints.begin_create_or_update(endpoint)
    with pytest.raises(Exception, match="Another operation on ner is in progress"):
        ml.online_endpoints.begin_create_or_update(endpoint)
    assert azure.state.traffic("ner") == {"blue": 100}


def test_a_deployment_that_crashes_has_a_log(azure: Emulator) -> None:
    place(azure.state, "ner", {"blue": 100})
    azure.fail("PUT", "deployments/green$", "unhealthy")
    with pytest.raises(Exception, match="User container has crashed or terminated"):
        create(deployment("green"))
    assert azure.state.deployments("ner") == {"blue": "Succeeded", "green": "Failed"}
    assert client().online_deployments.get_logs("green", "ner", lines=1) == (
        "ModuleNotFoundError: No module named 'missing_package'\n"
    )


def test_a_deployment_with_traffic_is_not_deleted(azure: Emulator) -> None:
    place(azure.state, "ner", {"blue": 100, "green": 0})
    ml = client()
    with pytest.raises(Exception, match="Deployment blue has traffic"):
        ml.online_deployments.begin_delete("blue", "ner").result()
    ml.online_deployments.begin_delete("green", "ner").result()
    ml.online_deployments.begin_delete("green", "ner").result()
    assert azure.state.deployments("ner") == {"blue": "Succeeded"}
    ml.online_endpoints.begin_delete("ner").result()
    assert not [address for address in azure.state.resources if address.startswith("onlineEndpoints/")]


def test_a_deployment_of_an_unknown_model_is_refused(azure: Emulator) -> None:
    place(azure.state, "ner", {})
    with pytest.raises(Exception, match="model: models/ner/versions/7 does not exist"):
        create(deployment("blue", model=f"{WORKSPACE.id}/models/ner/versions/7"))


def test_kubernetes_endpoints_are_emulated(azure: Emulator) -> None:
    from azure.ai.ml.entities import (
        Environment,
        KubernetesOnlineDeployment,
        KubernetesOnlineEndpoint,
        ResourceRequirementsSettings,
        ResourceSettings,
    )

    add_compute(azure.state, "aks1")
    assert client().compute.get("aks1").type == "kubernetes"
    create(KubernetesOnlineEndpoint(name="ner", compute="aks1", auth_mode="key"))
    resources = ResourceRequirementsSettings(requests=ResourceSettings(cpu="1", memory="1Gi"))
    environment = Environment(name="flow", version="1", image="flow:1", inference_config=ROUTES)
    made = create(
        KubernetesOnlineDeployment(name="blue", endpoint_name="ner", environment=environment, resources=resources)
    )
    assert made.resources.requests.cpu == "1"
    assert client().online_endpoints.get("ner").scoring_uri == SCORING.replace("/score", "/api/v1/endpoint/ner/score")


def test_data_is_uploaded_and_has_versions(azure: Emulator, azurite: Azurite, tmp_path: Path) -> None:
    from azure.ai.ml.entities import Data

    file = tmp_path / "rows.jsonl"
    versions = []
    for row in ('{"text": "a"}\n', '{"text": "b"}\n'):
        file.write_text(row, encoding="utf-8")
        made = client().data.create_or_update(Data(name="ner-rows", path=str(file), type="uri_file"))
        versions.append(made.version)
    assert versions == ["1", "2"]
    latest = client().data.get("ner-rows", label="latest")
    assert latest.version == "2"
    blob = latest.path.partition("/paths/")[2]
    with azurite.container(azure.container) as container:
        assert container.download_blob(blob).readall() == b'{"text": "b"}\n'
    with pytest.raises(Exception, match="a version can't be changed"):
        client().data.create_or_update(Data(name="ner-rows", version="1", path=str(file), type="uri_file"))


def test_a_model_keeps_its_tags_and_the_newest_comes_first(azure: Emulator) -> None:
    from azure.ai.ml.entities import Model

    for digest in ("a1", "b2"):
        path = f"azureml://datastores/workspaceblobstore/paths/{digest}"
        client().models.create_or_update(
            Model(name="ner", path=path, type="custom_model", tags={"llmops_flow": digest})
        )
    assert [model.tags["llmops_flow"] for model in client().models.list(name="ner")] == ["a1", "b2"]
    assert client().models.get("ner", label="latest").version == "2"


def test_connections_have_secrets_for_those_who_ask(azure: Emulator) -> None:
    add_connection(azure.state, "aoai")
    assert [connection.name for connection in client().connections.list()] == ["aoai"]
    assert client().connections.get("aoai").credentials.key is None
    assert client().connections.get("aoai", populate_secrets=True).credentials.key == KEY


def test_a_hundred_requests_are_shared_as_the_traffic_says(azure: Emulator) -> None:
    place(azure.state, "ner", {"blue": 90, "green": 10})
    azure.serve(lambda _: {"by": "blue"}, "ner", "blue")
    azure.serve(lambda _: {"by": "green"}, "ner", "green")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key_of('ner')}"
        answers = Counter(session.post(SCORING, json={}, timeout=10).json()["by"] for _ in range(100))
    assert answers == {"blue": 90, "green": 10}
    assert ask({}, deployment="green").json() == {"by": "green"}
    assert azure.log[-1] == "POST ner/score -> 200 green"


def test_requests_that_can_not_be_served_are_refused(azure: Emulator) -> None:
    place(azure.state, "ner", {"blue": 0})
    assert ask({}, key="wrong").status_code == 401
    assert ask({}).status_code == 404
    assert ask({}, deployment="red").status_code == 404
    assert ask({"text": "a"}, deployment="blue").json() == {"answer": {"text": "a"}}


def test_what_is_served_may_fail_or_answer_in_its_own_way(azure: Emulator) -> None:
    def broken(_: Any) -> Any:
        raise ValueError("no text")

    place(azure.state, "ner", {"blue": 100})
    azure.serve(broken)
    assert (ask({}).status_code, ask({}).json()["error"]["message"]) == (400, "no text")
    azure.serve(lambda _: Answer(status=424, body=b"<html>", headers={"Content-Type": "text/html"}))
    assert (ask({}).status_code, ask({}).text) == (424, "<html>")


class Flow(BaseHTTPRequestHandler):
    """A flow that is really served on loopback."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def test_a_deployment_can_be_a_server(azure: Emulator) -> None:
    place(azure.state, "ner", {"blue": 100})
    server = HTTPServer(("127.0.0.1", 0), Flow)
    azure.serve(f"http://127.0.0.1:{server.server_port}/score", "ner", "blue")
    with running(server):
        assert ask({"text": "a"}).json() == {"text": "a"}


def test_an_endpoint_that_takes_tokens_takes_no_keys(azure: Emulator) -> None:
    from azure.ai.ml.entities import ManagedOnlineEndpoint

    create(ManagedOnlineEndpoint(name="ner", auth_mode="aml_token"))
    token = client().online_endpoints.get_keys("ner").access_token
    assert token == token_of("ner")
    assert [ask({}, key=secret).status_code for secret in (key_of("ner"), token)] == [401, 404]


def test_an_endpoint_that_takes_logins_asks_for_tokens_of_machine_learning(azure: Emulator) -> None:
    from azure.ai.ml.entities import ManagedOnlineEndpoint

    create(ManagedOnlineEndpoint(name="ner", auth_mode="aad_token"))
    token = client().online_endpoints.get_keys("ner").access_token
    others = "no.token", Credential().get_token("https://management.azure.com/.default").token
    assert [ask({}, key=secret).status_code for secret in (token, *others)] == [404, 401, 401]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"name": "ws-other"}, "ResourceNotFound"), ({"group": "rg-other"}, "ResourceGroupNotFound")],
)
def test_there_is_one_workspace(azure: Emulator, wrong: Mapping[str, str], code: str) -> None:
    with pytest.raises(Exception, match=code):
        client(**wrong).online_endpoints.get("ner")


def test_the_product_s_own_client_is_led_here(azure: Emulator) -> None:
    azure.client().check_access()
    assert azure.log == ["GET workspace -> 200"]


def test_a_script_is_led_here_for_a_while(tmp_path: Path) -> None:
    before = dict(os.environ)
    with emulated(tmp_path) as emulator:
        headers = {"Authorization": "Bearer x"}
        assert requests.get(f"https://management.azure.com{WORKSPACE.id}", headers=headers, timeout=10).ok
        assert emulator.log == ["GET workspace -> 200"]
    assert os.environ == before


def test_other_processes_are_led_here_too(azure: Emulator) -> None:
    script = (
        f"import requests; url = 'https://management.azure.com{WORKSPACE.id}'\n"
        "print(requests.get(url, headers={'Authorization': 'Bearer x'}).json()['name'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=azure.environ, check=True)
    assert done.stdout == "ws-llmops\n"


def test_other_processes_stay_on_loopback_too(azure: Emulator) -> None:
    script = "import socket; socket.create_connection(('example.org', 443))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=azure.environ, check=False)
    assert done.stderr.endswith(b"ConnectionRefusedError: no connection leaves loopback: example.org\n")
    assert azure.escaped == ["example.org"]
    Path(azure.environ[NOTES]).unlink()


def test_hosts_that_are_not_emulated_are_refused_and_noted(azure: Emulator) -> None:
    for address in ("https://example.org/", "http://example.com/"):
        with pytest.raises(requests.RequestException):
            requests.get(address, timeout=10).raise_for_status()
    assert azure.refused == ["example.org", "http://example.com/"]
    azure.refused.clear()


def test_blobs_are_refused_where_there_is_no_azurite(azure: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azure_emulator.azurite_program", lambda: None)
    with pytest.raises(requests.RequestException):
        requests.get("https://wsstore.blob.core.windows.net/", timeout=10)
    assert azure.refused == ["wsstore.blob.core.windows.net"]
    azure.refused.clear()


def test_addresses_that_nobody_answers_for_are_noted(azure: Emulator) -> None:
    address = f"https://management.azure.com{WORKSPACE.id}/schedules"
    answer = requests.get(address, headers={"Authorization": "Bearer x"}, timeout=10)
    assert answer.json()["error"]["message"] == "The emulator has no answer for GET schedules."
    assert azure.unknown == [f"GET management.azure.com{WORKSPACE.id}/schedules"]
    azure.unknown.clear()


def test_no_connection_leaves_loopback(loopback_only: list[str]) -> None:
    with pytest.raises(ConnectionRefusedError, match="no connection leaves loopback"):
        socket.create_connection(("192.0.2.1", 443), timeout=1)
    assert loopback_only == ["192.0.2.1"]
    loopback_only.clear()


def test_it_starts_at_once(azure_authority: Authority, azurite_process: Azurite) -> None:
    begun = time.perf_counter()
    with Emulator(azure_authority, azurite_process, {}).started():
        assert time.perf_counter() - begun < 0.5
