"""Record and replay of LLM calls, at the level that all kinds of flow share: the HTTP requests of the OpenAI client."""

from __future__ import annotations

from pytest_llmops.cassettes.http import patch_clients
from pytest_llmops.cassettes.recorder import Recorder
from pytest_llmops.records.run import LLM

__all__ = ["Recorder", "install"]


def install(llm: LLM) -> Recorder:
    """Answer this process's LLM calls as ``llm`` says, those of clients that exist already included.

    Every request that an ``httpx`` or ``httpx2`` client sends from now on goes by the recorder, until it is closed.

    Raises:
        LLMOpsError: when the cassette can't be read, or the mode needs one and none is given.
    """
    recorder = Recorder(llm)
    recorder.on_close(patch_clients(recorder))
    return recorder
