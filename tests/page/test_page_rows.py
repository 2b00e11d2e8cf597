"""The table of rows: what it shows of each, which of them, and in which order."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from row_samples import LONG, Answer, column, detail, key_of, names, open_rows, report_of, score_gate, session

ANSWERS = (
    Answer(name="a1", group="en", text="She is a nurse.", output="nurse", score=1.0, seconds=0.25),
    Answer(name="a2", group="de", text="Er ist Koch.", gold="Koch", output="chef", score=0.0, judged={"f1": 0.5}),
    Answer(name="a10", group="de", text="Hm.", error="ValueError: no entity\n  in line 7", seconds=2.0),
    Answer(name="a9", group="en", text="A cook.", gold="cook", output="kitchen cook", score=0.5, judged={"f1": 0.75}),
)


ALLOWED = 400
"""Milliseconds. It takes about 100; a machine that is busy with other tests needs more."""

FASTEST = """async ([changed, allowed]) => {
  const before = location.hash;
  const pause = () => new Promise((done) => setTimeout(done, 150));
  const watched = { subtree: true, childList: true, characterData: true };
  let fastest = Infinity;
  for (let turn = 0; turn < 3 && fastest >= allowed; turn++) {
    const start = performance.now();
    const seen = new Promise((done) => new MutationObserver(done).observe(document.body, watched));
    location.hash = `${before}&${changed}`;
    await seen;
    document.body.getBoundingClientRect();
    fastest = Math.min(fastest, performance.now() - start);
    location.hash = before;
    await pause();
  }
  return fastest;
}"""
"""Milliseconds from a change of the address until the table is changed and laid out: the fastest of three times.

