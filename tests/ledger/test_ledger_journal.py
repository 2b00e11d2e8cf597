"""What is reused, line by line and as a whole: completed lines only, as they were, and no longer than wanted."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_case import Engine, lines_of, upper, write_request

from pytest_llmops.ledger import Info, Ledger, digest_of, runs
from pytest_llmops.ledger.data import LineKeys
from pytest_llmops.ledger.exact import exact
from pytest_llmops.ledger.outcomes import Kept, decode
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import (
    LLM,
    CassetteMiss,
    LLMMode,
    Outcome,
    Reads,
    Row,
    RunRequest,
    RunResult,
    Tokens,
)

Ledgers = Callable[..., Ledger]
Requests = Callable[..., RunRequest]

DAY = 86_400.0


def executed(ledger: Ledger, request: RunRequest, **result: Any) -> list[str]:
    """Run, and return the words that were executed."""
    engine = Engine(ledger)
    engine.run(request, **result)
    return [inputs["word"] for inputs in engine.executed]


def words(*values: str) -> list[dict[str, str]]:
    return [{"word": value} for value in values]


def test_a_run_comes_back_as_it_was(open_ledger: Ledgers, request_of: Requests) -> None:
    metrics = {"nan": math.nan, "inf": -math.inf, "text": "é\ud800", "none": None, "list": [1, 1.0, {"a": True}]}
    before = time.time()
    first = Engine(open_ledger(), metrics=metrics).run(request_of(), duration=2.5)
    again = Engine(open_ledger(), answer=lambda inputs: None).run(request_of())
    assert repr(again.metrics) == repr(metrics)
    assert again.recorded is not None
    assert before <= again.recorded <= time.time()
    assert (again.status, again.llm_calls, again.duration, again.error) == ("Completed", 3, 2.5, None)
    for one, other in zip(first.rows, again.rows, strict=True):
        assert other.recorded is not None
        assert before <= other.recorded <= again.recorded
        assert (one.line_number, one.inputs, one.output) == (other.line_number, other.inputs, other.output)
        assert (one.tokens, one.usage, one.uncounted) == (other.tokens, other.usage, other.uncounted)
        assert (one.duration, one.error) == (other.duration, other.error)
    assert len(again.reused) == 3


def test_an_outcome_from_before_models_were_noted_has_tokens_of_no_model() -> None:
    content = {"inputs": {}, "output": {"x": 1}, "duration": 0.5, "tokens": [2, 1, 3], "aggregation": ""}
    row = decode(Kept(id=1, key="k", reads="", recorded=1.0, content=json.dumps(content)), 4, begun=2.0).row
    tokens = Tokens(prompt=2, completion=1, total=3)
    assert row == Row(line_number=4, inputs={}, output={"x": 1}, duration=0.5, tokens=tokens, recorded=1.0)


def test_a_run_of_a_service_keeps_its_name_and_that_its_calls_are_not_known(
    open_ledger: Ledgers, request_of: Requests
) -> None:
    Engine(open_ledger()).run(request_of(), name="llmops-shout-1", llm_calls=None)
    again = Engine(open_ledger()).run(request_of())
    assert (again.name, again.llm_calls, len(again.reused)) == ("llmops-shout-1", None, 3)


def test_a_run_from_before_names_were_kept_has_none(
    open_ledger: Ledgers, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(result: RunResult, ids: Mapping[int, int]) -> str:
        content = json.loads(encode_now(result, ids))
        del content["name"]
        return json.dumps(content)

    encode_now = runs.encode
    with monkeypatch.context() as before:
        before.setattr(runs, "encode", encode)
        Engine(open_ledger()).run(request_of())
    again = Engine(open_ledger()).run(request_of())
    assert (again.name, len(again.reused)) == ("", 3)


def test_what_was_made_long_before_it_is_kept_is_as_old_as_it_says(open_ledger: Ledgers, request_of: Requests) -> None:
    made = time.time() - 30 * DAY
    row = Row(line_number=0, inputs={"word": "a"}, output={"loud": "A"}, recorded=made)
    request = request_of(data=words("a"))
    with open_ledger().journal(request) as journal:
        assert journal.finished() is None
        journal.take([(0, row.inputs)])
        journal.keep([Outcome(row=row)], Reads())
        journal.conclude(RunResult(status="Completed", rows=(row,), recorded=made), Reads())
    known = open_ledger().explain(request).result
    assert known is not None
    assert (known.recorded, known.oldest, known.rows[0].recorded) == (made, made, made)
    assert open_ledger(max_age=31 * DAY).explain(request).reused
    assert open_ledger(max_age=DAY).explain(request).reasons == ("older than --llmops-max-age 1d",)
    # It was used just now, however old it is.
    assert open_ledger().prune(unused_for=DAY) == 0
    assert executed(open_ledger(max_age=DAY), request) == ["a"]


def test_new_rows_are_all_that_runs(open_ledger: Ledgers, request_of: Requests) -> None:
    assert executed(open_ledger(), request_of(data=words("a", "b", "c"))) == ["a", "b", "c"]
    assert executed(open_ledger(), request_of(data=words("new", "b", "a", "c", "last"))) == ["new", "last"]
    assert executed(open_ledger(), request_of(data=words("c"))) == []


def test_identical_rows_are_samples_of_their_own(open_ledger: Ledgers, request_of: Requests) -> None:
    assert executed(open_ledger(), request_of(data=words("a", "a", "b"))) == ["a", "a", "b"]
    assert executed(open_ledger(), request_of(data=words("b", "a", "a", "a"))) == ["a"]


def test_failed_rows_are_tried_again(open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of()
    engine = Engine(open_ledger(), answer=lambda inputs: None if inputs["word"] == "b" else upper(inputs))
    assert [row.line_number for row in engine.run(request).failed] == [1]
    assert open_ledger().explain(request).reasons == (
        "no complete run of it is kept: rows failed, or it was interrupted",
    )
    assert executed(open_ledger(), request) == ["b"]
    assert executed(open_ledger(), request) == []


def test_a_run_that_something_was_amiss_with_is_no_finished_run(open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of()
    assert executed(open_ledger(), request, aggregation_error="it broke") == ["a", "b", "c"]
    assert not open_ledger().explain(request).reused
    assert executed(open_ledger(), request, status="Failed", error="it broke") == []
    assert not open_ledger().explain(request).reused


def test_lines_of_a_run_with_a_cassette_miss_are_forgotten(open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of()
    miss = CassetteMiss(cassette="c", request="r")
    assert executed(open_ledger(), request, misses=(miss,)) == ["a", "b", "c"]
    assert executed(open_ledger(), request) == ["a", "b", "c"]


def test_an_outcome_that_only_its_process_can_use_is_reused_with_its_whole_run(
    open_ledger: Ledgers, request_of: Requests
) -> None:
    request = request_of(data=words("a"))
    rows = tuple(Row(line_number=n, inputs=inputs, output={"x": 1}) for n, inputs in lines_of(request))
    with open_ledger().journal(request) as journal:
        journal.take(lines_of(request))
        journal.keep([Outcome(row=row, aggregation=None) for row in rows], Reads())
        journal.conclude(RunResult(status="Completed", rows=rows), Reads())
    assert open_ledger().explain(request).reused
    assert executed(open_ledger(), request_of(data=words("a", "b"))) == ["a", "b"]


def test_what_a_line_adds_to_the_metrics_is_kept(open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of(data=words("a"))
    row = Row(line_number=0, inputs={"word": "a"}, output={"x": 1})
    with open_ledger().journal(request) as journal:
        journal.take([(0, {"word": "a"})])
        journal.keep([Outcome(row=row, aggregation='{"n": NaN}')], Reads())
    known, mine = open_ledger().journal(request).take([(7, {"word": "a"})])
    assert (known[7].aggregation, known[7].row.line_number, list(mine)) == ('{"n": NaN}', 7, [])


@pytest.mark.parametrize("inputs", [{"word": {1: "a"}}, {"word": b"a"}, {"word": object()}])
def test_a_line_that_json_has_no_words_for_is_never_reused(
    inputs: Any, open_ledger: Ledgers, request_of: Requests
) -> None:
    for _ in range(2):
        engine = Engine(open_ledger(), answer=lambda given: {"loud": 1})
        engine.run(request_of(), lines=[(0, inputs), (1, {"word": "b"})])
        assert inputs in engine.executed
    assert len(engine.executed) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "\ud800", [], {"b": 1, "a": [True]}])
def test_a_line_of_any_json_value_is_reused(value: Any, open_ledger: Ledgers, request_of: Requests) -> None:
    Engine(open_ledger()).run(request_of(), lines=[(0, {"word": value})])
    engine = Engine(open_ledger())
    engine.run(request_of(), lines=[(0, {"word": value})])
    assert engine.executed == []


@pytest.mark.parametrize("mode", [mode for mode in get_args(LLMMode) if mode not in ("live", "replay")])
def test_a_recording_is_complete(mode: LLMMode, open_ledger: Ledgers, request_of: Requests, tmp_path: Path) -> None:
    request = request_of(llm=LLM(mode=mode, cassette=tmp_path / "c.json"))
    assert executed(open_ledger(), request) == executed(open_ledger(), request) == ["a", "b", "c"]
    assert open_ledger().explain(request).reasons == (f"--llmops-llm {mode} makes the run anew",)
    assert not (tmp_path / ".llmops").exists()


def test_outcomes_are_reused_up_to_an_age(
    open_ledger: Ledgers, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of()
    executed(open_ledger(), request)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1.5 * DAY)
    assert open_ledger(max_age=2 * DAY).explain(request).reused
    ledger = open_ledger(max_age=DAY)
    assert ledger.explain(request).reasons == ("older than --llmops-max-age 1d",)
    assert executed(ledger, request) == ["a", "b", "c"]
    # What the session itself found out is not too old, however long it takes.
    monkeypatch.setattr(time, "time", lambda: now + 9 * DAY)
    assert executed(ledger, request) == []


def test_a_run_is_as_old_as_its_oldest_line(
    open_ledger: Ledgers, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    executed(open_ledger(), request_of(data=words("a")))
    monkeypatch.setattr(time, "time", lambda: now + 2 * DAY)
    executed(open_ledger(), request_of(data=words("a", "b")))
    assert executed(open_ledger(max_age=DAY), request_of(data=words("a", "b"))) == ["a"]


def test_a_session_without_cache_reuses_only_its_own(open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of()
    executed(open_ledger(), request)
    begun = time.time()
    ledger = open_ledger(read=False, begun=begun)
    assert ledger.explain(request).reasons == ("--llmops-no-cache",)
    assert executed(ledger, request) == ["a", "b", "c"]
    assert executed(open_ledger(read=False, begun=begun), request) == []
    assert open_ledger().info().outcomes == 3


def test_a_line_that_read_something_is_reused_while_that_is_the_same(
    open_ledger: Ledgers, request_of: Requests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first line reads nothing, the second a variable, the third a file too; each depends on what came before."""
    request = request_of()
    page = tmp_path / "repo/flows/shared/page.txt"
    page.write_text("1", encoding="utf-8")
    monkeypatch.delenv("TONE", raising=False)
    reads = Reads()
    with open_ledger().journal(request) as journal:
        journal.take(lines_of(request))
        for number, inputs in lines_of(request):
            if number == 1:
                reads = Reads(variables={"TONE": None})
            if number == 2:
                reads = Reads(files={"../shared/page.txt": digest_of(str(page))})
            journal.keep([Outcome(row=Row(line_number=number, inputs=inputs, output={"x": number}))], reads)

    def known() -> list[int]:
        with open_ledger().journal(request) as journal:
            return sorted(journal.take(lines_of(request))[0])

    assert known() == [0, 1, 2]
    page.write_text("2", encoding="utf-8")
    assert known() == [0, 1]
    monkeypatch.setenv("TONE", "loud")
    assert known() == [0]


