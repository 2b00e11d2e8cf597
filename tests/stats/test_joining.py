"""Joining the rows of two results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_llmops.records.encoding import to_json
from pytest_llmops.records.gate import Cell, CellResult, Evaluation, Repeat
from pytest_llmops.records.run import Row, RunResult, Variant
from pytest_llmops.stats.joining import Joined, join, refusal

CELL = Cell(experiment="evals/ner/experiment.yaml", use_case="ner", flow="ner", dataset="general", variant=Variant())
TODO = "save a new baseline with: llmops baseline save"


def result(
    texts: Sequence[Any],
    *,
    golds: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
    keys: Sequence[str] | None = None,
    failed: Sequence[int] = (),
    unscored: Sequence[int] = (),
    of_run: tuple[str, ...] = ("answer",),
    digest: str = "",
) -> CellResult:
    """A cell whose rows have one text each, evaluated by ``matcher`` with one gold each."""
    outputs = [f"answer to {text}" for text in texts] if outputs is None else outputs
    golds = ["gold"] * len(texts) if golds is None else golds
    rows = tuple(
        Row(
            line_number=number,
            inputs={"text": text, "line_number": number},
            output=None if number in failed else {"answer": outputs[number]},
            error="ValueError: no" if number in failed else None,
        )
        for number, text in enumerate(texts)
    )
    scored = tuple(
        Row(
            line_number=number,
            inputs={"gold": golds[number], "answer": outputs[number], "line_number": number},
            output=None if number in unscored else {"exact": 1.0},
        )
        for number in range(len(texts))
        if number not in failed
    )
    matcher = RunResult(status="Completed", rows=scored, metrics={"exact": 1.0})
    return CellResult(
        cell=CELL,
        run=RunResult(status="Completed", rows=rows),
        evaluations={
            "matcher": Evaluation(
                evaluator="matcher",
                dataset="gold",
                expected_rows=len(texts),
                result=matcher,
                of_run=of_run,
                digest=digest,
            )
        },
        expected_rows=len(texts),
        columns={} if keys is None else {"id": tuple(keys)},
        key=None if keys is None else "id",
    )


def test_equal_rows_are_joined_wherever_they_stand() -> None:
    joined = join(result(["a", "b", "c"]), result(["c", "a", "b"]), "matcher")
    assert joined == Joined(pairs=((0, 1), (1, 2), (2, 0)), labels=("row 0", "row 1", "row 2"), same_outputs=True)


def test_rows_of_one_side_are_named() -> None:
    joined = join(result(["a", "b", "new"]), result(["old", "a", "b"]), "matcher")
    assert (joined.pairs, joined.added, joined.removed) == (((0, 1), (1, 2)), ("row 2",), ("row 0",))


def test_repeated_rows_are_joined_in_order() -> None:
    joined = join(result(["a", "b", "a"]), result(["a", "a", "a", "b"]), "matcher")
    assert joined.pairs == ((0, 0), (1, 3), (2, 1))
    assert joined.removed == ("row 2",)


def test_rows_are_joined_by_key_where_both_have_the_same() -> None:
    joined = join(
        result(["a", "b", "b"], keys=["k1", "k2", "k3"]), result(["b", "b", "a"], keys=["k3", "k4", "k1"]), "matcher"
    )
    assert joined.pairs == ((0, 2), (2, 0))
    assert (joined.labels, joined.added, joined.removed) == (("k1", "k3"), ("k2",), ("k4",))


def test_another_text_under_the_same_key_is_a_changed_row() -> None:
    joined = join(result(["a", "new"], keys=["k1", "k2"]), result(["a", "old"], keys=["k1", "k2"]), "matcher")
    assert (joined.labels, joined.changed) == (("k1",), ("k2",))
    assert (joined.added, joined.removed) == ((), ())


def test_a_key_of_one_side_alone_names_rows_and_joins_none() -> None:
    joined = join(result(["a", "b"], keys=["k1", "k2"]), result(["b", "a"]), "matcher")
    assert (joined.pairs, joined.labels) == (((0, 1), (1, 0)), ("k1", "k2"))


@pytest.mark.parametrize("keys", [None, ["k1", "k2"]])
def test_another_gold_makes_a_changed_row(keys: list[str] | None) -> None:
    new, old = result(["a", "b"], golds=["x", "y"], keys=keys), result(["a", "b"], golds=["x", "z"], keys=keys)
    joined = join(new, old, "matcher")
    assert (len(joined.pairs), len(joined.changed)) == (1, 1)


def test_golds_are_not_compared_where_they_are_not_known() -> None:
    new, old = result(["a"], golds=["x"]), result(["a"], golds=["y"], of_run=())
    assert join(new, old, "matcher").pairs == join(old, new, "matcher").pairs == ((0, 0),)


def test_golds_do_not_matter_to_metrics_of_the_run() -> None:
    joined = join(result(["a"], golds=["x"], unscored=[0]), result(["a"], golds=["y"]), "run")
    assert joined.pairs == ((0, 0),)


@pytest.mark.parametrize("trouble", [{"failed": [1]}, {"unscored": [1]}])
def test_rows_that_failed_on_a_side_are_named_and_not_compared(trouble: dict[str, Any]) -> None:
    sound, broken = result(["a", "b"]), result(["a", "b"], **trouble)
    for joined in (join(sound, broken, "matcher"), join(broken, sound, "matcher")):
        assert (joined.pairs, joined.unscored, joined.same_outputs) == (((0, 0),), ("row 1",), False)


def test_to_have_failed_is_a_score_of_the_run() -> None:
    sound, broken = result(["a", "b"]), result(["a", "b"], failed=[1])
    for new, old in ((sound, broken), (broken, sound), (broken, broken)):
        assert join(new, old, "run") == Joined(pairs=((0, 0), (1, 1)), labels=("row 0", "row 1"))


def test_a_row_that_failed_in_a_repeat_is_not_compared() -> None:
    sound, other = result(["a", "b"]), result(["a", "b"], failed=[1])
    repeated = replace(sound, repeats=(Repeat(run=other.run, evaluations=other.evaluations),))
    assert join(repeated, sound, "matcher").unscored == ("row 1",)
    without_evaluation = replace(sound, repeats=(Repeat(run=sound.run),))
    assert join(without_evaluation, sound, "matcher").unscored == ("row 0", "row 1")


def test_other_outputs_are_noticed_in_every_execution() -> None:
    old, new = result(["a", "b"]), result(["a", "b"], outputs=["answer to a", "other"])
    assert not join(new, old, "matcher").same_outputs
    steady = replace(old, repeats=(Repeat(run=old.run, evaluations=old.evaluations),))
    shaky = replace(old, repeats=(Repeat(run=new.run, evaluations=new.evaluations),))
    assert join(steady, steady, "matcher").same_outputs
    assert not join(shaky, steady, "matcher").same_outputs
    assert not join(steady, old, "matcher").same_outputs


def test_rows_in_quarantine_are_left_out() -> None:
    new = result(["a", "b"], keys=["k1", "k2"], outputs=["answer to a", "other"])
    joined = join(new, result(["a", "b"], keys=["k1", "k2"]), "matcher", quarantine=["k2", "k9"])
    assert (joined.labels, joined.quarantined, joined.same_outputs) == (("k1",), ("k2",), True)


def test_nothing_in_common_is_no_pair() -> None:
    joined = join(result(["a"]), result(["b"]), "matcher")
    assert joined == Joined(added=("row 0",), removed=("row 0",))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(VALUES, max_size=6))
def test_a_result_is_joined_with_itself_as_it_comes_back_from_a_file(texts: list[Any]) -> None:
    new, old = result(texts), result([to_json(text) for text in texts])
    joined = join(new, old, "matcher")
    assert joined.pairs == tuple((number, number) for number in range(len(texts)))


@given(st.lists(st.sampled_from("abcd"), max_size=8), st.lists(st.sampled_from("abcd"), max_size=8))
def test_every_row_is_in_one_place(here: list[str], there: list[str]) -> None:
    joined = join(result(here), result(there), "matcher")
    assert len(joined.pairs) + len(joined.added) == len(here)
    assert len(joined.pairs) + len(joined.removed) == len(there)
    assert all(here[mine] == there[other] for mine, other in joined.pairs)
    assert len({other for _, other in joined.pairs}) == len(joined.pairs)


TEN = list("abcdefghij")
REFUSALS = {
    "another version": (
        result(TEN, digest="1"),
        result(TEN, digest="2"),
        f"evaluator 'matcher' has changed since it scored the baseline; {TODO}",
    ),
    "no evaluator": (
        result(TEN),
        replace(result(TEN), evaluations={}),
        f"the baseline has no results of evaluator 'matcher'; {TODO}",
    ),
    "no evaluator here": (
        replace(result(TEN), evaluations={}),
        result(TEN),
        "evaluator 'matcher' did not run, so there is nothing to compare",
    ),
    "a failed run": (
        result(TEN),
        replace(result(TEN), run=RunResult(status="Failed", error="no such module\nmore")),
        f"the baseline's run failed: no such module; {TODO}",
    ),
    "another dataset": (
        result(TEN),
        result([*"abcd", *"uvwxyz"]),
        f"another dataset: only 4 of this run's 10 rows are the same; {TODO}",
    ),
    "a longer baseline": (
        result(TEN),
        result([*TEN, *map(str, range(11))]),
        f"another dataset: only 10 of the baseline's 21 rows are the same; {TODO}",
    ),
    "other golds": (
        result(TEN),
        result(TEN, golds=["other"] * 10),
        f"another dataset: only 0 of this run's 10 rows are the same; {TODO}",
    ),
    "no rows": (
        result(TEN),
        result([]),
        f"another dataset: only 0 of this run's 10 rows are the same; {TODO}",
    ),
    "a repeated key": (
        result("ab", keys=["k1", "k1"]),
        result("ab", keys=["k1", "k2"]),
        "key 'id' of this run: 'k1' stands in more than one row; give every row a value of its own",
    ),
    "a missing key": (
        result("ab", keys=["k1", "k2"]),
        result("ab", keys=["k1"]),
        "key 'id' of the baseline: row 1 has none; give every row a value of its own",
    ),
}


@pytest.mark.parametrize(("candidate", "baseline", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_can_not_be_compared_is_refused(candidate: CellResult, baseline: CellResult, message: str) -> None:
    assert refusal(candidate, baseline, "matcher") == message


def test_a_failed_evaluation_of_the_baseline_is_refused() -> None:
    old = result(TEN)
    failed = replace(old.evaluations["matcher"], result=RunResult(status="Failed", error="it broke\nhere"))
    assert refusal(result(TEN), replace(old, evaluations={"matcher": failed}), "matcher") == (
        f"evaluator 'matcher' failed in the baseline: it broke; {TODO}"
    )


@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [
        (result(TEN, digest="1"), result(TEN, digest="1")),
        (result(TEN, digest="1"), result(TEN)),
        (result(TEN), result([*"abcde", *"vwxyz"])),
        (result(TEN), result([*TEN, *map(str, range(10))])),
        (result(TEN, failed=[0]), result(TEN, failed=[1, 2])),
    ],
)
def test_what_has_half_of_its_rows_in_common_is_compared(candidate: CellResult, baseline: CellResult) -> None:
    assert refusal(candidate, baseline, "matcher") == refusal(candidate, baseline, "run") == ""


def test_metrics_of_the_run_need_no_evaluator() -> None:
    assert refusal(replace(result(TEN), evaluations={}), result(TEN), "run") == ""