The first one that is fast enough is the last.
"""


def test_rows_that_failed_come_first_and_then_the_lowest_scores(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(ANSWERS)))
    assert names(page) == ["a10", "a2", "a9", "a1"]


def test_each_row_shows_what_was_asked_what_is_right_and_what_came_out(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(ANSWERS)), sort="name")
    assert column(page, "Inputs") == ["She is a nurse.", "Er ist Koch.", "A cook.", "Hm."]
    assert column(page, "Gold") == ["nurse", "Koch", "cook", ""]
    assert column(page, "Output") == ["nurse", "chef", "kitchen cook", "ValueError: no entity\nin line 7"]
    assert column(page, "Score (exact)") == ["1", "0", "0.5", "–"]
    assert column(page, "f1") == ["–", "0.5", "0.75", "–"]
    assert column(page, "Seconds") == ["0.25", "0.5", "0.5", "2"]
    assert column(page, "Tokens") == ["10", "11", "13", "12"]
    assert [text.strip() for text in column(page, "State")] == ["", "", "", "failed"]


def test_reused_rows_say_how_old_they_are(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session([Answer(text="x", output="y", days=3)])))
    assert column(page, "State") == ["reused, 3 days earlier"]


def test_a_score_that_an_evaluator_failed_to_give_is_said(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session([Answer(text="x", output="y", score=None)])), row=0)
    assert column(page, "State") == ["no matcher"]
    expect(detail(page).locator("header")).to_contain_text("exact –")
    expect(detail(page)).to_contain_text("ValueError: no score")


def test_a_score_that_is_no_number_is_not_taken_for_one_that_is_missing(page: Page, tmp_path: Path) -> None:
    scores = (math.nan, None, math.inf, 1.25e-05 / 3)
    answers = [Answer(text="x", output="y", score=score, judged={"f1": 0.5}) for score in scores]
    open_rows(page, tmp_path, report_of(session(answers)), sort="name", row=0)
    assert column(page, "Score (exact)") == ["NaN", "–", "Infinity", "4.167e-06"]
    expect(detail(page).locator("header")).to_contain_text("exact NaN")
    expect(page.get_by_role("status")).to_contain_text("Mean exact: 4.167e-06 over 1 row")


def test_where_failed_rows_are_what_is_measured_they_are_the_scores(page: Page, tmp_path: Path) -> None:
    result = session(ANSWERS)
    gate = score_gate(result, name="run.error_rate", score="failed", better="lower", value=0.25, rule="<= 0.5")
    open_rows(page, tmp_path, report_of(result, gates=[gate]))
    assert names(page)[0] == "a10"
    assert column(page, "Score (failed)") == ["1", "0", "0", "0"]
    expect(page.get_by_role("status")).to_have_text("4 rows shown. Mean failed: 0.25 over 4 rows")


def test_a_click_on_a_heading_sorts_and_a_second_one_turns_it_round(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(ANSWERS)))
    heading = page.get_by_role("columnheader", name="Score (exact)")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert names(page) == ["a2", "a9", "a1", "a10"]
    heading.get_by_role("button").press("Enter")
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert names(page) == ["a1", "a9", "a2", "a10"], "what has no score stands last either way"
    page.get_by_role("button", name="Default order").click()
    expect(page.locator("[aria-sort]")).to_have_count(0)
    assert names(page) == ["a10", "a2", "a9", "a1"]


def test_every_column_can_be_sorted_by(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(ANSWERS)))
    for title, expected in {
        "Row": ["a1", "a2", "a9", "a10"],
        "Inputs": ["a9", "a2", "a10", "a1"],
        "Gold": ["a9", "a2", "a1", "a10"],
        "Output": ["a2", "a9", "a1", "a10"],
        "f1": ["a2", "a9", "a1", "a10"],
        "Seconds": ["a1", "a2", "a9", "a10"],
        "Tokens": ["a1", "a2", "a10", "a9"],
        "State": ["a10", "a1", "a2", "a9"],
    }.items():
        heading = page.get_by_role("columnheader", name=title, exact=True)
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", "ascending")
        assert names(page) == expected, title


def test_filters_count_their_rows_and_show_them(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(ANSWERS)))
    filters = page.get_by_role("group", name="Which rows").get_by_role("button")
    assert filters.all_inner_texts() == ["All 4", "Failed 1", "Not full score 2"]
    page.get_by_role("button", name="Failed 1").click()
    expect(page.get_by_role("status")).to_contain_text("1 row shown.")
    assert names(page) == ["a10"]
    page.get_by_role("button", name="Not full score 2").click()
    expect(page.get_by_role("status")).to_contain_text("2 rows shown.")
    assert names(page) == ["a2", "a9"]


def test_words_are_searched_for_in_all_texts_of_a_row(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(ANSWERS)))
    for words, expected in {
        "a10": ["a10"],
        "NURSE": ["a1"],
        "koch": ["a2"],
        "cook kitchen": ["a9"],
        "line 7": ["a10"],
        "cook nurse": [],
    }.items():
        page.get_by_label("Search").fill(words)
        expect(page.locator("table.rows > tbody > .entry > th")).to_have_text(expected)
    expect(page.get_by_text("No rows are like this.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"&q=cook\+nurse"))


def test_a_slice_is_put_beside_all_rows(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(ANSWERS)))
    page.get_by_label("Slice").select_option(label="en: 2")
    expect(page.get_by_role("status")).to_have_text(
        "2 rows shown. Mean exact: 0.75 over 2 rows shown, 0.5 over 3 rows in all"
    )
    assert names(page) == ["a9", "a1"]
    page.get_by_label("Slice").select_option(label="all rows")
    expect(page.get_by_role("status")).to_have_text("4 rows shown. Mean exact: 0.5 over 3 rows")


def test_where_lower_is_better_the_highest_scores_come_first(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(session(ANSWERS), better="lower"))
    assert names(page) == ["a10", "a1", "a9", "a2"]
    page.get_by_role("button", name="Not full score 2").click()
    expect(page.locator("table.rows > tbody > .entry")).to_have_count(2)
    assert names(page) == ["a1", "a9"]


def test_a_metric_without_scores_of_rows_is_said_to_have_none(page: Page, tmp_path: Path) -> None:
    result = session(ANSWERS)
    gates = [score_gate(result), score_gate(result, name="matcher.f1", score="")]
    open_rows(page, tmp_path, report_of(result, gates=gates), gate="matcher.f1")
    expect(page.get_by_text("matcher.f1 has no scores of single rows")).to_have_text(
        "matcher.f1 has no scores of single rows; they are scored by matcher.exact_match_rate here."
    )


def test_without_any_scores_the_rows_are_still_shown(page: Page, tmp_path: Path) -> None:
    result = session(ANSWERS)
    open_rows(page, tmp_path, report_of(result, gates=[score_gate(result, name="run", score="")]))
    assert names(page) == ["a10", "a1", "a2", "a9"]
    expect(page.get_by_role("status")).to_have_text("4 rows shown.")


def test_repeats_are_a_mean_in_the_table_and_each_by_itself_below(page: Page, tmp_path: Path) -> None:
    first = [Answer(text="x", output="nurse", score=1.0), Answer(text="y", output="cook", score=1.0)]
    second = [Answer(text="x", output="doctor", score=0.0), Answer(text="y", error="Timeout: late")]
    open_rows(page, tmp_path, report_of(session(first, LONG, second)), sort="tokens", row=0)
    assert column(page, "Score (exact)") == ["0.5", "–"]
    assert [text.strip() for text in column(page, "State")] == ["", "1 of 2 failed"]
    expect(detail(page).locator(".execution")).to_have_count(2)
    expect(detail(page).locator(".execution").nth(1)).to_contain_text("Execution 2 of 2")
    expect(detail(page).locator(".execution").nth(1)).to_contain_text("doctor")


def test_a_cell_that_failed_whole_shows_why(page: Page, tmp_path: Path) -> None:
    result = session(ANSWERS)
    broken = replace(result, run=replace(result.run, status="Failed", rows=(), error="ImportError: no flow\n  at top"))
    open_rows(page, tmp_path, report_of(broken))
    expect(page.get_by_text("The whole cell failed.")).to_be_visible()
    expect(page.locator("pre.error")).to_have_text("ImportError: no flow\n  at top")


def test_an_evaluator_that_failed_whole_shows_why(page: Page, tmp_path: Path) -> None:
    result = session(ANSWERS)
    matcher = result.evaluations["matcher"]
    broken = replace(matcher, result=replace(matcher.result, aggregation_error="ZeroDivisionError: no rows"))
    open_rows(page, tmp_path, report_of(replace(result, evaluations={"matcher": broken})))
    expect(page.get_by_text("Evaluator matcher failed.")).to_be_visible()
    expect(page.locator("pre.error")).to_have_text("ZeroDivisionError: no rows")


def test_a_cell_without_results_shows_what_its_gates_say(page: Page, tmp_path: Path) -> None:
    result, gone = session(ANSWERS), session(ANSWERS, LONG)
    gate = score_gate(gone, verdict="ERROR", value=None, rule="", reason="the cell was never run")
    open_rows(page, tmp_path, report_of(result, gates=[score_gate(result), gate]), cell=key_of(gone))
    expect(page.get_by_role("alert")).to_contain_text("has no results.")
    expect(page.locator(".finding")).to_contain_text("matcher.exact_match_rate the cell was never run")


def test_rows_that_did_not_run_are_counted(page: Page, tmp_path: Path) -> None:
    open_rows(page, tmp_path, report_of(replace(session(ANSWERS), expected_rows=6)))
    expect(page.get_by_text("2 rows of 6 did not run.")).to_be_visible()


def test_a_long_slice_makes_a_narrow_page_no_wider(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 380, "height": 900})
    answers = [Answer(text="x", output="y", group=f"{'a long value ' * 10}{n}") for n in range(2)]
    open_rows(page, tmp_path, report_of(session(answers)))
    expect(page.get_by_label("Slice").locator("option").nth(1)).to_have_text(f"{('a long value ' * 10)[:60]}…: 1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert page.get_by_label("Slice").evaluate("(element) => element.getBoundingClientRect().right") <= 380


def test_a_print_says_what_was_chosen_and_has_no_controls(page: Page, tmp_path: Path) -> None:
    report = report_of(session(ANSWERS), session(ANSWERS, LONG))
    open_rows(page, tmp_path, report, with_="long", show="failed", slice="language=de", q="hm", row=2)
    expect(page.get_by_label("Variant")).to_be_visible()
    expect(page.locator(".printed").first).to_be_hidden()
    page.emulate_media(media="print")
    assert [" ".join(text.split()) for text in page.locator(".choices").all_inner_texts()] == [
        "Experiment ner Dataset general Variant terse Compared with long Scored by matcher.exact_match_rate (exact)"
    ]
    expect(page.get_by_text("Rows: Failed · Slice: language = de · Search: hm")).to_be_visible()
    for controls in ("select", "input", ".sifter button", ".pager button", ".row-detail button"):
        assert page.locator(controls).filter(visible=True).count() == 0, controls
    expect(page.locator("table.rows thead").get_by_text("Output", exact=True)).to_be_visible()
    expect(detail(page)).to_contain_text("ValueError: no entity")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", [{}, {"row": 3}, {"with_": "long", "row": 1}, {"with_": "long", "row": 2}])
def test_nothing_keeps_anybody_out(page: Page, tmp_path: Path, scheme: str, state: dict[str, str | int]) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    long = [Answer(text=answer.text, output=f"{answer.output} " * 400, score=0.5) for answer in ANSWERS]
    open_rows(page, tmp_path, report_of(session(ANSWERS), session(long, LONG)), **state)  # type: ignore[arg-type]
    expect(page.locator("table.rows")).to_be_visible()
    found = Axe().run(page).response["violations"]
    assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == []


@pytest.mark.slow
def test_twenty_thousand_rows_are_sifted_at_once(page: Page, tmp_path: Path) -> None:
    words = ("nurse", "cook", "clerk", "smith", "tailor")
    many = [
        Answer(
            name=f"r{n}",
            group=words[n % 5],
            text=f"Person {n} is a {words[n % 5]}.",
            output=words[n % 4],
            score=n % 2,
        )
        for n in range(20_000)
    ]
    other = [Answer(name=a.name, text=a.text, output=words[n % 3], score=n % 3 % 2) for n, a in enumerate(many)]
    open_rows(page, tmp_path, report_of(session(many), session(other, LONG)), with_="long")
    expect(page.locator("table.rows > tbody > .entry")).to_have_count(100)
    expect(page.get_by_text("1 to 100 of 20,000").first).to_be_visible()

    tried = ("q=tailor+smith", "show=worse", "sort=-tokens", "sort=inputs", "slice=language%3Dcook", "page=150")
    for changed in tried:
        assert page.evaluate(FASTEST, [changed, ALLOWED]) < ALLOWED, changed
