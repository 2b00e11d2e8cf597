"""A session that is killed in the middle loses no finished row, and pays at most for what was under way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from openai_server import OpenAIServer, serving
from project import Project

ROWS = 200
AT_ONCE = 16
KILLS = int(os.environ.get("LLMOPS_TEST_KILLS", "2"))
"""Number of sessions to kill, each at a moment of its own."""

ASK = """
import os
from openai import OpenAI

client = OpenAI(base_url=os.environ["LLM_URL"], api_key="none")


def shout(word: str) -> dict:
    messages = [{"role": "user", "content": word}]
    return {"loud": client.chat.completions.create(model="m", messages=messages).choices[0].message.content}
"""


def command(project: Project, server: OpenAIServer) -> subprocess.Popen[bytes]:
    options = ["--llmops-llm", "live", "--llmops-concurrency", str(AT_ONCE), "-q", "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "evals", *options],
        cwd=project.path,
        env={**os.environ, "LLM_URL": server.url},
        stdout=subprocess.DEVNULL,
    )


def outputs(project: Project) -> dict[str, str]:
    (cell,) = project.report()["cells"]
    return {row["inputs"]["word"]: row["output"]["loud"] for row in cell["run"]["rows"]}


def calls(server: OpenAIServer) -> Counter[str]:
    return Counter(body["messages"][-1]["content"] for _, body in server.requests)


@pytest.mark.slow
@pytest.mark.parametrize("kill", range(KILLS))
def test_kill_9_and_resume(pytester: pytest.Pytester, kill: int) -> None:
    words = [f"word {number}" for number in range(ROWS)]
    project = Project(pytester)
    project.write("shout.py", ASK)
    project.write_rows("words.jsonl", [{"word": word, "gold": f"said {word}"} for word in words])
    with serving() as server:
        server.answers = {word: f"said {word}" for word in words}
        server.delay = 0.05
        moment = random.Random(kill).randrange(1, ROWS - AT_ONCE)
        session = command(project, server)
        while len(server.requests) < moment:
            assert session.poll() is None
        session.send_signal(signal.SIGKILL)
        session.wait()
        assert command(project, server).wait() == 0
        paid = calls(server)
    assert set(paid) == set(words)
    twice = sum(paid.values()) - ROWS
    # Shown by -rP.
    sys.stdout.write(f"killed after {moment} requests; {sum(paid.values())} calls, {twice} of them again")
    assert twice <= AT_ONCE
    assert outputs(project) == {word: f"said {word}" for word in words}
    assert json.loads(Path(project.path, "reports", "gate.json").read_text(encoding="utf-8"))["state"] == "open"
