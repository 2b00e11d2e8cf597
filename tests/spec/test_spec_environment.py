"""Values around an experiment: connections, ``.env``, ``environment/env.yaml`` and ``init.json``."""

from __future__ import annotations

import os

import pytest
from spec_case import Case

from pytest_llmops.errors import ConfigurationError
from pytest_llmops.records.experiment import Connection
from pytest_llmops.spec import make_connection

FILE = "evals/case/experiment.yaml"
CONNECTIONS = """\
connections:
- name: aoai
  connection_type: azure_open_ai
  api_endpoint: https://example.openai.azure.com
  api_version: "2024-02-01"
  api_key: ${api_key}
- name: agent
  connection_type: CustomConnection
  secrets: {bing: "${bing}"}
  configs: {max_tokens: 64, host: "${host}"}
"""


def connection(case: Case, name: str = "aoai", **conditions: object) -> Connection:
    return next(found for found in case.load(**conditions).connections if found.name == name)


def test_values_and_secrets(case: Case) -> None:
    case.append(CONNECTIONS)
    environ = {"aoai_api_key": "exact", "AOAI_API_KEY": "upper", "AGENT_BING": "b", "agent_host": "h"}

    assert connection(case, environ=environ, live=True).values == {
        "api_base": "https://example.openai.azure.com",
        "api_version": "2024-02-01",
    }
    assert connection(case, environ=environ, live=True).secrets == {"api_key": "exact"}
    agent = connection(case, "agent", environ=environ, live=True)
    # What stands under configs is no secret, whatever it is called.
    assert (agent.values, agent.secrets) == ({"max_tokens": "64", "host": "h"}, {"bing": "b"})


def test_secrets_are_not_shown(case: Case) -> None:
    case.append(CONNECTIONS)

    case.write("environment/env.yaml", "API_KEY: ${API_KEY}\n")

    assert "the-secret" not in repr(case.load(environ={"AOAI_API_KEY": "the-secret", "API_KEY": "the-secret"}))


def test_missing_values_matter_for_live_calls_only(case: Case) -> None:
    case.append(CONNECTIONS)
    set_it = "set it, or use recorded answers: --llmops-llm replay"

    assert connection(case).secrets == {}
    assert case.errors(live=True) == [
        f"{FILE}:23: connections.aoai.api_key: needs the environment variable aoai_api_key or AOAI_API_KEY, "
        f"which is not set; {set_it}",
        f"{FILE}:26: connections.agent.secrets.bing: needs the environment variable agent_bing or AGENT_BING, "
        f"which is not set; {set_it}",
        f"{FILE}:27: connections.agent.configs.host: needs the environment variable agent_host or AGENT_HOST, "
        f"which is not set; {set_it}",
    ]


def test_connection_that_nobody_defines(case: Case) -> None:
    assert case.load().connections == ()
    assert case.errors(live=True) == [
        f"{FILE}:2: flow: flow 'main' needs connection 'aoai', which is not defined; "
        "add it under 'connections:', which has: none"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: a}", "connection_type: key is missing; add it"),
        ("{name: a, connection_type: AzureOpenAICon}",
         "connection_type: 'AzureOpenAICon' is no type of connection; did you mean 'AzureOpenAIConnection'?"),
        ("{name: a, connection_type: custom, url: 'https://${host}/'}",
         "url: '${...}' is only resolved where it is all of the value; "
         "write ${name} alone, and the rest into the variable"),
        ("{name: a, connection_type: custom, api_key: }",
         "api_key: expected text or a number, but it is empty; give it a value"),
    ],
)  # fmt: skip
def test_connections_that_can_not_be(case: Case, text: str, message: str) -> None:
    case.append(f"connections:\n- {text}\n")

    assert case.errors() == [f"{FILE}:19: connections.a.{message}"]


def test_a_version_that_yaml_reads_as_a_date(case: Case) -> None:
    case.append("connections:\n- {name: a, connection_type: azure_open_ai, api_version: 2024-02-01}\n")

    assert case.load().connections[0].values == {"api_version": "2024-02-01"}


