"""What the cassette file holds, and how it survives processes that record at once or are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_llmops.cassettes.call import Call
from pytest_llmops.cassettes.cassette import read_cassette
from pytest_llmops.cassettes.entry import Entry
from pytest_llmops.cassettes.store import Store
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from openai_server import OpenAIServer

    from tests.cassettes.conftest import Recording

API_KEY = "sk-secret-0123456789abcdef"
NOWHERE = "http://127.0.0.1:9/v1"
RECORD = """
import sys
from pathlib import Path
import httpx
from pytest_llmops.cassettes import install
from pytest_llmops.records.run import LLM

url, cassette, prefix, count, mode = sys.argv[1:]
recorder = install(LLM(mode=mode, cassette=Path(cassette)))
client = httpx.Client()
for number in range(int(count)):
    body = {"messages": [{"role": "user", "content": f"{prefix} {number}"}], "model": "gpt-4o"}
    answer = client.post(f"{url}/chat/completions", json=body).json()
    print(answer["choices"][0]["message"]["content"], flush=True)
recorder.close()
"""
FORMAT_1 = Path(__file__).with_name("format-1.json")


def ask(client: openai.OpenAI, text: str, **options: Any) -> str:
    messages: Any = [{"role": "user", "content": text}]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, **options)
    return str(answer.choices[0].message.content)


def recording_process(url: str, cassette: Path, prefix: str, count: int, mode: str = "auto") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RECORD, url, str(cassette), prefix, str(count), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def entries_of(cassette: Path) -> dict[str, Any]:
    entries: dict[str, Any] = json.loads(cassette.read_text(encoding="utf-8"))["entries"]
    return entries


def test_the_file_holds_requests_and_answers_and_nothing_else(
    server: OpenAIServer, recording: Recording, cassette: Path
) -> None:
    server.answers = {"Foo": "Bar", "half an emoji": "\ud83d"}
    with recording("record"), openai.OpenAI(base_url=server.url, api_key=API_KEY, organization="org-private") as client:
        client.embeddings.create(model="ada", input="Foo", encoding_format="float")
        client.completions.create(model="babbage", prompt="half an emoji", max_tokens=1)
        stream = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Foo"}], temperature=0.0, stream=True
        )
        assert len(list(stream)) == 3
    assert cassette.read_bytes() == FORMAT_1.read_bytes()


def test_cassettes_of_format_1_stay_readable(recording: Recording) -> None:
    with recording("replay", FORMAT_1), openai.OpenAI(base_url=NOWHERE, api_key=API_KEY) as client:
        assert (
            client.completions.create(model="babbage", prompt="half an emoji", max_tokens=1).choices[0].text == "\ud83d"
        )
        answer = client.embeddings.create(model="ada", input="Foo", encoding_format="float")
        assert answer.data[0].embedding == [0.25, -1.5e-05, 1.0]


def test_recording_the_same_answers_again_gives_the_same_bytes(
    server: OpenAIServer, recording: Recording, cassette: Path
) -> None:
    server.answers = {f"question {n}": f"answer {n}" for n in range(20)}
    contents = []
    for order in (range(20), reversed(range(20))):
        with recording("record"), openai.OpenAI(base_url=server.url, api_key=API_KEY) as client:
            for number in order:
                ask(client, f"question {number}")
        contents.append(cassette.read_bytes())
    assert contents[0] == contents[1]
    assert len(server.requests) == 40


def test_an_unchanged_cassette_is_not_written(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    server.answers["Foo"] = "Bar"
    for mode in ("record", "replay", "auto", "record"):
        with recording(mode), openai.OpenAI(base_url=server.url, api_key=API_KEY) as client:
            ask(client, "Foo")
        if mode == "record" and len(server.requests) == 1:
            before = cassette.stat()
    assert cassette.stat().st_mtime_ns == before.st_mtime_ns
    assert len(server.requests) == 2


def test_one_more_row_adds_one_block_to_the_diff(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    with openai.OpenAI(base_url=server.url, api_key=API_KEY) as client:
        with recording("auto"):
            for number in range(10):
                ask(client, f"question {number}")
        before = cassette.read_text(encoding="utf-8").splitlines()
        with recording("auto"):
            ask(client, "one more")
    after = cassette.read_text(encoding="utf-8").splitlines()
    first = next(n for n, (old, new) in enumerate(zip(before, after, strict=False)) if old != new)
    added = len(after) - len(before)
    assert before[first:] == after[first + added :]


def test_keys_are_in_no_file(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    azure = openai.AzureOpenAI(azure_endpoint=server.url, api_key="0123456789abcdef0123456789abcdef", api_version="1")
    with recording("record"), openai.OpenAI(base_url=server.url, api_key=API_KEY) as client, azure:
        assert ask(client, "what is my key?") == "it is Bearer <removed>"
        assert ask(azure, "what is my key?", temperature=0).endswith("<removed>")
        ask(client, f"my key is {API_KEY}", user=API_KEY)
        client.completions.create(model="babbage", prompt="Foo", extra_body={API_KEY: [API_KEY]})
        stored = b"".join(path.read_bytes() for path in cassette.parent.rglob("*") if path.is_file())
    stored += cassette.read_bytes()
    for secret in (API_KEY, "0123456789abcdef0123456789abcdef", "org-private", "req_private", "127.0.0.1"):
        assert secret.encode() not in stored
    with recording("replay"), openai.OpenAI(base_url=NOWHERE, api_key="another-key-of-someone") as other:
        assert ask(other, "my key is another-key-of-someone", user="another-key-of-someone").startswith("answer")


@pytest.mark.parametrize("placeholder", ["none", "replayed"])
def test_a_placeholder_for_the_key_may_be_a_word_of_the_prompt(
    server: OpenAIServer, recording: Recording, placeholder: str
) -> None:
    with recording("record"), openai.OpenAI(base_url=server.url, api_key=API_KEY) as client:
        answer = ask(client, "none of it was replayed")
    for mode in ("replay", "auto"):
        with recording(mode), openai.OpenAI(base_url=NOWHERE, api_key=placeholder) as client:
            assert ask(client, "none of it was replayed") == answer


def test_a_killed_recording_keeps_what_it_paid_for(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    process = recording_process(server.url, cassette, "row", 10_000)
    assert process.stdout is not None
    answers = [process.stdout.readline().strip() for _ in range(5)]
    os.kill(process.pid, signal.SIGKILL)
    answers += process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    assert not cassette.exists()
    with recording("replay"), openai.OpenAI(base_url=NOWHERE, api_key=API_KEY) as client:
        assert [ask(client, f"row {number}") for number in range(len(answers))] == answers
    # One more answer may have been recorded, and not printed any more.
    assert len(entries_of(cassette)) - len(answers) in (0, 1)


@pytest.mark.parametrize("mode", ["auto", "record"])
def test_processes_that_record_at_once_lose_nothing(
    server: OpenAIServer, recording: Recording, cassette: Path, mode: str
) -> None:
    processes = [recording_process(server.url, cassette, prefix, 20, mode) for prefix in ("left", "right")]
    outputs = [process.communicate()[0].splitlines() for process in processes]
    with recording("replay"), openai.OpenAI(base_url=NOWHERE, api_key=API_KEY) as client:
        replayed = [[ask(client, f"{side} {number}") for number in range(20)] for side in ("left", "right")]
    assert replayed == outputs
    assert len(entries_of(cassette)) == 40


def test_processes_that_ask_the_same_serve_the_same(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    processes = [recording_process(server.url, cassette, "same", 20) for _ in range(2)]
    outputs = [process.communicate()[0].splitlines() for process in processes]
    with recording("replay"), openai.OpenAI(base_url=NOWHERE, api_key=API_KEY) as client:
        replayed = [ask(client, f"same {number}") for number in range(20)]
    assert outputs == [replayed, replayed]


def test_a_second_answer_yields_to_the_first(cassette: Path) -> None:
    """Two processes ask at the same time, and the first merges before the second has its answer."""

    def entry(text: str) -> Entry:
        return Entry(call=Call(operation="embeddings", deployment=None, body="x"), status=200, answer={"is": text})

    key = entry("").call.key()
    first, second = Store(cassette), Store(cassette)
    assert (first.find_shared(key), second.find_shared(key)) == (None, None)
    assert first.add(key, entry("first")).answer == {"is": "first"}
    first.merge()
    assert second.add(key, entry("second")).answer == {"is": "first"}
    second.merge()
    assert read_cassette(cassette)[key].answer == {"is": "first"}


def test_many_threads_record_everything(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    openers = openai.OpenAI(base_url=server.url, api_key=API_KEY)
    with recording("record"), openers as client, ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda number: ask(client, f"row {number}"), range(200)))
    with (
        recording("replay"),
        openai.OpenAI(base_url=NOWHERE, api_key=API_KEY) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        assert list(threads.map(lambda number: ask(client, f"row {number}"), range(200))) == answers
    assert len(entries_of(cassette)) == 200


def test_the_journal_is_hidden_from_version_control(server: OpenAIServer, recording: Recording, cassette: Path) -> None:
    with recording("record"), openai.OpenAI(base_url=server.url, api_key=API_KEY) as client:
        ask(client, "Foo")
    assert sorted(path.name for path in cassette.parent.iterdir()) == [".recording", "ner.json"]
    assert (cassette.parent / ".recording" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_what_needs_no_journal_makes_none(
    server: OpenAIServer, recording: Recording, cassette: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.json"
    with openai.OpenAI(base_url=server.url, api_key=API_KEY) as client:
        with recording("record"):
            ask(client, "Foo")
        copy.write_bytes(cassette.read_bytes())
        for mode in ("replay", "auto", "record"):
            with recording(mode, copy):
                assert mode == "record" or ask(client, "Foo")
    assert not (tmp_path / ".recording").exists()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.text(), _JSON, max_size=5))
def test_any_json_is_replayed_as_it_was_recorded(
    server: OpenAIServer, recording: Recording, tmp_path: Path, body: dict[str, Any]
) -> None:
    request = {**body, "messages": [{"role": "user", "content": "Foo"}], "stream": False}
    path = tmp_path / f"{time.monotonic_ns()}.json"
    with httpx.Client() as client:
        with recording("record", path):
            recorded = client.post(f"{server.url}/chat/completions", json=request).json()
        assert recorded["echo"] == request
        with recording("replay", path) as recorder:
            assert client.post(f"{NOWHERE}/chat/completions", json=request).json() == recorded
            assert recorder.misses == []


CORRUPT = [
    ("", "not a cassette: Expecting value: line 1 column 1 (char 0)"),
    ("<<<<<<< ours\n{}", "not a cassette: Expecting value: line 1 column 1 (char 0)"),
    ("[]", "not a cassette: 'format' or 'entries' is missing"),
    ('{"format": 1}', "not a cassette: 'format' or 'entries' is missing"),
    ('{"format": 1, "entries": {"abc": []}}', "entries.abc: is not an object"),
    (
        '{"format": 1, "entries": {"abc": {"operation": "chat"}}}',
        "entries.abc: 'operation' is 'chat', not one of chat/completions, completions, embeddings, responses",
    ),
    ('{"format": 1, "entries": {"abc": {"operation": "embeddings"}}}', "entries.abc: 'status' or 'request' is missing"),
    (
        '{"format": 1, "entries": {"abc": {"operation": "embeddings", "status": 200, "request": {}}}}',
        "entries.abc: 'response' or 'events' is missing",
    ),
    (
        '{"format": 1, "entries": {"abc": {"operation": "embeddings", "status": 200, "request": {}, "response": {}}}}',
        "entries.abc: the request was changed after it was recorded, so it can't be found any more",
    ),
]


@pytest.mark.parametrize(("text", "what"), CORRUPT)
@pytest.mark.parametrize("mode", ["replay", "record", "auto"])
def test_a_file_that_is_no_cassette_is_an_error(
    recording: Recording, cassette: Path, text: str, what: str, mode: str
) -> None:
    cassette.parent.mkdir()
    cassette.write_text(text, encoding="utf-8")
    with pytest.raises(LLMOpsError) as error, recording(mode):
        pass
    assert str(error.value) == (
        f"{cassette}: {what}; restore it from version control, or delete it and record again with --llmops-llm auto"
    )


def test_another_format_is_an_error(recording: Recording, cassette: Path) -> None:
    cassette.parent.mkdir()
    cassette.write_text('{"format": 2, "entries": {}}', encoding="utf-8")
    with pytest.raises(LLMOpsError) as error, recording("replay"):
        pass
    assert str(error.value) == (
        f"{cassette}: format: 2 is not known here, only 1; use the version of pytest-llmops that recorded it"
    )


def test_a_broken_journal_is_an_error(recording: Recording, cassette: Path) -> None:
    journal = cassette.parent / ".recording" / "ner.json.sqlite3"
    journal.parent.mkdir(parents=True)
    journal.write_text("torn " * 200, encoding="utf-8")
    with pytest.raises(LLMOpsError) as error, recording("replay"):
        pass
    assert str(error.value) == f"{journal}: the journal of the recording can't be used: file is not a database"


def test_importing_the_package_loads_no_http_library() -> None:
    script = "import sys, pytest_llmops.cassettes; print({'httpx', 'httpx2', 'openai', 'pydantic'} & {*sys.modules})"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == "set()\n"
