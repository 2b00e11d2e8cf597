"""Texts that want to be more than text: wherever they come from, they are shown, and never run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Page, expect
from report_samples import HOSTILE, TERSE
from row_samples import LONG, Answer, column, detail, key_of, names, open_rows, report_of, score_gate, session

from pytest_llmops.records.gate import CellResult
from pytest_llmops.records.report import Report
from pytest_llmops.records.run import Variant
from pytest_llmops.reports.text import visible

SHOWN = [visible(text) for text in HOSTILE]


def cell_of(texts: tuple[str, ...] = HOSTILE, variant: Variant = TERSE) -> CellResult:
    """A cell with these texts wherever a dataset or a model may speak. Half of its rows failed."""
    answers = [
        Answer(
            name=text,
            group=text,
            text=text,
            gold={"list": [text], text: text},
            output=[text] if number % 2 else text,
            judged={"why": text},
        )
        for number, text in enumerate(texts)
    ]
    failing = [replace(answer, error=f"ValueError: {answer.text}", name=f"failed {answer.name}") for answer in answers]
    return session([*answers, *failing], variant)


def report_with(result: CellResult) -> Report:
    return report_of(result, cell_of(tuple(reversed(HOSTILE)), LONG))


def shown_lines(texts: list[str]) -> list[str]:
    return [" ".join(text.split()) for text in texts]


def test_hostile_texts_are_readable_in_the_table(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_with(cell_of()), sort="tokens")
    expected = shown_lines(SHOWN)
    count = len(expected)
    assert shown_lines(names(page))[:count] == expected
    assert shown_lines(column(page, "Inputs"))[:count] == expected
    for number, cell in enumerate(shown_lines(column(page, "Output"))[:count]):
        assert expected[number] in cell.replace('\\"', '"').replace("\\\\", "\\")


def test_hostile_texts_are_readable_in_full(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_with(cell_of()), with_="long", sort="tokens")
    page.get_by_role("button").filter(has_text="<img").first.click()
    for number, text in enumerate(SHOWN):
        page.evaluate("(row) => { location.hash = location.hash.replace(/&row=\\d+|$/, `&row=${row}`) }", number)
        expect(page.locator(f"#detail-{number}")).to_be_visible()
        assert text in (detail(page).locator("section pre").first.text_content() or "")
        evaluated: Any = detail(page).locator(".evaluations .given").all_text_contents()
        assert text in evaluated, "what an evaluator said"


def test_hostile_errors_are_readable(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_with(cell_of()), row=len(HOSTILE))
    expect(detail(page).locator("pre.error")).to_have_text(f"ValueError: {SHOWN[0]}")
    page.get_by_role("group", name="Which rows").get_by_role("button", name="Failed").click()
    errors = shown_lines(column(page, "Output"))
    assert sorted(errors) == sorted(shown_lines([f"ValueError: {text}" for text in SHOWN]))


def test_hostile_names_of_columns_variants_datasets_and_gates_are_text(page: Page, tmp_path: Path) -> None:
    results = [named(text) for text in HOSTILE]
    gates = [
        score_gate(result, name=f"matcher.{text}", reason=text, rule=text)
        for text, result in zip(HOSTILE, results, strict=True)
    ]
    open_rows(page, tmp_path, report_of(*results, gates=gates))
    for text, result in zip(SHOWN, results, strict=True):
        page.evaluate("(cell) => { location.hash = new URLSearchParams({ cell }) }", key_of(result))
        expect(page.get_by_label("Variant").locator("option")).to_have_text([text])
        expect(page.get_by_label("Dataset").locator("option:checked")).to_have_text(text)
        assert page.get_by_label("Slice").locator("optgroup").first.get_attribute("label") == text
        expect(page.locator(".finding")).to_contain_text(text)
        assert names(page) == ["3", "4", "1", "2"]


def named(text: str) -> CellResult:
    """A cell of four rows whose variant, dataset and slices have this name."""
    result = cell_of(("x", "y"), Variant(id=text))
    columns = {text: ("a", "b", "c", "d"), "id": ("1", "2", "3", "4")}
    return replace(result, cell=replace(result.cell, dataset=text), columns=columns)


def test_hostile_words_can_be_searched_for(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(cell_of()))
    for text in ("<script>alert(1)</script>", "<!--", "onerror=alert(1)", "\\u202e"):
        page.get_by_label("Search").fill(text)
        expect(page.get_by_label("Search")).to_have_value(text)
        expect(page.locator("table.rows > tbody > .entry > th").first).to_contain_text(text)


def test_hostile_addresses_are_text(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(cell_of()))
    for key in ("cell", "gate", "row", "with", "show", "q", "sort", "slice", "page"):
        for text in ("<img src=x onerror=alert(1)>", "__proto__", "constructor", "%", "'\"]"):
            page.goto(f"{(tmp_path / 'index.html').as_uri()}#{urlencode({'view': 'rows', key: text})}")
            expect(page.get_by_label("Experiment")).to_be_visible()


def test_a_megabyte_is_cut_and_says_so(page: Page, tmp_path: Path) -> None:
    answers = [Answer(text="<b>" * 400_000, output="é" * 1_000_000, error=None)]
    open_rows(
        page,
        tmp_path,
        report_of(session(answers), session([Answer(text="x", output="e")], LONG)),
        with_="long",
        row=0,
    )
    expect(detail(page).locator("pre").first).to_contain_text("(1,200,000 characters, SHA-256 ")
    expect(detail(page).locator(".compared pre").last).to_contain_text("1,000,000 characters")
    box = detail(page).locator(".compared pre").last.bounding_box()
    assert box is not None
    assert box["height"] < 500, "it scrolls in its own box"


def test_text_from_right_to_left_keeps_its_direction(page: Page, tmp_path: Path) -> None:
    answers = [Answer(name="שם", text="שלום, Anna!", output="مرحبا nurse 12", gold="مرحبا")]
    before = [Answer(name="שם", text="שלום, Anna!", output="مرحبا cook 12", gold="مرحبا")]
    open_rows(page, tmp_path, report_of(session(answers), session(before, LONG)), with_="long", row=0)
    for text in detail(page).locator("pre").all():
        assert text.evaluate("(it) => getComputedStyle(it).direction") == "rtl"
        assert text.evaluate("(it) => getComputedStyle(it).unicodeBidi") == "plaintext"
