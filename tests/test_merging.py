"""Shards made whole again: the same as one session, or a closed gate that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from report_samples import EXPERIMENT, FEW_SHOT, cell_result, metric_gate, report, run_gate
from sharded import shards

from pytest_llmops.merging import Named, last_attempts, merge, problems, superseded
from pytest_llmops.records.report import Report, Shard, Subject
from pytest_llmops.records.run import Variant
from pytest_llmops.reports import results
from pytest_llmops.sharding import idle_reason
from pytest_llmops.stats.gates import decide

THIRD = Variant(id="third", is_default=False)
VARIANTS = (Variant(id="terse"), FEW_SHOT, THIRD)


def whole() -> Report:
    """One session on three cells, one of which fails."""
    gates = tuple(
        gate
        for variant in VARIANTS
        for gate in (run_gate(variant), metric_gate(variant, value=0.25 if variant is THIRD else 0.75))
    )
    made = report(*gates, cells=tuple(cell_result(variant) for variant in VARIANTS))
    return replace(made, decision=decide(gates), baselines={EXPERIMENT: "baselines/ner.json"})


def named(reports: Sequence[Report], names: str = "abcdef") -> list[Named]:
    return list(zip(names, reports, strict=False))


def changed(made: Report, **changes: Any) -> Report:
    """A shard's report with another shard record."""
    assert made.shard is not None
    return replace(made, shard=replace(made.shard, **changes))


def with_reasons(made: Report, *reasons: str) -> Report:
    return replace(made, decision=decide(made.gates, reasons))


def idle(made: Report, index: int, count: int) -> Report:
    """What a session leaves that had nothing to do."""
    assert made.shard is not None
    shard = Shard(index=index, count=count, planned=made.shard.planned)
    settings = {**made.settings, "shard": str(shard)}
    reasons = (idle_reason(shard),)
    return Report(
        experiments={}, cells=(), gates=(), decision=decide((), reasons), settings=settings, shard=shard,
        versions=made.versions, created=made.created,
    )  # fmt: skip


def as_one_session(made: Report) -> dict[str, Any]:
    document = results.document(made)
    del document["settings"]["report-dir"]
    return document


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_is_merged_is_what_one_session_would_have_found_out(count: int) -> None:
    found = named(shards(whole(), count))
    assert problems(found) == []
    assert as_one_session(merge(found)) == as_one_session(whole())
    assert as_one_session(merge(found[::-1])) == as_one_session(whole())


def test_verdicts_come_in_the_order_of_the_plan() -> None:
    assert merge(named(shards(whole(), 3))).gates == whole().gates


def test_an_open_gate_of_all_shards_is_open() -> None:
    made = report(run_gate(), run_gate(FEW_SHOT))
    assert merge(named(shards(made, 2))).decision.state == "open"


def test_a_shard_with_nothing_to_do_closes_nothing() -> None:
    two = shards(report(run_gate(), run_gate(FEW_SHOT)), 2)
    three = [changed(made, count=3) for made in two]
    merged = merge(named([*three, idle(three[0], 3, 3)]))
    assert merged.decision.state == "open"
    assert merged.shard is None
    assert "shard" not in merged.settings


def test_a_whole_is_as_old_as_its_oldest_shard() -> None:
    one, two = shards(whole(), 2)
    older = replace(two, created="2026-08-01T10:05:00+00:00")
    assert merge(named([one, older])).created == older.created
    foreign = replace(older, versions={"commit": "abc"})
    assert merge(named([one, foreign])).created == older.created
    assert merge(named([one, replace(two, created="")])).created == ""


def test_what_closed_a_shard_beside_verdicts_closes_the_whole() -> None:
    one, two = shards(report(run_gate(), run_gate(FEW_SHOT)), 2)
    merged = merge(named([with_reasons(one, "evals/test_x.py::test_y: test failed"), two]))
    assert merged.decision.state == "closed"
    assert merged.decision.reasons == ("evals/test_x.py::test_y: test failed",)


def test_a_shard_that_is_closed_for_no_reason_closes_the_whole() -> None:
    one, two = shards(report(run_gate(), run_gate(FEW_SHOT)), 2)
    merged = merge(named([replace(one, decision=replace(one.decision, state="closed")), two]))
    assert merged.decision.reasons == ("a: its gate is closed, and does not say why",)


