"""How long runs in a workspace are waited for, who notes them, and what is under way at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pytest_llmops.api as llmops
from pytest_llmops.azure.run_records import RunState
from pytest_llmops.engines.azureml import Submissions, notes_in
from pytest_llmops.engines.azureml.polling import Overdue, Poller
from pytest_llmops.engines.azureml.work import prepare
from pytest_llmops.engines.base import Journal, Progress
from pytest_llmops.engines.workers import Library
from pytest_llmops.errors import ConfigurationError
from pytest_llmops.plan import Options, plan
from pytest_llmops.records.run import Row, RunRequest, RunResult
from pytest_llmops.session import Session
from pytest_llmops.spec import find_flow
from pytest_llmops.store import Store


def test_a_run_that_is_not_over_in_time_is_given_up() -> None:
    poller = Poller(lambda name: RunState(name=name, status="Queued"))
    with pytest.raises(Overdue) as raised:
        poller.wait("r", 0.1)
    assert str(raised.value) == (
        "run 'r': it is still Queued after 0.1s, so it is cancelled; "
        "find out what it waits for, or give it longer with --llmops-run-timeout"
    )


def test_all_who_wait_for_a_run_that_is_not_over_in_time_learn_it() -> None:
    poller = Poller(lambda name: RunState(name=name, status="Queued"))
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(poller.wait, "r", 0.1), pool.submit(poller.wait, "r", 60)]
        assert [type(future.exception(timeout=10)) for future in waiting] == [Overdue, Overdue]


def test_a_run_that_is_over_in_time_is_not() -> None:
    poller = Poller(lambda name: RunState(name=name, status="Completed"))
    assert poller.wait("r", 60).status == "Completed"


def test_runs_that_a_killed_process_left_are_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "submitted"
    assert notes_in(folder) == {}
    killed, other = Submissions(folder, "ws"), Submissions(folder, "ws")
    for name in ("a-1", "b-1"):
        killed.add(name)
    other.add("c-1")
    other.discard("a-1")
    assert notes_in(folder) == {"b-1": "ws", "c-1": "ws"}
    assert [sorted(own.copy()) for own in (killed, other)] == [["a-1", "b-1"], ["c-1"]]
    assert Submissions.left_in(folder).copy() == {"b-1", "c-1"}


def test_without_a_folder_nothing_is_noted() -> None:
    own = Submissions()
    own.add("a-1")
    assert own.copy() == {"a-1"}
    own.discard("a-1")
    own.discard("a-1")
    assert own.copy() == frozenset()


def test_a_copy_that_holds_a_secret_is_not_handed_over(tmp_path: Path) -> None:
    flow = tmp_path / "ask"
    flow.mkdir()
    text = "inputs: {}\noutputs: {}\nnodes: []  # sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF\n"
    (flow / "flow.dag.yaml").write_text(text, encoding="utf-8")
    request = RunRequest(flow=find_flow(str(flow), base=tmp_path, root=tmp_path), data=[{"word": "a"}])
    with pytest.raises(ConfigurationError) as raised:
        prepare(request, tmp_path / "scratch", tags={}, fresh="")
    assert str(raised.value).startswith(f"{flow / 'flow.dag.yaml'}:3: holds what looks like a key of OpenAI")


EXPERIMENT = """
name: words
flow: words:words
datasets:
- {name: data, source: data.jsonl, mappings: {word: "${data.word}"}}
evaluators:
- {name: one, flow: "words:score", datasets: [{name: data, mappings: {to: "${run.outputs.to}"}}]}
- {name: two, flow: "words:rate", datasets: [{name: data, mappings: {to: "${run.outputs.to}"}}]}
"""
WORDS = """
def words(word: str) -> dict:
    return {"to": word}


def score(to: str) -> dict:
    return {"x": 1.0}


def rate(to: str) -> dict:
    return {"x": 1.0}
"""


class Elsewhere:
    """An engine whose evaluations end only where two are under way at once."""

    def __init__(self) -> None:
        self.met = threading.Barrier(2, timeout=10)

    def warm_up(self, library: Library = "promptflow") -> None:
        """Do nothing."""

    def run(
        self, request: RunRequest, *, journal: Journal | None = None, progress: Progress | None = None
    ) -> RunResult:
        if request.run_outputs is not None:
            self.met.wait()
        output: Mapping[str, str] = {"to": request.flow.name}
        return RunResult(status="Completed", rows=(Row(line_number=0, inputs={"word": "a"}, output=output),))

    def under_way(self) -> str:
        """Say nothing."""
        return ""

    def close(self) -> None:
        """Do nothing."""


def test_evaluations_of_a_cell_are_under_way_at_once_where_they_are_elsewhere(tmp_path: Path) -> None:
    files = {"experiment.yaml": EXPERIMENT, "words.py": WORDS, "data.jsonl": '{"word": "a"}\n'}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (planned,) = plan(llmops.load(tmp_path / "experiment.yaml"), path="experiment.yaml", options=Options())
    session = Session(Elsewhere(), Store(None), None, at_once=1)
    result = session.result(planned)
    session.close()
    outputs = {name: found.result.outputs[0]["to"] for name, found in result.evaluations.items()}
    assert outputs == {"one": "score", "two": "rate"}
