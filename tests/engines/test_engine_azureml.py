"""What the engine for workspaces does on this machine: work is prepared, results are collected."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.azure.run_records import Lines, RunState, lines_of
from pytest_llmops.engines.azureml.collecting import collect
from pytest_llmops.engines.azureml.work import Work, prepare
from pytest_llmops.errors import RunError
from pytest_llmops.records.cloud import Compute
from pytest_llmops.records.experiment import Flow, NodeVariants
from pytest_llmops.records.run import Row, RunRequest, Variant

TICKETS = [{"text": "a", "gold": "x"}, {"text": "b", "gold": "y"}]
STATE = RunState(name="r", status="Completed", started=10.0, ended=12.5)

MakeFlow = Callable[..., Flow]


@pytest.fixture
def prepared(flow: MakeFlow, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Work]:
    """Give a function that prepares a run, each time in a folder of its own."""

    def prepare_run(
        source: str = "triage", *, fresh: str = "", tags: Mapping[str, str] | None = None, **fields: Any
    ) -> Work:
        request = RunRequest(**{"flow": flow(source), "data": TICKETS, **fields})
        return prepare(request, tmp_path_factory.mktemp("work"), tags=tags or {}, fresh=fresh)

    return prepare_run


FILES = {
    "say/flow.dag.yaml": """
        inputs: {text: {type: string}}
        outputs: {said: {type: string, reference: "${say.output}"}}
        additional_includes: [../shared/tone.txt]
        nodes: [{name: say, use_variants: true}, {name: end, use_variants: true}]
        node_variants:
          say: {default_variant_id: low, variants: {low: {node: {type: python, source: &s {type: code, path: say.py},
            inputs: {volume: 1}}}, loud: {node: {type: python, source: *s, inputs: {volume: 9}}}}}
          end: {default_variant_id: dot, variants: {dot: {node: {type: python, source: *s, inputs: {volume: 1}}},
            mark: {node: {type: python, source: *s, inputs: {volume: 2}}}}}
    """,
    "say/say.py": "def say(volume): ...",
    "say/ask.jinja2": "Say {{text}}",
    "say/requirements.txt": "numpy",
    "shared/tone.txt": "calm",
}


@pytest.fixture
def saying(tmp_path: Path) -> Flow:
    """A flow of several files, one of them included, with two nodes that have variants."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    nodes = {"say": ("low", "loud"), "end": ("dot", "mark")}
    variants = {node: NodeVariants(default=choices[0], choices=choices) for node, choices in nodes.items()}
    folder = tmp_path / "say"
    return Flow(name="say", kind="dag", file=folder / "flow.dag.yaml", folder=folder, variants=variants)


JUDGED: Mapping[str, Any] = {
    "run_outputs": [{"line_number": 0, "queue": "x"}],
    "column_mapping": {"q": "${run.outputs.queue}"},
}


