"""The sample rows and their gold: they belong together, and the gold is true."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def rows(path: str) -> list[dict[str, Any]]:
    """Read the rows of a dataset."""
    return [json.loads(line) for line in (ROOT / "datasets" / path).read_text(encoding="utf-8").splitlines()]


def test_math_problems_are_what_the_generator_writes(tmp_path: Path) -> None:
    shutil.copy(ROOT / "datasets/math/generate.py", tmp_path)
    runpy.run_path(str(tmp_path / "generate.py"), run_name="__main__")
    for name in ("problems.jsonl", "gold.jsonl"):
        assert (tmp_path / name).read_bytes() == (ROOT / "datasets/math" / name).read_bytes()


@pytest.mark.parametrize(
    ("data", "gold"),
    [
        ("math/problems.jsonl", "math/gold.jsonl"),
        ("faq_rag/questions.jsonl", "faq_rag/gold.jsonl"),
        ("faq_rag/questions.jsonl", "faq_rag/labels.jsonl"),
        ("redact/messages.jsonl", "redact/gold.jsonl"),
        ("sentiment/comments.jsonl", "sentiment/gold.jsonl"),
    ],
)
def test_gold_rows_stand_in_the_order_of_the_rows(data: str, gold: str) -> None:
    assert [row["id"] for row in rows(gold)] == [row["id"] for row in rows(data)]


@pytest.mark.parametrize("gold", rows("faq_rag/gold.jsonl"), ids=lambda gold: str(gold["id"]))
def test_facts_stand_in_the_gold_answer_and_on_the_gold_page(gold: dict[str, Any]) -> None:
    page = (ROOT / f"flows/faq_rag/pages/{gold['page']}.md").read_text(encoding="utf-8")
    assert gold["fact"] in page
    assert gold["fact"].lower() in gold["answer"].lower()


def test_judge_labels_are_on_25_answers_and_repeat_the_gold() -> None:
    labels, gold = rows("faq_rag/labels.jsonl"), rows("faq_rag/gold.jsonl")
    labelled = [row for row in labels if row["human_label"]]
    assert len(labelled) == 25
    assert {row["human_label"] for row in labelled} == {"yes", "no"}
    assert all(bool(row["labelled_answer"]) == bool(row["human_label"]) for row in labels)
    assert [row["answer"] for row in labels] == [row["answer"] for row in gold]


def test_redaction_gold_stands_in_the_messages() -> None:
    for message, gold in zip(rows("redact/messages.jsonl"), rows("redact/gold.jsonl"), strict=True):
        assert all(text in message["message"] for text in gold["secrets"] + gold["needed"])


def test_sentiment_labels_are_balanced() -> None:
    labels = [row["label"] for row in rows("sentiment/gold.jsonl")]
    assert (labels.count("positive"), labels.count("negative")) == (20, 20)
