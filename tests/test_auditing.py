"""What of a flow a candidate covers, told from source text: names, settings, variables, interfaces, prompts, files."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_case import MAIN, Case

from pytest_llmops.auditing import audit
from pytest_llmops.auditing.module import Module, Value
from pytest_llmops.auditing.prompts import folded, missing_lines
from pytest_llmops.auditing.python import read_module, snake_case
from pytest_llmops.records.experiment import Experiment
from pytest_llmops.reports.audit import audit_lines, json_lines

CANDIDATE = "llmops: {candidates: [{name: new, flow: main-maf, parity: {agreement: '>= 0.9'}}]}\n"
FACTORY = "def create_workflow():\n    return None\n"


def module(source: str) -> Module:
    return read_module(source, "m.py")


def case(root: Path, workflow: str, **files: str) -> Case:
    """A use case whose flow has a candidate that is a workflow."""
    made = Case(root)
    made.write("flows/main/tidy.py", "def tidy(answer, limit):\n    return answer[:limit]\n")
    made.write("flows/main-maf/workflow.py", workflow if "def create_workflow" in workflow else workflow + FACTORY)
    for name, text in files.items():
        made.write(name, text)
    made.append(CANDIDATE)
    return made


def findings(experiment: Experiment, topic: str) -> list[tuple[str, str, str]]:
    found = audit(experiment, experiment.candidates[0]).findings
    return [(each.subject, each.state, each.note) for each in found if each.topic == topic]


@pytest.mark.parametrize(
    "source",
    [
        "class TidyUp(Executor): ...",
        "class TidyUpExecutor(Base): ...",
        "class TidyUp:\n    @handler\n    async def go(self, text: str, ctx): ...",
        "Anything(id='tidy_up')",
        "Agent(client, name='TidyUpAgent')",
        "AgentExecutor(agent, id='tidy-up')",
        "class Any(Executor):\n    def __init__(self):\n        super().__init__('tidy_up')",
        "NAME = 'tidy_up'\nAnything(id=NAME)",
        "@executor\nasync def tidy_up(text, ctx): ...",
        "@executor(id='tidy_up')\nasync def other(text, ctx): ...",
    ],
)
def test_an_executor_has_the_name_of_a_node(source: str) -> None:
    assert "tidy_up" in module(source).names


@pytest.mark.parametrize(
    "source",
    [
        "class TidyUp: ...",
        "def tidy_up(): ...",
        "print('tidy_up')",
        "WorkflowBuilder(name='tidy_up')",
        "# tidy_up",
    ],
)
def test_what_makes_no_executor_has_no_name(source: str) -> None:
    assert "tidy_up" not in module(source).names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ExtractExecutor", "extract"),
        ("HTTPFetchAgent", "http_fetch"),
        ("Executor", "executor"),
        ("tidy-up", "tidy_up"),
        ("Tidy up", "tidy_up"),
        ("ask2Times", "ask2_times"),
        ("__", ""),
    ],
)
def test_names_are_compared_in_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("ask(temperature=0)", Value(known=True, literal=0)),
        ("x = {'temperature': 0.5}", Value(known=True, literal=0.5)),
        ("x['temperature'] = -1", Value(known=True, literal=-1)),
        ("T = 2\nask(temperature=T)", Value(known=True, literal=2)),
        ("def ask(temperature=0): ...", Value(known=True, literal=0)),
        ("def ask(*, temperature=0): ...", Value(known=True, literal=0)),
        ("self.temperature = 0", Value(known=True, literal=0)),
        ("ask(temperature=choose())", Value()),
        ("import os\nask(temperature=os.environ['T'])", Value(variable="T")),
        ("import os\nask(temperature=os.getenv('T', '0'))", Value(known=True, literal="0", variable="T")),
        ("import os\nT = os.environ.get('T')\nask(temperature=T)", Value(variable="T")),
    ],
)
def test_a_setting_has_the_value_that_is_written(source: str, value: Value) -> None:
    assert [each.value for each in module(source).settings if each.key == "temperature"] == [value]


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("os.environ['A']", [(("A",), False)]),
        ("environ.get('A')", [(("A",), False)]),
        ("os.getenv('A', 'x')", [(("A",), True)]),
        ("os.environ['A'] = 'x'", []),
        ("os.environ[name]", []),
        ("settings['A']", []),
        (
            "class S(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='APP_')\n    key: str",
            [(("APP_KEY",), False)],
        ),
        (
            "class S(BaseSettings):\n    class Config:\n        env_prefix = 'APP_'\n    key: str = 'x'",
            [(("APP_KEY",), True)],
        ),
        ("class S(BaseSettings):\n    key: str", [(("KEY",), False)]),
        ("OpenAIChatClient(model='m', api_key='k', base_url='u')", []),
        ("OpenAIChatClient('m', credential=c, azure_endpoint='u')", []),
        ("OpenAIChatClient('m', async_client=c)", []),
        (
            "OpenAIChatClient(azure_endpoint='u')",
            [(("AZURE_OPENAI_API_KEY",), False), (("AZURE_OPENAI_CHAT_MODEL", "AZURE_OPENAI_MODEL"), False)],
        ),
        ("AsyncOpenAI()", [(("OPENAI_API_KEY",), False), (("OPENAI_BASE_URL",), True)]),
        ("OpenAI(base_url='u', **rest)", [(("OPENAI_API_KEY",), True)]),
        (
            "AzureOpenAI(api_key='k')",
            [(("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"), False), (("OPENAI_API_VERSION",), False)],
        ),
    ],
)
def test_variables_are_read_by_code_and_by_clients(source: str, reads: list[tuple[tuple[str, ...], bool]]) -> None:
    assert [(each.names, each.optional) for each in module(source).reads] == reads


START = "class Ask(Executor):\n    @handler\n    async def go(self, message: {type}, ctx): ...\n"
BUILD = "def create_workflow():\n    ask = Ask(id='ask')\n    return WorkflowBuilder(start_executor=ask).build()\n"


@pytest.mark.parametrize(
    ("source", "state", "note"),
    [
        (START.format(type="str") + BUILD, "covered", "in a text, which the workflow takes"),
        ("@dataclass\nclass Row:\n    text: str\n" + START.format(type="Row") + BUILD, "covered", "in Row"),
        ("@dataclass\nclass Row:\n    other: str\n" + START.format(type="Row") + BUILD, "open", "not found in Row"),
        ("class Row(BaseModel):\n    text: str\n" + START.format(type="'Row'") + BUILD, "covered", "in Row"),
        (
            "class Row(TypedDict):\n    text: str\nclass More(Row):\n    more: str\n"
            + START.format(type="m.More")
            + BUILD,
            "covered",
            "in More",
        ),
        ("from other import Row\n" + START.format(type="Row") + BUILD, "unknown", "checked when it runs"),
        (START.format(type="dict[str, str]") + BUILD, "unknown", "checked when it runs"),
        ("def create_workflow():\n    return make()\n", "unknown", "checked when it runs"),
        (
            "@executor(id='ask')\nasync def ask(text: str, ctx): ...\n"
            "def create_workflow():\n    return WorkflowBuilder(start_executor=ask).build()\n",
            "covered",
            "in a text, which the workflow takes",
        ),
        (
            "def create_workflow():\n    return WorkflowBuilder().set_start_executor(Agent(client)).build()\n",
            "covered",
            "in a text, which the workflow takes",
        ),
    ],
)
def test_inputs_are_the_fields_that_the_start_executor_takes(
    tmp_path: Path, source: str, state: str, note: str
) -> None:
    assert findings(case(tmp_path, source).load(), "input") == [("text", state, note)]


@pytest.mark.parametrize(
    ("source", "state", "note"),
    [
        ("async def f(ctx): await ctx.yield_output({'answer': 1})\n", "covered", "in what is yielded"),
        ("async def f(ctx): await ctx.yield_output({'other': 1})\n", "open", "not found in what is yielded"),
        ("async def f(ctx): await ctx.yield_output({'other': 1, **more})\n", "unknown", "checked when it runs"),
        ("async def f(ctx):\n    x = {'answer': 1}\n    await ctx.yield_output(x)\n", "covered", "in what is yielded"),
        (
            "async def f(ctx):\n    x = {'other': 1}\n    x['answer'] = 2\n    await ctx.yield_output(x)\n",
            "unknown",
            "checked when it runs",
        ),
        (
            "@dataclass\nclass Out:\n    answer: str\nasync def f(ctx): await ctx.yield_output(Out('x'))\n",
            "covered",
            "in what is yielded",
        ),
        ("async def f(ctx): await ctx.yield_output(answer.text)\n", "unknown", "checked when it runs"),
        ("", "unknown", "checked when it runs"),
    ],
)
def test_outputs_are_the_keys_that_are_yielded(tmp_path: Path, source: str, state: str, note: str) -> None:
    assert findings(case(tmp_path, source).load(), "output") == [("answer", state, note)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("ask(temperature=0.0)\n", ("covered", "workflow.py:1")),
        ("ask(temperature='0')\n", ("covered", "workflow.py:1")),
        ("ask(temperature=0)\nask(temperature=1)\n", ("covered", "workflow.py:1; another value at workflow.py:2")),
        ("ask(temperature=False)\n", ("open", "another value at workflow.py:1")),
        ("ask(temperature=f())\n", ("open", "it is set at workflow.py:1, to what only running tells")),
        (
            "import os\nask(temperature=os.environ['HEAT'])\n",
            ("open", "it is read from HEAT, whose value is not in the files"),
        ),
        ("# temperature=0\n", ("open", "not found")),
    ],
)
def test_a_setting_counts_where_the_same_value_is_written(
    tmp_path: Path, source: str, expected: tuple[str, str]
) -> None:
    found = findings(case(tmp_path, source).load(), "setting")
    assert found[0] == ("temperature: 0 of ask (short, long)", *expected)
    assert found[1] == ("max_tokens: 9 of ask (long)", "open", "not found")


def test_a_model_may_come_from_a_variable_that_the_experiment_gives(tmp_path: Path) -> None:
    made = case(tmp_path, "client = OpenAIChatClient()\n")
    made.edit("flows/main/flow.dag.yaml", '{temperature: 0, text: "${inputs.text}"}', "{deployment_name: small}")
    subject = "deployment_name: small of ask (short)"
    names = "OPENAI_CHAT_MODEL or OPENAI_MODEL or AZURE_OPENAI_CHAT_MODEL or AZURE_OPENAI_MODEL"
    told = f"it is read from {names}, whose value is not in the files"
    assert findings(made.load(), "setting")[0] == (subject, "open", told)
    made.write("environment/env.yaml", "OPENAI_MODEL: small\nOPENAI_API_KEY: ${OPENAI_API_KEY}\n")
    assert findings(made.load(), "setting")[0] == (subject, "covered", "workflow.py:1")
    assert [state for _, state, _ in findings(made.load(), "variable")] == ["covered", "covered", "unknown"]


@pytest.mark.parametrize(
    ("source", "state", "note"),
    [
        ("os.environ['KEY_OF_X']\n", "covered", "read in its place: KEY_OF_X"),
        (
            "OpenAIChatClient('m', azure_endpoint=os.environ['MY_URL'])\n",
            "covered",
            "read in its place: AZURE_OPENAI_API_KEY; MY_URL",
        ),
        ("os.environ['LANG']\n", "open", "no variable is read that may be a key or an address"),
        ("", "open", "no variable is read that may be a key or an address"),
    ],
)
def test_a_connection_is_a_key_or_an_address_that_is_read(tmp_path: Path, source: str, state: str, note: str) -> None:
    assert findings(case(tmp_path, source).load(), "connection") == [("aoai", state, note)]


def test_what_is_read_has_to_be_given(tmp_path: Path) -> None:
    reads = "".join(f"os.environ['{name}']\n" for name in ("SET", "AOAI_KEY", "NO", "IN"))
    source = f"import os\nos.environ['SET'] = 'x'\n{reads}"
    made = case(tmp_path, source + "os.getenv('NO', 'x')\nos.getenv('D', 'x')\n")
    made.write("environment/env.yaml", "IN: x\n")
    made.append("connections: [{name: aoai, connection_type: azure_open_ai, api_key: '${key}'}]\n")
    assert findings(made.load(), "variable") == [
        ("SET", "covered", "the code sets it, read at workflow.py:3"),
        ("AOAI_KEY", "covered", "connection aoai, read at workflow.py:4"),
        ("NO", "open", "neither environment/env.yaml nor a connection gives it, read at workflow.py:5"),
        ("IN", "covered", "environment/env.yaml, read at workflow.py:6"),
        ("D", "covered", "it has a default, read at workflow.py:8"),
    ]


@pytest.mark.parametrize(
    ("source", "candidate", "short", "long"),
    [
        (
            FACTORY,
            "",
            ("covered", "the default, which a candidate without variants stands for"),
            ("open", "no parameter 'variant', 'variants' or 'ask' to choose it by"),
        ),
        (
            "def create_workflow(variant='short'):\n    return {'long': 1}\n",
            "",
            ("covered", "it is named, and there is a parameter 'variant'"),
            ("covered", "it is named, and there is a parameter 'variant'"),
        ),
        (
            "def create_workflow(ask='short'):\n    return None\n",
            "",
            ("covered", "it is named, and there is a parameter 'ask'"),
            ("open", "nothing names it, though there is a parameter 'ask'"),
        ),
        (
            "def create_workflow(variants):\n    return None\n",
            ", init: {variants: {ask: long}}",
            ("open", "nothing names it, though there is a parameter 'variants'"),
            ("covered", "the candidate is run with it: init"),
        ),
    ],
)
def test_a_variant_has_to_be_named_and_chosen(
    tmp_path: Path, source: str, candidate: str, short: tuple[str, str], long: tuple[str, str]
) -> None:
    made = case(tmp_path, source)
    made.edit("experiment.yaml", "flow: main-maf", f"flow: main-maf{candidate}")
    assert findings(made.load(), "variant") == [("ask: short", *short), ("ask: long", *long)]


ASK = "type: llm, source: {type: code, path: ask.jinja2}, inputs: {}}"


def test_prompts_are_compared_by_their_lines() -> None:
    template = (
        "# system:\nBe  brief.\n{% if x %}\nAnswer in {{ language }}, please.\n{% endif %}\n---\n{# no #}\nnone\n"
    )
    assert missing_lines(template, folded('say("Be\n  brief. Answer in ", x, ", please. none")')) == ([], 3)
    assert missing_lines(template, "Be brief. nonetheless, please.") == (["Answer in … , please.", "none"], 3)
    assert missing_lines("{{ text }}", "") == ([], 0)
    assert missing_lines("a {{ x {# y\nb #} c }} d {% e", "") == (["a … d {% e"], 1)


@pytest.mark.parametrize("piece", ["{{", "{%", "{{ x }}", "{{{", " ", "---\n", "a\n", "#", "}}{#"])
def test_a_template_is_read_in_one_pass(piece: str) -> None:
    missing, lines = missing_lines(piece * 100_000, "")
    assert len(missing) == lines


@pytest.mark.parametrize(
    "source",
    [
        "P = '''Be brief.\nAnswer {\"a\": 1} to'''\n",
        "P = 'Be brief. ' + f'Answer {{\"a\": 1}} to {question}'\n",
        "P = 'Be brief.\\nAnswer {{\"a\": 1}} to {question}'.format(question=1)\n",
    ],
)
def test_a_prompt_may_be_in_the_code(tmp_path: Path, source: str) -> None:
    made = case(tmp_path, source)
    plain = 'type: llm, connection: aoai, inputs: {temperature: 0, text: "${inputs.text}"}}'
    made.edit("flows/main/flow.dag.yaml", plain, ASK)
    told = "the flow's, not read: there is no such file"
    assert findings(made.load(), "prompt") == [("ask.jinja2 of ask (short)", "open", told)]
    made.write("flows/main/ask.jinja2", 'user:\nBe brief.\nAnswer {"a": 1} to {{text}}\n')
    assert findings(made.load(), "prompt") == [("ask.jinja2 of ask (short)", "covered", "2 of 2 lines")]


def test_files_that_the_flow_reads_imports_or_includes_are_listed(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    made.write("flows/main/tidy.py", "import pkg.words\nX = 'data/list.csv'\nY = 'pages'\n")
    for name in ("pkg/__init__.py", "pkg/words.py", "data/list.csv", "pages/one.md", "not_used.py"):
        made.write(f"flows/main/{name}", "")
    made.append("additional_includes: [../shared/notes.txt]\n", "flows/main/flow.dag.yaml")
    lost = "no file of this name"
    assert findings(made.load(), "file") == [
        ("tidy.py", "open", lost),
        ("pkg/__init__.py", "open", lost),
        ("pkg/words.py", "open", lost),
        ("data/list.csv", "open", lost),
        ("pages", "open", lost),
        ("../shared/notes.txt", "open", lost),
    ]
    for name in ("tidy.py", "__init__.py", "deep/words.py", "list.csv", "pages/two.md", "notes.txt"):
        made.write(f"flows/main-maf/{name}", "")
    assert {state for _, state, _ in findings(made.load(), "file")} == {"covered"}


def test_a_template_that_code_reads_is_a_prompt(tmp_path: Path) -> None:
    made = case(tmp_path, "SAID = 'Be brief.'\n")
    made.write("flows/main/tidy.py", "X = 'say.jinja2'\nask(temperature=0.5, n=3)\ntop_p = 1\n")
    made.write("flows/main/say.jinja2", "Be brief.\nBe kind.\n")
    told = '1 of 2 lines not found, first "Be kind."'
    assert findings(made.load(), "prompt") == [("say.jinja2 of main", "open", told)]
    assert [subject for subject, *_ in findings(made.load(), "file")] == ["tidy.py"]
    assert findings(made.load(), "setting")[2:] == [
        ("limit: 20 of tidy", "open", "not found"),
        ("temperature: 0.5 of tidy.py:2", "open", "not found"),
    ]


def test_what_a_python_node_is_given_is_a_setting(tmp_path: Path) -> None:
    made = case(tmp_path, "tidy(text, limit=20)\n")
    assert ("limit: 20 of tidy", "covered", "workflow.py:1") in findings(made.load(), "setting")


def test_a_template_of_nothing_but_expressions_can_not_be_looked_for(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    made.write("flows/main/tidy.py", "X = 'say.jinja2'\n")
    made.write("flows/main/say.jinja2", "{{a}}. {{b}}\n")
    why = "it has no text beside its expressions to look for"
    assert findings(made.load(), "prompt") == [("say.jinja2 of main", "unknown", why)]


def test_long_values_that_start_alike_are_told_apart(tmp_path: Path) -> None:
    made = case(tmp_path, f"ask(model='{'m' * 80}a')\n")
    for number, name in enumerate("ab"):
        variant = ("short", "long")[number]
        text = (made.folder / "flows/main/flow.dag.yaml").read_text(encoding="utf-8")
        place = text.index("temperature: 0", text.index(f"      {variant}:"))
        made.write("flows/main/flow.dag.yaml", f"{text[:place]}model: {'m' * 80}{name}, {text[place:]}")
    shown = f"model: {'m' * 59}…"
    states = {subject: state for subject, state, _ in findings(made.load(), "setting") if subject.startswith("model")}
    assert states == {f"{shown} of ask (short)": "covered", f"{shown} of ask (long)": "open"}


def test_the_code_of_a_node_may_be_in_the_node(tmp_path: Path) -> None:
    made = case(tmp_path, "class TidyExecutor(Executor): ...\n")
    assert findings(made.load(), "file") == [("tidy.py", "covered", "its node is at workflow.py:1")]


def test_settings_of_a_definition_are_values_too(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    made.edit("flows/main/flow.dag.yaml", '{temperature: 0, text: "${inputs.text}"}', "{response_format: {type: json}}")
    made.write("flows/main-maf/settings.yaml", "response_format: {type: json}\n")
    subject = 'response_format: {"type": "json"} of ask (short)'
    assert findings(made.load(), "setting")[0] == (subject, "covered", "settings.yaml:1")


def test_what_the_editor_writes_for_a_default_is_no_setting(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    unset = '{stop: "", response_format: {type: text}, seed: null, temperature: "${inputs.text}"}'
    made.edit("flows/main/flow.dag.yaml", '{temperature: 0, text: "${inputs.text}"}', unset)
    told = ("temperature: ${inputs.text} of ask (short)", "unknown", "the flow takes it from elsewhere")
    assert findings(made.load(), "setting")[0] == told


def test_tests_and_readmes_of_a_candidate_prove_nothing(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    for name in ("test_it.py", "conftest.py"):
        made.write(f"flows/main-maf/{name}", "ask(temperature=0)\n")
    made.write("flows/main-maf/settings.yaml", "heat: {temperature: 1}\n")
    assert findings(made.load(), "setting")[0][1:] == ("open", "another value at settings.yaml:1")


def test_a_file_that_is_no_python_is_open(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    made.write("flows/main-maf/broken.py", "ask(temperature=0\n")
    told = "the candidate's, which is no Python: read as text alone"
    assert findings(made.load(), "file")[-1] == ("broken.py", "open", told)


def test_python_that_is_nested_too_deep_is_said_to_be(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    made.write("flows/main-maf/deep.py", f"x = {'-' * 20_000}1\n")
    told = "the candidate's, which is nested too deep to be parsed: read as text alone"
    assert findings(made.load(), "file")[-1] == ("deep.py", "open", told)


def test_files_that_are_not_read_are_open(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    folder = made.folder / "flows/main-maf"
    os.mkfifo(folder / "pipe.py")
    (folder / "zero.txt").symlink_to("/dev/zero")
    (folder / "gone.md").symlink_to("nowhere")
    (folder / "large.yaml").write_text("#" * 1_000_001, encoding="utf-8")
    (folder / "latin.jinja2").write_bytes(b"\xe4")
    (folder / "test_large.py").write_text("#" * 1_000_001, encoding="utf-8")
    experiment = made.load()
    found = audit(experiment, experiment.candidates[0])
    assert found.read == 1
    assert {each.subject: each.note for each in found.findings if each.topic == "file"} == {
        "tidy.py": "no file of this name",
        "gone.md": "the candidate's, not read: there is no such file",
        "large.yaml": "the candidate's, not read: it is larger than 1 MB",
        "latin.jinja2": "the candidate's, not read: it is not UTF-8 text",
        "pipe.py": "the candidate's, not read: it is no regular file",
        "zero.txt": "the candidate's, not read: it is no regular file",
    }


def test_a_folder_that_can_t_be_listed_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = case(tmp_path, "")
    made.write("flows/main-maf/shut/more.py", "X = 1\n")
    experiment = made.load()
    refuse_to_list(made.folder / "flows/main-maf/shut", monkeypatch)
    told = ("shut", "open", "the candidate's, not read: Permission denied")
    assert findings(experiment, "file") == [("tidy.py", "open", "no file of this name"), told]


def refuse_to_list(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one folder be one that nobody may list: for root, who runs tests in containers, there is none."""
    real = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_templates_and_modules_of_the_flow_that_are_not_read_are_open(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    plain = 'type: llm, connection: aoai, inputs: {temperature: 0, text: "${inputs.text}"}}'
    made.edit("flows/main/flow.dag.yaml", plain, ASK)
    made.write("flows/main/tidy.py", "import words\ndef tidy(answer, limit):\n    return answer\n")
    (made.folder / "flows/main/words.py").write_text("#" * 1_000_001, encoding="utf-8")
    experiment = made.load()
    os.mkfifo(made.folder / "flows/main/ask.jinja2")
    told = "the flow's, not read: it is no regular file"
    assert findings(experiment, "prompt") == [("ask.jinja2 of ask (short)", "open", told)]
    assert findings(experiment, "file")[-1] == ("words.py", "open", "the flow's, not read: it is larger than 1 MB")


def test_a_byte_order_mark_is_no_trouble(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    made.write("flows/main-maf/any.py", "\ufeffask(temperature=0)\n")
    assert findings(made.load(), "setting")[0][1:] == ("covered", "any.py:1")


def test_beside_the_flow_only_the_module_of_a_function_is_the_candidates(tmp_path: Path) -> None:
    made = Case(tmp_path)
    made.write("old.py", "from helpers import warm\ndef old(text: str) -> dict:\n    return ask(temperature=0)\n")
    made.write("new.py", "def new(text: str) -> dict:\n    return {}\n")
    made.write("helpers.py", "warm = 1\n")
    made.edit("experiment.yaml", "flow: main\n", "flow: old:old\n")
    made.append(CANDIDATE.replace("main-maf", "'new:new'"))
    assert findings(made.load(), "setting") == [("temperature: 0 of old.py:3", "open", "not found")]
    assert findings(made.load(), "file") == [("helpers.py", "open", "no file of this name")]
    made.write("new.py", "import helpers\nfrom old import old\ndef new(text: str) -> dict:\n    return {}\n")
    assert {state for _, state, _ in findings(made.load(), "setting")} == {"covered"}


@pytest.fixture(scope="module")
def prepared() -> Iterator[Case]:
    folder = Path(tempfile.mkdtemp()).resolve()
    yield case(folder, "")
    shutil.rmtree(folder)


def all_lines(made: Case) -> list[str]:
    experiment = made.load()
    audits = [audit(experiment, experiment.candidates[0])]
    return [*audit_lines(experiment.name, experiment.flow.name, audits), *json_lines("x", "y", audits)]


WORDS = st.sampled_from(
    [
        *"()[]{}:,.=*@\n'\"#\\\0 0",
        *(
            "    ",
            "class ",
            "def ",
            "await ",
            "import ",
            "**",
            "..",
            "f'",
            "ask",
            "id",
            "handler",
            "Executor",
            "temperature",
        ),
        *("os.environ", "getenv", "OpenAI", "BaseSettings", "yield_output", "start_executor"),
    ]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(source=st.one_of(st.text(), st.lists(WORDS, max_size=40).map("".join)), text=st.text())
def test_any_source_and_any_text_is_audited(prepared: Case, source: str, text: str) -> None:
    for name in ("any.py", "any.yaml", "any.prompty", "any.jinja2"):
        data = source if name == "any.py" else text
        (prepared.folder / "flows/main-maf" / name).write_bytes(data.encode("utf-8", "replace"))
    assert all_lines(prepared)[0].startswith("case: what flow 'main' has")


@pytest.mark.parametrize(
    "source",
    [
        "(" * 2000,
        "-" * 50_000 + "1",
        "x" + ".x" * 20_000,
        "{" * 500 + "}" * 500,
        "n = 0x" + "f" * 20_000,
        "f(**{})()()",
        "[a]*b=1",
        "os.environ[1:2]; os.getenv(*x); OpenAIChatClient(*x)",
        "ask(temperature=" + "[" * 90 + "]" * 90 + ")",
    ],
    ids=range(9),
)
def test_extreme_source_is_audited(prepared: Case, source: str) -> None:
    prepared.write("flows/main-maf/any.py", source)
    assert all_lines(prepared)


def test_text_of_a_flow_can_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    made = case(tmp_path, "")
    hostile = MAIN.replace("name: tidy", 'name: "\\e[2J##vso[task.x]\\u202e"').replace("tidy.output", "ask.output")
    made.write("flows/main/flow.dag.yaml", hostile.replace("temperature: 0", 'response_format: "\\e[0m\\n##vso[a]"'))
    lines = [line for line in all_lines(made)[:-1] if "vso" in line]
    assert lines[0] == "  open     node        \\x1b[2J# #vso[task.x]\\u202e" + " " * 35 + "nothing of this name"
    assert not any("\x1b" in line or "##vso[" in line for line in lines)


def test_an_audit_counts_what_is_open(tmp_path: Path) -> None:
    experiment = case(tmp_path, "").load()
    found = audit(experiment, experiment.candidates[0])
    assert found.open == sum(each.state == "open" for each in found.findings) == 8
    assert replace(found, findings=()).open == 0
