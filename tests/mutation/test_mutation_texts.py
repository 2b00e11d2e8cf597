"""Prompts, examples, data and settings, broken on purpose: what changes, and what must not."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.mutation import context, examples, prompts
from pytest_llmops.mutation.temperature import raise_temperature

CHAT = """# system:
Sort the ticket.
Answer with one word.

# user:
Ticket: The bill is wrong.
# assistant:
billing

{% for example in examples
   if example.good %}
# user:
{{ example.text }}
# assistant:
{{ example.label }}
{% endfor %}
# user:
The door is shut.
# assistant:
access

# user:
{{ ticket }}
"""
COMPLETION = "Say what it is.\nText: nice\nLabel: good\nText: ugly\nLabel: bad\nText: {{text}}\nLabel:"
PROMPTY = """---
name: x
model:
  parameters:
    temperature: 0.2
---
system:
Be brief. The temperature: 0.2 degrees.
user:
{{question}}
"""


def kept(template: str) -> list[str]:
    """Lines that no mutation may take away."""
    signs = ("#", "{%", "{{", "   if", "system:", "user:", "---", "name:", "model:", "  ")
    return [line for line in template.splitlines() if not line.strip() or line.startswith(signs)]


@pytest.mark.parametrize("template", [CHAT, COMPLETION, PROMPTY])
def test_each_line_of_text_is_dropped_once_and_all_else_stays(template: str) -> None:
    dropped: list[str] = []
    for part in range(prompts.PARTS):
        left = prompts.drop_lines(template, part).splitlines()
        assert [line for line in left if line in kept(template)] == kept(template)
        missing = template.splitlines()
        for line in left:
            missing.remove(line)
        dropped += missing
    assert sorted(dropped) == sorted(
        line for line in template.splitlines() if line not in kept(template) and "{{" not in line
    )


@given(st.text(), st.integers(0, 2))
def test_any_text_loses_whole_lines_only(text: str, part: int) -> None:
    left = prompts.drop_lines(text, part).splitlines(keepends=True)
    assert Counter(left) <= Counter(text.splitlines(keepends=True))


def test_answers_of_a_chat_are_swapped() -> None:
    swapped = CHAT.replace("billing", "(1)").replace("access", "billing").replace("(1)", "access")
    assert prompts.swap_answers(CHAT) == swapped


def test_answers_of_a_completion_are_swapped() -> None:
    swapped = "Say what it is.\nText: nice\nLabel: bad\nText: ugly\nLabel: good\nText: {{text}}\nLabel:"
    assert prompts.swap_answers(COMPLETION) == swapped


@pytest.mark.parametrize(
    "template", ["", "system:\nBe brief.\nuser:\n{{question}}\n", "user:\na\nassistant:\nsame\n" * 2]
)
def test_without_different_answers_nothing_is_swapped(template: str) -> None:
    assert prompts.swap_answers(template) == template


def test_answers_move_as_far_as_changes_most() -> None:
    assert prompts.rotate(["a", "a", "b", "b"]) == ["b", "b", "a", "a"]
    assert prompts.rotate([]) == []


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_answers_are_the_same_ones_in_another_order(answers: list[str]) -> None:
    rotated = prompts.rotate(answers)
    assert sorted(rotated) == sorted(answers)
    assert (rotated != answers) == (len(set(answers)) > 1)


def test_examples_in_files_are_swapped() -> None:
    rows = [{"ticket": "a", "queue": "x"}, {"ticket": "b", "queue": "x"}, {"ticket": "c", "queue": "y"}]
    swapped = [{"ticket": "a", "queue": "x"}, {"ticket": "b", "queue": "y"}, {"ticket": "c", "queue": "x"}]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    assert [json.loads(line) for line in examples.swap_answers(lines, ".jsonl").splitlines()] == swapped
    assert json.loads(examples.swap_answers(json.dumps(rows), ".json")) == swapped
    assert examples.swap_answers("ticket,queue\na,x\nb,x\nc,y\n", ".csv") == "ticket,queue\na,x\nb,y\nc,x\n"
    assert examples.swap_answers("ticket\tqueue\na\tx\nb\ty\n", ".tsv") == "ticket\tqueue\na\ty\nb\tx\n"


def test_a_column_of_a_usual_name_holds_the_answers() -> None:
    rows = [{"answer": "1", "kind": "k"}, {"answer": "2", "kind": "m"}, {"answer": "3", "kind": "m"}]
    assert [row["answer"] for row in json.loads(examples.swap_answers(json.dumps(rows), ".json"))] == ["2", "3", "1"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"a": 1}', '[{"a": 1}]', '[{"a": 1, "b": 1}, {"a": 2}]', '[{"a": 1}, {"a": 2}]']
)
def test_what_holds_no_examples_stays(text: str) -> None:
    assert examples.swap_answers(text, ".json") == text


@pytest.mark.parametrize(
    ("value", "half"),
    [
        ("one two three four", "one two"),
        ("one two three", "one"),
        ("four", "fo"),
        ("", ""),
        (["a", "b", "c"], ["a"]),
        (["one two"], ["one"]),
        ([], []),
        (7, 7),
        (None, None),
        ({"a": "b c"}, {"a": "b c"}),
    ],
)
def test_the_first_half_is_kept(value: object, half: object) -> None:
    assert context.first_half(value) == half


def test_inputs_read_columns_by_mapping_or_by_name() -> None:
    mappings = {"text": "${data.body}", "mode": "fast", "gone": "${data.missing}", "number": 3}
    found = context.data_columns(mappings, ["text", "mode", "title", "other"], ["body", "title", "gold"])
    assert found == {"text": "body", "title": "title"}


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv"])
def test_halves_are_added_and_columns_stay(suffix: str) -> None:
    rows = [{"body": "a b", "n": "1"}, {"body": 'ä, "d"', "n": "2"}]
    text, cut = context.add_halves(context._write(rows, suffix), suffix, {"body": "half", "n": "half_n"})
    assert cut == {"body"}
    assert [(row["body"], row["half"]) for row in context._read(text, suffix)] == [("a b", "a"), ('ä, "d"', "ä,")]


def test_temperatures_of_nodes_are_raised() -> None:
    dag = (
        "nodes:\n- name: a\n  inputs:\n    temperature: 0 # cold\n    top_p: 1\n"
        '- {name: b, inputs: {temperature: 0.2, model: m}}\n- inputs: {"temperature": ${inputs.temperature}}\n'
        "# temperature: 0\n"
    )
    assert raise_temperature(dag, ".yaml") == (
        "nodes:\n- name: a\n  inputs:\n    temperature: 1.5 # cold\n    top_p: 1\n"
        '- {name: b, inputs: {temperature: 1.5, model: m}}\n- inputs: {"temperature": 1.5}\n'
        "# temperature: 0\n"
    )


def test_the_prompt_of_a_prompty_is_not_its_settings() -> None:
    assert raise_temperature(PROMPTY, ".prompty") == PROMPTY.replace("    temperature: 0.2", "    temperature: 1.5")


def test_an_input_named_temperature_without_a_value_is_left_alone() -> None:
    text = "inputs:\n  temperature:\n    type: double\n"
    assert raise_temperature(text, ".yaml") == text