def test_env_files(case: Case) -> None:
    case.append(CONNECTIONS)
    case.write(".env", "# keys\nexport AGENT_BING='from file' # comment\n\nagent_host = h # comment\n"
               '<<aoai>>={\n  "api_key": "from json"\n}\n'
               'old={"api_base": "https://old", "api_key": "k", "api_type": "azure"}\n')  # fmt: skip
    (case.root / ".env").write_text(
        'agent_host=other\nlocal={"type": "open_ai", "api_key": "k", "api_base": "http://x/v1"}\n', encoding="utf-8"
    )
    before = dict(os.environ)

    assert connection(case, live=True).secrets == {"api_key": "from json"}
    assert connection(case, "agent", live=True).values["host"] == "h"
    assert connection(case, "agent", live=True, environ={"agent_host": "process"}).values["host"] == "process"
    assert connection(case, "agent").secrets == {"bing": "from file"}
    assert connection(case, "old") == Connection(
        name="old",
        type="AzureOpenAIConnection",
        values={"api_base": "https://old", "api_type": "azure"},
        secrets={"api_key": "k"},
    )
    assert connection(case, "local").type == "OpenAIConnection"
    assert connection(case, "local").values == {"base_url": "http://x/v1"}
    assert dict(os.environ) == before


def test_env_file_with_broken_json(case: Case) -> None:
    case.write(".env", 'A=1\naoai={\n  "api_key": "x",\n  "api_base" "y"\n}\n')

    assert case.errors() == [
        "evals/case/.env:4: aoai: not valid JSON: Expecting ':' delimiter; "
        'correct it; write \'name={"api_key": "..."}\', on one line or over several'
    ]


def test_env_file_of_other_tools(case: Case) -> None:
    case.write(".env", 'DEBUG\nGOOGLE={"type": "service_account"}\n')

    assert case.load().warnings == (
        "evals/case/.env:1: neither name=value nor a comment, ignored; correct the line",
        "evals/case/.env:2: GOOGLE: 'service_account' is no type of connection, ignored; "
        "known types: 'AzureOpenAIConnection', 'OpenAIConnection', 'CustomConnection', 'ServerlessConnection', "
        "'SerpConnection', 'QdrantConnection', 'WeaviateConnection', 'CognitiveSearchConnection', "
        "'AzureAIServicesConnection', 'AzureContentSafetyConnection', 'FormRecognizerConnection'",
    )


def test_in_a_workspace_connections_are_its_own_and_variables_have_to_be_set(case: Case) -> None:
    case.append(CONNECTIONS)
    case.write("environment/env.yaml", "STYLE: plain\nSEARCH_KEY: ${search.key}\nAPI_KEY: ${API_KEY}\n")

    assert case.errors(live=True, in_workspace=True) == [
        "evals/case/environment/env.yaml:3: API_KEY: the environment variable API_KEY is not set; "
        "write ${connection.key}, of a connection of the workspace",
    ]
    case.write("environment/env.yaml", "STYLE: plain\nSEARCH_KEY: ${search.key}\n")
    found = case.load(live=True, in_workspace=True, environ={"SEARCH_KEY": "hunter2"}).environment_variables
    assert found == {"STYLE": "plain", "SEARCH_KEY": "${search.key}"}


def test_a_variable_is_taken_from_what_its_connection_has(case: Case) -> None:
    block = "{name: conn, connection_type: azure_open_ai, api_key: k, api_endpoint: '${host}'}"
    case.append(f"connections: [{block}, {{name: aoai, connection_type: custom}}]\n")
    case.write("environment/env.yaml", "KEY: ${conn.api_key}\nOTHER: ${conn.api_kye}\nV: ' ${conn.api_version}'\n")
    messages = [
        "evals/case/environment/env.yaml:2: OTHER: connection 'conn' has no 'api_kye'; did you mean 'api_key'?",
        "evals/case/environment/env.yaml:3: V: connection 'conn' has no 'api_version'; it has: 'api_base', 'api_key'",
    ]
    assert case.errors() == messages
    assert case.errors(live=True, environ={"CONN_HOST": "x"}) == messages
    assert case.load(live=True, in_workspace=True).environment_variables["OTHER"] == "${conn.api_kye}"
    case.write("environment/env.yaml", "URL: ${conn.api_base}\n")
    assert case.load().environment_variables == {"URL": "${conn.api_base}"}
    case.write("environment/env.yaml", "URL: ${conn.api_endpoint}\n")
    told = "URL: connection 'conn' has no 'api_endpoint'; it has: 'api_base', 'api_key'"
    assert case.errors() == [f"evals/case/environment/env.yaml:1: {told}"]


