"""What is deployed to an environment: the template's file, the block in the experiment file, or neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spec_case import Case
from template_config import TEMPLATE

from pytest_llmops.deployment.config import read_release
from pytest_llmops.deployment.names import check
from pytest_llmops.deployment.template import find_entries, read_entry
from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.deployment import Kubernetes, Release, WebApp
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.json_reader import read_json

CONFIG = "configs/deployment_config.json"
FILE = f"evals/case/{CONFIG}"
CLUSTER = {"ENDPOINT_NAME": "case-k8s", "COMPUTE_NAME": "aks", "CPU_ALLOCATION": "0.5", "MEMORY_ALLOCATION": "500Mi"}
APP = {
    "WEB_APP_NAME": "case-app", "REGISTRY_NAME": "registry", "REGISTRY_RG_NAME": "rg-images", "APP_PLAN_NAME": "plan",
    "WEB_APP_RG_NAME": "rg-app", "WEB_APP_SKU": "B3", "USER_MANAGED_ID": "puller",
}  # fmt: skip
MANAGED = "azure_managed_endpoint"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case(tmp_path)
    case.write(CONFIG, TEMPLATE)
    case.write("sample-request.json", '{"text": "one"}\n')
    return case


def read(case: Case, env: str = "dev", **conditions: Any) -> Release:
    return read_release(case.load(), env, root=case.root, environ=conditions.pop("environ", {}), **conditions)


def errors(case: Case, env: str = "dev", **conditions: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(case, env, **conditions)
    return str(caught.value).splitlines()


def change(case: Case, kind: str, values: dict[str, Any], *, without: str = "") -> None:
    """Set keys of an entry of the template's file; the file is then written with a key on each line."""
    content = json.loads((case.folder / CONFIG).read_text(encoding="utf-8"))
    content[kind][0].update(values)
    content[kind][0].pop(without, None)
    case.write(CONFIG, json.dumps(content, indent=1))


def only(lines: list[str]) -> str:
    """Return the only line, without the file and the line number in front."""
    assert len(lines) == 1, lines
    return lines[0].partition(": ")[2]


def test_the_file_of_the_template_as_it_is(case: Case) -> None:
    assert read(case) == Release(
        env="dev",
        kind="managed",
        endpoint="case-dev",
        endpoint_description="An online endpoint serving a flow",
        description="prompt flow deployment",
        instance_type="Standard_F4s_v2",
        environment_variables={"example-name": "example-value"},
        connections=("aoai",),
        sample=case.folder / "sample-request.json",
        file=FILE,
        line=3,
    )


def test_the_other_folder_of_the_template(case: Case) -> None:
    case.write("config/deployment_config.json", TEMPLATE)

    assert errors(case) == [f"{FILE}: evals/case/config/deployment_config.json is there too; keep one of the two"]

    (case.folder / CONFIG).unlink()
    assert read(case).file == "evals/case/config/deployment_config.json"


def test_a_kubernetes_endpoint_of_the_template(case: Case) -> None:
    change(case, MANAGED, {"ENDPOINT_NAME": ""})
    change(case, "kubernetes_endpoint", CLUSTER | {"CPU_ALLOCATION": 0.5, "DEPLOYMENT_INSTANCE_COUNT": "2"})

    release = read(case)

    assert (release.kind, release.endpoint, release.instance_count, release.instance_type) == (
        "kubernetes", "case-k8s", 2, "",
    )  # fmt: skip
    assert release.kubernetes == Kubernetes(compute="aks", cpu="0.5", memory="500Mi")


def test_a_web_app_of_the_template(case: Case) -> None:
    change(case, MANAGED, {"ENDPOINT_NAME": ""})
    change(case, "webapp_endpoint", APP)

    release = read(case)

    assert (release.kind, release.endpoint, release.connections) == ("webapp", "case-app", ("aoai",))
    assert release.webapp == WebApp(
        registry="registry",
        registry_resource_group="rg-images",
        resource_group="rg-app",
        plan="plan",
        sku="B3",
        identity="puller",
    )


