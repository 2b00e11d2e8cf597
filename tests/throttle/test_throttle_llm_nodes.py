"""What LLM nodes of prompt flow, which make a hundred attempts, make of the answers that end a call."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from openai_server import serving

# Prompt flow is imported in a process of its own, for what it does on import.
ASK = """
import json, sys
from pathlib import Path
from pytest_llmops import throttle
from pytest_llmops.engines.promptflow.setup import preload

preload(Path(sys.argv[1]))
throttle.install(retries=2)
from promptflow.connections import OpenAIConnection
from promptflow.tools.openai import OpenAI

def ask(url):
    tool = OpenAI(OpenAIConnection(api_key="sk-0123456789", base_url=url))
    try:
        return tool.chat(prompt="user:\\nFoo", model="gpt-4o", max_tokens=16)
    except Exception as error:
        return str(error)

print(json.dumps([ask(url) for url in sys.argv[2:]]))
"""
HANG_UP = 0
REFERENCE = "[Error reference: https://platform.openai.com/docs/guides/error-codes/api-errors]"


def refusal(status: int, message: str = "", kind: str = "") -> tuple[int, Any, dict[str, str]]:
    return status, {"error": {"message": message, "type": kind}}, {"retry-after-ms": "1"}


def test_an_llm_node_fails_when_the_attempts_of_the_throttle_are_used_up(tmp_path: Path) -> None:
    with ExitStack() as cleanup:
        busy, broken, unpaid, unreliable = services = [cleanup.enter_context(serving()) for _ in range(4)]
        busy.refusal = refusal(429, "slow down")
        broken.refusal = refusal(503, "overloaded")
        unpaid.refusal = refusal(429, "You exceeded your current quota", "insufficient_quota")
        unreliable.refusal = refusal(HANG_UP)
        busy.failures = broken.failures = unpaid.failures = 1000
        unreliable.failures = 1
        command = [sys.executable, "-c", ASK, str(tmp_path), *(service.url for service in services)]
        process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(process.stdout.splitlines()[-1]) == [
        "OpenAI API hits RateLimitError: Error code: 429 - gave up after 3 attempts in 0 s: 429 slow down; "
        f"raise --llmops-llm-retries or lower --llmops-concurrency {REFERENCE}",
        "OpenAI API hits APIStatusError: Error code: 424 - gave up after 3 attempts in 0 s: 503 overloaded; "
        f"raise --llmops-llm-retries {REFERENCE}",
        "OpenAI API hits RateLimitError: Error code: 429 - 429 You exceeded your current quota; "
        f"the service rules out another attempt {REFERENCE}",
        "answer 2 to Foo",
    ]
    assert [len(service.requests) for service in services] == [3, 3, 1, 2]