def test_what_a_connection_has_may_be_in_a_file_or_in_blocks(case: Case) -> None:
    case.append(CONNECTIONS)
    case.write(".env", 'local={"type": "open_ai", "api_key": "k"}\n')
    written = "A: ${local.api_key}\nB: ${agent.bing}\nC: ${agent.max_tokens}\nD: ${agent.host}\n"
    case.write("environment/env.yaml", written)
    assert [*case.load().environment_variables] == ["A", "B", "C", "D"]
    case.write("environment/env.yaml", "A: ${local.base_url}\nB: ${agent.secrets}\n")
    assert case.errors() == [
        "evals/case/environment/env.yaml:1: A: connection 'local' has no 'base_url'; it has: 'api_key'",
        "evals/case/environment/env.yaml:2: B: connection 'agent' has no 'secrets'; "
        "it has: 'bing', 'host', 'max_tokens'",
    ]


@pytest.mark.parametrize("live", [False, True])
def test_a_variable_may_be_taken_from_a_connection(case: Case, live: bool) -> None:
    case.append("connections: [{name: aoai, connection_type: OpenAIConnection, api_key: k, base_url: http://x}]\n")
    case.write("environment/env.yaml", "OPENAI_API_KEY: ${aoai.api_key}\nURL: ${aoaii.base_url}\n")
    assert case.errors(live=live) == [
        "evals/case/environment/env.yaml:2: URL: connection aoaii is not defined; did you mean 'aoai'?"
    ]
    case.write("environment/env.yaml", "OPENAI_API_KEY: ${aoai.api_key}\nURL: ${aoai.base_url}\n")
    found = case.load(live=live, environ={"URL": "http://here"}).environment_variables
    assert found == {"OPENAI_API_KEY": "${aoai.api_key}", "URL": "http://here"}


def test_environment_file(case: Case) -> None:
    case.write("environment/env.yaml", "STYLE: plain\nTRIES: 3\nLIST: [1, a]\nHOST: ${HOST}\nAPI_KEY: ${API_KEY}\n")

    assert case.load(environ={"STYLE": "rich", "HOST": "h"}).environment_variables == {
        "STYLE": "rich",
        "TRIES": "3",
        "LIST": '[1, "a"]',
        "HOST": "h",
    }
    case.append("connections: [{name: aoai, connection_type: custom}]\n")
    assert case.errors(live=True) == [
        "evals/case/environment/env.yaml:4: HOST: the environment variable HOST is not set; "
        "set it, or write a value here",
        "evals/case/environment/env.yaml:5: API_KEY: the environment variable API_KEY is not set; "
        "set it, or use recorded answers: --llmops-llm replay",
    ]
    assert case.errors() == [
        "evals/case/environment/env.yaml:4: HOST: the environment variable HOST is not set; "
        "set it, or write a value here",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "1: is not a mapping; write NAME: value"),
        ("A: 1\nA: 2\n", "2: A: key is already set on line 1; remove one of the two"),
        ("A:\n", "1: A: is empty; give it a value"),
    ],
)
def test_environment_file_that_can_not_be(case: Case, text: str, message: str) -> None:
    case.write("environment/env.yaml", text)

    assert case.errors() == [f"evals/case/environment/env.yaml:{message}"]


