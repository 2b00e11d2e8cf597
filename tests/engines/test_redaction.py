"""Messages hold no secrets of the environment, wherever the flow has them from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.engines.redaction import environment_secrets
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import RunRequest, RunResult

Failed = Callable[[str], RunResult]


@pytest.fixture
def failed(tmp_path: Path) -> Failed:
    """Give a function that runs a module with ``flow`` and perhaps ``aggregate`` on a row, given its text."""

    def run(text: str) -> RunResult:
        file = tmp_path / "leaking.py"
        file.write_text(f"import os\n{text}", encoding="utf-8")
        flow = Flow(name="leaking", kind="callable", file=file, folder=tmp_path, entry="leaking:flow")
        with closing(LocalEngine()) as engine:
            return engine.run(RunRequest(flow=flow, data=[{"answer": "a"}]))

    return run


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a key in the environment, as a shell sets it, and what is only named like one."""
    monkeypatch.setenv("MY_API_KEY", "sk-shellsEcret")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")


def test_a_key_of_the_shell_is_in_no_row(failed: Failed) -> None:
    result = failed("def flow(answer): raise ValueError('false ' + os.environ['MY_API_KEY'])")
    assert [row.error for row in result.rows] == ["Execution failure in 'flow': (ValueError) false ***"]


def test_a_key_of_the_shell_is_not_in_the_error_of_a_run(failed: Failed) -> None:
    result = failed("raise ValueError(os.environ['MY_API_KEY'])")
    assert result.error == "can't import 'leaking': (ValueError) ***"


def test_a_key_that_a_flow_reads_from_a_file_is_in_no_message(failed: Failed) -> None:
    result = failed(
        """
os.environ["OTHER_API_KEY"] = "sk-filesEcret"

def flow(answer):
    return answer

def aggregate(rows):
    raise ValueError(os.environ["OTHER_API_KEY"])
"""
    )
    assert result.aggregation_error == "Execution failure in 'aggregate': (ValueError) ***"


def test_a_key_of_the_shell_is_not_in_the_last_words_of_a_process(failed: Failed) -> None:
    result = failed("def flow(answer): os.write(2, os.environb[b'MY_API_KEY']); os._exit(3)")
    assert [row.error for row in result.rows] == [
        "Process crashed while executing line 0,\n"
        "worker process died (exit code 3) in the middle of it; last output: ***"
    ]


def test_what_is_no_secret_though_it_is_named_like_one() -> None:
    harmless = {
        "OPENAI_API_KEY": "none",
        "TOKENIZERS_PARALLELISM": "false",
        "MAX_TOKENS": "4096",
        "SSH_KEY_FILE": "/home/me/.ssh/id",
        "KEY_VAULT": "https://vault.invalid",
        "API_KEY": "${llm.api_key}",
        "TOKEN": "",
        "HOME": "sk-notNamed1",
    }
    secret = {"OPENAI_API_KEY": "sk-abc1", "DB_PASSWORD": "hunter2", "A_TOKEN": "lettersbutmanyofthem"}
    assert environment_secrets(harmless) == []
    assert environment_secrets(secret) == list(secret.values())