def test_a_share_of_the_traffic_beside_a_prior_deployment(case: Case) -> None:
    change(case, MANAGED, {
        "CURRENT_DEPLOYMENT_NAME": "green", "CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION": 10,
        "PRIOR_DEPLOYMENT_NAME": "blue", "PRIOR_DEPLOYMENT_TRAFFIC_ALLOCATION": "90",
    })  # fmt: skip

    release = read(case)

    assert (release.deployment, release.prior, release.traffic) == ("green", "blue", (10,))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION": "90", "PRIOR_DEPLOYMENT_TRAFFIC_ALLOCATION": "20",
          "PRIOR_DEPLOYMENT_NAME": "blue"},
         "CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION: 90 and 20 (PRIOR_DEPLOYMENT_TRAFFIC_ALLOCATION) don't add up to 100; "
         "correct one of them"),
        ({"CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION": "90", "PRIOR_DEPLOYMENT_TRAFFIC_ALLOCATION": "10"},
         "PRIOR_DEPLOYMENT_NAME: is empty, but PRIOR_DEPLOYMENT_TRAFFIC_ALLOCATION gives it 10 %; "
         "name the deployment that has the traffic now"),
        ({"PRIOR_DEPLOYMENT_NAME": "blue", "CURRENT_DEPLOYMENT_NAME": "blue"},
         "PRIOR_DEPLOYMENT_NAME: is the deployment itself; name the one that has the traffic now, or leave it empty"),
        ({"CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION": "0"},
         "CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION: 0 is no share; write 1 to 100, or deploy with --no-traffic"),
        ({"CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION": "ten"},
         "CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION: 'ten' is no share in percent; write a whole number from 0 to 100"),
        ({"CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION": 101},
         "CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION: '101' is no share in percent; write a whole number from 0 to 100"),
        ({"DEPLOYMENT_INSTANCE_COUNT": 0}, "DEPLOYMENT_INSTANCE_COUNT: '0' is not a whole number above 0; correct it"),
        ({"DEPLOYMENT_INSTANCE_COUNT": True},
         "DEPLOYMENT_INSTANCE_COUNT: expected text, but this is true; correct it"),
        ({"DEPLOYMENT_VM_SIZE": ""}, "DEPLOYMENT_VM_SIZE: is empty; give it a value"),
        ({"ENDPOINT_NAME": "case_dev"},
         "ENDPOINT_NAME: Azure refuses 'case_dev'; "
         "write 3 to 32 letters, digits and hyphens, with a letter first and no hyphen last"),
        ({"ENDPOINT_NAM": "case-dev"}, "ENDPOINT_NAM: unknown key; did you mean 'ENDPOINT_NAME'?"),
        ({"COMPUTE_NAME": "aks"},
         "COMPUTE_NAME: is a key of kubernetes_endpoint only; remove it, or leave it empty"),
        ({"TEST_FILE_PATH": "sample.json"},
         "TEST_FILE_PATH: there is no file evals/case/sample.json; correct the path"),
        ({"ENVIRONMENT_VARIABLES": ["a=b"]},
         "ENVIRONMENT_VARIABLES: expected an object, but this is a list; write name: value"),
        ({"ENVIRONMENT_VARIABLES": {"A": None}},
         "ENVIRONMENT_VARIABLES.A: expected text or a number, but this is empty; put it in quotes"),
        ({"ENVIRONMENT_VARIABLES": {"A": "x-${B}"}},
         "ENVIRONMENT_VARIABLES.A: '${...}' is only resolved where it is all of the value; "
         "write ${NAME} alone, and the rest into the variable"),
        ({"ENVIRONMENT_VARIABLES": {"A": "${CASE_A}"}},
         "ENVIRONMENT_VARIABLES.A: needs the environment variable CASE_A, which is not set; set it"),
    ],
)  # fmt: skip
def test_values_of_the_template_that_can_not_be(case: Case, values: dict[str, Any], message: str) -> None:
    change(case, MANAGED, values)

    assert only(errors(case)) == f"{MANAGED}.0.{message}"


def test_a_key_that_is_missing(case: Case) -> None:
    change(case, MANAGED, {}, without="DEPLOYMENT_VM_SIZE")

    assert only(errors(case)) == f"{MANAGED}.0.DEPLOYMENT_VM_SIZE: key is missing; give it a value"


def test_empty_keys_of_other_kinds_do_no_harm(case: Case) -> None:
    change(case, MANAGED, {"COMPUTE_NAME": "", "CONNECTION_NAMES": []})

    assert read(case).endpoint == "case-dev"


def test_each_problem_is_at_its_own_line(case: Case) -> None:
    case.edit(CONFIG, '"Standard_F4s_v2"', '"F4s"')
    case.edit(CONFIG, '"case-dev"', '"c"')

    assert [error.partition(": ")[0] for error in errors(case)] == [f"{FILE}:6", f"{FILE}:13"]


