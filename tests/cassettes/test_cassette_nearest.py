"""How a request that is not recorded is described."""

from __future__ import annotations

import pytest

from pytest_llmops.cassettes.call import Call
from pytest_llmops.cassettes.nearest import nearest_difference, summary

LONG = "You label job titles. " * 20


def chat(text: str, system: str = "Be brief.", deployment: str | None = None, **settings: object) -> Call:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    body = {"messages": messages, "model": "gpt-4o", **settings}
    return Call(operation="chat/completions", deployment=deployment, body=body)


@pytest.mark.parametrize(
    ("asked", "difference"),
    [
        (chat("Bar"), "messages[1].content: 'Foo' recorded, 'Bar' asked"),
        (chat("Foo", temperature=0.7), "temperature: not recorded, 0.7 asked"),
        (chat("Foo", stream=True), "stream: not recorded, true asked"),
        (chat("Foo", "Be\nkind."), "messages[0].content: 'Be brief.' recorded, 'Be\\nkind.' asked"),
        (chat("Bar", stop=["\n"]), "messages[1].content: 'Foo' recorded, 'Bar' asked (and 1 more)"),
        (chat("Foo", deployment="east"), "deployment: not recorded, 'east' asked"),
        (
            chat(LONG + "Now"),
            "messages[1].content: 'Foo' recorded, "
            "'You label job titles. You label job titles. You label job ti...' asked",
        ),
        (Call(operation="embeddings", deployment=None, body={"input": "Foo"}), ""),
    ],
)
def test_the_difference_is_named(asked: Call, difference: str) -> None:
    assert nearest_difference(asked, [chat("Foo")]) == difference


def test_long_texts_are_shown_where_they_begin_to_differ() -> None:
    asked, recorded = chat(LONG + "Find the titles in: a cook"), chat(LONG + "Find the titles in: a nurse")
    assert nearest_difference(asked, [recorded]) == (
        "messages[1].content: '...nd the titles in: a nurse' recorded, '...nd the titles in: a cook' asked"
    )


def test_what_was_recorded_and_is_not_asked_is_named() -> None:
    assert nearest_difference(chat("Foo"), [chat("Foo", seed=7)]) == "seed: 7 recorded, not asked"


def test_true_differs_from_one() -> None:
    assert nearest_difference(chat("Foo", n=True), [chat("Foo", n=1)]) == "n: 1 recorded, true asked"


def test_fewest_differences_come_first_then_most_shared_words() -> None:
    recorded = [
        chat("the cook and the nurse", temperature=0.5),
        chat("no cook at all"),
        chat("the cook and the driver"),
        chat("unlike"),
    ]
    assert nearest_difference(chat("the cook and the nurse"), recorded[:1]) == "temperature: 0.5 recorded, not asked"
    assert nearest_difference(chat("the cook and a nurse"), recorded[1:]) == (
        "messages[1].content: 'the cook and the driver' recorded, 'the cook and a nurse' asked"
    )


def test_a_body_that_is_not_json_is_compared_as_text() -> None:
    asked, recorded = (Call(operation="completions", deployment="east", body=text) for text in ("a=1", "a=2"))
    assert nearest_difference(asked, [recorded]) == "body: 'a=2' recorded, 'a=1' asked"
    assert summary(asked) == "completions east 'a=1'"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"model": "m", "messages": [{"content": "Hi", "role": "user"}]}, "responses m 'Hi'"),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
            "responses m 'Hi'",
        ),
        ({"model": "m", "prompt": "Hi"}, "responses m 'Hi'"),
        ({"model": "m", "input": ["One", "Hi"]}, "responses m 'Hi'"),
        ({"model": "m", "input": [[1, 2]]}, "responses m"),
        ({}, "responses"),
    ],
)
def test_a_request_is_named_by_its_last_text(body: object, text: str) -> None:
    assert summary(Call(operation="responses", deployment=None, body=body)) == text
