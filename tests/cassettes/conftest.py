"""A server that speaks the OpenAI API on loopback, and the clients that talk to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai_server import OpenAIServer, serving

from pytest_llmops import cassettes
from pytest_llmops.records.run import LLM

API_KEY = "sk-secret-0123456789abcdef"
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving() as running:
        yield running


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "ner.json"


Recording = Callable[..., Any]


@pytest.fixture
def recording(cassette: Path) -> Recording:
    """Return a context manager in whose block LLM calls are treated in the given mode."""

    @contextmanager
    def in_mode(mode: Any, path: Path = cassette, session: str = "") -> Iterator[cassettes.Recorder]:
        recorder = cassettes.install(LLM(mode=mode, cassette=path, recording=session))
        try:
            yield recorder
        finally:
            recorder.close()

    return in_mode
