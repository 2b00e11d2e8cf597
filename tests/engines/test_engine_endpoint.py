"""A served flow in place of an executed one: what it is sent, what its answers become, and how it may fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from served_flow import Sent, ServedFlow, served

from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.records.cloud import Address
from pytest_llmops.records.experiment import Flow, Port
from pytest_llmops.records.run import LLM, RunRequest, RunResult

Ask = Callable[..., RunResult]
WORDS = [{"word": word} for word in ("one", "two", "three")]
BUSY = Sent(429, b'{"error": {"message": "slow down"}}', {"retry-after-ms": "1"})


def shout(inputs: Mapping[str, Any]) -> Any:
    if inputs["word"] == "crash":
        raise ValueError("the word is crash")
    return {"loud": inputs["word"].upper() + inputs.get("ending", "?"), "beside": 1}


@pytest.fixture
def server() -> Iterator[ServedFlow]:
    with served(shout) as running:
        yield running


@pytest.fixture
def ask(engine: LocalEngine, server: ServedFlow, tmp_path: Path) -> Ask:
    """Give a function that asks the server, given fields of the request."""
    flow = Flow(
        name="shout",
        kind="flex",
        file=tmp_path / "flow.flex.yaml",
        folder=tmp_path,
        inputs={"word": Port(name="word"), "ending": Port(name="ending", default="!", required=False)},
        outputs=("loud",),
    )

    def ask(data: Any = WORDS, *, token: str = "", deployment: str = "", retries: int = 0, **fields: Any) -> RunResult:
        address = fields.pop("address", None) or Address(url=server.url, token=token, deployment=deployment)
        return engine.run(RunRequest(flow=flow, data=data, address=address, llm=LLM(retries=retries), **fields))

    return ask


def errors(result: RunResult) -> list[str | None]:
    return [row.error for row in result.rows]


def test_each_row_is_one_request_with_the_mapped_inputs(ask: Ask, server: ServedFlow) -> None:
    rows = [{"text": "one", "noise": 1}, {"text": "two", "noise": 2}]
    result = ask(rows, column_mapping={"word": "${data.text}"})
    assert result.status == "Completed"
    assert [row.output for row in result.rows] == [{"loud": "ONE!"}, {"loud": "TWO!"}]
    assert [row.inputs for row in result.rows] == [{"word": "one", "ending": "!"}, {"word": "two", "ending": "!"}]
    assert sorted(body["word"] for _, _, body in server.requests) == ["one", "two"]
    assert {path for path, _, _ in server.requests} == {"/score"}
    assert all(row.duration > 0 for row in result.rows)


def test_a_request_has_the_token_and_names_the_deployment(ask: Ask, server: ServedFlow) -> None:
    ask(WORDS[:1], token="secret-token", deployment="green")
    ((_, headers, _),) = server.requests
    assert headers["Authorization"] == "Bearer secret-token"
    assert headers["azureml-model-deployment"] == "green"
    assert headers["Accept"] == "application/json"


def test_a_netrc_file_does_not_replace_the_token(
    ask: Ask, server: ServedFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    ask(WORDS[:1], token="secret-token")
    assert server.requests[0][1]["Authorization"] == "Bearer secret-token"


def test_a_server_that_starts_is_waited_for(ask: Ask, server: ServedFlow) -> None:
    server.unready = 1
    assert ask(WORDS[:1]).rows[0].output == {"loud": "ONE!"}
    assert len(server.looks) == 2


def test_a_server_without_a_page_for_its_health_is_asked(ask: Ask, server: ServedFlow) -> None:
    server.health = 404
    assert not ask().failed


def test_a_server_that_is_down_fails_the_run(ask: Ask, server: ServedFlow) -> None:
    server.shutdown()
    server.server_close()
    result = ask(line_timeout=1)
    place = server.url.removesuffix("/score")
    assert (result.status, result.rows) == ("Failed", ())
    assert result.error == (
        f"endpoint {place}/score is not ready, after 0.5 seconds: "
        f"no answer from {place.removeprefix('http://')}: ConnectionRefusedError: Connection refused"
    )


def test_an_address_without_a_trusted_certificate_is_asked_nothing(ask: Ask, server: ServedFlow) -> None:
    url = server.url.replace("http:", "https:") + "?code=hidden-key"
    result = ask(address=Address(url=url, token="secret-token"))
    assert result.error is not None
    assert result.error.startswith(f"endpoint {url.removesuffix('?code=hidden-key')} is not trusted: SSLError: ")
    assert "hidden-key" not in result.error


def test_an_error_of_the_flow_is_the_row_s(ask: Ask) -> None:
    result = ask([{"word": "crash"}, {"word": "two"}])
    assert errors(result) == ["400 Bad Request: UserError: the word is crash", None]
    assert result.status == "Completed"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (Sent(200, b'{"quiet": 1}'), "the answer lacks output 'loud', which the flow declares; it has: 'quiet'"),
        (Sent(200, b"{}"), "the answer lacks output 'loud', which the flow declares; it has: none"),
        (Sent(200, b"[1]"), "the answer is no JSON object (application/json): [1]"),
        (Sent(200), "the answer is no JSON object (application/json): it is empty"),
        (
            Sent(200, b"<html>\n<p>Sign in</p>", {"content-type": "text/html; charset=utf-8"}),
            "the answer is no JSON object (text/html): <html> <p>Sign in</p>",
        ),
        (Sent(500, b"<h1>oops</h1>"), "500 Internal Server Error: <h1>oops</h1>"),
        (
            Sent(401, b'{"error": {"code": "Unauthorized", "message": "no key"}}'),
            "401 Unauthorized: Unauthorized: no key; put the endpoint's key or token into LLMOPS_ENDPOINT_TOKEN",
        ),
        (Sent(404), "404 Not Found; correct the URL, or the name of the deployment"),
        (
            Sent(302, headers={"location": "http://elsewhere.invalid/"}),
            "302 Found: it redirects, and requests follow nowhere; give the URL that it redirects to",
        ),
        (
            Sent(424, b"", {"ms-azureml-model-error-statuscode": "400", "ms-azureml-model-error-reason": "bad input"}),
            "424 Failed Dependency: bad input",
        ),
        (
            Sent(503, b"no healthy upstream"),
            "gave up after 1 attempt in 0 s: 503 Service Unavailable: no healthy upstream; raise --llmops-llm-retries",
        ),
        (BUSY, "gave up after 1 attempt in 0 s: 429 Too Many Requests: slow down; "
               "raise --llmops-llm-retries or lower --llmops-concurrency"),
    ],
)  # fmt: skip
def test_what_is_no_answer_fails_the_row(ask: Ask, server: ServedFlow, sent: Sent, error: str) -> None:
    server.faults = [sent]
    assert errors(ask(WORDS[:1])) == [error]


def test_a_lost_connection_fails_the_row_alone(ask: Ask, server: ServedFlow) -> None:
    server.faults = [Sent(0), Sent(0, b'{"loud": ')]
    failed, other, good = errors(ask(concurrency=1))
    place = server.url.removeprefix("http://").removesuffix("/score")
    assert failed == (
        f"gave up after 1 attempt in 0 s: no answer from {place}: "
        "RemoteDisconnected: Remote end closed connection without response; raise --llmops-llm-retries"
    )
    assert other is not None
    assert other.startswith(f"gave up after 1 attempt in 0 s: no answer from {place}: IncompleteRead: ")
    assert good is None


@pytest.mark.parametrize(
    "sent",
    [
        BUSY,
        Sent(503, headers={"retry-after-ms": "1"}),
        Sent(408, headers={"retry-after-ms": "1"}),
        Sent(424, headers={"retry-after-ms": "1", "ms-azureml-model-error-statuscode": "503"}),
    ],
)
def test_what_may_pass_is_asked_again(ask: Ask, server: ServedFlow, sent: Sent) -> None:
    server.faults = [sent] * 2
    result = ask(WORDS[:1], retries=2)
    assert errors(result) == [None]
    assert len(server.requests) == 3


def test_a_storm_of_refusals_is_weathered(ask: Ask, server: ServedFlow) -> None:
    server.faults = [BUSY] * 60
    result = ask([{"word": str(number)} for number in range(40)], retries=60)
    assert errors(result) == [None] * 40
    assert len(server.requests) == 100


def test_a_row_that_would_wait_too_long_is_given_up(ask: Ask, server: ServedFlow) -> None:
    server.faults = [Sent(429, b"later", {"retry-after": "30"})]
    result = ask(WORDS[:1], retries=5, line_timeout=2.0)
    message = "gave up after 0 s: 429 Too Many Requests: later; a request may take 2 s in all"
    assert errors(result) == [message]


def test_a_slow_answer_fails_its_row_in_time(ask: Ask, server: ServedFlow) -> None:
    server.faults = [Sent(200, b"{}", delay=0.6)]
    result = ask(concurrency=1, line_timeout=0.3)
    assert errors(result) == ["no answer within 0.3 seconds", None, None]


def test_no_secret_is_in_a_message(ask: Ask, server: ServedFlow) -> None:
    body = json.dumps({"error": {"code": "Denied", "message": "secret-token is not hidden-key"}}).encode()
    server.faults = [Sent(403, body)]
    result = ask(WORDS[:1], address=Address(url=f"{server.url}?code=hidden-key", token="secret-token"))
    assert errors(result) == [
        "403 Forbidden: Denied: *** is not ***; put a key or token that may ask the endpoint into LLMOPS_ENDPOINT_TOKEN"
    ]
    assert "secret-token" not in repr(result)


def test_which_tokens_are_used_stays_unknown(ask: Ask) -> None:
    assert [row.uncounted for row in ask().rows] == [1, 1, 1]


def test_a_mapping_of_a_missing_column_fails_the_run(ask: Ask) -> None:
    result = ask([{"text": "one"}])
    assert result.error == "the column mapping reads what the data does not have: ${data.word}"


def test_outputs_for_evaluation_only_are_not_expected(engine: LocalEngine, server: ServedFlow, tmp_path: Path) -> None:
    text = "outputs:\n  loud: {reference: '${n.output}'}\n  why: {reference: '${n.output}', evaluation_only: true}\n"
    (tmp_path / "flow.dag.yaml").write_text(text, encoding="utf-8")
    flow = Flow(
        name="shout",
        kind="dag",
        file=tmp_path / "flow.dag.yaml",
        folder=tmp_path,
        inputs={"word": Port(name="word")},
        outputs=("loud", "why"),
    )
    result = engine.run(RunRequest(flow=flow, data=WORDS[:1], address=Address(url=server.url)))
    assert [row.output for row in result.rows] == [{"loud": "ONE?"}]