def test_keys_of_earlier_templates_are_not_used_and_it_is_said(case: Case) -> None:
    change(case, MANAGED, {"DEPLOYMENT_CONDA_PATH": "conda.yml", "DEPLOYMENT_BASE_IMAGE_NAME": ""})

    assert read(case).notes == (
        f"{FILE}:18: {MANAGED}.0.DEPLOYMENT_CONDA_PATH: is not used; "
        "the deployment is built from the flow and its requirements.txt",
    )


def test_variables_of_the_deployment_come_from_the_environment(case: Case) -> None:
    values = {"A": "${CASE_A}", "B": "a=b c 'd' \"e\"", "C": 3, "D": "${CASE_D}"}
    change(case, MANAGED, {"ENVIRONMENT_VARIABLES": values})
    case.write(".env", "CASE_D=from the file\n")

    assert read(case, environ={"CASE_A": "x=y"}).environment_variables == {
        "A": "x=y", "B": "a=b c 'd' \"e\"", "C": "3", "D": "from the file",
    }  # fmt: skip


def test_a_secret_in_plain_text_is_said_and_not_shown(case: Case) -> None:
    change(case, MANAGED, {"ENVIRONMENT_VARIABLES": {"SEARCH_API_KEY": "s3cr3t", "MAX_TOKENS": "100"}})

    release = read(case)

    assert release.notes == (
        f"{FILE}:16: {MANAGED}.0.ENVIRONMENT_VARIABLES.SEARCH_API_KEY: looks like a secret in plain text; "
        "write ${SEARCH_API_KEY}, and set that in the environment, or use a connection of the workspace",
    )
    assert "s3cr3t" not in repr(release)


def test_several_kinds_for_one_environment_are_a_choice(case: Case) -> None:
    change(case, "kubernetes_endpoint", CLUSTER)

    assert errors(case) == [
        f"{FILE}:3: {MANAGED}.0: environment 'dev' has several kinds of endpoint; "
        "choose --kind managed or --kind kubernetes"
    ]
    assert read(case, kind="managed").endpoint == "case-dev"
    assert read(case, kind="kubernetes").endpoint == "case-k8s"


def test_a_blank_that_is_chosen_has_to_be_filled_in(case: Case) -> None:
    assert [error.split(": ", 1)[1] for error in errors(case, kind="kubernetes")] == [
        f"kubernetes_endpoint.0.{key}: is empty; give it a value"
        for key in ("ENDPOINT_NAME", "COMPUTE_NAME", "CPU_ALLOCATION", "MEMORY_ALLOCATION")
    ]


def test_a_file_that_nobody_has_filled_in(case: Case) -> None:
    change(case, MANAGED, {"ENDPOINT_NAME": ""})

    assert only(errors(case)) == f"{MANAGED}.0.ENDPOINT_NAME: is empty; give it a value"


def test_a_kind_that_the_environment_does_not_have(case: Case) -> None:
    content = json.loads(TEMPLATE)
    del content["webapp_endpoint"]
    case.write(CONFIG, json.dumps(content))

    assert errors(case, kind="webapp") == [
        f"{FILE}:1: {MANAGED}.0: environment 'dev' has no entry of kind webapp; use managed"
    ]


def test_an_environment_that_is_there_twice(case: Case) -> None:
    content = json.loads(TEMPLATE)
    content[MANAGED] *= 2
    case.write(CONFIG, json.dumps(content))

    assert errors(case) == [f"{FILE}:1: {MANAGED}.1: a second entry for environment 'dev'; remove one of the two"]


def test_an_environment_that_there_is_not(case: Case) -> None:
    case.append("llmops:\n  deployment:\n    prod: {endpoint: case-prod, instance_type: Standard_F4s_v2}\n")

    place = "evals/case/experiment.yaml:20"
    assert errors(case, "prd") == [f"{place}: there is no environment 'prd', only 'prod', 'dev'; did you mean 'prod'?"]
    assert errors(case, "xyz") == [f"{place}: there is no environment 'xyz', only 'prod', 'dev'; name one of these"]


def test_an_environment_that_the_template_does_not_have(case: Case) -> None:
    (line,) = errors(case, "prod")
    place, _, said = line.partition(": ")
    assert (place.rpartition(":")[0], said) == (FILE, "there is no environment 'prod', only 'dev'; name one of these")
    assert int(place.rpartition(":")[2]) > 0


def test_an_entry_that_does_not_say_its_environment_is_the_only_mistake(case: Case) -> None:
    content = json.loads(TEMPLATE)
    del content[MANAGED][0]["ENV_NAME"]
    case.write(CONFIG, json.dumps(content))

    assert errors(case) == [f"{FILE}:1: {MANAGED}.0.ENV_NAME: key is missing; name the environment that this is for"]


