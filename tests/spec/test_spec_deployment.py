"""``llmops.deployment``: how the flow is deployed to each environment."""

from __future__ import annotations

from dataclasses import replace

import pytest
from spec_case import Case

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.deployment import Kubernetes, Release, WebApp
from pytest_llmops.spec.released import Released, read_released

FILE = "evals/case/experiment.yaml"


def test_a_managed_endpoint_with_all_its_keys(case: Case) -> None:
    case.append(
        "llmops:\n"
        "  deployment:\n"
        "    dev:\n"
        "      endpoint: case-dev\n"
        "      endpoint_description: Case, in development\n"
        "      deployment: blue\n"
        "      description: the flow\n"
        "      auth: aad_token\n"
        "      identity: /subscriptions/s/resourceGroups/r/providers/Microsoft.ManagedIdentity/"
        "userAssignedIdentities/i\n"
        "      instance_type: Standard_F4s_v2\n"
        "      instance_count: 2\n"
        "      environment_variables: {TEXT: 'a=b c', NUMBER: 3, SECRET: '${CASE_SECRET}'}\n"
        "      connections: [aoai]\n"
        "      sample: ../sample-request.json\n"
        "      prior: green\n"
        "      traffic: [10, 50, 100]\n"
        "      pause: 5m\n"
        "      timeout: 30m\n"
        "      on_failure: keep\n"
    )

    assert case.load().releases == {
        "dev": Release(
            env="dev",
            kind="managed",
            endpoint="case-dev",
            endpoint_description="Case, in development",
            deployment="blue",
            description="the flow",
            auth="aad_token",
            identity="/subscriptions/s/resourceGroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i",
            instance_type="Standard_F4s_v2",
            instance_count=2,
            environment_variables={"TEXT": "a=b c", "NUMBER": "3", "SECRET": "${CASE_SECRET}"},
            connections=("aoai",),
            sample=case.folder.parent / "sample-request.json",
            prior="green",
            traffic=(10, 50, 100),
            pause=300.0,
            timeout=1800.0,
            on_failure="keep",
            file=FILE,
            line=20,
        )
    }


def test_what_is_left_out_has_the_defaults_of_a_release(case: Case) -> None:
    case.append("llmops:\n  deployment:\n    dev: {endpoint: case-dev, instance_type: Standard_F4s_v2}\n")

    assert case.load().releases["dev"] == Release(
        env="dev", kind="managed", endpoint="case-dev", instance_type="Standard_F4s_v2", file=FILE, line=20
    )


def test_a_kubernetes_endpoint_and_a_web_app(case: Case) -> None:
    case.append(
        "llmops:\n"
        "  deployment:\n"
        "    dev: {kind: kubernetes, endpoint: case-dev, compute: aks, cpu: 0.5, memory: 500Mi}\n"
        "    prod: {kind: webapp, endpoint: case-app, registry: registry, registry_resource_group: rg-images,\n"
        "           resource_group: rg-app, plan: plan, sku: P0V3, identity: puller}\n"
    )

    releases = case.load().releases

    dev = Release(env="dev", kind="kubernetes", endpoint="case-dev", file=FILE, line=20)
    assert releases["dev"] == replace(dev, kubernetes=Kubernetes(compute="aks", cpu="0.5", memory="500Mi"))
    assert releases["prod"].identity == ""
    assert releases["prod"].webapp == WebApp(
        registry="registry",
        registry_resource_group="rg-images",
        resource_group="rg-app",
        plan="plan",
        sku="P0V3",
        identity="puller",
    )


@pytest.mark.parametrize("block", ["{dev: {endpoint: case-dev}}", "{}", "null"])
def test_an_overlay_says_nothing_of_deployments(case: Case, block: str) -> None:
    case.append("llmops:\n  deployment:\n    dev: {endpoint: case-dev, instance_type: Standard_F4s_v2}\n")
    case.write("experiment.dev.yaml", f"llmops:\n  deployment: {block}\n")

    assert case.errors(env="dev") == [
        "evals/case/experiment.dev.yaml:2: llmops.deployment: can't be in an overlay: "
        "it says by itself what is for which environment; move it to the experiment file"
    ]
    assert case.load().releases["dev"].keys["endpoint"] == ("llmops.deployment.dev.endpoint", 20)