class TestTheKey:
    @pytest.mark.parametrize(
        ("change", "base"),
        [
            ({"data": TICKETS[:1]}, {}),
            ({"data": TICKETS[::-1]}, {}),
            ({"data": [TICKETS[0], {**TICKETS[1], "gold": "z"}]}, {}),
            ({"max_rows": 1}, {}),
            ({"column_mapping": {"text": "${data.gold}"}}, {"column_mapping": {"text": "${data.text}"}}),
            ({"run_outputs": [{"line_number": 0, "queue": "y"}]}, JUDGED),
            ({"run_outputs": [{"line_number": 1, "queue": "x"}]}, JUDGED),
            ({"parent": "s"}, {**JUDGED, "parent": "r"}),
            ({"repeat": 1}, {}),
            ({"fresh": "session 1"}, {}),
            ({"environment_variables": {"MODE": "x"}}, {"environment_variables": {"MODE": "y"}}),
            ({"variant": Variant(init={"x": 1})}, {"variant": Variant(init={"x": 2})}),
            ({"variant": Variant(overrides={"say.volume": 5})}, {"variant": Variant(overrides={"say.volume": 6})}),
            ({"variant": Variant(nodes={"say": "loud"})}, {}),
            ({"variant": Variant(nodes={"say": "loud"})}, {"variant": Variant(nodes={"end": "mark"})}),
            ({"variant": Variant(nodes={"say": "loud", "end": "mark"})}, {"variant": Variant(nodes={"say": "loud"})}),
            ({"compute": Compute(runtime="mine")}, {"compute": Compute()}),
            ({"compute": Compute(instance_type="Standard_DS3_v2")}, {"compute": Compute()}),
        ],
        ids=str,
    )
    def test_all_that_decides_the_outcome_is_in_it(
        self, prepared: Callable[..., Work], saying: Flow, change: dict[str, Any], base: dict[str, Any]
    ) -> None:
        given = {"flow": saying, **base}
        assert prepared(**{**given, **change}).key != prepared(**given).key

    @pytest.mark.parametrize("name", FILES)
    def test_each_file_of_the_flow_is(
        self, prepared: Callable[..., Work], saying: Flow, tmp_path: Path, name: str
    ) -> None:
        before = prepared(flow=saying).key
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write("# edited")
        assert prepared(flow=saying).key != before

    @pytest.mark.parametrize(
        "change",
        [
            {"tags": {"build": "8"}},
            {"variant": Variant(id="other")},
            {"concurrency": 1},
            {"line_timeout": 5.0},
            {"compute": Compute(workspace="/subscriptions/other")},  # a run is looked for in one alone
        ],
        ids=str,
    )
    def test_nothing_else_is(self, prepared: Callable[..., Work], saying: Flow, change: dict[str, Any]) -> None:
        assert prepared(**{"flow": saying, "compute": Compute(), **change}).key == prepared(flow=saying).key

    def test_the_version_of_an_asset_is(self, prepared: Callable[..., Work], tmp_path: Path) -> None:
        file = tmp_path / "tickets.jsonl"
        file.write_text('{"text": "a"}\n', encoding="utf-8")
        keys = {prepared(data=file, asset=f"azureml:tickets:{version}").key for version in (1, 2)}
        assert len(keys) == 2

    def test_how_data_is_to_be_read_is(self, prepared: Callable[..., Work], tmp_path: Path) -> None:
        keys = set()
        for name in ("a.csv", "a.tsv"):
            (tmp_path / name).write_text("text,gold\na,x\n", encoding="utf-8")
            keys.add(prepared(data=tmp_path / name).key)
        assert len(keys) == 2

    def test_names_and_times_of_files_are_not(self, prepared: Callable[..., Work], tmp_path: Path) -> None:
        here, there = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
        for file in (here, there):
            file.write_text('{"text": "a", "gold": "x"}\n', encoding="utf-8")
        assert prepared(data=here).key == prepared(data=there).key

    def test_it_is_a_tag_and_names_the_run(self, prepared: Callable[..., Work]) -> None:
        work = prepared(tags={"build": "7"})
        assert work.submission.tags == {"build": "7", "llmops": work.key}
        assert work.attempt(3).name == f"llmops-triage-{work.key[:20]}-3"

    def test_long_and_odd_names_of_flows_make_legal_names_of_runs(
        self, prepared: Callable[..., Work], flow: MakeFlow
    ) -> None:
        name = prepared(flow=replace(flow("triage"), name="ein_langer, krummer näme " * 4)).name
        assert name.startswith("llmops-ein-langer-krummer-n-me-ein-langer-krumm")
        assert len(name) <= 70