def test_a_run_depends_on_what_its_reused_lines_had_read(
    open_ledger: Ledgers, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TONE", raising=False)
    Engine(open_ledger(), reads=Reads(variables={"TONE": None})).run(request_of(data=words("a")))
    request = request_of(data=words("a", "b"))
    assert executed(open_ledger(), request) == ["b"]
    monkeypatch.setenv("TONE", "loud")
    assert open_ledger().explain(request).reasons == ("variable TONE changed",)
    assert executed(open_ledger(), request) == ["a"]


def test_what_changed_while_it_was_read_makes_no_outcome(open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of()
    with open_ledger().journal(request) as journal:
        journal.take(lines_of(request))
        for number, inputs in lines_of(request):
            reads = Reads(variables={"TONE": str(min(number, 1))})
            journal.keep([Outcome(row=Row(line_number=number, inputs=inputs, output={"x": 1}))], reads)
    assert list(open_ledger().journal(request).take(lines_of(request))[0]) == []


def test_pruning_forgets_what_is_of_no_use(
    open_ledger: Ledgers, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    old, used = request_of(data=words("a", "b")), request_of(data=words("c"))
    for request in (old, used):
        Engine(open_ledger(), reads=Reads(variables={"TONE": None})).run(request)
    monkeypatch.delenv("TONE", raising=False)
    monkeypatch.setattr(time, "time", lambda: now + 10 * DAY)
    assert executed(open_ledger(), used) == []
    assert open_ledger().info() != Info()
    assert open_ledger().prune(unused_for=7 * DAY) == 3
    assert (open_ledger().info().runs, open_ledger().info().outcomes, open_ledger().info().flows) == (1, 1, ("shout",))
    assert executed(open_ledger(), used) == []
    assert executed(open_ledger(), old) == ["a", "b"]
    assert open_ledger().prune() == 5
    info = open_ledger().info()
    assert (info.runs, info.outcomes, info.flows, info.oldest) == (0, 0, (), None)


def test_a_ledger_that_nobody_made_yet_is_empty(open_ledger: Ledgers, request_of: Requests, tmp_path: Path) -> None:
    ledger = open_ledger()
    assert (ledger.info(), ledger.prune()) == (Info(), 0)
    assert ledger.explain(request_of()).reasons == ("never run before",)
    assert not (tmp_path / ".llmops").exists()


def test_version_control_is_told_to_ignore_it(open_ledger: Ledgers, request_of: Requests, tmp_path: Path) -> None:
    executed(open_ledger(), request_of())
    assert (tmp_path / ".llmops/.gitignore").read_text(encoding="utf-8") == "*\n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def told_apart(one: Any, other: Any) -> bool:
    """Whether Python code can tell two JSON values apart, other than by the order of keys."""
    if type(one) is not type(other):
        return True
    if isinstance(one, dict):
        return one.keys() != other.keys() or any(told_apart(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) != len(other) or any(map(told_apart, one, other))
    return repr(one) != repr(other)


@given(JSON, JSON)
def test_texts_are_equal_only_for_equal_values(one: Any, other: Any) -> None:
    assert (exact(one) == exact(other)) is not told_apart(one, other)


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8), st.data())
def test_keys_do_not_depend_on_other_lines(some: list[str], more: list[str], data: st.DataObject) -> None:
    """All lines keep their keys when lines are put between them, and no two have the same."""
    flow = Flow(name="f", kind="callable", file=Path("/f.py"), folder=Path("/"))

    def keys_of(values: list[str]) -> list[str | None]:
        keys = LineKeys("context", RunRequest(flow=flow))
        keys.add(list(enumerate(words(*values))))
        return [keys[number] for number in range(len(values))]

    mixed = data.draw(st.permutations([*some, *more]))
    assert set(keys_of(some)) <= set(keys_of(mixed))
    assert len(set(keys_of(mixed))) == len(mixed)


def test_an_image_is_known_by_its_place_from_the_flow(tmp_path: Path) -> None:
    def key_in(root: Path) -> str | None:
        flow = Flow(name="f", kind="dag", file=root / "flow/flow.dag.yaml", folder=root / "flow")
        keys = LineKeys("context", RunRequest(flow=flow))
        keys.add([(0, {"picture": {"data:image/png;path": str(root / "data/a.png")}})])
        return keys[0]

    assert key_in(tmp_path / "one") == key_in(tmp_path / "two/three")


def test_what_the_session_itself_found_out_does_not_count_as_reused(tmp_path: Path) -> None:
    request = write_request(tmp_path)
    with closing(Ledger(tmp_path / ".llmops")) as ledger:
        Engine(ledger).run(request)
        again = Engine(ledger)
        assert (again.run(request).oldest, again.executed) == (None, [])
    with closing(Ledger(tmp_path / ".llmops")) as later:
        result = Engine(later).run(request)
        assert len(result.reused) == 3
        assert result.recorded is not None
