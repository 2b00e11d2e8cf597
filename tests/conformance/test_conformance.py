"""The engine gives what ``PFClient().run`` gives, on every case of the corpus, but for the differences that are meant.

What prompt flow gives was recorded: ``record.py`` does that, and needs minutes.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conformance import CASES, FOLDER, TRUTH, Case, first_line, headline, without_places
from openai_server import OpenAIServer, serving

import pytest_llmops as llmops

DIFFERENCES = FOLDER.parents[1] / "docs" / "explanation" / "engine.md"
LIVE = ("a parent run of good and bad rows", "a class object", "an llm node")
Outcome = dict[str, Any]


@pytest.fixture(scope="module")
def truth() -> dict[str, Outcome]:
    """Give what prompt flow gives, by case."""
    recorded: dict[str, Outcome] = json.loads(TRUTH.read_text(encoding="utf-8"))
    return recorded


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    """Give the model that all cases ask."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def outcome_of(tmp_path_factory: pytest.TempPathFactory, server: OpenAIServer) -> Callable[[Case], Outcome]:
    """Give a function that runs a case, after those that it is chained on, and returns what came of it."""
    runs: dict[str, llmops.Run | None] = {}

    def run(case: Case) -> Outcome:
        if case.parent and case.parent not in runs:
            run(CASES[case.parent])
        folder = tmp_path_factory.mktemp("case").resolve()
        case.write(folder, server.url)
        server.answers.clear()
        server.answers.update(case.answers)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.syspath_prepend(folder / "flow")
            try:
                runs[case.name] = _run(case, server.url, runs.get(case.parent))
                outcome = _outcome(runs[case.name])
            except llmops.LLMOpsError as problem:
                runs[case.name] = None
                outcome = {"status": "Failed", "error": headline(str(problem))}
        done: Outcome = without_places(outcome, folder, server.url)
        return done

    return run


def _run(case: Case, server: str, parent: llmops.Run | None) -> llmops.Run:
    connections = {**case.defined_connections(server), **(case.overrides or {})}
    arguments = case.arguments(server)
    if case.parent and parent is None:
        raise llmops.RunError("the parent run could not be made")
    return llmops.run(_flow(case), run=parent, connections=connections, **arguments)


def _flow(case: Case) -> Any:
    if not case.object:
        return case.path
    module, _, name = case.object.partition(":")
    target = getattr(importlib.import_module(module), name)
    return target if case.instance is None else target(**case.instance)


def _outcome(run: llmops.Run | None) -> Outcome:
    assert run is not None
    if run.status == "Failed":
        return {"status": "Failed", "error": headline(run.error)}
    return {
        "status": run.status,
        "outputs": [{"line_number": row.line_number, **(row.output or {})} for row in run.result.completed],
        "errors": [[row.line_number, first_line(row.error)] for row in run.result.failed],
        "metrics": dict(run.metrics),
        "aggregation_error": run.result.aggregation_error,
    }


def _expected(case: Case, truth: Outcome) -> Outcome:
    expected = {"outputs": [], "errors": [], "metrics": {}, **truth, **case.ours}
    if expected["status"] == "Failed":
        return {"status": "Failed", "error": expected["error"] if case.error is None else case.error}
    return {name: value for name, value in expected.items() if name not in ("digest", "raised", "error")}


_SUGGESTION = re.compile(r"\. Did you mean '\w+'\?")
"""What Python 3.13 adds to messages."""


@pytest.mark.parametrize("name", CASES)
def test_same_as_prompt_flow(name: str, truth: dict[str, Outcome], outcome_of: Callable[[Case], Outcome]) -> None:
    case = CASES[name]
    # As text, in which NaN is equal to itself, and 1 is not equal to 1.0 or True.
    assert _text(outcome_of(case)) == _text(_expected(case, truth[name]))


def _text(outcome: Outcome) -> str:
    said = {name: value for name, value in outcome.items() if value is not None}
    return _SUGGESTION.sub("", json.dumps(said, indent=1, sort_keys=True))


def test_the_truth_is_recorded() -> None:
    recorded = {name: outcome["digest"] for name, outcome in json.loads(TRUTH.read_text(encoding="utf-8")).items()}
    assert recorded == {name: case.digest() for name, case in CASES.items()}, "run tests/conformance/record.py"


def test_every_deliberate_difference_is_documented() -> None:
    section = (
        DIFFERENCES.read_text(encoding="utf-8").partition("## What is different, on purpose")[2].partition("\n## ")[0]
    )
    documented = re.findall(r"^\| (.+?) \|", section, flags=re.MULTILINE)
    assert {case.differs for case in CASES.values() if case.differs} <= set(documented)


def test_no_difference_is_declared_where_there_is_none(truth: dict[str, Outcome]) -> None:
    for name, case in CASES.items():
        assert bool(case.ours) == bool(case.differs), name
        if case.ours:
            assert _expected(case, truth[name]) != _expected(replace(case, ours={}, error=None), truth[name]), name


@pytest.mark.slow
def test_the_recorder_finds_the_same_again(truth: dict[str, Outcome], tmp_path: Path) -> None:
    again = tmp_path / "truth.json"
    command = [sys.executable, str(FOLDER / "record.py"), "--truth", str(again), *LIVE]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert json.loads(again.read_text(encoding="utf-8")) == {name: truth[name] for name in CASES if name in LIVE}