@pytest.fixture
def class_case(case: Case) -> Case:
    (case.folder / "flows/main/flow.dag.yaml").unlink()
    case.write("flows/main/flow.flex.yaml", "entry: answer:Answer\n")
    case.write("flows/main/answer.py", "class Answer:\n    def __init__(self, model: dict, tone: str = 'dry'): ...\n"
               "    def __call__(self, text: str): ...\n")  # fmt: skip
    return case


def test_init_values(class_case: Case) -> None:
    class_case.write(
        "flows/main/init.json", '{"model": {"key": "${k}", "n": 1, "deep": {"a": "${b}"}}, "tone": "${t}"}'
    )

    assert class_case.load(environ={"MODEL_KEY": "k", "TONE": "warm"}).init == {
        "model": {"key": "k", "n": 1, "deep": {"a": "${b}"}},
        "tone": "warm",
    }
    assert class_case.load().init == {"model": {"n": 1, "deep": {"a": "${b}"}}}


def test_init_values_of_evaluators(class_case: Case) -> None:
    (class_case.folder / "flows/score/flow.dag.yaml").unlink()
    class_case.write("flows/score/flow.flex.yaml", "entry: judge:Judge\n")
    class_case.write("flows/score/judge.py", "class Judge:\n    def __init__(self, model): ...\n"
                     "    def __call__(self, label, answer, mode): ...\n")  # fmt: skip
    class_case.write("flows/score/init.json", '{"model": "small"}')
    class_case.write("flows/main/init.json", '{"model": {}}')

    assert class_case.load().evaluators[0].init == {"model": "small"}


def test_missing_init_values(class_case: Case) -> None:
    class_case.write("flows/main/init.json", '{\n  "model": {\n    "key": "${k}"\n  },\n  "tone": "${t}"\n}')
    set_it = "set it, or use recorded answers: --llmops-llm replay"

    assert class_case.errors(live=True) == [
        "evals/case/flows/main/init.json:3: model.key: needs the environment variable MODEL_KEY, which is not set; "
        f"{set_it}",
        f"evals/case/flows/main/init.json:5: tone: needs the environment variable TONE, which is not set; {set_it}",
    ]


def test_init_parameter_without_value(class_case: Case) -> None:
    message = (
        f"{FILE}:2: flow: init parameter 'model' of flow 'main' has no value; set it in evals/case/flows/main/init.json"
    )

    assert class_case.errors() == [message]
    class_case.write("flows/main/init.json", '{"modl": {}}')
    assert class_case.errors() == [
        message,
        "evals/case/flows/main/init.json:1: modl: not an init parameter of flow 'main'; did you mean 'model'?",
    ]


def test_sample_init_stands_in(class_case: Case) -> None:
    class_case.append("sample:\n  init: {model: {n: 2}}\n", "flows/main/flow.flex.yaml")

    assert class_case.load().init == {"model": {"n": 2}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"model": }', "1: not valid JSON: Expecting value; correct this line"),
        ("[]", '1: is not an object; write {"parameter": value}'),
    ],
)
def test_init_file_that_can_not_be(class_case: Case, text: str, message: str) -> None:
    class_case.write("flows/main/init.json", text)

    assert f"evals/case/flows/main/init.json:{message}" in class_case.errors()


def test_connection_of_the_library_face() -> None:
    made = make_connection("local", {"type": "open_ai", "api_key": "k", "base_url": "http://x/v1"})

    assert (made.type, made.values, made.secrets) == ("OpenAIConnection", {"base_url": "http://x/v1"}, {"api_key": "k"})
    with pytest.raises(ConfigurationError) as caught:
        make_connection("local", {"type": "OpenConnection"})
    assert str(caught.value) == (
        "connections: local: 'OpenConnection' is no type of connection; did you mean 'OpenAIConnection'?"
    )


def test_a_name_that_would_break_the_line(case: Case) -> None:
    case.write("environment/env.yaml", '"A\\x1eB": ${DATA}\n')

    assert case.errors() == [
        "evals/case/environment/env.yaml:1: 'A\\x1eB': the environment variable 'A\\x1eB' is not set; "
        "set it, or write a value here"
    ]