def test_items_that_nobody_decided_are_counted_over_the_whole() -> None:
    one, two = shards(whole(), 2)
    assert two.shard is not None
    half = with_reasons(replace(two, gates=two.gates[:1]), f"{EXPERIMENT}: only 1 of 2 items were decided")
    merged = merge(named([one, half]))
    assert [reason for reason in merged.decision.reasons if "only" in reason] == [
        f"{EXPERIMENT}: only 5 of 6 items were decided"
    ]


def test_an_item_that_two_shards_decided_closes_the_gate() -> None:
    one, two = shards(report(run_gate(), run_gate(FEW_SHOT)), 2)
    merged = merge(named([one, replace(two, gates=(*two.gates, *one.gates), cells=(*two.cells, *one.cells))]))
    assert len(merged.gates) == len(merged.cells) == 2
    assert merged.decision.reasons == (f"{EXPERIMENT}: run[ner_extract-general-terse] was decided in a and in b",)


def test_a_shard_that_is_missing_closes_the_gate_and_the_others_are_shown() -> None:
    found = named(shards(report(run_gate(), run_gate(FEW_SHOT)), 2))[:1]
    merged = merge(found)
    assert problems(found) == ["of 2 shards, 2 is missing (there are: 1 in a)"]
    assert list(merged.decision.reasons) == problems(found)
    assert [gate.item for gate in merged.gates] == ["run[ner_extract-general-terse]"]


def test_of_many_missing_shards_the_first_are_named() -> None:
    one = shards(whole(), 1)[0]
    assert problems([("a", changed(one, index=2, count=10))]) == [
        "of 10 shards, 1, 3, 4, 5, 6 and 4 more are missing (there are: 2 in a)"
    ]


def test_the_last_attempt_holds() -> None:
    one, two = shards(whole(), 2)
    again = changed(two, attempt=2)
    found = [("b-1", with_reasons(two, "the session did not finish (exit code 3)")), ("a", one), ("b-2", again)]
    assert problems(found) == []
    assert [name for name, _ in last_attempts(found)] == ["a", "b-2"]
    assert superseded(found) == ["b-1: attempt 1, replaced by attempt 2 of shard 2/2 in b-2"]
    assert as_one_session(merge(found)) == as_one_session(whole())


def test_the_same_attempt_twice_is_an_error() -> None:
    one, two = shards(whole(), 2)
    found = named([one, two, two])
    assert problems(found) == ["b and c are both attempt 1 of shard 2/2; keep one"]
    refused = merge(found)
    assert (refused.gates, refused.cells) == ((), ())
    assert refused.decision.reasons == (*problems(found), "nothing was evaluated")


def test_a_whole_session_is_no_shard() -> None:
    line = "b: no shard, but a whole session; shards are made with --llmops-shard, a single one with 1/1"
    assert problems(named([shards(whole(), 1)[0], whole()])) == [line]
    assert merge([("b", whole())]).decision.reasons == (line, "nothing was evaluated")


@pytest.mark.parametrize(("index", "count"), [(0, 2), (3, 2), (-1, 2)])
def test_a_number_that_no_shard_has_is_an_error(index: int, count: int) -> None:
    odd = changed(shards(whole(), 2)[0], index=index, count=count)
    assert f"a: there is no shard {index}/{count}" in problems([("a", odd)])


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"versions": {"commit": "abc"}}, "commit is abc, not c0ffee; build is none, not 12; openai is none, not 1.0"),
        ({"versions": {"commit": "abc", "build": "12", "openai": "1.0"}}, "commit is abc, not c0ffee"),
        ({"versions": {"commit": "c0ffee", "build": "13", "openai": "1.0"}}, "build is 13, not 12"),
        ({"versions": {"commit": "c0ffee", "build": "12", "openai": "1.1"}}, "openai is 1.1, not 1.0"),
        ({"settings": {"llm": "live", "env": "dev"}}, "setting llm is live, not replay"),
        ({"settings": {"llm": "replay"}}, "setting env is none, not dev"),
        ({"settings": {"llm": "replay", "env": "dev", "max-rows": "3"}}, "setting max-rows is 3, not none"),
    ],
)
def test_a_shard_of_another_session_is_refused(change: dict[str, Any], difference: str) -> None:
    versions = {"commit": "c0ffee", "build": "12", "openai": "1.0"}
    one, two = shards(replace(whole(), versions=versions), 2)
    found = named([one, replace(two, **change)])
    assert problems(found) == [f"b: not of the same session as a: {difference}"]
    assert merge(found).decision.state == "closed"
    assert merge(found).gates == ()


