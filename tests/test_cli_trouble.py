"""A command that is interrupted, not read, or given files that lie: no traceback, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_llmops import api
from pytest_llmops.cli import main
from pytest_llmops.errors import ConfigurationError, LLMOpsError
from pytest_llmops.reports.results import parse

COMMAND = [sys.executable, "-c", "import sys; from pytest_llmops.cli import main; sys.exit(main())"]
FORMS = ("text", "markdown", "json")
FILES = {
    "nap.py": (
        "import time\nfrom pathlib import Path\n\n\n"
        "def nap(word: str) -> dict:\n"
        '    with Path(__file__).with_name("started.txt").open("a") as started:\n'
        '        started.write("x")\n'
        "    time.sleep(0 if len(word.split()) > 1 else 60)\n"
        '    return {"slept": word}\n'
    ),
    "check.py": (
        'def check(slept: str) -> dict:\n    return {"right": 1.0}\n\n\n'
        'def aggregate(rows: list) -> dict:\n    return {"accuracy": 1.0}\n'
    ),
    "rows.jsonl": '{"word": "one two"}\n',
    "experiment.yaml": """
name: napping
flow: nap:nap
datasets:
- {name: rows, source: rows.jsonl, mappings: {word: "${data.word}"}}
evaluators:
- name: check
  flow: check:check
  thresholds: {accuracy: ">= 0.9"}
  datasets:
  - {name: rows, mappings: {slept: "${run.outputs.slept}"}}
""",
    "pytest.ini": "[pytest]\n",
}


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "case"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.chdir(folder)
    return folder


def until(condition: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("arguments", "word", "number", "code", "said"),
    [
        (["noise", "experiment.yaml", "--repeat", "50"], "nap", signal.SIGINT, 130, "interrupted\n"),
        (["mutate", "experiment.yaml"], "no nap", signal.SIGINT, 130, "interrupted\n"),
        (["mutate", "experiment.yaml"], "no nap", signal.SIGTERM, 143, "terminated\n"),
    ],
)
def test_a_signal_ends_the_work_and_leaves_nothing(
    case: Path, arguments: list[str], word: str, number: signal.Signals, code: int, said: str
) -> None:
    (case / "rows.jsonl").write_text(json.dumps({"word": word}) + "\n", encoding="utf-8")
    started = case / "started.txt"
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: started.exists() and len(started.read_text()) >= len(word.split()))
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (code, "", said)
    assert len(started.read_text()) <= max(2, os.cpu_count() or 2)
    assert list(Path(os.environ["TMPDIR"]).iterdir()) == []


def test_after_an_interruption_the_next_evaluation_has_an_engine_of_its_own(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = api.load("experiment.yaml", root=case)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pytest_llmops.session.Session.result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            api.evaluate(experiment)
    assert api.evaluate(experiment).decision.state == "open"


def test_a_selection_of_no_variant_is_refused(case: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        api.evaluate(api.load("experiment.yaml", root=case), variants="zz")
    assert str(raised.value) == "experiment.yaml: variants: no variant is selected by 'zz'; there are: default"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_output_that_nobody_reads_is_no_trouble() -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run([*COMMAND, "schema"], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (process.returncode, process.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "arguments", [["schema"], ["gate"], ["gate", "--ado"], ["pr-comment", "--dry-run"]], ids=" ".join
)
def test_output_that_can_not_be_written_is_said(arguments: list[str], folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "the output can't be written: No space left on device\n")


def test_complaints_that_can_not_be_written_change_no_code(folder: Path) -> None:
    with open(os.devnull, "rb") as unwritable:
        done = subprocess.run([*COMMAND, "report", "nowhere"], stderr=unwritable, check=False)
    assert done.returncode == 4


HOSTILE = "a\x1b[31m##vso[task.complete result=Succeeded]\u202e"
SAFE = "a\\x1b[31m# #vso[task.complete result=Succeeded]\\u202e"


def test_text_of_files_in_messages_is_made_safe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads((folder / "reports/results.json").read_text(encoding="utf-8"))
    for cell in document["cells"]:
        cell["cell"]["variant"]["id"] = cell["cell"]["dataset"] = HOSTILE
    (folder / "hostile.json").write_text(json.dumps({**document, "cells": document["cells"][:1]}), encoding="utf-8")
    assert main(["compare", "hostile.json::z", "reports"]) == 4
    assert capsys.readouterr().err == f"hostile.json::z: no variant 'z' (it has: {SAFE})\n"
    assert main(["compare", "hostile.json", "reports"]) == 4
    said = capsys.readouterr().err
    assert said.startswith(f"nothing in common to compare: Shout-{SAFE}-{SAFE} and Shout-words-")
    assert main(["compare", f"{HOSTILE}\n", "reports"]) == 4
    assert capsys.readouterr().err.startswith(f"{SAFE}\n: there is none; ")
    with pytest.raises(SystemExit):
        main([HOSTILE])
    assert "\x1b" not in capsys.readouterr().err


# Files that lie


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """All places in JSON values, that of the whole left out."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in ((*path, key), *places(item, (*path, key)))]


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy with another value at one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)  # type: ignore[index]
    return copy


VALUES = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 2, 1e308, -1e308, 10**30, 0.5, "", "x", "NaN", "Infinity", [], {}]),
    st.sampled_from([[None], [0], ["x"], {"x": 1}, {"": None}, [[1.0]], "0001-01-01T00:00:00", float("nan")]),
    st.text(max_size=3),
    st.integers(),
    st.floats(),
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_of_results_makes_a_traceback(folder: Path, data: st.DataObject) -> None:
    document = json.loads((folder / "reports/results.json").read_text(encoding="utf-8"))
    path = data.draw(st.sampled_from(places(document)))
    damaged = replaced(document, path, data.draw(VALUES))
    check(folder, damaged, data.draw(st.sampled_from(FORMS)))


def check(folder: Path, damaged: Any, form: str) -> None:
    """Read damaged results, and have every command that reads results do so, in one of the forms of their output."""
    try:
        parse(damaged)
    except LLMOpsError:
        return
    (folder / "damaged").mkdir(exist_ok=True)
    (folder / "damaged/results.json").write_text(json.dumps(damaged), encoding="utf-8")
    assert main(["baseline", "show", "damaged/results.json"]) in (0, 4)
    assert main(["compare", "damaged", "reports", "--format", form]) in (0, 4)
    assert main(["compare", "reports", "damaged", "--format", form]) in (0, 4)
    assert main(["regate", "--results", "damaged", "--report-dir", "again"]) in (0, 1, 4)
