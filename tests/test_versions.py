"""The digest of a flow's or evaluator's version: the same wherever it is run, and another after every real change."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.plan import CellPlan, Options, plan
from pytest_llmops.records.experiment import Connection, NodeVariants
from pytest_llmops.records.run import RunRequest, Variant
from pytest_llmops.spec import load_experiment
from pytest_llmops.versions import Versions, flow_digest, inputs_of_run

FILES = {
    "experiment.yaml": """
name: greeter
flow: flows/greet
datasets:
- {name: names, source: names.jsonl, mappings: {name: "${data.name}"}}
evaluators:
- name: polite
  flow: flows/polite
  datasets:
  - {name: names, mappings: {text: "${run.outputs.text}", wish: "${data.name}"}}
""",
    "names.jsonl": '{"name": "Ann"}\n',
    "flows/shared/tone.txt": "kind\n",
    "flows/greet/flow.dag.yaml": """
inputs: {name: {type: string}}
outputs: {text: {type: string, reference: "${ask.output}"}}
additional_includes: [../shared/tone.txt]
nodes:
- {name: ask, type: prompt, source: {type: code, path: ask.jinja2}, inputs: {name: "${inputs.name}"}}
""",
    "flows/greet/ask.jinja2": "Greet {{name}}\n",
    "flows/polite/flow.flex.yaml": "entry: judge:judge\n",
    "flows/polite/judge.py": "def judge(text: str, wish: str = '') -> dict:\n    return {'score': 1}\n",
}
ADDRESS = "https://a.test/v1"


def write(root: Path, changes: Mapping[str, str]) -> Path:
    for name, text in {**FILES, **changes}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.lstrip().encode())
    return root


def planned(root: Path) -> CellPlan:
    experiment = load_experiment(root / "experiment.yaml", root=root)
    (cell,) = plan(experiment, path="experiment.yaml", options=Options())
    return cell


def digests(root: Path) -> tuple[str, str]:
    """Return the digests of the flow and of the evaluator."""
    cell = planned(root)
    versions = Versions(cell.experiment, "experiment.yaml")
    return versions.of(cell.request), versions.of(cell.evaluations[0].request)


def test_a_copy_elsewhere_is_the_same_version(tmp_path: Path) -> None:
    first = digests(write(tmp_path / "here", {}))
    shutil.copytree(tmp_path / "here", tmp_path / "another" / "place")
    assert digests(tmp_path / "another" / "place") == first
    assert all(len(digest) == 64 for digest in first)


def test_the_digests_are_these_on_every_machine_and_python(tmp_path: Path) -> None:
    flow, evaluator = digests(write(tmp_path, {}))
    assert (flow[:16], evaluator[:16]) == ("6a6dffdc3473fca2", "daff16e6c93b524b")


JUDGE = FILES["flows/polite/judge.py"]
EXPERIMENT = FILES["experiment.yaml"]
TEXT, WISH = 'text: "${run.outputs.text}"', 'wish: "${data.name}"'


@pytest.mark.parametrize(
    ("name", "text", "flow", "evaluator"),
    [
        ("flows/greet/ask.jinja2", "Greet {{name}}!\n", True, False),
        ("flows/shared/tone.txt", "stern\n", True, False),
        ("flows/greet/new.txt", "", True, False),
        ("flows/polite/judge.py", JUDGE.replace("1", "2"), False, True),
        ("flows/polite/judge.py", JUDGE.replace("\n", "\r\n"), False, True),
        ("experiment.yaml", EXPERIMENT.replace(WISH, "wish: dear"), False, True),
        ("experiment.yaml", EXPERIMENT.replace(f"{TEXT}, {WISH}", f"{WISH}, {TEXT}"), False, False),
        ("experiment.yaml", EXPERIMENT.replace("names", "people").replace("people.jsonl", "names.jsonl"), False, False),
        ("names.jsonl", '{"name": "Bo"}\n', False, False),
        ("environment/env.yaml", "TONE: kind\n", True, True),
        ("environment/env.yaml", f"SERVICE: {ADDRESS}\nMY_API_KEY: k\n", False, False),
        ("flows/greet/.env", "TONE=kind\n", False, False),
        ("flows/greet/__pycache__/x.pyc", "", False, False),
    ],
)
def test_what_makes_another_version(tmp_path: Path, name: str, text: str, flow: bool, evaluator: bool) -> None:
    before = digests(write(tmp_path, {}))
    after = digests(write(tmp_path, {name: text}))
    assert (after[0] != before[0], after[1] != before[1]) == (flow, evaluator)


@pytest.fixture
def digest_with(tmp_path: Path) -> Callable[..., str]:
    """Give a function that returns the flow's digest with some fields of its request changed."""
    cell = planned(write(tmp_path, {}))

    def digest(**changes: Any) -> str:
        request: RunRequest = replace(cell.request, **changes)
        return Versions(cell.experiment, "experiment.yaml").of(request)

    return digest


def test_the_mapping_of_the_dataset_is_part_of_a_version(digest_with: Callable[..., str]) -> None:
    assert digest_with(column_mapping={"name": "${data.other}"}) != digest_with()


def custom(**values: str) -> Connection:
    return Connection(name="search", type="CustomConnection", values=values, secrets={"key": "k"})


def test_variants_overrides_and_init_values_are_versions(digest_with: Callable[..., str]) -> None:
    variants = [
        Variant(),
        Variant(nodes={"ask": "short"}),
        Variant(overrides={"ask.temperature": 0.5}),
        Variant(init={"level": 1}),
        Variant(init={"level": {"deep": 1}}),
    ]
    assert len({digest_with(variant=variant) for variant in variants}) == len(variants)


