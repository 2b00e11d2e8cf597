"""``llmops audit`` on flows of this repository, with candidates that leave this and that out: exactly what it says."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pytest_llmops.cli import main

ROOT = Path(__file__).parents[1]
Output = pytest.CaptureFixture[str]
CAVEATS = [
    "",
    "Only files were read: a name or value that stands anywhere in them counts as found, whether or not it is used.",
    "What is open is a question: nodes may have been merged, and settings left out, on purpose. Parity is measured by",
    "running the candidate.",
]
WORKFLOW = '''
import os
from dataclasses import dataclass

from agent_framework import Agent, Executor, WorkflowBuilder, WorkflowContext, handler
from agent_framework.openai import OpenAIChatCompletionClient

INSTRUCTIONS = """List the job titles in the sentence, separated by semicolons. Write "none" if there is no job title.
"""


@dataclass
class Sentence:
    text: str


class ExtractExecutor(Executor):
    def __init__(self) -> None:
        super().__init__(id="get_titles")
        client = OpenAIChatCompletionClient(
            model=os.environ["TITLES_MODEL"], api_key=os.environ["LOCAL_LLM_API_KEY"], base_url=os.getenv("URL", "http://x")
        )
        self._agent = Agent(client, instructions=INSTRUCTIONS, default_options={"max_tokens": 80, "stop": "\\n"})

    @handler
    async def ask(self, sentence: Sentence, ctx: WorkflowContext) -> None:
        answer = await self._agent.run(f"Sentence: {sentence.text}")
        await ctx.yield_output({"found": answer.text.split(";")})


def create_workflow():
    return WorkflowBuilder(start_executor=ExtractExecutor()).build()
'''


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def write_candidates(root: Path, case: str, candidates: str) -> None:
    path = f"evals/{case}/experiment.yaml"
    text = (root / path).read_text(encoding="utf-8")
    block = f"llmops:\n  candidates: {candidates}\n"
    write(root, path, text.replace("llmops:\n", block) if "llmops:\n" in text else text + block)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The use cases ``ner`` and ``sentiment`` of this repository, without candidates, in the working directory."""
    for flow in ("ner_extract", "ner_match", "sentiment_classify", "sentiment_check"):
        shutil.copytree(ROOT / "flows" / flow, tmp_path / "flows" / flow)
    for case in ("ner", "sentiment"):
        shutil.copytree(ROOT / "datasets" / case, tmp_path / "datasets" / case)
        text = (ROOT / "evals" / case / "experiment.yaml").read_text(encoding="utf-8")
        write(tmp_path, f"evals/{case}/experiment.yaml", text.partition("llmops:\n")[0].replace(", max_drop: 0.1", ""))
    write(tmp_path, "pytest.ini", "[pytest]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_workflow_lost_is_open(root: Path, capsys: Output) -> None:
    write(root, "flows/titles/workflow.py", WORKFLOW.lstrip())
    write_candidates(root, "ner", "[{name: agents, flow: titles, parity: {margin: 0.1}}]")
    assert main(["audit", "evals/ner"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "ner: what flow 'ner_extract' has, looked for in the files of its candidates",
        "",
        "agents: flow 'titles', 1 file read, 10 open, 0 unknown, 7 covered",
        "  covered  input       text                                              in Sentence",
        "  open     output      titles                                            not found in what is yielded",
        "  covered  node        extract                                           workflow.py:16",
        "  open     node        cleanse                                           nothing of this name",
        "  open     setting     model: gemma-3-270m of extract (few_shot, terse)  "
        "it is read from TITLES_MODEL, whose value is not in the files",
        "  open     setting     temperature: 0 of extract (few_shot, terse)       not found",
        "  open     setting     max_tokens: 40 of extract (few_shot, terse)       another value at workflow.py:22",
        '  covered  setting     stop: ["\\n"] of extract (few_shot, terse)         workflow.py:22',
        "  open     prompt      few_shot.jinja2 of extract (few_shot)             "
        '33 of 40 lines not found, first "List the job titles in the sentence, separated by semicolon…"',
        "  open     prompt      terse.jinja2 of extract (terse)                   "
        '3 of 6 lines not found, first "Sentence: Olga is a senior tax consultant at a small firm i…"',
        "  covered  variant     extract: few_shot                                 "
        "the default, which a candidate without variants stands for",
        "  open     variant     extract: terse                                    "
        "no parameter 'variant', 'variants' or 'extract' to choose it by",
        "  covered  connection  local_llm                                         "
        "read in its place: LOCAL_LLM_API_KEY; URL",
        "  open     variable    TITLES_MODEL                                      "
        "neither environment/env.yaml nor a connection gives it, read at workflow.py:20",
        "  covered  variable    LOCAL_LLM_API_KEY                                 "
        "connection local_llm, read at workflow.py:20",
        "  covered  variable    URL                                               "
        "it has a default, read at workflow.py:20",
        "  open     file        cleanse.py                                        no file of this name",
        *CAVEATS,
    ]


def test_a_complete_copy_leaves_nothing_open(root: Path, capsys: Output) -> None:
    shutil.copytree(root / "flows/ner_extract", root / "flows/ner_copy")
    write_candidates(root, "ner", "[{name: copy, flow: ner_copy, parity: {margin: 0.1}}]")
    assert main(["audit", "evals/ner/experiment.yaml"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "ner: what flow 'ner_extract' has, looked for in the files of its candidates",
        "",
        "copy: flow 'ner_copy', 4 files read, 0 open, 0 unknown, 14 covered",
        "  covered  input       text",
        "  covered  output      titles",
        "  covered  node        extract                                           flow.dag.yaml:10",
        "  covered  node        cleanse                                           flow.dag.yaml:12",
        "  covered  setting     model: gemma-3-270m of extract (few_shot, terse)  flow.dag.yaml:31",
        "  covered  setting     temperature: 0 of extract (few_shot, terse)       flow.dag.yaml:32",
        "  covered  setting     max_tokens: 40 of extract (few_shot, terse)       flow.dag.yaml:33",
        '  covered  setting     stop: ["\\n"] of extract (few_shot, terse)         flow.dag.yaml:34',
        "  covered  prompt      few_shot.jinja2 of extract (few_shot)             40 of 40 lines",
        "  covered  prompt      terse.jinja2 of extract (terse)                   6 of 6 lines",
        "  covered  variant     extract: few_shot                                 the candidate has it too",
        "  covered  variant     extract: terse                                    the candidate has it too",
        "  covered  connection  local_llm                                         the candidate names it too",
        "  covered  file        cleanse.py",
        *CAVEATS,
    ]


def test_a_prompty_is_audited_by_its_front_matter_and_its_prompt(root: Path, capsys: Output) -> None:
    source = """
    from openai import OpenAI

    def classify(comment):
        '''Classify the comment of a hotel guest as positive or negative.'''
        return OpenAI().chat.completions.create(model="gemma-3-270m", temperature=0.0, messages=[])
    """
    write(root, "evals/sentiment/plain.py", source.replace("\n    ", "\n"))
    write_candidates(root, "sentiment", "[{name: plain, flow: 'plain:classify', parity: {margin: 0.1}}]")
    assert main(["audit", "evals/sentiment"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "sentiment: what flow 'sentiment' has, looked for in the files of its candidates",
        "",
        "plain: flow 'classify', 1 file read, 4 open, 2 unknown, 4 covered",
        "  covered  input       comment",
        "  unknown  output      output                            checked when it runs",
        "  covered  setting     model: gemma-3-270m of sentiment  plain.py:6",
        "  covered  setting     temperature: 0 of sentiment       plain.py:6",
        "  open     setting     max_tokens: 4 of sentiment        not found",
        '  open     setting     stop: ["\\n"] of sentiment         not found',
        "  open     prompt      sentiment.prompty of sentiment    "
        '6 of 13 lines not found, first "The staff were lovely and the breakfast was excellent."',
        "  covered  connection  local_llm                         read in its place: OPENAI_API_KEY; OPENAI_BASE_URL",
        "  open     variable    OPENAI_API_KEY                    "
        "neither environment/env.yaml nor a connection gives it, read at plain.py:6",
        "  unknown  variable    OPENAI_BASE_URL                   "
        "neither environment/env.yaml nor a connection gives it, read at plain.py:6; the client may not need it",
        *CAVEATS,
    ]


def test_the_environment_file_gives_variables(root: Path, capsys: Output) -> None:
    write(root, "flows/titles/workflow.py", WORKFLOW.lstrip())
    write_candidates(root, "ner", "[{name: agents, flow: titles, parity: {margin: 0.1}}]")
    write(root, "evals/ner/environment/env.yaml", "TITLES_MODEL: gemma-3-270m\n")
    assert main(["audit", "evals/ner"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines if "gemma-3-270m" in line or "TITLES_MODEL" in line] == [
        "workflow.py:20",
        "environment/env.yaml, read at workflow.py:20",
    ]


def test_one_candidate_is_chosen_by_its_name(root: Path, capsys: Output) -> None:
    for name in ("one", "two"):
        shutil.copytree(root / "flows/ner_extract", root / "flows" / name)
    block = "{{name: {0}, flow: {0}, parity: {{margin: 0.1}}}}"
    write_candidates(root, "ner", f"[{block.format('one')}, {block.format('two')}]")
    assert main(["audit", "evals/ner", "--candidate", "two", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["experiment"], found["flow"]) == ("ner", "ner_extract")
    assert [(each["candidate"], each["open"], each["read"]) for each in found["candidates"]] == [("two", 0, 4)]
    first = {"topic": "input", "subject": "text", "state": "covered", "note": ""}
    assert found["candidates"][0]["findings"][0] == first
    assert main(["audit", "evals/ner", "--candidate", "on"]) == 4
    told = "--candidate: evals/ner has no candidate 'on'; did you mean 'one'?\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evals/ner"], "evals/ner: it has no candidates; write them under llmops.candidates"),
        (["evals/none.yaml"], "evals/none.yaml: there is no such file; correct the path"),
        (["flows"], "flows: name an experiment file; there is no experiment.yaml in it"),
    ],
)
def test_what_can_t_be_audited_is_said_in_a_line(
    root: Path, arguments: list[str], message: str, capsys: Output
) -> None:
    assert main(["audit", *arguments]) == 4
    assert capsys.readouterr() == ("", f"{message}\n")


def test_an_overlay_is_read(root: Path, capsys: Output) -> None:
    shutil.copytree(root / "flows/ner_extract", root / "flows/copy")
    write(
        root, "evals/ner/experiment.ci.yaml", "llmops: {candidates: [{name: a, flow: copy, parity: {margin: 0.1}}]}\n"
    )
    assert main(["audit", "evals/ner", "--env", "ci"]) == 0
    assert capsys.readouterr().out.splitlines()[2] == "a: flow 'copy', 4 files read, 0 open, 0 unknown, 14 covered"


def test_pipes_and_devices_are_not_read(root: Path, capsys: Output) -> None:
    shutil.copytree(root / "flows/ner_extract", root / "flows/copy")
    write_candidates(root, "ner", "[{name: copy, flow: copy, parity: {margin: 0.1}}]")
    (root / "flows/copy/cleanse.py").unlink()
    (root / "flows/copy/cleanse.py").symlink_to("/dev/zero")
    (root / "flows/ner_extract/terse.jinja2").unlink()
    os.mkfifo(root / "flows/ner_extract/terse.jinja2")
    assert main(["audit", "evals/ner"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in lines if "copy:" in line or line.startswith("  open")] == [
        "copy: flow 'copy', 3 files read, 2 open, 0 unknown, 13 covered",
        "open prompt terse.jinja2 of extract (terse) the flow's, not read: it is no regular file",
        "open file cleanse.py the candidate's, not read: it is no regular file",
    ]
