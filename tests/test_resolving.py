"""A copy of a flow with a variant written into it: what is changed, what is not, and what lies where."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmops.errors import RunError
from pytest_llmops.records.experiment import Flow, NodeVariants
from pytest_llmops.records.kinds import FlowKind
from pytest_llmops.records.run import Variant
from pytest_llmops.resolving import write_resolved
from pytest_llmops.versions import flow_digest

FLOWS = Path(__file__).parent / "engines" / "flows"
CHOICES = {"greet": ("short", "long"), "close": ("none", "loud")}
INPUTS = tuple(f"{node}.{name}" for node in (*CHOICES, "plain") for name in ("left", "right", "times"))
VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers() | st.text(), max_size=2)


def flow_in(folder: Path, file: str = "flow.dag.yaml", kind: FlowKind = "dag") -> Flow:
    return Flow(name=folder.name, kind=kind, file=folder / file, folder=folder)


def greeting() -> Flow:
    variants = {name: NodeVariants(default=choices[0], choices=choices) for name, choices in CHOICES.items()}
    return replace(flow_in(FLOWS / "greeting"), variants=variants)


def read(flow: Flow) -> Any:
    return yaml.safe_load(flow.file.read_text(encoding="utf-8"))


def effective(definition: Any) -> dict[str, Any]:
    """Return the nodes that a definition without further choices stands for, by name."""
    nodes = {}
    for node in definition["nodes"]:
        known = definition["node_variants"].get(node["name"])
        used = known["variants"][known["default_variant_id"]]["node"] if node.get("use_variants") else node
        nodes[node["name"]] = {**used, "name": node["name"]}
    return nodes


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_flow_with_nothing_to_write_into_it_stays_byte_by_byte_what_it_was(tmp_path: Path) -> None:
    copy = write_resolved(greeting(), Variant(init={"x": 1}), tmp_path / "copy")
    assert (copy.folder, copy.file) == (tmp_path / "copy", tmp_path / "copy" / "flow.dag.yaml")
    assert files_in(copy.folder) == ["flow.dag.yaml", "join.py"]
    for name in files_in(copy.folder):
        assert (copy.folder / name).read_bytes() == (FLOWS / "greeting" / name).read_bytes()
    assert flow_digest(copy) == flow_digest(greeting())


@settings(deadline=None, max_examples=25)
@given(
    nodes=st.fixed_dictionaries({}, optional={name: st.sampled_from(ids) for name, ids in CHOICES.items()}),
    overrides=st.dictionaries(st.sampled_from(INPUTS), VALUES, max_size=4),
)
def test_what_is_chosen_and_overridden_is_in_the_copy_and_all_else_as_it_was(
    nodes: Mapping[str, str], overrides: Mapping[str, Any]
) -> None:
    with TemporaryDirectory() as folder:
        variant = Variant(id="v", nodes=nodes, overrides=overrides)
        copies = [write_resolved(greeting(), variant, Path(folder) / name) for name in "ab"]
        definition = read(copies[0])
        assert flow_digest(copies[0]) == flow_digest(copies[1])
    expected = read(greeting())
    for name, choice in nodes.items():
        expected["node_variants"][name]["default_variant_id"] = choice
    wanted = effective(expected)
    for target, value in overrides.items():
        node, _, key = target.partition(".")
        wanted[node]["inputs"][key] = value
    assert effective(definition) == wanted
    unchanged = ("inputs", "outputs")
    assert [definition[key] for key in unchanged] == [expected[key] for key in unchanged]
    assert {name: known.default for name, known in copies[0].variants.items()} == {
        name: nodes.get(name, choices[0]) for name, choices in CHOICES.items()
    }


def test_variants_that_differ_have_digests_that_differ(tmp_path: Path) -> None:
    variants = [
        Variant(nodes=dict(zip(CHOICES, chosen, strict=True))) for chosen in itertools.product(*CHOICES.values())
    ]
    variants.append(Variant(overrides={"plain.times": 2}))
    digests = {flow_digest(write_resolved(greeting(), v, tmp_path / str(n))) for n, v in enumerate(variants)}
    assert len(digests) == len(variants)


def test_a_model_or_a_connection_of_an_llm_node_is_overridden_where_it_is_written(tmp_path: Path) -> None:
    overrides = {"ask.connection": "other", "ask.model": "large", "ask.temperature": 1}
    copy = write_resolved(flow_in(FLOWS / "answer"), Variant(overrides=overrides), tmp_path / "copy")
    (node,) = (node for node in read(copy)["nodes"] if node["name"] == "ask")
    assert node["connection"] == "other"
    assert [node["inputs"][name] for name in ("model", "temperature", "max_tokens")] == ["large", 1, 16]


class TestFiles:
    def test_included_files_lie_beside_the_definition_which_includes_nothing_any_more(self, tmp_path: Path) -> None:
        copy = write_resolved(flow_in(FLOWS / "included"), Variant(), tmp_path / "copy")
        assert files_in(copy.folder) == ["count.py", "flow.dag.yaml", "words.py"]
        assert "additional_includes" not in read(copy)
        assert (copy.folder / "words.py").read_bytes() == (FLOWS / "shared" / "words.py").read_bytes()

    def test_an_included_folder_is_a_folder_of_the_copy(self, tmp_path: Path) -> None:
        flow = write_flow(tmp_path, "additional_includes: [../lib]\n")
        write(tmp_path / "lib" / "deep" / "words.txt", "a")
        copy = write_resolved(flow, Variant(), tmp_path / "copy")
        assert files_in(copy.folder) == ["flow.dag.yaml", "lib/deep/words.txt", "say.py"]

    def test_what_is_included_must_not_hide_what_is_there(self, tmp_path: Path) -> None:
        flow = write_flow(tmp_path, "additional_includes: [../lib/say.py]\n")
        write(tmp_path / "lib" / "say.py", "other = 1\n")
        said = r"^flow 'flow': 'say.py' is in its folder, and among its additional_includes too$"
        with pytest.raises(RunError, match=said):
            write_resolved(flow, Variant(), tmp_path / "copy")

    def test_secrets_and_caches_stay_where_they_are(self, tmp_path: Path) -> None:
        flow = write_flow(tmp_path)
        for name in (".env", "__pycache__/say.cpython-311.pyc", ".promptflow/flow.log"):
            write(flow.folder / name, "secret")
        copied = files_in(write_resolved(flow, Variant(), tmp_path / "copy").folder)
        assert not {".env", "__pycache__/say.cpython-311.pyc"} & set(copied)

    def test_the_flow_itself_is_left_as_it_is(self, tmp_path: Path) -> None:
        flow = write_flow(tmp_path, "additional_includes: [../lib]\n")
        write(tmp_path / "lib" / "words.txt", "a")
        before = {name: (flow.folder / name).read_bytes() for name in files_in(flow.folder)}
        write_resolved(flow, Variant(overrides={"say.text": "x"}), tmp_path / "copy")
        assert {name: (flow.folder / name).read_bytes() for name in files_in(flow.folder)} == before

    def test_the_code_of_a_flex_flow_in_another_folder_is_the_folder_of_the_copy(self, tmp_path: Path) -> None:
        write(tmp_path / "flow" / "flow.flex.yaml", "entry: say:say\ncode: .\n")
        write(tmp_path / "flow" / "say.py", "def say(text):\n    return text\n")
        copy = write_resolved(flow_in(tmp_path / "flow", "flow.flex.yaml", "flex"), Variant(), tmp_path / "copy")
        assert read(copy) == {"entry": "say:say"}

    def test_a_prompty_is_copied_as_it_is(self, tmp_path: Path) -> None:
        copy = write_resolved(flow_in(FLOWS / "prompty", "ask.prompty", "prompty"), Variant(), tmp_path / "copy")
        assert copy.file.read_bytes() == (FLOWS / "prompty" / "ask.prompty").read_bytes()


@pytest.mark.parametrize(
    ("variant", "error"),
    [
        (Variant(nodes={"gret": "long"}), "the flow has no node 'gret'; did you mean 'greet'?"),
        (Variant(nodes={"greet": "lon"}), "node 'greet' has no variant 'lon'; it has short, long"),
        (Variant(nodes={"plain": "long"}), "node 'plain' has no variants"),
        (Variant(overrides={"clos.x": 3}), "override 'clos.x': the flow has no node 'clos'; did you mean 'close'?"),
        (
            Variant(overrides={"close.time": 3}),
            "override 'close.time': node 'close' has no input 'time'; did you mean 'times'?",
        ),
    ],
)
def test_what_the_flow_does_not_have_is_refused_in_the_words_of_a_local_run(
    tmp_path: Path, variant: Variant, error: str
) -> None:
    with pytest.raises(RunError) as refused:
        write_resolved(greeting(), variant, tmp_path / "copy")
    assert str(refused.value) == error


@pytest.mark.parametrize(
    ("kind", "file", "variant", "error"),
    [
        ("callable", "say.py", Variant(), "is a Python function, and only flows with a definition can be copied"),
        (
            "flex",
            "flow.flex.yaml",
            Variant(nodes={"a": "b"}),
            "has no nodes, so no variants or overrides of nodes either",
        ),
        (
            "prompty",
            "say.prompty",
            Variant(overrides={"a.b": 1}),
            "has no nodes, so no variants or overrides of nodes either",
        ),
    ],
)
def test_flows_without_nodes(tmp_path: Path, kind: FlowKind, file: str, variant: Variant, error: str) -> None:
    flow = flow_in(tmp_path / "flow", file, kind)
    with pytest.raises(RunError) as refused:
        write_resolved(flow, variant, tmp_path / "copy")
    assert str(refused.value) == f"flow 'flow' {error}"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nodes: [\n", "flow.dag.yaml: not valid YAML: while parsing a flow node"),
        ("- nodes\n", "flow.dag.yaml: is not the definition of a flow"),
        ("", "flow.dag.yaml: is not the definition of a flow"),
    ],
)
def test_definitions_that_are_none(tmp_path: Path, text: str, error: str) -> None:
    write(tmp_path / "flow" / "flow.dag.yaml", text)
    with pytest.raises(RunError) as refused:
        write_resolved(flow_in(tmp_path / "flow"), Variant(), tmp_path / "copy")
    assert str(refused.value) == error


def test_files_that_can_t_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^flow 'flow' can't be copied: No such file or directory: .*flow\.dag\.yaml$"):
        write_resolved(flow_in(tmp_path / "flow"), Variant(), tmp_path / "copy")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_flow(folder: Path, more: str = "") -> Flow:
    """Write a flow of one node."""
    node = "{name: say, type: python, source: {type: code, path: say.py}, inputs: {text: hi}}"
    write(folder / "flow" / "flow.dag.yaml", f"{more}inputs: {{}}\noutputs: {{}}\nnodes:\n- {node}\n")
    write(folder / "flow" / "say.py", "from promptflow.core import tool\n")
    return flow_in(folder / "flow")
