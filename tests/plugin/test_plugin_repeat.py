"""Rows that are run more than once: each repeat is a sample of its own, kept, recorded and shown by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai_server import OpenAIServer, serving
from project import Project

DICE = """
import uuid
from pathlib import Path


def shout(word: str) -> dict:
    with (Path(__file__).parent / "calls.txt").open("a") as calls:
        calls.write(word + "\\n")
    return {"loud": word.upper() + "!", "sample": uuid.uuid4().hex}
"""
ASK = """
import os
from openai import OpenAI


def shout(word: str) -> dict:
    with OpenAI(base_url=os.environ["ASK_URL"], api_key="none") as client:
        message = {"role": "user", "content": word}
        answer = client.chat.completions.create(model="tiny", messages=[message])
        return {"loud": answer.choices[0].message.content}
"""


@pytest.fixture
def dice(project: Project) -> Project:
    project.write("shout.py", DICE)
    return project


def samples(project: Project) -> list[list[str]]:
    """Return the outputs of every execution of the only cell, by row."""
    (cell,) = project.report()["cells"]
    return [[row["output"]["sample"] for row in execution["run"]["rows"]] for execution in executions(cell)]


def executions(cell: Any) -> list[Any]:
    return [cell, *cell["repeats"]]


@pytest.mark.parametrize("arguments", [("-p", "no:xdist"), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_each_repeat_is_a_sample_and_reused_by_itself(dice: Project, arguments: tuple[str, ...]) -> None:
    dice.run(*arguments, "--llmops-repeat", "3").assert_outcomes(passed=2)
    first = samples(dice)
    assert [len(rows) for rows in first] == [4, 4, 4]
    assert len({sample for rows in first for sample in rows}) == 12
    assert dice.calls() == sorted(["one", "two", "three", "four"] * 3)

    dice.run(*arguments, "--llmops-repeat", "3").assert_outcomes(passed=2)
    assert (samples(dice), len(dice.calls())) == (first, 12)
    dice.run(*arguments, "--llmops-repeat", "4").assert_outcomes(passed=2)
    assert (samples(dice)[:3], len(dice.calls())) == (first, 16)
    dice.run(*arguments).assert_outcomes(passed=2)
    assert (samples(dice), len(dice.calls())) == (first[:1], 16)


def test_every_repeat_is_evaluated_with_its_own_outputs(dice: Project) -> None:
    dice.replace("experiment.yaml", "${run.outputs.loud}", "${run.outputs.sample}")
    dice.run("--llmops-repeat", "2")
    (cell,) = dice.report()["cells"]
    given = [
        [row["inputs"]["answer"] for row in execution["evaluations"]["compare"]["result"]["rows"]]
        for execution in executions(cell)
    ]
    assert given == samples(dice)
    assert [execution["evaluations"]["compare"]["result"]["metrics"] for execution in executions(cell)] == [
        {"accuracy": 0.0}
    ] * 2


def test_the_file_says_how_often_and_the_option_decides(dice: Project) -> None:
    dice.write(
        "experiment.yaml",
        (dice.folder / "experiment.yaml").read_text(encoding="utf-8") + "llmops: {gate: {repeat: 2, reduce: 1-of-2}}\n",
    )
    dice.run().assert_outcomes(passed=2)
    assert len(samples(dice)) == 2
    result = dice.run("--llmops-repeat", "3")
    result.stdout.fnmatch_lines(
        [
            "evals/shouting/experiment.yaml: llmops.gate.reduce: '1-of-2' is for 2 repeats, "
            "and --llmops-repeat says 3; change one of them"
        ]
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("number", ["0", "1001"])
def test_the_number_of_repeats_has_bounds(dice: Project, number: str) -> None:
    result = dice.run("--llmops-repeat", number)
    result.stderr.fnmatch_lines([f"ERROR: --llmops-repeat: '{number}' is not allowed; give a number from 1 to 1000"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_the_plan_lists_every_repeat(dice: Project) -> None:
    dice.run("--llmops-repeat", "2")
    result = dice.run("--llmops-repeat", "3", "--llmops-plan")
    result.stdout.fnmatch_lines(
        [
            "  shout-words-default  run                   4          0       0  reused, * old",
            "                       compare               4          0       0  reused, * old",
            "                       run, repeat 1         4          0       0  reused, * old",
            "                       compare, repeat 1     4          0       0  reused, * old",
            "                       run, repeat 2         4          0       0  runs: another repeat",
            "                       compare, repeat 2     4          0       0  runs: the run that it evaluates does",
            "to run: 2 of 6 runs, 8 rows at most",
        ]
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with serving() as running:
        monkeypatch.setenv("ASK_URL", running.url)
        yield running


def test_each_repeat_has_a_cassette_of_its_own(project: Project, server: OpenAIServer) -> None:
    project.write("shout.py", ASK)
    project.run("--llmops-repeat", "3", "--llmops-llm", "record")
    recorded = answers(project)
    assert len({answer for rows in recorded for answer in rows}) == len(server.requests) == 12
    assert sorted(path.name for path in (project.folder / "cassettes").glob("*.json")) == [
        "shout.json",
        "shout.repeat-1.json",
        "shout.repeat-2.json",
    ]

    project.run("--llmops-repeat", "3")
    assert answers(project) == recorded
    assert len(server.requests) == 12


def test_a_repeat_that_was_not_recorded_is_an_error_that_names_its_cassette(
    project: Project, server: OpenAIServer
) -> None:
    project.write("shout.py", ASK)
    project.run("--llmops-llm", "record")
    result = project.run("--llmops-repeat", "2")
    assert len(server.requests) == 4
    result.stdout.fnmatch_lines(["*4 of 4 LLM calls are not in cassettes/shout.repeat-1.json; record them with *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def answers(project: Project) -> list[list[str]]:
    (cell,) = project.report()["cells"]
    return [[row["output"]["loud"] for row in execution["run"]["rows"]] for execution in executions(cell)]


def test_columns_that_gates_need_are_kept_by_line(dice: Project) -> None:
    dice.write_rows("gold.jsonl", [{"id": n, "gold": word.upper() + "!"} for n, word in enumerate(("one", "two"))])
    dice.write_rows("words.jsonl", [{"id": n, "word": word, "kind": "a"} for n, word in enumerate(("one", "two"))])
    dice.replace("experiment.yaml", "  - name: words\n    mappings: {answer", "  - name: gold\n    mappings: {answer")
    dice.replace(
        "experiment.yaml", "- name: gold", "- name: gold\n    source: gold.jsonl\n    reference: words\n    key: id"
    )
    text = (dice.folder / "experiment.yaml").read_text(encoding="utf-8")
    dice.write("experiment.yaml", text + "llmops: {slices: {by: [kind]}}\n")
    dice.run("--llmops-max-rows", "1")
    (cell,) = dice.report()["cells"]
    assert (cell["key"], cell["columns"]) == ("id", {"id": ["0"], "kind": ["a"]})
    assert cell["llm"] == "replay"


def test_results_tell_the_versions_whether_executed_or_reused(project: Project) -> None:
    told = []
    for arguments in (("-p", "no:xdist"), ("-p", "no:xdist"), ("--llmops-no-cache",)):
        project.run(*arguments).assert_outcomes(passed=2)
        (cell,) = project.report()["cells"]
        told.append((cell["digest"], cell["evaluations"]["compare"]["digest"]))
        assert cell["evaluations"]["compare"]["of_run"] == ["answer"]
    assert len(set(told)) == 1
    assert len(set(told[0])) == 2
    assert all(len(digest) == 64 for digest in told[0])