def test_secrets_and_addresses_are_no_part_of_a_version(digest_with: Callable[..., str]) -> None:
    config = {"azure_deployment": "mini", "azure_endpoint": ADDRESS, "api_key": "k"}
    named = digest_with(variant=Variant(init={"model_config": config}))
    assert named == digest_with(variant=Variant(init={"model_config": {"azure_deployment": "mini"}}))
    assert named != digest_with(variant=Variant(init={"model_config": {"azure_deployment": "maxi"}}))


def test_only_connections_that_the_flow_uses_are_part_of_its_version(digest_with: Callable[..., str]) -> None:
    uses = {"variant": Variant(overrides={"ask.connection": "search"})}
    assert digest_with(connections=(custom(top="3"),)) == digest_with()
    assert digest_with(**uses, connections=(custom(top="3"),)) != digest_with(**uses, connections=(custom(top="4"),))
    assert digest_with(**uses, connections=(custom(url=ADDRESS),)) == digest_with(**uses, connections=(custom(),))
    model = Connection(name="search", type="OpenAIConnection", values={"organization": "x"})
    assert digest_with(**uses, connections=(model,)) == digest_with(**uses)


def test_a_version_that_can_not_be_told_is_empty(digest_with: Callable[..., str], tmp_path: Path) -> None:
    assert digest_with(variant=Variant(overrides={"ask.when": object()})) == ""
    shutil.rmtree(tmp_path / "flows")
    assert digest_with() == ""


def test_a_folder_that_can_t_be_listed_leaves_the_version_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = planned(write(tmp_path, {"flows/greet/lib/words.py": ""}))
    scandir, listdir = os.scandir, os.listdir

    def refusing(real: Callable[[str], Any]) -> Callable[[str], Any]:
        def listed(path: str) -> Any:
            if Path(path) == tmp_path / "flows/greet/lib":
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return real(path)

        return listed

    monkeypatch.setattr(os, "scandir", refusing(scandir))
    monkeypatch.setattr(os, "listdir", refusing(listdir))
    assert Versions(cell.experiment, "experiment.yaml").of(cell.request) == ""
    assert flow_digest(cell.request.flow) == ""


def test_the_inputs_of_an_evaluation_that_are_outputs_of_the_run() -> None:
    mappings = {"a": "${run.outputs.x}", "b": "${run.inputs.x}", "c": "${data.x}", "d": "run.outputs.x", "e": 1}
    assert inputs_of_run(mappings) == ("a",)


def flow_of(root: Path) -> str:
    return flow_digest(load_experiment(root / "experiment.yaml", root=root).flow)


def test_the_flow_is_the_same_on_every_machine(tmp_path: Path) -> None:
    here = flow_of(write(tmp_path / "here", {}))
    shutil.copytree(tmp_path / "here", tmp_path / "another" / "place")
    assert flow_of(tmp_path / "another" / "place") == here
    assert here[:16] == "f01909777251bd2a"


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("flows/greet/ask.jinja2", True),
        ("flows/shared/tone.txt", True),
        ("flows/greet/lib/new.txt", True),
        ("flows/greet/.env", False),
        ("flows/greet/.promptflow/flow.tools.json", False),
        ("flows/greet/__pycache__/ask.pyc", False),
        ("flows/greet/cassettes/greet.json", True),
        ("flows/polite/judge.py", False),
        ("names.jsonl", False),
    ],
)
def test_which_files_a_flow_consists_of(tmp_path: Path, name: str, differs: bool) -> None:
    flow = load_experiment(write(tmp_path, {}) / "experiment.yaml", root=tmp_path).flow
    before = flow_digest(flow)
    write(tmp_path, {name: "another\n"})
    assert (flow_digest(flow) != before) is differs


def test_what_sessions_write_beside_an_experiment_is_no_part_of_a_flow_in_the_same_folder(tmp_path: Path) -> None:
    definition = FILES["flows/greet/flow.dag.yaml"].replace("additional_includes: [../shared/tone.txt]\n", "")
    files = {
        "experiment.yaml": EXPERIMENT.replace("flows/greet", "."),
        "flow.dag.yaml": definition,
        "ask.jinja2": "Greet {{name}}\n",
    }
    before = flow_of(write(tmp_path, files))
    assert flow_of(write(tmp_path, {**files, "cassettes/x.json": "[]", "baselines/x.json": "{}"})) == before
    assert flow_of(write(tmp_path, {**files, "ask.jinja2": "Bye {{name}}\n"})) != before


def test_a_variant_that_differs_from_the_files_has_a_digest_of_its_own(tmp_path: Path) -> None:
    flow = load_experiment(write(tmp_path, {}) / "experiment.yaml", root=tmp_path).flow
    flow = replace(flow, variants={"ask": NodeVariants(default="a", choices=("a", "b"))})
    as_written = [Variant(), Variant(nodes={"ask": "a"})]
    others = [Variant(nodes={"ask": "b"}), Variant(overrides={"ask.x": 1}), Variant(overrides={"ask.x": 2})]
    assert {flow_digest(flow, variant) for variant in as_written} == {flow_digest(flow)}
    assert len({flow_digest(flow), *(flow_digest(flow, variant) for variant in others)}) == 4


def test_a_flow_that_can_not_be_read_has_no_digest(tmp_path: Path) -> None:
    flow = load_experiment(write(tmp_path, {}) / "experiment.yaml", root=tmp_path).flow
    (tmp_path / "flows/shared/tone.txt").unlink()
    assert flow_digest(flow) == ""
    shutil.rmtree(flow.folder)
    assert flow_digest(flow) == ""
