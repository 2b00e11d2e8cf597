"""The text of ``--dry-run``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_llmops.deployment.admission import Override
from pytest_llmops.deployment.plan import plan_lines
from pytest_llmops.deployment.standing import remember, settings_digest
from pytest_llmops.records.cloud import Workspace
from pytest_llmops.records.deployment import (
    FLOW_DIGEST,
    SETTINGS,
    TRAFFIC_BEFORE,
    DeploymentState,
    EndpointState,
    Kubernetes,
    ModelVersion,
    Release,
    Traffic,
    WebApp,
)
from pytest_llmops.records.experiment import Flow

FLOW = Flow(name="ner_extract", kind="dag", file=Path("flow.dag.yaml"), folder=Path(), outputs=("titles",))
WORKSPACE = Workspace(subscription="s", resource_group="rg-dev", name="ml-dev")
DIGEST = "3f2a9c1d" * 8
MODEL = ModelVersion(name="ner", version="4", id="", digest=DIGEST)
RELEASE = Release(
    env="dev",
    kind="managed",
    endpoint="ner-dev",
    deployment="green",
    instance_type="Standard_F4s_v2",
    instance_count=2,
    environment_variables={"MODE": "s3cr3t"},
    connections=("aoai",),
    traffic=(10, 100),
    pause=300,
    sample=Path("evals/ner/sample-request.json"),
    file="evals/ner/experiment.yaml",
    line=41,
)


def endpoint(traffic: Traffic, **digests: str) -> EndpointState:
    made = {SETTINGS: settings_digest(RELEASE), TRAFFIC_BEFORE: remember({"blue": 100})}
    deployments = {
        name: DeploymentState(name=name, state="Succeeded", tags={FLOW_DIGEST: digest, **made})
        for name, digest in digests.items()
    }
    return EndpointState(name="ner-dev", state="Succeeded", url="", traffic=traffic, deployments=deployments)


def plan(found: EndpointState | None, model: ModelVersion | None = MODEL, **changes: Any) -> str:
    conditions = {
        name: changes.pop(name) for name in ("reasons", "override", "in_place", "with_traffic") if name in changes
    }
    tags = changes.pop("tags", {})
    release = replace(RELEASE, **changes)
    lines = plan_lines(release, found, model, tags, flow=FLOW, digest=DIGEST, workspace=WORKSPACE, **conditions)
    return "\n".join(lines)


def test_the_first_deployment_of_an_endpoint() -> None:
    assert plan(None, None) == (
        "Deployment of flow ner_extract (version 3f2a9c1d) to environment dev\n"
        "\n"
        "Where:        managed online endpoint 'ner-dev', workspace ml-dev (resource group rg-dev)\n"
        "Configured:   evals/ner/experiment.yaml:41\n"
        "Gate:         open for this version of the flow and its data\n"
        "There now:    nothing, no managed online endpoint of this name exists\n"
        "\n"
        "What would be done, in this order:\n"
        "  1. Register the flow's files as a model of the workspace.\n"
        "  2. Create the managed online endpoint 'ner-dev', without traffic; callers log in with a key. "
        "It runs as an identity of its own, which Azure makes and lets read the connections, if your login may read "
        "their secrets. Rights take minutes to hold: if the first attempt fails, repeat it.\n"
        "  3. Register its environment, which says how its image is built. "
        "Azure then builds that, unless it has an identical one: some minutes, which are paid for.\n"
        "  4. Make the deployment 'green' without traffic: 2 instances of Standard_F4s_v2; "
        "with environment variables MODE; it reads connections aoai of the workspace. "
        "Wait until it is healthy, for 1h at most (timeout), with the build of its image.\n"
        "  5. Ask 'green' directly, past the routing: one request, with sample-request.json. "
        "The answer needs status 200 and output titles, before it gets any traffic.\n"
        "  6. Set the traffic to green 100 % (nobody else is there to share with). Ask the endpoint: one request.\n"
        "\n"
        "If it fails:  nobody gets traffic, as before; 'green' is deleted (on_failure: delete); "
        "model, image and the empty endpoint stay.\n"
        "              Exit code 1, and the end of the deployment's log; Ctrl-C: the same, exit code 130, no log.\n"
        "Cost:         2 instances of Standard_F4s_v2, from step 4 on, until somebody deletes it.\n"
        "\n"
        "Nothing was changed (--dry-run)."
    )


def test_a_deployment_beside_another() -> None:
    text = plan(endpoint({"blue": 100}, blue="aaaabbbbcccc", old="ddddeeee"))

    assert text.split("\n\n", 1)[1] == (
        "Where:        managed online endpoint 'ner-dev', workspace ml-dev (resource group rg-dev)\n"
        "Configured:   evals/ner/experiment.yaml:41\n"
        "Gate:         open for this version of the flow and its data\n"
        "There now:    blue: 100 % of the traffic, version aaaabbbb, Succeeded\n"
        "              old: 0 % of the traffic, version ddddeeee, Succeeded\n"
        "\n"
        "What would be done, in this order:\n"
        "  1. Use model ner:4 of the workspace, which holds this version of the flow.\n"
        "  2. Register its environment, which says how its image is built. "
        "Azure then builds that, unless it has an identical one: some minutes, which are paid for.\n"
        "  3. Make the deployment 'green' beside what is there, without traffic: 2 instances of Standard_F4s_v2; "
        "with environment variables MODE; it reads connections aoai of the workspace. "
        "Wait until it is healthy, for 1h at most (timeout), with the build of its image.\n"
        "  4. Ask 'green' directly, past the routing: one request, with sample-request.json. "
        "The answer needs status 200 and output titles, before it gets any traffic.\n"
        "  5. Set the traffic to blue 90 %, green 10 %. Ask 'green' directly: one request; wait for 5m (pause), "
        "and ask once more.\n"
        "  6. Set the traffic to green 100 %. Ask the endpoint: one request.\n"
        "\n"
        "If it fails:  traffic that was moved goes back to blue 100 %; 'green' is deleted (on_failure: delete); "
        "the model and its image stay.\n"
        "              Exit code 1, and the end of the deployment's log; Ctrl-C: the same, exit code 130, no log.\n"
        "Cost:         2 instances of Standard_F4s_v2, from step 3 on, until somebody deletes it; "
        "blue, old run on as before, and are paid for too.\n"
        "Left alone:   the settings of the endpoint, its keys, and other deployments but for their share.\n"
        "To go back:   llmops rollback gives the traffic back to blue, as long as that is there; "
        "then 'green' is deleted (on_failure: delete).\n"
        "\n"
        "Nothing was changed (--dry-run)."
    )


def test_a_step_without_a_pause_is_over_at_once() -> None:
    text = plan(endpoint({"blue": 100}, blue="aaaa"), pause=0)

    assert (
        "Set the traffic to blue 90 %, green 10 %. Ask 'green' directly: one request; "
        "pause is 0s, so nobody watches: the next step follows at once.\n"
    ) in text


def test_steps_that_end_below_all_of_the_traffic_say_that_it_stays_so() -> None:
    text = plan(endpoint({"blue": 100}, blue="aaaa"), traffic=(10, 90))

    assert (
        "Set the traffic to green 90 %, blue 10 %. Ask 'green' directly: one request. "
        "It stays so, as traffic ends there: llmops promote gives it all.\n"
    ) in text


def test_many_deployments_are_told_about_in_part() -> None:
    text = plan(endpoint({"g": 60, "c": 40}, **dict.fromkeys("abcdefg", "aaaa")))

    assert (
        "There now:    g: 60 % of the traffic, version aaaa, Succeeded\n"
        "              c: 40 % of the traffic, version aaaa, Succeeded\n"
    ) in text
    assert "              d: 0 % of the traffic, version aaaa, Succeeded\n              and 2 more: " in text


def test_an_identity_that_is_named_has_to_have_its_role() -> None:
    text = plan(None, identity="/subscriptions/s/resourceGroups/g/providers/x/userAssignedIdentities/id-flows")

    assert (
        "It runs as id-flows. To read connections, that needs the role "
        "'Azure Machine Learning Workspace Connection Secrets Reader' on the workspace: give it.\n"
    ) in text


def test_a_flow_without_connections_needs_no_rights() -> None:
    assert "It runs as an identity of its own, which Azure makes.\n" in plan(None, connections=())


def test_values_of_variables_are_not_shown() -> None:
    assert "s3cr3t" not in plan(None)


def test_what_is_deployed_already_is_left_as_it_is() -> None:
    text = plan(endpoint({"green": 100}, blue="aaaa", green=DIGEST))

    assert text.endswith(
        "Nothing would be done: it is deployed already, and has its traffic.\n\nNothing was changed (--dry-run)."
    )


def test_a_deployment_that_is_there_only_gets_its_traffic() -> None:
    text = plan(endpoint({"blue": 90, "green": 10}, blue="aaaa", green=DIGEST))

    assert "  1. Ask 'green' directly, past the routing: one request, with sample-request.json" in text
    assert "  2. Set the traffic to green 100 %. Ask the endpoint: one request.\n" in text
    assert "If it fails:  traffic that was moved goes back to blue 90 %, green 10 %.\n" in text
    assert "Cost:         no more than now; blue runs on as before, and is paid for too.\n" in text


def test_tags_that_are_out_of_date_are_updated() -> None:
    found = endpoint({"purple": 100}, purple="aaaa", green=DIGEST)

    text = plan(found, with_traffic=False, tags={"llmops_verdict": "overridden", "llmops_override": "an outage"})

    assert (
        "  1. Update tags of the deployment 'green': llmops_verdict, llmops_override, llmops_traffic_before.\n" in text
    )


def test_a_deployment_of_another_version_is_replaced() -> None:
    text = plan(endpoint({"blue": 100}, blue="aaaa", green="bbbb"), on_failure="keep")

    assert "  2. Delete the deployment 'green', which has no traffic and is of another version.\n" in text
    assert "; 'green' is kept, without traffic (on_failure: keep); the model and its image stay.\n" in text


def test_a_deployment_without_traffic() -> None:
    text = plan(endpoint({"blue": 100}, blue="aaaa"), with_traffic=False)

    assert "Set the traffic" not in text
    assert "If it fails:  the traffic is as before, it was never moved; 'green' is deleted" in text
    assert "Not done:     no traffic is moved (--no-traffic); llmops traffic does that.\n" in text
    assert "To go back" not in text


def test_a_closed_gate_is_the_end_of_it() -> None:
    text = plan(None, reasons=["run: f1 is below 0.58", "the flow changed after its gate"])

    assert text.endswith(
        "Gate CLOSED:  run: f1 is below 0.58\n"
        "              the flow changed after its gate\n"
        "There now:    nothing, no managed online endpoint of this name exists\n"
        "\n"
        "Nothing would be done: the gate is closed to this flow. Correct what is said above, and evaluate again.\n"
        "To see what an override would do, add --override-gate REASON to this command.\n"
        "Nothing was changed (--dry-run)."
    )


def test_a_gate_that_is_overridden_is_said() -> None:
    text = plan(None, reasons=["run: f1 is below 0.58"], override=Override(by="Ann", reason="hotfix"))

    assert (
        "Gate:         OVERRIDDEN by Ann: hotfix\n"
        "              This is kept in tags of the model and the deployment. Against it:\n"
        "              run: f1 is below 0.58\n"
    ) in text
    assert "What would be done" in text


def test_an_endpoint_of_a_cluster() -> None:
    cluster = Kubernetes(compute="aks", cpu="0.5", memory="500Mi")
    text = plan(None, kind="kubernetes", kubernetes=cluster, instance_count=1, auth="aad_token")

    assert (
        "Create the Kubernetes online endpoint 'ner-dev', without traffic; callers log in with a Microsoft Entra"
        in text
    )
    assert "Cost:         1 instance of 0.5 CPU and 500Mi memory on compute aks, from step 4 on, until" in text


def test_a_web_app_that_is_replaced_in_place() -> None:
    app = WebApp(registry="r", registry_resource_group="g", resource_group="g", plan="plan-1", sku="B3")
    text = plan(endpoint({"blue": 100}, blue="aaaa"), kind="webapp", webapp=app, in_place=True, sample=None)

    assert "Make the deployment 'green' in the place of what runs there now: a container on plan plan-1 (B3);" in text
    assert "with the build of its image. Until then, callers may be without an answer.\n" in text
    assert "Build its image in registry 'r': some minutes, which are paid for.\n" in text
    assert "Ask it: one request, with the first row of the data. The answer needs status 200 and output" in text
    assert "If it fails:  what ran before is put back; the model and its image stay.\n" in text
    assert "Cost:         plan plan-1 (B3), which is made if it is not there.\n" in text
    assert "Set the traffic" not in text


def test_notes_of_the_file_are_shown() -> None:
    assert "Note:         f.json:3: DEPLOYMENT_CONDA_PATH: is not used\n" in plan(
        None, notes=("f.json:3: DEPLOYMENT_CONDA_PATH: is not used",)
    )