class TestTheData:
    MAPPING: ClassVar = {"answer": "${run.outputs.queue}", "gold": "${data.gold}", "strict": True}

    def test_outputs_of_a_parent_that_the_workspace_does_not_know_are_columns(
        self, flow: MakeFlow, tmp_path: Path
    ) -> None:
        outputs = [{"line_number": 1, "queue": "q"}]
        request = RunRequest(flow=flow("flex_class"), data=TICKETS, run_outputs=outputs, column_mapping=self.MAPPING)
        work = prepare(request, tmp_path, tags={}, fresh="")
        (line,) = Path(work.submission.data).read_text(encoding="utf-8").splitlines()
        assert json.loads(line) == {"text": "b", "gold": "y", "llmops_run_outputs_0": "q", "line_number": 1}
        read = {"answer": "${data.llmops_run_outputs_0}", "gold": "${data.gold}", "strict": True}
        assert (work.submission.column_mapping, work.submission.parent, work.numbers) == (read, "", (1,))

    def test_those_of_one_that_it_knows_stay_there(self, prepared: Callable[..., Work]) -> None:
        outputs = [{"line_number": 1, "queue": "q"}]
        work = prepared("flex_class", run_outputs=outputs, parent="r", column_mapping=self.MAPPING)
        assert (work.submission.column_mapping, work.submission.parent, work.numbers) == (self.MAPPING, "r", (1,))
        assert len(Path(work.submission.data).read_text(encoding="utf-8").splitlines()) == 2

    @pytest.mark.parametrize("change", [{}, JUDGED, {"asset": "azureml:tickets:1"}, {"max_rows": 1}], ids=str)
    def test_data_whose_lines_can_t_be_counted_is_refused(
        self, prepared: Callable[..., Work], tmp_path: Path, change: dict[str, Any]
    ) -> None:
        file = tmp_path / "tickets.parquet"
        file.write_bytes(b"PAR1")
        said = (
            "flow 'triage': the lines of tickets.parquet can't be counted here, so one that gets lost would not be "
            "missed; save it as .jsonl or .csv, or run it with --llmops-backend local"
        )
        with pytest.raises(RunError) as refused:
            prepared(data=file, **change)
        assert str(refused.value) == said

    def test_data_that_is_edited_later_is_uploaded_as_it_was(
        self, prepared: Callable[..., Work], tmp_path: Path
    ) -> None:
        file = tmp_path / "tickets.jsonl"
        file.write_text('{"text": "old"}\n', encoding="utf-8")
        work = prepared(data=file)
        file.write_text('{"text": "new"}\n', encoding="utf-8")
        uploaded = Path(work.submission.data)
        assert (uploaded.name, uploaded.read_text(encoding="utf-8")) == ("tickets.jsonl", '{"text": "old"}\n')
        assert prepared(data=file).key != work.key

    def test_all_files_of_a_folder_are_data_but_for_those_of_tools(
        self, prepared: Callable[..., Work], tmp_path: Path
    ) -> None:
        for name in ("a.jsonl", "deep/b.jsonl", ".git/c.jsonl"):
            (tmp_path / "rows" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "rows" / name).write_text('{"text": "a"}\n', encoding="utf-8")
        work = prepared(data=tmp_path / "rows")
        uploaded = Path(work.submission.data)
        files = {path.relative_to(uploaded).as_posix() for path in uploaded.rglob("*") if path.is_file()}
        assert (uploaded.name, files, work.numbers) == ("rows", {"a.jsonl", "deep/b.jsonl"}, (0, 1))

    def test_data_that_is_not_there_is_said(self, prepared: Callable[..., Work], tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"^tickets\.jsonl: No such file or directory$"):
            prepared(data=tmp_path / "tickets.jsonl")

    def test_a_setting_that_json_does_not_have_is_refused(self, prepared: Callable[..., Work]) -> None:
        with pytest.raises(RunError, match=r"^flow 'triage': a setting can't be handed to the workspace: "):
            prepared(variant=Variant(init={"x": object()}))


def row(number: int, error: str | None = None) -> Row:
    return Row(line_number=number, inputs={"n": number}, output=None if error else {"y": number}, error=error)