def test_nothing_is_deployed_where_the_file_says_nothing(case: Case) -> None:
    assert case.load().releases == {}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("{}", "endpoint: key is missing; a deployment of kind managed needs it: add it"),
        ("{endpoint: a, instance_type: b, kind: aks}",
         "kind: 'aks' is not a choice; write 'managed', 'kubernetes' or 'webapp'"),
        ("{endpoint: a, instance_typ: b}", "instance_typ: unknown key; did you mean 'instance_type'?"),
        ("{endpoint: a, instance_type: b, cpu: 1}",
         "cpu: not a key of a deployment of kind managed; remove it, or write kind: kubernetes"),
        ("{kind: webapp, endpoint: a, instance_count: 2}",
         "instance_count: not a key of a deployment of kind webapp; remove it, or write kind: managed or kubernetes"),
        ("{kind: kubernetes, endpoint: a, compute: b, cpu: 1}",
         "memory: key is missing; a deployment of kind kubernetes needs it: add it"),
        ("{endpoint: a, instance_type: b, traffic: [50, 10]}",
         "traffic: the shares don't grow from step to step; write them in ascending order, each once"),
        ("{endpoint: a, instance_type: b, traffic: [10, 110]}", "traffic.1: 110 is too large; write 100 or less"),
        ("{endpoint: a, instance_type: b, traffic: [0, 100]}", "traffic.0: 0 is too small; write 1 or more"),
        ("{endpoint: a, instance_type: b, traffic: []}", "traffic: is empty; give it a value or remove it"),
        ("{endpoint: a, instance_type: b, traffic: 100}",
         "traffic: expected a list, but YAML reads this as the number 100; correct it"),
        ("{endpoint: a, instance_type: b, pause: 300}",
         "pause: '300' is not a duration; write a number and a unit, such as 90s, 30m, 12h, 7d or 2w"),
        ("{endpoint: a, instance_type: b, timeout: 0m}",
         "timeout: is no time at all; write how long it may take, such as 30m"),
        ("{endpoint: a, instance_type: b, instance_count: '2'}",
         "instance_count: expected a whole number, but YAML reads this as the text '2'; correct it"),
        ("{endpoint: a, instance_type: b, environment_variables: {A: yes}}",
         "environment_variables.A: expected text or a number, but YAML reads this as true; put it in quotes"),
        ("{endpoint: a, instance_type: b, prior: blue, deployment: blue}",
         "prior: is the deployment itself; name the one that has the traffic now, or remove it"),
    ],
)  # fmt: skip
def test_deployments_that_can_not_be(case: Case, block: str, message: str) -> None:
    case.append(f"llmops:\n  deployment:\n    dev: {block}\n")

    assert f"{FILE}:20: llmops.deployment.dev.{message}" in case.errors()


@pytest.mark.parametrize(
    "text", ["deployment: {'': {endpoint: a}}", "deployment: {dev: {environment_variables: {'': 1}}}"]
)
def test_empty_names_are_no_reason_to_crash(case: Case, text: str) -> None:
    case.append(f"llmops:\n  {text}\n")

    assert case.errors()


def test_a_variable_keeps_its_value_out_of_sight(case: Case) -> None:
    case.append(
        "llmops:\n  deployment:\n    dev: {endpoint: a, instance_type: b, environment_variables: {API_KEY: s3cr3t}}\n"
    )

    assert "s3cr3t" not in repr(case.load())


def released(case: Case) -> Released:
    return read_released(case.folder / "experiment.yaml", case.root)


def test_how_a_flow_is_deployed_is_known_whatever_is_wrong_with_the_rest(case: Case) -> None:
    case.append("llmops:\n  deployment:\n    dev: {endpoint: case-dev, instance_type: Standard_F4s_v2}\n")
    whole = case.load()
    found = released(case)
    assert (found.file, found.releases) == (whole.file, whole.releases)
    assert (found.flow, found.variants) == (whole.flow, whole.variants)

    case.edit("experiment.yaml", "source: rows.jsonl", "source: azureml:rows:1")
    case.edit("experiment.yaml", "evaluators:", "evaluator:")
    (case.folder / "data" / "gold.jsonl").unlink()
    assert released(case) == found

    case.edit("experiment.yaml", "flow: main", "flow: nowhere")
    assert released(case) == Released(file=found.file, releases=found.releases)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("llmops: {deployment: {dev: {endpoint: a}}}\n",
         "instance_type: key is missing; a deployment of kind managed needs it: add it"),
        ("llmops: {deployment: {dev: {endpoint: a, instance_typ: b}}}\n",
         "instance_typ: unknown key; did you mean 'instance_type'?"),
    ],
)  # fmt: skip
def test_mistakes_in_how_it_is_deployed_are_reported(case: Case, text: str, message: str) -> None:
    case.append(text + "unknown: 1\n")
    with pytest.raises(ConfigurationError) as caught:
        released(case)
    lines = str(caught.value).splitlines()
    assert f"{FILE}:18: llmops.deployment.dev.{message}" in lines
    assert all("llmops.deployment.dev." in line for line in lines)


def test_a_file_that_can_not_be_read_says_nothing_of_deployments(case: Case) -> None:
    case.write("experiment.yaml", "name: [")
    with pytest.raises(ConfigurationError, match=r"^evals/case/experiment\.yaml:2: not valid YAML"):
        released(case)
