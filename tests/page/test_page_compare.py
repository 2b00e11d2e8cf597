"""Rows beside those of another variant, or of the baseline: what changed, and how it is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Page, expect
from report_samples import EXPERIMENT
from row_samples import LONG, Answer, column, detail, names, open_rows, report_of, score_gate, session

from pytest_llmops.reports.page import render_page
from pytest_llmops.reports.page.sources import Sources

BEFORE = (
    Answer(name="same", text="one", output="nurse", score=1.0),
    Answer(name="better", text="two", output="cook", score=0.0),
    Answer(name="worse", text="three", output="the head nurse of the ward", score=1.0),
    Answer(name="other", text="four", output="a nurse", score=0.5),
    Answer(name="broke", text="five", output="nurse", score=1.0),
    Answer(name="mended", text="six", error="ValueError: was down"),
    Answer(name="failed", text="seven", error="ValueError: was down"),
)
AFTER = (
    Answer(name="same", text="one", output="nurse", score=1.0),
    Answer(name="better", text="two", output="nurse", score=1.0),
    Answer(name="worse", text="three", output="the old nurse of the ward", score=0.0),
    Answer(name="other", text="four", output="the nurse", score=0.5),
    Answer(name="broke", text="five", error="ValueError: is down"),
    Answer(name="mended", text="six", output="nurse", score=1.0),
    Answer(name="failed", text="seven", error="ValueError: is down"),
)
ORDER = ["broke", "worse", "better", "mended", "other", "failed", "same"]


def test_the_baseline_is_what_a_cell_is_compared_with_where_there_is_one(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(AFTER), session(BEFORE, LONG)), baseline=session(BEFORE))
    expect(page.get_by_label("Compared with")).to_have_value("*baseline")
    assert page.get_by_label("Compared with").locator("option").all_inner_texts() == ["nothing", "the baseline", "long"]


def test_what_changed_comes_first(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(AFTER)), baseline=session(BEFORE))
    assert names(page) == ORDER
    assert [text.strip("! ▼▲✓≠–=\xa0") for text in column(page, "Change")] == [
        "now fails",
        "worse",
        "better",
        "fails no more",
        "other output",
        "fails in both",
        "same",
    ]
    expect(page.locator(".changes")).to_have_text(
        "Compared with the baseline: "
        "1 now fails, 1 worse, 1 better, 1 fails no more, 1 other output, 1 fails in both, 1 same of 7 rows"
    )


def test_both_outputs_and_scores_stand_side_by_side(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(AFTER)), baseline=session(BEFORE))
    assert column(page, "Output of baseline")[1:3] == ["the head nurse of the ward", "cook"]
    assert column(page, "Output")[:3] == ["ValueError: is down", "the old nurse of the ward", "nurse"]
    assert column(page, "Score of baseline") == ["1", "1", "0", "–", "0.5", "–", "1"]
    assert column(page, "Score (exact)") == ["–", "0", "1", "1", "0.5", "–", "1"]


def test_filters_of_a_comparison(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(AFTER)), baseline=session(BEFORE))
    filters = page.get_by_role("group", name="Which rows").get_by_role("button")
    assert filters.all_inner_texts() == [
        "All 7",
        "Failed 2",
        "Worse 1",
        "Better 1",
        "Other output 5",
        "Not full score 2",
    ]
    for name, expected in {"Worse": ["worse"], "Better": ["better"], "Other output": ORDER[:5]}.items():
        page.get_by_role("group", name="Which rows").get_by_role("button", name=name).click()
        expect(page.locator("table.rows > tbody > .entry > th")).to_have_text(expected)


def test_where_lower_is_better_a_lower_score_is_better(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(AFTER), better="lower"), baseline=session(BEFORE), show="better")
    assert names(page) == ["worse"]


def test_another_variant_can_be_chosen(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(AFTER), session(BEFORE, LONG)))
    expect(page.locator(".changes")).to_have_count(0)
    page.get_by_label("Compared with").select_option("long")
    expect(page.locator(".changes")).to_contain_text("Compared with long: 1 now fails, 1 worse, 1 better")
    page.get_by_label("Compared with").select_option("nothing")
    expect(page.locator(".changes")).to_have_count(0)


def test_words_that_changed_are_marked_on_both_sides(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(AFTER)), baseline=session(BEFORE), row=2)
    before, after = detail(page).locator(".compared pre").all()
    expect(before).to_have_text("the  removed: head nurse of the ward", use_inner_text=False)
    expect(after).to_have_text("the  added: old nurse of the ward", use_inner_text=False)
    expect(before.locator("del")).to_have_css("text-decoration-line", "line-through")
    expect(after.locator("ins")).to_have_css("text-decoration-line", "underline")
    expect(detail(page).locator("header")).to_contain_text("exact 1 → 0")


def test_outputs_that_are_the_same_have_no_marks(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(AFTER)), baseline=session(BEFORE), row=0)
    expect(detail(page).get_by_role("heading", name="entities")).to_have_text("entities the same")
    expect(detail(page).locator("ins, del")).to_have_count(0)


def test_an_error_stands_in_full_beside_the_output_of_before(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(AFTER)), baseline=session(BEFORE), row=4)
    outputs = detail(page).locator(".execution .sides > div")
    assert outputs.all_inner_texts() == ["baseline\nentities\nnurse", "terse\nValueError: is down"]


def test_words_of_any_script_are_told_apart(page: Page, tmp_path: Path) -> None:
    before = [Answer(text="x", output="我是护士 👩\u200d💻"), Answer(text="y", output=["a", "b"])]
    after = [Answer(text="x", output="我是厨师 👩\u200d🚀"), Answer(text="y", output=["a", "c"])]
    open_rows(page, tmp_path, report_of(session(after)), baseline=session(before), row=0)
    marked = detail(page).locator("del").all_text_contents()
    assert marked == [" removed: 护士", " removed: 👩\u200d💻"], "what is one sign to a reader is never cut"
    detail(page).get_by_role("button", name="Next").click()
    expect(detail(page).locator("del")).to_have_text(" removed: b")


def test_lines_that_changed_alone_are_marked_by_a_sign(page: Page, tmp_path: Path) -> None:
    before, after = [Answer(text="x", output="one two")], [Answer(text="x", output="one\ntwo")]
    open_rows(page, tmp_path, report_of(session(after)), baseline=session(before), row=0)
    expect(detail(page).locator("ins")).to_have_text(" added: ↵\n", use_inner_text=False)


def test_texts_that_are_too_long_are_shown_without_marks(page: Page, tmp_path: Path) -> None:
    before, after = [Answer(text="x", output="no " * 10_000)], [Answer(text="x", output="yes " * 10_000)]
    open_rows(page, tmp_path, report_of(session(after)), baseline=session(before), row=0)
    expect(detail(page).get_by_text("Too long, or too different, to mark what changed.")).to_be_visible()
    expect(detail(page).locator("ins, del")).to_have_count(0)
    expect(detail(page).locator(".compared pre").first).to_contain_text("no no no")


def test_rows_that_are_not_in_the_baseline_are_said(page: Page, tmp_path: Path) -> None:
    new = (*AFTER, Answer(name="new", text="eight", output="nurse", score=1.0))
    open_rows(page, tmp_path, report_of(session(new)), baseline=session(BEFORE), row=7)
    expect(page.locator(".changes")).to_contain_text("1 not compared")
    expect(detail(page)).to_contain_text("Not in the baseline, or changed since.")


def test_why_a_baseline_can_not_be_compared_is_said(page: Page, tmp_path: Path) -> None:
    report = replace(report_of(session(AFTER)), baselines={EXPERIMENT: "baseline.json"})
    file = tmp_path / "index.html"
    file.write_text(render_page(report, Sources(problems={EXPERIMENT: "another dataset"})), encoding="utf-8")
    page.goto(f"{file.as_uri()}#view=rows")
    expect(page.get_by_text("The baseline: another dataset")).to_be_visible()


def test_where_failed_rows_are_what_is_measured_a_row_that_now_fails_is_worse(page: Page, tmp_path: Path) -> None:
    after = session(AFTER)
    gate = score_gate(after, name="run.error_rate", score="failed", better="lower", rule="<= 0.5")
    open_rows(page, tmp_path, report_of(after, gates=[gate]), baseline=session(BEFORE), row=4)
    expect(page.locator(".changes")).to_have_text(
        "Compared with the baseline: 1 worse, 1 better, 3 other output, 1 fails in both, 1 same of 7 rows"
    )
    assert names(page)[:2] == ["broke", "mended"]
    assert column(page, "Score of baseline") == ["0", "1", "0", "0", "0", "1", "0"]
    assert column(page, "Score (failed)") == ["1", "0", "0", "0", "0", "1", "0"]
    expect(detail(page).locator("header")).to_contain_text("failed 0 → 1")


def test_scores_by_another_gold_are_not_compared(page: Page, tmp_path: Path) -> None:
    changed = [replace(answer, gold="doctor") if answer.name == "worse" else answer for answer in AFTER]
    open_rows(page, tmp_path, report_of(session(changed)), baseline=session(BEFORE), row=2)
    expect(page.locator(".changes")).to_contain_text("0 worse, 1 better")
    expect(detail(page)).to_contain_text("The gold was another one then: the two scores can't be compared.")
