"""Escaping: whatever a model says is shown, and does nothing."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import HOSTILE

from pytest_llmops.reports.text import csv_cell, markdown_cell, neutralise, one_line, plain, visible

ANY_TEXT = st.text(alphabet=st.characters(codec=None))
COMMAND_PARTS = st.lists(
    st.sampled_from(["#", "##", "vso", "v", "so", "[", "]", "\u200d", "\u200b", "\xad", "\u0301", "\n", " ", "x"])
).map("".join)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("null\x00", "null\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("over\rwritten", "over\\rwritten"),
        ("two\r\nlines\tand a tab", "two\nlines\tand a tab"),
        ("café 日本語 👩‍⚕️ می‌خواهم", "café 日本語 👩‍⚕️ می‌خواهم"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("##vso[task.complete result=Succeeded]", "# #vso[task.complete result=Succeeded]"),
        ("say: ###vso[x]", "say: ## #vso[x]"),
        ("##[error]fake", "# #[error]fake"),
        ("#\u200d#vso[x]", "# \u200d#vso[x]"),
        ("##v\u0301so[x]", "# #v\u0301so[x]"),
        ("## A heading", "## A heading"),
        ("#\n#[x]", "#\n#[x]"),
        ("issue #12 [link]", "issue #12 [link]"),
    ],
)
def test_neutralise(text: str, shown: str) -> None:
    assert neutralise(text) == shown


@given(COMMAND_PARTS | ANY_TEXT)
def test_no_text_leaves_a_command_that_the_agent_would_find(text: str) -> None:
    for shown in (neutralise(text), one_line(text), markdown_cell(text)):
        searched = re.sub(r"[^\x20-\x7e\n]", "", shown)  # a command is on one line
        assert "##vso[" not in searched
        assert "##[" not in searched


@given(COMMAND_PARTS | ANY_TEXT)
def test_neutralise_twice_is_neutralise_once(text: str) -> None:
    assert neutralise(neutralise(text)) == neutralise(text)


@given(ANY_TEXT, st.integers(1, 20))
def test_one_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line.splitlines()) <= 1
    assert len(line) <= limit


def test_one_line_marks_what_it_cut() -> None:
    assert one_line("one\n\n two  three", 9) == "one two …"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("a\\|b", "a&#92;\\|b"),
        ("`code` *bold* ~gone~ #1", "\\`code\\` \\*bold\\* \\~gone\\~ \\#1"),
        ("<img src=x> & &lt;", "&lt;img src=x> &amp; &amp;lt;"),
        ("![x](http://x)", "!\\[x\\](http://x)"),
        ("_it_ exact_match_rate", "\\_it\\_ exact_match_rate"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_cell(text: str, shown: str) -> None:
    assert markdown_cell(text) == shown


@given(ANY_TEXT)
def test_markdown_cell_neither_ends_its_cell_nor_opens_a_tag(text: str) -> None:
    shown = markdown_cell(text)
    assert "<" not in shown
    assert not re.search(r"(?<!\\)[|`*\[\]]", shown)
    assert "\\\\" not in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "true"),
        (-5, "-5"),
        (-0.25, "-0.25"),
        (float("nan"), "NaN"),
        ("-5", "-5"),
        ("+1.5e3", "+1.5e3"),
        ("-5+1", "'-5+1"),
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\\r=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a=1", "a=1"),
        ({"a": ["é"]}, '{"a": ["é"]}'),
    ],
)
def test_csv_cell(value: object, shown: str) -> None:
    assert csv_cell(value) == shown


@given(st.lists(ANY_TEXT, min_size=2, max_size=4))
def test_csv_cells_survive_a_reader(texts: list[str]) -> None:
    cells = [csv_cell(text) for text in texts]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    assert next(csv.reader(io.StringIO(text.getvalue(), newline=""))) == cells


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_keeps_strings(text: str) -> None:
    assert plain(text) is text
