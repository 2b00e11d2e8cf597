"""What is reused, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_samples import CREATED, cell_result, metric_gate, report, reused

from pytest_llmops.records.run import RunResult
from pytest_llmops.reports.ages import Reuse, age, iso_time, reuse_note, reuse_of, reuse_text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 seconds"),
        (0.4, "0 seconds"),
        (1.9, "1 second"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (172_799, "47 hours"),
        (172_800, "2 days"),
        (40 * 86_400, "40 days"),
    ],
)
def test_age(seconds: float, words: str) -> None:
    assert age(seconds) == words


def test_times_are_utc() -> None:
    assert iso_time(CREATED) == report().created == "2026-09-01T10:00:00+00:00"
    assert iso_time(None) == ""


def test_rows_of_runs_and_evaluations_count() -> None:
    session = report(cells=(reused(cell_result()), reused(cell_result(), days=0.5)))
    assert reuse_of(session) == Reuse(rows=2, of=6, oldest=CREATED - 2 * 86_400)
    assert reuse_text(session) == "2 of 6 rows, oldest from 2 days ago"


def test_metrics_that_are_older_than_every_row_count_too() -> None:
    nothing = RunResult(status="Completed", recorded=CREATED - 60)
    assert reuse_of(report(cells=(replace(cell_result(), run=nothing),))) == Reuse(rows=0, of=1, oldest=CREATED - 60)


def test_nothing_is_said_where_nothing_is_reused() -> None:
    assert (reuse_of(report()), reuse_text(report()), reuse_note(metric_gate())) == (None, "", "")


def test_a_report_without_a_date_has_times_in_place_of_ages() -> None:
    session = replace(report(cells=(reused(cell_result()),)), created="")
    assert reuse_text(session) == "1 of 3 rows, oldest from 2026-08-30T10:00:00+00:00"