def test_an_experiment_that_says_nothing_of_deployments(case: Case) -> None:
    (case.folder / CONFIG).unlink()

    assert errors(case) == [
        "evals/case/experiment.yaml: nothing says how the flow is deployed; "
        "add llmops.deployment.dev to the experiment file, or configs/deployment_config.json beside it"
    ]


def test_the_block_of_the_experiment_file(case: Case) -> None:
    case.append(
        "llmops:\n  deployment:\n    prod: {endpoint: case-prod, instance_type: Standard_F4s_v2, connections: [a],"
        " environment_variables: {A: '${CASE_A}'}, sample: sample-request.json}\n"
    )

    release = read(case, "prod", environ={"CASE_A": "x"})

    assert (release.endpoint, release.environment_variables, release.connections) == ("case-prod", {"A": "x"}, ("a",))
    assert errors(case, "prod", kind="webapp", environ={"CASE_A": "x"}) == [
        "evals/case/experiment.yaml:20: llmops.deployment.prod.kind: is of kind managed, not webapp; "
        "correct it, or leave out --kind"
    ]


def test_names_in_the_block_are_checked_too(case: Case) -> None:
    case.append("llmops:\n  deployment:\n    prod:\n      endpoint: x\n      instance_type: Standard_F4s_v2\n")

    assert errors(case, "prod") == [
        "evals/case/experiment.yaml:21: llmops.deployment.prod.endpoint: Azure refuses 'x'; "
        "write 3 to 32 letters, digits and hyphens, with a letter first and no hyphen last"
    ]


def test_an_environment_is_not_said_twice(case: Case) -> None:
    case.append("llmops:\n  deployment:\n    dev: {endpoint: case-dev, instance_type: Standard_F4s_v2}\n")

    assert errors(case) == [
        f"evals/case/experiment.yaml:20: llmops.deployment.dev: environment 'dev' is in {FILE} too; keep one of the two"
    ]

    change(case, MANAGED, {"ENDPOINT_NAME": ""})
    assert read(case).file == "evals/case/experiment.yaml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", ":1: not valid JSON: Expecting property name enclosed in double quotes; correct it"),
        ("[]", ":1: is not an object; write the keys azure_managed_endpoint, kubernetes_endpoint, webapp_endpoint"),
        ('{"azure_managed": []}', ":1: azure_managed: unknown key; did you mean 'azure_managed_endpoint'?"),
        ('{"webapp_endpoint": {}}',
         ":1: webapp_endpoint: is not a list; write a list with an object for each environment"),
        ('{"webapp_endpoint": [1]}',
         ":1: webapp_endpoint.0: is not an object; write an object with the keys of the template"),
        ('{"webapp_endpoint":\n[\n{}]}',
         ":3: webapp_endpoint.0.ENV_NAME: key is missing; name the environment that this is for"),
        ('{"webapp_endpoint": [{"ENV_NAME": 1}]}',
         ":1: webapp_endpoint.0.ENV_NAME: is no name; name the environment that this is for"),
        ('{"webapp_endpoint": [], "webapp_endpoint": []}',
         ":1: webapp_endpoint: key is already set on line 1; remove one of the two"),
    ],
)  # fmt: skip
def test_files_that_are_not_of_the_template(case: Case, text: str, message: str) -> None:
    case.write(CONFIG, text)

    assert errors(case) == [f"{FILE}{message}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"txt": "one"}',
         ["sample-request.json:1: input 'text' of flow 'main' is missing; add it",
          "sample-request.json:1: txt: flow 'main' has no such input; did you mean 'text'?"]),
        ('["one"]', ["sample-request.json:1: is not an object; write an object with the inputs of the flow"]),
        ("text", ["sample-request.json:1: not valid JSON: Expecting value; correct it"]),
    ],
)  # fmt: skip
def test_sample_requests_that_test_nothing(case: Case, text: str, message: list[str]) -> None:
    case.write("sample-request.json", text)

    assert errors(case) == [f"evals/case/{line}" for line in message]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_no_value_of_the_template_is_a_reason_to_crash(data: st.DataObject) -> None:
    content = json.loads(TEMPLATE)
    kind = data.draw(st.sampled_from(list(content)))
    content[kind][0][data.draw(st.sampled_from(list(content[kind][0])))] = data.draw(ANY_JSON)
    findings = Findings()
    document = read_json(json.dumps(content), "f.json", findings)
    assert document is not None

    for entry in find_entries(document, findings):
        assert all(str(problem) for problem in check(read_entry(entry, Path("case"), findings)))
