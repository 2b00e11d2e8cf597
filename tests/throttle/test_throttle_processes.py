"""One limit over several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_llmops.throttle import LimitServer

if TYPE_CHECKING:
    from openai_server import OpenAIServer

ASK = """
import sys
from concurrent.futures import ThreadPoolExecutor
import httpx
from pytest_llmops import throttle

address, url, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
installed = throttle.install(address)
body = {"model": "m", "messages": [{"role": "user", "content": "Foo"}]}
with httpx.Client() as client, ThreadPoolExecutor(4) as pool:
    answers = list(pool.map(lambda _: client.post(f"{url}/chat/completions", json=body), range(calls)))
print(sum(answer.is_success for answer in answers), installed.usage.calls)
"""

FORK = """
import os, sys
import httpx
from pytest_llmops import throttle

address, url = sys.argv[1:]
installed = throttle.install(address)
child = os.fork()
status = httpx.post(f"{url}/chat/completions", json={"messages": [{"content": "Foo"}]}).status_code
if child:
    status = status if os.waitpid(child, 0)[1] == 0 else 500
os._exit(0 if status == 200 else 1)
"""


def test_processes_share_one_limit(service: OpenAIServer) -> None:
    service.delay = 0.01
    server = LimitServer(2)
    command = [sys.executable, "-c", ASK, server.address, service.url, "12"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate(timeout=30)[0] for process in processes]
    server.close()
    assert outputs == ["12 12\n"] * 3
    assert service.peak == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_a_flow_forks_keeps_to_the_limit(service: OpenAIServer, one_slot: LimitServer) -> None:
    command = [sys.executable, "-c", FORK, one_slot.address, service.url]
    assert subprocess.run(command, timeout=30, check=False).returncode == 0
    assert len(service.requests) == 2
    assert service.peak == 1


def test_the_package_loads_no_http_client() -> None:
    script = "import sys, pytest_llmops.throttle; print({'httpx', 'httpx2', 'openai', 'asyncio'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout == "set()\n"
