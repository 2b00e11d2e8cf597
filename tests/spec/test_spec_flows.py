"""What is read of flows, and flows that can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_case import Case

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.experiment import Flow, Port
from pytest_llmops.spec import find_flow

MAIN = "evals/case/flows/main"
CLASS = """\
class Answer:
    def __init__(self, prefix: str, *, limit=3, **more):
        self.prefix = prefix

    async def __call__(self, text: "str", score: float = 0.5, tags: list[str] | None = None) -> str:
        return self.prefix + text
"""


def read(folder: Path, text: str = "flow") -> Flow:
    return find_flow(text, base=folder, root=folder)


def refused(folder: Path, text: str = "flow") -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text)
    return str(caught.value).splitlines()


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "flow").mkdir()
    return tmp_path / "flow"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_places_of_flows_in_order(tmp_path: Path) -> None:
    base = tmp_path / "evals" / "case"
    for folder in ("flows/main", "evals/case/flows/main", "evals/case/main"):
        write(tmp_path / folder / "flow.dag.yaml", "nodes: []\n")
    for expected in ("evals/case/main", "evals/case/flows/main", "flows/main"):
        assert find_flow("main", base=base, root=tmp_path).folder == tmp_path / expected
        (tmp_path / expected / "flow.dag.yaml").unlink()

    with pytest.raises(ConfigurationError) as caught:
        find_flow("main", base=base, root=tmp_path)
    assert str(caught.value) == (
        "flow: folder 'evals/case/main' does not hold a flow.dag.yaml, a flow.flex.yaml, a workflow.py or a single "
        ".prompty file; add the flow's definition"
    )


WORKFLOW = "def create_workflow(variant='few_shot', *, depth: int): ...\n"


def test_a_folder_with_a_workflow(flow: Path) -> None:
    write(flow / "workflow.py", WORKFLOW)
    write(flow / "executors.py", "")

    assert read(flow.parent) == Flow(
        name="flow",
        kind="workflow",
        file=flow / "workflow.py",
        folder=flow,
        entry="workflow:create_workflow",
        init={
            "variant": Port(name="variant", type="string", default="few_shot", required=False),
            "depth": Port(name="depth", type="int"),
        },
        open_inputs=True,
    )


@pytest.mark.parametrize(
    ("module", "name"), [("agents.workflow", "agents"), ("agents.ner", "ner"), ("workflow", "case"), ("ner", "ner")]
)
def test_a_workflow_by_its_module(tmp_path: Path, module: str, name: str) -> None:
    file = tmp_path / "case" / f"{module.replace('.', '/')}.py"
    write(file, WORKFLOW)
    found = find_flow(f"{module}:create_workflow", base=tmp_path / "case", root=tmp_path)

    assert (found.kind, found.name, found.entry) == ("workflow", name, f"{module}:create_workflow")
    assert (found.file, found.folder, list(found.init)) == (file, tmp_path / "case", ["variant", "depth"])


def test_another_function_of_a_workflow_module_is_a_function(flow: Path) -> None:
    write(flow / "workflow.py", f"{WORKFLOW}def answer(text): ...\n")
    found = read(flow, "workflow:answer")

    assert (found.kind, found.name, list(found.inputs)) == ("callable", "answer", ["text"])


@pytest.mark.parametrize(
    ("definition", "text", "kind"),
    [("flow.dag.yaml", "nodes: []\n", "dag"), ("flow.flex.yml", "entry: workflow:create_workflow\n", "flex")],
)
def test_a_definition_goes_before_a_module_named_workflow(flow: Path, definition: str, text: str, kind: str) -> None:
    write(flow / "workflow.py", WORKFLOW)
    write(flow / definition, text)

    assert (read(flow.parent).kind, read(flow.parent).file) == (kind, flow / definition)


def test_prompty_files_beside_a_workflow_are_its_prompts(flow: Path) -> None:
    write(flow / "workflow.py", WORKFLOW)
    write(flow / "ask.prompty", PROMPTY)
    write(flow / "check.prompty", PROMPTY)

    assert read(flow.parent).kind == "workflow"
    assert read(flow.parent, "flow/ask.prompty").kind == "prompty"


@pytest.mark.parametrize(
    ("source", "init", "is_open"),
    [
        ("def create_workflow(): ...", [], False),
        ("def create_workflow(variants: dict[str, str] | None = None): ...", ["variants"], False),
        ("def create_workflow(variant='a', **more): ...", ["variant"], True),
        ("from inner import create_workflow", [], True),
        ("create_workflow = functools.partial(make, depth=2)", [], True),
    ],
)
def test_parameters_of_workflows(case: Case, source: str, init: list[str], is_open: bool) -> None:
    (case.folder / "flows/main/flow.dag.yaml").unlink()
    case.write("flows/main/workflow.py", source)
    case.append("llmops:\n  variants: {overrides: {init.other: [1]}}\n")

    assert list(find_flow("main", base=case.folder, root=case.root).init) == init
    if is_open:
        assert case.load().variants.overrides == {"init.other": (1,)}
    else:
        (error,) = case.errors()
        assert error.startswith("evals/case/experiment.yaml:19: llmops.variants.overrides.init.other: flow 'main' has ")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def create_worklfow(): ...", ": there is no 'create_workflow'; did you mean 'create_worklfow'?"),
        ("import os", ": there is no 'create_workflow'; correct the file"),
        ("def create_workflow(:", ":1: not valid Python: invalid syntax; correct the file"),
    ],
)
def test_workflows_that_can_not_be_made(flow: Path, source: str, message: str) -> None:
    write(flow / "workflow.py", source)

    assert refused(flow.parent) == [f"flow/workflow.py{message}"]


@pytest.mark.parametrize("name", ["flow.dag.yaml", "flow.dag.yml"])
def test_names_of_dag_files(flow: Path, name: str) -> None:
    write(flow / name, "nodes: []\n")

    assert (read(flow.parent).kind, read(flow.parent).file, read(flow.parent).name) == ("dag", flow / name, "flow")


def test_folder_with_several_flows(flow: Path) -> None:
    write(flow / "flow.dag.yaml", "nodes: []\n")
    write(flow / "flow.flex.yaml", "entry: a:b\n")

    assert refused(flow.parent) == [
        "flow: folder 'flow' holds several flows (flow.dag.yaml, flow.flex.yaml); "
        "keep one of them, or name a .prompty file"
    ]


def test_class_flow(flow: Path) -> None:
    write(flow / "flow.flex.yml", "entry: inner.answer:Answer\n")
    write(flow / "inner/answer.py", CLASS)
    found = read(flow.parent)

    assert (found.kind, found.entry, found.folder) == ("flex", "inner.answer:Answer", flow)
    assert found.inputs == {
        "text": Port(name="text", type="string"),
        "score": Port(name="score", type="double", default=0.5, required=False),
        "tags": Port(name="tags", type="list", required=False),
    }
    assert found.init == {
        "prefix": Port(name="prefix", type="string"),
        "limit": Port(name="limit", type="int", default=3, required=False),
    }
    assert found.outputs == ("output",)
    assert not found.open_inputs


@pytest.mark.parametrize(
    ("source", "inputs", "is_open"),
    [
        ("def answer(text, *words, **more): ...", ["text"], True),
        ("from somewhere import answer", [], True),
        ("answer = make()", [], True),
        ("if True:\n    def answer(text, /, *, tone='x'): ...", ["text", "tone"], False),
        ("class answer(Base):\n    pass", [], True),
        ("class Base:\n    def __call__(self, text): ...\nclass answer(Base):\n    pass", ["text"], False),
        ("@trace\ndef answer(text, model: AzureOpenAIModelConfiguration): ...", ["text", "model"], False),
    ],
)
def test_signatures(tmp_path: Path, source: str, inputs: list[str], is_open: bool) -> None:
    write(tmp_path / "module.py", source)
    found = read(tmp_path, "module:answer")

    assert (list(found.inputs), found.open_inputs) == (inputs, is_open)


def test_types_of_parameters(tmp_path: Path) -> None:
    write(
        tmp_path / "module.py",
        "def f(a: Optional[int], b: typing.Dict[str, int], c: 'bool', d=1.5, e=None, "
        "g: CustomConnection = X, h=[1]): ...",
    )
    inputs = read(tmp_path, "module:f").inputs

    assert {name: port.type for name, port in inputs.items()} == {
        "a": "int", "b": "object", "c": "bool", "d": "double", "e": "object", "g": "CustomConnection", "h": "list",
    }  # fmt: skip
    assert [name for name, port in inputs.items() if port.required] == ["a", "b", "c"]
    assert inputs["h"].default == [1]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def answr(text): ...", "module.py: there is no 'answer'; did you mean 'answr'?"),
        ("def other(text): ...", "module.py: there is no 'answer'; it has: 'other'"),
        ("", "module.py: there is no 'answer'; correct the file"),
        ("def answer(text:\n", "module.py:1: not valid Python: '(' was never closed; correct the file"),
        ("class answer:\n    pass", "module.py:1: class 'answer' has no method '__call__'; correct the file"),
    ],
)
def test_entries_that_can_not_be_called(tmp_path: Path, source: str, message: str) -> None:
    write(tmp_path / "module.py", source)

    assert refused(tmp_path, "module:answer") == [message]


def test_module_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "pkg" / "answers.py", "")

    assert refused(tmp_path, "pkg.answer:main") == [
        "flow: no module 'pkg/answer.py', looked for pkg/answer.py; did you mean 'answers.py'?"
    ]


@pytest.mark.parametrize(
    ("yaml", "messages"),
    [
        ("environment: {}\n", [
            "flow/flow.flex.yaml:1: entry: key is missing; write entry: module:function or entry: module:Class"
        ]),
        ("entry: answer\n", [
            "flow/flow.flex.yaml:1: entry: 'answer' is no entry; write entry: module:function or entry: module:Class"
        ]),
        ("entry: gone:f\n", ["flow/flow.flex.yaml:1: entry: there is no file 'flow/gone.py'; correct the module"]),
        ("entry: m:f\ninputs:\n  txt: {type: string}\n", [
            "flow/flow.flex.yaml:2: inputs: lacks the entry's 'text', and prompt flow wants all or none; add it",
            "flow/flow.flex.yaml:3: inputs.txt: not a parameter of the entry; did you mean 'text'?",
        ]),
        ("entry: m:f\ninit:\n  k: {type: int}\n", [
            "flow/flow.flex.yaml:3: init.k: not a parameter of the entry; its parameters: none"
        ]),
        ("entry: m:f\ninputs:\n  text: {}\n", ["flow/flow.flex.yaml:3: inputs.text: key 'type' is missing; add it"]),
        ("entry: m:f\noutputs:\n  label: {type: string}\n", [
            "flow/flow.flex.yaml:2: outputs: the entry's return type has no fields, so prompt flow only accepts "
            "'output' here; remove it, or annotate the return with a TypedDict or a dataclass"
        ]),
        ("- a\n", ["flow/flow.flex.yaml:1: is not a mapping; write the flow's definition"]),
    ],
)  # fmt: skip
def test_flex_files_that_do_not_fit(flow: Path, yaml: str, messages: list[str]) -> None:
    write(flow / "m.py", "def f(text: str): ...")
    write(flow / "flow.flex.yaml", yaml)

    assert refused(flow.parent) == messages


def test_outputs_that_a_return_type_declares(flow: Path) -> None:
    write(flow / "m.py", "def f(text: str) -> Result: ...")
    write(flow / "flow.flex.yaml", "entry: m:f\noutputs:\n  label: {type: string}\n")

    assert read(flow.parent).outputs == ("label",)


def test_signature_in_the_file_wins(flow: Path) -> None:
    write(flow / "m.py", "class A:\n    def __init__(self, k=1): ...\n    def __call__(self, text): ...")
    write(
        flow / "flow.flex.yaml", "entry: m:A\ninputs:\n  text: {type: string, default: hi}\ninit:\n  k: {type: int}\n"
    )

    assert read(flow.parent).inputs == {"text": Port(name="text", type="string", default="hi", required=False)}
    assert read(flow.parent).init == {"k": Port(name="k", type="int")}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("inputs:\n  text:\n    type: string\n", "inputs: [text]\n",
         "1: inputs: expected a mapping, but YAML reads this as a list; correct it"),
        ("inputs:\n  text:\n    type: string\n", "inputs:\n  text: string\n",
         "2: inputs.text: expected a mapping, but YAML reads this as the text 'string'; correct it"),
        ("    type: string\noutputs", "    default: x\noutputs", "2: inputs.text: key 'type' is missing; add it"),
        ("    default_variant_id: short\n", "",
         "18: node_variants.ask: key 'default_variant_id' is missing; add it, variants: 'short', 'long'"),
        ("_id: short\n", "_id: shrot\n",
         "19: node_variants.ask.default_variant_id: there is no variant 'shrot'; did you mean 'short'?"),
        ("nodes:\n- name: ask\n", "nodes: 3\nx:\n- name: ask\n",
         "8: nodes: expected a list, but YAML reads this as the number 3; correct it"),
        ("outputs:\n", "outputs:\n  answer: {type: string}\n",
         "6: outputs.answer: key is already set on line 5; remove one of the two"),
    ],
)  # fmt: skip
def test_dag_files_that_do_not_fit(case: Case, old: str, new: str, message: str) -> None:
    case.edit("flows/main/flow.dag.yaml", old, new)

    assert f"{MAIN}/flow.dag.yaml:{message}" in case.errors()


def test_variants_that_a_node_does_not_use(case: Case) -> None:
    case.edit("flows/main/flow.dag.yaml", "  use_variants: true\n", "  inputs: {temperature: 1}\n")

    assert case.load().flow.variants == {}
    assert case.load().warnings == (
        f"{MAIN}/flow.dag.yaml:18: node_variants.ask: node 'ask' does not set 'use_variants: true', so that its "
        "variants are all the same, ignored; set it, or remove the variants",
    )


def test_node_without_the_variants_that_it_uses(case: Case) -> None:
    case.edit("flows/main/flow.dag.yaml", "- name: tidy\n", "- {name: other, use_variants: true}\n- name: tidy\n")

    assert case.errors() == [
        f"{MAIN}/flow.dag.yaml:11: nodes.other: has no variants to use; define them under 'node_variants:'"
    ]


def test_broken_yaml(case: Case) -> None:
    case.write("flows/main/flow.dag.yaml", "inputs: {\n")

    assert case.errors() == [
        f"{MAIN}/flow.dag.yaml:2: not valid YAML: did not find expected node content; "
        "correct the file at or just above this line"
    ]


def test_words_that_only_yaml_1_1_takes_for_booleans(flow: Path) -> None:
    write(
        flow / "flow.dag.yaml",
        "inputs:\n  on: {type: string}\nnodes:\n- {name: a, use_variants: true}\n"
        "node_variants:\n  a:\n    default_variant_id: no\n"
        "    variants:\n      no: {node: {connection: c, inputs: {x: 1}}}\n      0: {node: {inputs: {y: 1}}}\n",
    )
    found = read(flow.parent)

    assert list(found.inputs) == ["on"]
    assert (found.variants["a"].default, found.variants["a"].choices) == ("no", ("no", "0"))
    assert (found.node_inputs, found.connections) == ({"a": ("x", "y")}, ("c",))


PROMPTY = """\
---
name: Answer
model:
  api: chat
  configuration: {type: openai, connection: local}
  parameters: {max_tokens: 5}
