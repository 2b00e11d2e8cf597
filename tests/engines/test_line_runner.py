"""Threads that run lines: how many there are, and what becomes of lines that hang or raise."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_llmops.engines.lines import run_lines
from pytest_llmops.records.run import Row

Inputs = Mapping[str, Any]


def lines(count: int) -> list[tuple[int, Inputs]]:
    return [(number, {"n": number}) for number in range(count)]


def row(inputs: Inputs, number: int) -> Row:
    return Row(line_number=number, inputs=inputs, output={"thread": threading.get_ident()})


def test_every_line_gives_one_row() -> None:
    rows = list(run_lines(row, lines(50), concurrency=4, timeout=5))
    assert sorted(done.line_number for done in rows) == list(range(50))
    assert threading.get_ident() not in {done.output["thread"] for done in rows if done.output}


def test_no_lines_give_no_rows() -> None:
    assert list(run_lines(row, [], concurrency=4, timeout=5)) == []


def test_lines_that_wait_overlap() -> None:
    def wait(inputs: Inputs, number: int) -> Row:
        time.sleep(0.05)
        return row(inputs, number)

    begun = time.monotonic()
    assert len(list(run_lines(wait, lines(32), concurrency=16, timeout=5))) == 32
    assert time.monotonic() - begun < 32 * 0.05 / 2


def test_a_line_that_hangs_gives_its_place_to_another() -> None:
    release = threading.Event()

    def hang(inputs: Inputs, number: int) -> Row:
        if number in (0, 3):
            release.wait(10)
        return row(inputs, number)

    rows = {done.line_number: done.error for done in run_lines(hang, lines(6), concurrency=1, timeout=0.1)}
    release.set()
    message = "Line {} execution timeout for exceeding 0.1 seconds"
    assert rows == {0: message.format(0), 1: None, 2: None, 3: message.format(3), 4: None, 5: None}


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

    (done,) = run_lines(fail, lines(1), concurrency=1, timeout=5)
    assert (done.error, done.inputs) == (error, {"n": 0})


def test_sys_exit_ends_its_line_only() -> None:
    def leave(inputs: Inputs, number: int) -> Row:
        if number == 1:
            sys.exit(2)
        return row(inputs, number)

    rows = {done.line_number: done.error for done in run_lines(leave, lines(3), concurrency=1, timeout=5)}
    assert rows == {0: None, 1: "the flow called sys.exit(2)", 2: None}
