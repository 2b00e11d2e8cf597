"""Threads that run lines: how many there are, and what becomes of lines that hang or raise."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_llmops.engines.lines import Work, run_lines
from pytest_llmops.records.run import Line, Row

Inputs = Mapping[str, Any]


def run(work: Work, lines: Sequence[Line], *, concurrency: int, timeout: float = 5) -> list[Row]:
    rows: list[Row] = []
    assert run_lines(work, lines, rows.append, concurrency=concurrency, timeout=timeout) == len(rows)
    return rows


def lines(count: int) -> list[tuple[int, Inputs]]:
    return [(number, {"n": number}) for number in range(count)]


def row(inputs: Inputs, number: int) -> Row:
    return Row(line_number=number, inputs=inputs, output={"thread": threading.get_ident()})


def test_every_line_gives_one_row() -> None:
    rows = run(row, lines(50), concurrency=4)
    assert sorted(done.line_number for done in rows) == list(range(50))
    assert threading.get_ident() not in {done.output["thread"] for done in rows if done.output}


def test_no_lines_give_no_rows() -> None:
    assert run(row, [], concurrency=4) == []


def test_lines_that_wait_overlap() -> None:
    together = threading.Barrier(16, timeout=5)

    def meet(inputs: Inputs, number: int) -> Row:
        together.wait()
        return row(inputs, number)

    assert [done.error for done in run(meet, lines(32), concurrency=16, timeout=10)] == [None] * 32


def test_after_a_line_that_hangs_no_other_is_begun() -> None:
    release = threading.Event()

    def hang(inputs: Inputs, number: int) -> Row:
        if number == 2:
            release.wait(10)
        return row(inputs, number)

    rows = {done.line_number: done.error for done in run(hang, lines(6), concurrency=1, timeout=0.1)}
    release.set()
    assert rows == {0: None, 1: None, 2: "Line 2 execution timeout for exceeding 0.1 seconds"}


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (ValueError("a\nb"), "(ValueError) a"),
        (KeyboardInterrupt(), "(KeyboardInterrupt)"),
        (SystemExit(), "the flow called sys.exit()"),
        (SystemExit("bye"), "the flow called sys.exit('bye')"),
    ],
)
def test_a_line_that_raises_fails(problem: BaseException, error: str) -> None:
    def fail(inputs: Inputs, number: int) -> Row:
        raise problem

    (done,) = run(fail, lines(1), concurrency=1)
    assert (done.error, done.inputs) == (error, {"n": 0})


def test_sys_exit_ends_its_line_only() -> None:
    def leave(inputs: Inputs, number: int) -> Row:
        if number == 1:
            sys.exit(2)
        return row(inputs, number)

    rows = {done.line_number: done.error for done in run(leave, lines(3), concurrency=1)}
    assert rows == {0: None, 1: "the flow called sys.exit(2)", 2: None}