def test_a_shard_of_another_number_is_refused() -> None:
    one, two = shards(whole(), 2)
    assert problems(named([one, changed(two, count=3)])) == [
        "b: not of the same session as a: the number of shards is 3, not 2"
    ]


def test_a_shard_with_another_plan_is_refused() -> None:
    one, two = shards(whole(), 2)
    other = changed(two, planned={**two.shard.planned, "evals/more/experiment.yaml": ("run[x]",)})  # type: ignore[union-attr]
    assert problems(named([one, other])) == [
        "b: not of the same session as a: other items are planned in evals/more/experiment.yaml"
    ]


DIGESTS = {EXPERIMENT: "aa", "evals/more/experiment.yaml": "bb"}


def test_shards_on_other_flows_or_data_are_refused() -> None:
    subject = Subject(flow="ner_extract", digest="aa", data="bb", criteria="dd")
    one, two = (replace(made, subjects={EXPERIMENT: subject}) for made in shards(whole(), 2))
    assert merge(named([one, two])).subjects == {EXPERIMENT: subject}
    found = named([one, replace(two, subjects={EXPERIMENT: replace(subject, data="cc")})])
    what = "another flow, other data or other criteria are in"
    assert problems(found) == [f"b: not of the same session as a: {what} {EXPERIMENT}"]
    assert merge(found).decision.state == "closed"
    assert merge(found).subjects == {}


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"digests": {**DIGESTS, EXPERIMENT: "cc"}}, f"thresholds, flows, data or baselines are in {EXPERIMENT}"),
        ({"digests": {}}, f"thresholds, flows, data or baselines are in evals/more/experiment.yaml, {EXPERIMENT}"),
        ({"tests": {}}, "tests were selected in tests/test_a.py"),
        (
            {"tests": {f"tests/test_{name}.py": "dd" for name in "abcdefg"}},
            "tests were selected in tests/test_b.py, tests/test_c.py, tests/test_d.py, tests/test_e.py, "
            "tests/test_f.py and 1 more",
        ),
    ],
)
def test_a_shard_of_other_files_is_refused(changes: dict[str, Any], difference: str) -> None:
    one, two = (changed(made, digests=DIGESTS, tests={"tests/test_a.py": "dd"}) for made in shards(whole(), 2))
    assert problems(named([one, two])) == []
    found = named([one, changed(two, **changes)])
    assert problems(found) == [f"b: not of the same session as a: other {difference}"]
    assert merge(found).gates == ()


@pytest.mark.parametrize("setting", ["ledger", "history", "baseline"])
def test_where_an_agent_keeps_its_files_is_its_own_affair(setting: str) -> None:
    one, two = (
        replace(made, settings={**made.settings, setting: f"/agent{index}/{setting}"})
        for index, made in enumerate(shards(whole(), 2))
    )
    assert problems(named([one, two])) == []


def test_other_troubles_close_the_gate_too() -> None:
    found = named(shards(report(run_gate(), run_gate(FEW_SHOT)), 2))
    assert merge(found, ["c/results.json: torn"]).decision.reasons == ("c/results.json: torn",)
    assert merge([], ["c/results.json: torn"]).decision.reasons == ("c/results.json: torn", "nothing was evaluated")


def test_what_is_wrong_beside_the_results_comes_last() -> None:
    one, two = shards(report(run_gate(), run_gate(FEW_SHOT)), 2)
    broken = with_reasons(one, "evals/test_x.py: collection failed")
    aside = ["junit.xml: torn"]
    assert merge(named([broken, two]), [], aside).decision.reasons == (
        "evals/test_x.py: collection failed",
        "junit.xml: torn",
    )
    assert merge(named([broken]), ["c: no"], aside).decision.reasons == (
        "c: no",
        "of 2 shards, 2 is missing (there are: 1 in a)",
        "evals/test_x.py: collection failed",
        "junit.xml: torn",
    )
    assert merge([], ["c: no"], aside).decision.reasons == ("c: no", "junit.xml: torn", "nothing was evaluated")


def test_an_experiment_without_variants_closes_the_gate_once() -> None:
    empty = f"{EXPERIMENT.replace('ner', 'empty')}: no variant was selected"
    planned = {EXPERIMENT.replace("ner", "empty"): ()}
    two = [
        with_reasons(
            changed(made, planned={**made.shard.planned, **planned}, own={**made.shard.own, **planned}),  # type: ignore[union-attr]
            empty,
        )
        for made in shards(report(run_gate(), run_gate(FEW_SHOT)), 2)
    ]
    assert merge(named(two)).decision.reasons == (empty,)
