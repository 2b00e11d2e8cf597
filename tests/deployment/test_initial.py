"""Init values of a class flow in the variables of its deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.deployment.initial import VARIABLE, with_init
from pytest_llmops.errors import ConfigurationError
from pytest_llmops.matrix import all_variants
from pytest_llmops.records.deployment import Release
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.records.run import Variant
from pytest_llmops.spec import load_experiment

RELEASE = Release(env="prod", kind="managed", endpoint="e", environment_variables={"A": "1"}, file="x.yaml", line=7)
CLASS = """
from promptflow.connections import OpenAIConnection

class Greeter:
    def __init__(self, service: dict, limit: int = 80, llm: OpenAIConnection = None):
        self.service = service

    def __call__(self, name: str) -> str:
        return name
"""
EXPERIMENT = """
name: greeter
flow: flows/greet
datasets:
- {name: names, source: names.jsonl, mappings: {name: "${data.name}"}}
"""


def experiment(root: Path, init: Any = None, more: str = "", **environ: str) -> Experiment:
    """Read a use case whose flow is a class."""
    files = {
        "experiment.yaml": EXPERIMENT + more,
        "names.jsonl": '{"name": "Ann"}\n',
        "flows/greet/flow.flex.yaml": "entry: greeting:Greeter\n",
        "flows/greet/greeting.py": CLASS,
        **({"flows/greet/init.json": json.dumps(init)} if init is not None else {}),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return load_experiment(root / "experiment.yaml", root=root, environ=environ)


def values(release: Release) -> Any:
    return json.loads(release.environment_variables[VARIABLE])


def refusal(found: Experiment) -> str:
    with pytest.raises(ConfigurationError) as error:
        with_init(RELEASE, found, Variant())
    return str(error.value)


def test_a_deployment_has_the_init_values_of_the_evaluation(tmp_path: Path) -> None:
    init = {"service": {"url": "${url}", "retries": 2}, "limit": 60}
    found = experiment(tmp_path, init, SERVICE_URL="https://a=b")
    release = with_init(RELEASE, found, Variant())
    assert values(release) == {"service": {"url": "https://a=b", "retries": 2}, "limit": 60}
    assert release.environment_variables["A"] == "1"


def test_a_variant_has_its_own(tmp_path: Path) -> None:
    more = "llmops: {variants: {overrides: {init.limit: [60, 10]}}}\n"
    found = experiment(tmp_path, {"service": {}, "limit": 99}, more)
    limits = [values(with_init(RELEASE, found, v))["limit"] for v in all_variants(found.flow, found.variants)]
    assert limits == [60, 10]


def test_connections_that_init_values_name_are_needed(tmp_path: Path) -> None:
    found = experiment(tmp_path, {"service": {"connection": "aoai", "model": "m"}, "llm": "openai", "limit": 1})
    assert with_init(RELEASE, found, Variant()).connections == ("aoai", "openai")


def test_a_flow_without_init_values_has_no_such_variable(tmp_path: Path) -> None:
    found = experiment(tmp_path, {"service": {}})
    (tmp_path / "flows/greet/greeting.py").write_text(
        "class Greeter:\n    def __call__(self, name: str): ...\n", "utf-8"
    )
    (tmp_path / "flows/greet/init.json").unlink()
    plain = load_experiment(found.file, root=tmp_path, environ={})
    assert with_init(RELEASE, plain, Variant()) is RELEASE


@pytest.mark.parametrize("environ", [{}, {"SERVICE_API_KEY": "k-12345678"}])
def test_a_secret_is_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    assert refusal(experiment(tmp_path, {"service": {"api_key": "${api_key}"}}, **environ)) == (
        "x.yaml:7: init.service.api_key: holds a secret, which all who see the deployment would see; "
        "name a connection of the workspace in its place, or give PF_FLOW_INIT_CONFIG in environment_variables"
    )


def test_a_value_that_is_not_set_here_is_refused(tmp_path: Path) -> None:
    assert refusal(experiment(tmp_path, {"service": {"url": "${url}"}, "limit": "${limit}"})) == (
        "x.yaml:7: init.limit: has no value: the environment variable LIMIT is not set; "
        "set it, as init.json of flow 'greet' says\n"
        "x.yaml:7: init.service.url: has no value: the environment variable SERVICE_URL is not set; "
        "set it, as init.json of flow 'greet' says"
    )


def test_what_the_release_gives_itself_is_left_alone(tmp_path: Path) -> None:
    release = Release(env="prod", kind="managed", endpoint="e", environment_variables={VARIABLE: "{}"})
    assert with_init(release, experiment(tmp_path, {"service": {"api_key": "${k}"}}), Variant()) is release