inputs:
  text: {type: string}
---
user:
{{text}}
"""


def test_prompty_in_a_folder_and_by_itself(flow: Path) -> None:
    write(flow / "answer.prompty", PROMPTY)
    found = read(flow.parent)

    assert found == read(flow.parent, "flow/answer.prompty")
    assert (found.name, found.kind, found.outputs, found.connections) == ("answer", "prompty", ("output",), ("local",))


@pytest.mark.parametrize(
    ("parameters", "outputs"),
    [("{response_format: {type: text}}", ("output",)), ("{response_format: {type: json_object}}", ("label",))],
)
def test_outputs_of_prompty(flow: Path, parameters: str, outputs: tuple[str, ...]) -> None:
    text = PROMPTY.replace("{max_tokens: 5}", parameters)
    write(flow / "a.prompty", text.replace("inputs:\n", "outputs: {label: {type: string}}\ninputs:\n"))

    assert read(flow.parent).outputs == outputs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user:\nhello\n", "flow/a.prompty:1: has no front matter; start it with YAML between two lines of '---'"),
        (PROMPTY.replace("inputs:\n  text: {type: string}\n", "sample: {text: hi}\n"),
         "flow/a.prompty:7: sample: declares a sample but no inputs: prompt flow would answer the sample on every row; "
         "declare the inputs under 'inputs:'"),
        (PROMPTY.replace("{type: string}", "string"),
         "flow/a.prompty:8: inputs.text: expected a mapping, but YAML reads this as the text 'string'; correct it"),
        (PROMPTY.replace("{type: string}", "{type: string"),
         "flow/a.prompty:9: not valid YAML: did not find expected ',' or '}'; "
         "correct the file at or just above this line"),
    ],
)  # fmt: skip
def test_prompty_that_does_not_fit(flow: Path, text: str, message: str) -> None:
    write(flow / "a.prompty", text)

    assert refused(flow.parent) == [message]