def child(number: int, *calls: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make what the service keeps of a line, with what was traced of it."""
    return {"index": number, "status": "Completed", "output": {"y": 1}, "api_calls": list(calls)}


def asked(model: str) -> Mapping[str, Any]:
    usage = {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}
    return {"type": "LLM", "output": {"model": model, "usage": usage}}


class TestLLMCalls:
    def test_they_are_counted_at_any_depth(self) -> None:
        agent = {"type": "Tool", "children": [asked("small"), asked("large"), {"type": "Tool"}, asked("small")]}
        lines = lines_of([child(1, {"type": "Flow", "children": [agent]}), child(0, {"type": "Flow"})])
        assert [found.line_number for found in lines.rows] == [0, 1]
        assert lines.llm_calls == 3
        assert {model: tokens.total for model, tokens in lines.rows[1].usage.items()} == {"small": 6, "large": 3}

    def test_one_that_reported_no_tokens_counts_too(self) -> None:
        lines = lines_of([child(0, {"type": "LLM", "output": "streamed"}, {"type": "LLM"})])
        assert (lines.llm_calls, lines.rows[0].usage) == (2, {})

    def test_without_a_trace_of_one_line_nobody_knows(self) -> None:
        assert lines_of([child(0, asked("small")), child(1)]).llm_calls is None
        assert lines_of([{**child(0), "api_calls": None}]).llm_calls is None


class TestCollecting:
    @given(told=st.sets(st.integers(0, 20)), expected=st.sets(st.integers(0, 20)), order=st.randoms())
    def test_each_line_of_the_data_has_exactly_one_row(self, told: set[int], expected: set[int], order: Any) -> None:
        rows = [row(number) for number in told]
        order.shuffle(rows)
        result = collect(STATE, Lines(rows=tuple(rows), llm_calls=4), {"m": 1}, expected)
        if told - expected:
            assert (result.status, result.rows) == ("Failed", ())
            return
        assert [r.line_number for r in result.rows] == sorted(expected)
        assert {r.line_number for r in result.completed} == told
        assert {r.error for r in result.failed} <= {"the service tells nothing of this line"}
        assert (result.metrics, result.duration) == ({"m": 1}, 2.5)
        assert result.llm_calls == (4 if told == expected else None)

    def test_a_line_that_is_told_of_twice_fails_the_run(self) -> None:
        result = collect(STATE, Lines(rows=(row(0), row(1), row(1))), {}, (0, 1))
        assert result.error == "run 'r': the service tells more than once of lines 1"

    def test_many_wrong_lines_are_not_all_named(self) -> None:
        result = collect(STATE, Lines(rows=tuple(map(row, range(9)))), {}, (0,))
        assert (
            result.error == "run 'r': the service tells of lines that the data does not have: 1, 2, 3, 4, 5 and 3 more"
        )

    def test_an_error_that_is_no_row_s_is_the_aggregation_s(self) -> None:
        lines = Lines(rows=(row(0), row(1, "boom")))
        assert collect(replace(STATE, error="boom"), lines, {}, (0, 1)).aggregation_error is None
        assert collect(replace(STATE, error="no metrics"), lines, {}, (0, 1)).aggregation_error == "no metrics"

    @pytest.mark.parametrize(
        ("status", "error", "said"),
        [
            ("Failed", "No quota.", "run 'r': No quota."),
            ("Failed", "", "run 'r': it ended as Failed, and the service does not say why"),
            ("Canceled", "x", "run 'r' was cancelled in the workspace"),
        ],
    )
    def test_a_run_that_came_to_nothing_says_why(self, status: str, error: str, said: str) -> None:
        result = collect(replace(STATE, status=status, error=error), Lines(rows=(row(0),)), {"m": 1}, (0,))
        assert (result.status, result.error, result.metrics, result.llm_calls) == ("Failed", said, {}, None)
