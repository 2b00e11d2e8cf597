"""How far one run gave what another one gave: computed as anyone would, and never on what broke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scored import CELL, FLOW, cell, experiment

from pytest_llmops.records.experiment import Candidate, Dataset, Port
from pytest_llmops.records.gate import CellResult, Repeat
from pytest_llmops.records.run import Row, RunResult, Variant
from pytest_llmops.stats.against_baseline import Reference
from pytest_llmops.stats.agreement import Agreement, agreement

Output = dict[str, Any] | None


def ran(*executions: Sequence[Output], inputs: Sequence[dict[str, Any]] | None = None, **changes: Any) -> CellResult:
    """A cell that gave such outputs, in each of its executions; None for a row that failed."""
    runs = [
        RunResult(
            status="Completed",
            rows=tuple(
                Row(
                    line_number=number,
                    inputs=inputs[number] if inputs else {"text": f"t{number}"},
                    output=output,
                    error=None if output is not None else "boom\nat line 1",
                )
                for number, output in enumerate(outputs)
            ),
        )
        for outputs in executions
    ]
    repeats = tuple(Repeat(run=run) for run in runs[1:])
    found = replace(cell([]), run=runs[0], evaluations={}, repeats=repeats, expected_rows=len(runs[0].rows))
    return replace(found, **changes)


def as_candidate(result: CellResult) -> CellResult:
    variant = Variant(id="new", is_default=False, is_candidate=True)
    return replace(result, cell=replace(result.cell, variant=variant))


def agreed(mine: CellResult, theirs: CellResult, *, saved: bool = False, **gate: Any) -> Agreement:
    """How far a candidate agrees with the flow."""
    reference = Reference(name="flow f", cell=theirs, saved=saved, is_flow=True)
    return agreement(as_candidate(mine), experiment(gate=gate), reference)


def problems(found: Agreement) -> tuple[str, ...]:
    assert found.measured.value is None
    return found.measured.problems


SAME = {"a": 1, "b": {"x": [1, 2], "y": None}}


@pytest.mark.parametrize(
    ("mine", "theirs", "score"),
    [
        (SAME, SAME, 1),
        ({"a": 1.0}, {"a": 1}, 1),
        ({"a": True}, {"a": 1}, 0),
        ({"a": "1"}, {"a": 1}, 0),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, 1),
        ({"a": [1, 2]}, {"a": [2, 1]}, 0),
        ({"a": (1, 2)}, {"a": [1, 2]}, 1),
        ({"a": 1, "more": 2}, {"a": 1}, 1),
        ({"a": 1}, {"a": 1, "more": 2}, 0),
        ({"a": float("nan")}, {"a": "NaN"}, 0),
        ({"a": "NaN"}, {"a": float("nan")}, 0),
        ({"a": float("nan")}, {"a": float("nan")}, 0),
        ({"a": [1, float("-inf")]}, {"a": [1, "-Infinity"]}, 0),
        ({"a": {"x": float("inf")}}, {"a": {"x": float("inf")}}, 0),
        ({"a": 'a "NaN"'}, {"a": 'a "NaN"'}, 1),
        ({"a": "NaN, so"}, {"a": "NaN, so"}, 1),
        ({}, {"a": None}, 0),
        (None, {"a": 1}, 0),
        ({"a": 1}, None, 0),
        (None, None, 0),
    ],
)
def test_a_row_agrees_where_it_gave_all_that_the_other_gave(mine: Output, theirs: Output, score: float) -> None:
    assert agreed(ran([mine]), ran([theirs])).measured.scores == {0: score}


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text("ab", max_size=2))
OUTPUTS = st.one_of(st.none(), st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3))


@st.composite
def both(draw: st.DrawFn) -> tuple[list[list[Output]], list[list[Output]]]:
    """Outputs of both sides, by execution and row."""
    rows, times = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    one = st.lists(st.lists(OUTPUTS, min_size=rows, max_size=rows), min_size=times, max_size=times)
    return draw(one), draw(one)


def same(ours: Output, theirs: Output) -> bool:
    if not ours or not theirs:
        return ours == theirs == {}
    return all(name in ours and (type(ours[name]), ours[name]) == (type(v), v) for name, v in theirs.items())


@settings(deadline=None)
@given(sides=both())
def test_agreement_is_what_anyone_would_compute(sides: tuple[list[list[Output]], list[list[Output]]]) -> None:
    mine, theirs = sides
    completed = [output for outputs in theirs for output in outputs if output is not None]
    assume(any(completed) or not completed)
    measured = agreed(ran(*mine), ran(*theirs)).measured
    naive = [fmean(map(same, *row)) for row in zip(zip(*mine, strict=True), zip(*theirs, strict=True), strict=True)]
    assert measured.scores == pytest.approx(dict(enumerate(naive)))
    assert measured.value == pytest.approx(fmean(naive))
    assert measured.n == len(naive)


@settings(deadline=None)
@given(outputs=st.lists(st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3), min_size=1, max_size=8))
def test_the_same_outputs_agree_in_full(outputs: list[Output]) -> None:
    assume(any(outputs))
    found = agreed(ran(outputs), ran(outputs))
    assert (found.measured.value, found.differing) == (1, ())


def test_rows_are_those_with_the_same_inputs_wherever_they_stand() -> None:
    inputs = [{"text": "a"}, {"text": "b"}, {"text": "a"}]
    mine = ran([{"x": 1}, {"x": 2}, {"x": 3}], inputs=inputs)
    theirs = ran([{"x": 2}, {"x": 1}, {"x": 4}], inputs=[inputs[1], inputs[0], inputs[2]])
    assert agreed(mine, theirs).measured.scores == {0: 1, 1: 1, 2: 0}


def test_inputs_that_one_of_two_implementations_takes_alone_do_not_count() -> None:
    mine = ran([{"x": 1}, {"x": 2}], inputs=[{"text": "a"}, {"text": "b"}])
    theirs = ran([{"x": 1}, {"x": 2}], inputs=[{"text": "a", "style": "x"}, {"text": "b", "style": "y"}])
    assert agreed(mine, theirs).measured.value == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({}, {"lang": "de"}, "it was also given 'lang', which the candidate does not take"),
        ({}, {"tone": "x", "lang": "de"}, "it was also given 'lang', 'tone', which the candidate does not take"),
        ({"lang": "de"}, {}, "it was not given 'lang', which the candidate takes"),
        (
            {"tone": "x"},
            {"lang": "de"},
            "it was also given 'lang', which the candidate does not take, and it was not given 'tone', which the "
            "candidate takes",
        ),
    ],
)
def test_other_inputs_than_those_of_a_saved_flow_leave_it_open_which_rows_are_the_same(
    ours: dict[str, Any], theirs: dict[str, Any], said: str
) -> None:
    mine = ran([{"x": 1}, {"x": 2}], inputs=[{"text": "a", **ours}, {"text": "b", **ours}])
    saved = ran([{"x": 1}, {"x": 2}], inputs=[{"text": "a", **theirs}, {"text": "b", **theirs}])
    said = f"flow f: {said}, so it can't be told whether the rows are the same"
    assert problems(agreed(mine, saved, saved=True)) == (said,)
    assert agreed(mine, saved).measured.value == 1


@pytest.mark.parametrize(
    ("value", "mapped", "required", "is_told"),
    [
        ("en", {}, False, True),
        ("de", {}, False, False),
        ("en", {"lang": "${data.lang}"}, False, False),
        ("en", {}, True, False),
    ],
)
@pytest.mark.parametrize("of_candidate", [False, True])
def test_an_input_that_nothing_fills_tells_no_row_from_another(
    value: str, mapped: dict[str, str], required: bool, is_told: bool, of_candidate: bool
) -> None:
    lang = replace(FLOW, inputs={"lang": Port(name="lang", type="string", default="en", required=required)})
    known = replace(
        experiment(candidates=(Candidate(name="new", flow=lang if of_candidate else FLOW),)),
        flow=FLOW if of_candidate else lang,
        datasets=(Dataset(name=CELL.dataset, mappings={"text": "${data.text}", **mapped}),),
    )
    plain, more = (ran([{"x": 1}], inputs=[{"text": "a", **given}]) for given in ({}, {"lang": value}))
    mine, theirs = (more, plain) if of_candidate else (plain, more)
    found = agreement(as_candidate(mine), known, Reference(name="flow f", cell=theirs, is_flow=True))
    assert (found.measured.value == 1) is is_told


def test_a_key_tells_which_rows_are_those_of_a_saved_flow_whatever_its_inputs() -> None:
    mine, theirs = (
        ran([{"x": 1}, {"x": 2}], inputs=[{"text": "a"} | more, {"text": "b"} | more], columns={"id": "pq"}, key="id")
        for more in ({}, {"lang": "de"})
    )
    assert agreed(mine, theirs, saved=True).measured.value == 1
    assert agreed(mine, replace(theirs, key=None), saved=True).measured.value is None


def test_repeats_are_compared_one_by_one_and_score_their_mean() -> None:
    mine = ran([{"x": 1}], [{"x": 2}], [{"x": 3}], [{"x": 4}])
    theirs = ran([{"x": 1}], [{"x": 2}], [{"x": 3}], [{"x": 3}])
    found = agreed(mine, theirs, reduce="all")
    assert found.measured.scores == {0: 0.75}
    assert found.differing == ('differs: row 0: was 3  is 4  text="t0"',)


def test_rows_that_differ_are_described_those_that_differ_most_first() -> None:
    mine = ran(
        [{"x": 1, "y": 1}, {"x": 1, "y": 2}, {"x": 3}, None, *[{"x": 0, "y": 0}] * 3],
        columns={"id": tuple("abcdefg")},
        key="id",
    )
    theirs = ran([{"x": 1, "y": 1}, {"x": 1, "y": 1}, {"x": 1, "y": 1}, *[{"x": 1, "y": 0}] * 4])
    assert agreed(mine, theirs).differing == (
        'differs: b: was 1  is 2  text="t1"',
        'differs: c: was {"x": 1, "y": 1}  is {"x": 3}  text="t2"',
        'differs: d: was {"x": 1, "y": 0}  is failed ("boom")  text="t3"',
        'differs: e: was 1  is 0  text="t4"',
        'differs: f: was 1  is 0  text="t5"',
        "and 1 more rows that differ: g",
    )


def test_rows_in_quarantine_are_left_out() -> None:
    mine = ran([{"x": 1}, {"x": 2}], columns={"id": ("a", "b")}, key="id")
    found = agreed(mine, ran([{"x": 1}, {"x": 1}]), quarantine=("b",))
    assert (found.measured.scores, found.joined.quarantined) == ({0: 1.0}, ("b",))


FAILED = RunResult(status="Failed", error="no such module\nat line 1")
OK = ran([{"x": 1}, {"x": 2}, {"x": 3}])
ANEW = "; save a new baseline with: llmops baseline save"


@pytest.mark.parametrize(
    ("mine", "theirs", "saved", "said"),
    [
        (replace(OK, run=FAILED), OK, False, "the run failed: no such module\nat line 1"),
        (OK, replace(OK, run=FAILED), False, "flow f: its run failed: no such module"),
        (OK, replace(OK, run=FAILED), True, f"flow f: the baseline's run failed: no such module{ANEW}"),
        (ran([{"x": 1}], expected_rows=3), OK, False, "1 rows came back of 3 in the dataset"),
        (OK, ran([{"x": 1}, {"x": 2}], expected_rows=3), False, "flow f: 2 rows came back of 3 in the dataset"),
        (OK, ran([{"x": 1}, {"x": 2}]), False, "flow f: other rows were run (not there: row 2)"),
        (ran([{"x": 1}, {"x": 2}]), OK, False, "flow f: other rows were run (only there: row 2)"),
        (OK, ran([{"x": 1}, {"x": 2}]), True, f"flow f: other rows were run (not in the baseline: row 2){ANEW}"),
        (OK, ran([{"x": 1}]), False, "flow f: another dataset: only 1 of this run's 3 rows are the same"),
        (ran([{"x": 1}], [{"x": 1}]), ran([{"x": 1}]), False, "flow f: each row was run once there, and here 2 times"),
        (
            ran([{"x": 1}]),
            ran([{"x": 1}], [{"x": 1}]),
            True,
            f"flow f: each row was run 2 times in the baseline, and here once{ANEW}",
        ),
    ],
)
def test_what_broke_on_either_side_is_said_and_has_no_value(
    mine: CellResult, theirs: CellResult, saved: bool, said: str
) -> None:
    assert problems(agreed(mine, theirs, saved=saved)) == (said,)


@pytest.mark.parametrize(("saved", "where"), [(False, "there"), (True, "in the baseline")])
@pytest.mark.parametrize("mine", [{}, {"a": 1}])
def test_a_flow_without_any_output_is_nothing_to_compare_with(saved: bool, where: str, mine: Output) -> None:
    found = agreed(ran([mine, mine]), ran([{}, None]), saved=saved)
    assert problems(found) == (f"flow f: no row has an output {where}, so there is nothing to compare",)


def test_a_row_without_output_agrees_with_one_without_where_other_rows_have_some() -> None:
    found = agreed(ran([{}, {"a": None}, {"a": 1}]), ran([{}, {}, {"a": 1}]))
    assert found.measured.scores == {0: 1, 1: 0, 2: 1}


def test_the_first_rows_are_compared_with_those_of_a_whole_baseline() -> None:
    mine = ran([{"x": 1}, {"x": 0}], partial=True)
    assert agreed(mine, OK, saved=True).measured.scores == {0: 1, 1: 0}


def test_without_a_reference_the_problem_is_said() -> None:
    found = agreement(OK, experiment(), Reference(name="", problem="there is none"))
    assert problems(found) == ("there is none",)


def test_rows_that_only_one_side_of_the_flows_own_history_has_are_left_out() -> None:
    found = agreement(OK, experiment(), Reference(name="baseline", cell=ran([{"x": 1}, {"x": 0}])))
    assert (found.measured.scores, found.joined.added) == ({0: 1, 1: 0}, ("row 2",))


def test_clusters_that_are_not_known_are_a_problem() -> None:
    what = "column 'document', which says what rows belong together, was not read from the data"
    assert problems(agreed(OK, OK, cluster="document")) == (what,)
