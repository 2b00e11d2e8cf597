"""What flows read beside what their requests name is part of their version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_case import change, move_into, record

import pytest_llmops as llmops
from pytest_llmops.baselines import read_results, save
from pytest_llmops.engines.local import LocalEngine
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.ledger import UNREADABLE, Ledger, project_of
from pytest_llmops.plan import Options, plan
from pytest_llmops.records.gate import CellResult, GateResult
from pytest_llmops.records.report import Report
from pytest_llmops.regating import regate
from pytest_llmops.session import Session
from pytest_llmops.store import Store
from pytest_llmops.versions import with_reads

EXPERIMENT = """name: routing
flow: route:route
datasets:
- {name: words, source: words.jsonl, mappings: {word: "${data.word}"}}
evaluators:
- name: check
  flow: check:check
  thresholds: {rate: ">= 0.5"}
  datasets:
  - {name: words, mappings: {to: "${run.outputs.to}", gold: "${data.gold}"}}
"""
ROUTE = """import os
from pathlib import Path

import helper

try:
    import settings_of_mine
except ImportError:
    pass


def route(word: str) -> dict:
    os.listdir(".")
    return {"to": helper.PREFIX + Path("prompt.txt").read_text() + word}
"""
CHECK = """import scorer


def check(to: str, gold: str) -> dict:
    Path = scorer.Path
    Path("words.jsonl").read_text()
    return {"right": scorer.score(to, gold)}


def aggregate(rows: list) -> dict:
    return {"rate": sum(row["right"] for row in rows) / len(rows)}
"""
FILES = {
    "experiment.yaml": EXPERIMENT,
    "route.py": ROUTE,
    "helper.py": "PREFIX = '>'\n",
    "prompt.txt": "to ",
    "check.py": CHECK,
    "scorer.py": "from pathlib import Path\n\n\ndef score(to: str, gold: str) -> float:\n    return 1.0\n",
    "words.jsonl": "".join(f'{{"word": "w{n}", "gold": "g{n}"}}\n' for n in range(12)),
}
ASK = """import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "shared"))
import tones


def ask(word: str) -> str:
    return tones.TONE + word
"""
FLEX = {
    "pytest.ini": "",
    "shared/tones.py": "TONE = 'x'\n",
    "flows/ask/ask.py": ASK,
    "flows/ask/flow.flex.yaml": "entry: ask:ask\n",
    "experiment.yaml": EXPERIMENT.replace("route:route", "flows/ask").replace("outputs.to", "outputs.output"),
}
CELL = "route-words-default"
SINCE = "changed since these results were recorded; run pytest again"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    write(folder, FILES)
    record(folder)
    return folder


@pytest.fixture
def case(evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The use case and its reports, elsewhere than they were made."""
    return move_into(tmp_path, evaluated, monkeypatch)


def again(folder: Path, report: Report | None = None) -> Report:
    report = report or read_results(folder / "reports")
    return regate(report, {"experiment.yaml": llmops.load("experiment.yaml", root=folder)})


def gate_of(report: Report, name: str) -> GateResult:
    return next(gate for gate in report.gates if gate.name == name)


def reads_of(result: CellResult) -> tuple[list[str], list[str]]:
    return list(result.run.reads), list(result.evaluations["check"].result.reads)


def test_results_say_what_of_the_project_was_read(case: Path) -> None:
    (result,) = read_results(case / "reports").cells
    assert reads_of(result) == (["helper.py", "prompt.txt"], ["scorer.py"])
    assert {len(content or "") for content in result.run.reads.values()} == {16}


def test_what_did_not_change_is_decided_on_in_another_place(case: Path) -> None:
    assert again(case).decision.state == "open"


@pytest.mark.parametrize("name", ["helper.py", "prompt.txt"])
@pytest.mark.parametrize("change_it", [lambda file: file.write_text("PREFIX = 1"), lambda file: file.unlink()])
def test_a_file_that_the_flow_read_and_that_changed_is_an_error(
    case: Path, name: str, change_it: Callable[[Path], None]
) -> None:
    change_it(case / name)
    after = again(case)
    for gate in after.gates:
        assert (gate.verdict, gate.reason) == ("ERROR", f"{name}, which flow 'route' read, {SINCE}")
    assert after.decision.state == "closed"


def test_a_file_that_an_evaluator_read_and_that_changed_is_an_error(case: Path) -> None:
    change(case, "scorer.py", "1.0", "0.9")
    after = again(case)
    gate = gate_of(after, "check.rate")
    assert (gate.verdict, gate.reason) == ("ERROR", f"scorer.py, which evaluator 'check' read, {SINCE}")
    assert gate_of(after, "run").verdict == "PASS"


def test_a_file_that_was_not_there_and_is_now_is_a_change(case: Path) -> None:
    write(
        case,
        {"route.py": ROUTE.replace("os.listdir", "try: open('tone.txt')\n    except OSError: pass\n    os.listdir")},
    )
    before = record(case)
    assert before.cells[0].run.reads["tone.txt"] is None
    (case / "tone.txt").write_text("kind", encoding="utf-8")
    assert gate_of(again(case), "run").reason == f"tone.txt, which flow 'route' read, {SINCE}"


def test_a_changed_read_makes_no_baseline(case: Path) -> None:
    (case / "prompt.txt").write_text("other", encoding="utf-8")
    experiment = llmops.load("experiment.yaml", root=case)
    with pytest.raises(LLMOpsError, match=f"\n  prompt.txt, which flow 'route' read, {SINCE}$"):
        save(read_results(case / "reports"), "experiment.yaml", experiment, Path("b.json"))


def test_a_baseline_of_an_evaluator_that_reads_something_else_is_refused(case: Path) -> None:
    save(
        read_results(case / "reports"),
        "experiment.yaml",
        llmops.load("experiment.yaml", root=case),
        Path("before.json"),
    )
    change(case, "experiment.yaml", '{rate: ">= 0.5"}', "{rate: {max_drop: 0.1}}")
    experiment = llmops.load("experiment.yaml", root=case, baseline="before.json")
    assert gate_of(llmops.evaluate(experiment), "check.rate").verdict == "PASS"
    change(case, "scorer.py", "1.0", "0.99")
    gate = gate_of(llmops.evaluate(experiment), "check.rate")
    assert gate.verdict == "ERROR"
    assert gate.reason.startswith("baseline: evaluator 'check' has changed since it scored the baseline; ")


def session(folder: Path, ledger: Path | None, *, fork: bool = True, max_rows: int | None = None) -> CellResult:
    experiment = llmops.load("experiment.yaml", root=folder)
    (item,) = plan(experiment, path="experiment.yaml", options=Options(max_rows=max_rows))
    with ExitStack() as until_end:
        kept = until_end.enter_context(closing(Ledger(ledger))) if ledger else None
        running = until_end.enter_context(closing(Session(LocalEngine(fork=fork), Store(None), kept, at_once=1)))
        return running.result(item)


@pytest.mark.parametrize("fork", [True, False])
def test_versions_do_not_depend_on_the_ledger_or_on_how_workers_start(case: Path, tmp_path: Path, fork: bool) -> None:
    ledger = tmp_path / "kept"
    part = session(case, ledger, fork=fork, max_rows=5)
    found = [part, session(case, ledger, fork=fork), session(case, ledger, fork=fork), session(case, None, fork=fork)]
    assert [len(result.run.reused) for result in found] == [0, 5, 12, 0]
    assert {result.digest for result in found} == {read_results(case / "reports").cells[0].digest}
    assert {result.evaluations["check"].digest for result in found} == {part.evaluations["check"].digest}
    assert all(reads_of(result) == (["helper.py", "prompt.txt"], ["scorer.py"]) for result in found)


def test_what_flex_flows_read_outside_of_their_folder_is_of_their_version(case: Path) -> None:
    write(case, FLEX)
    assert record(case).cells[0].run.reads.keys() == {"../../shared/tones.py"}
    change(case, "shared/tones.py", "x", "y")
    assert gate_of(again(case), "run").reason == f"../../shared/tones.py, which flow 'ask' read, {SINCE}"


def test_what_sessions_write_into_the_folder_of_a_flow_is_no_part_of_it(case: Path) -> None:
    write(case, FLEX | {"flow.flex.yaml": "entry: ask:ask\n", "ask.py": ASK.replace("parents[2]", "parent")})
    write(case, {"experiment.yaml": FLEX["experiment.yaml"].replace("flows/ask", "flow.flex.yaml")})
    first = record(case)
    more = ["cassettes/ask.json", "baselines/x.json", "out/results.json", "out/summary.md", "out/a.csv", ".llmops/l"]
    write(case, dict.fromkeys([*more, "experiment.dev.yaml", "__pycache__/ask.pyc", ".env"], ""))
    change(case, "experiment.yaml", ">= 0.5", ">= 0.6")
    assert gate_of(again(case, first), "check.rate").verdict == "PASS"
    write(case, {"out.json": ""})
    assert gate_of(again(case, first), "run").verdict == "ERROR"


def test_what_changed_while_it_was_read_makes_no_version() -> None:
    assert with_reads("v", {"a": UNREADABLE}) == ""
    assert with_reads("", {"a": "b"}) == ""
    assert with_reads("v", {}) == "v"
    assert len({with_reads("v", reads) for reads in ({"a": "b"}, {"a": "c"}, {"a": None}, {"b": "b"}, {})}) == 5


def test_only_files_of_the_project_are_kept_under_names_that_are_the_same_everywhere(case: Path) -> None:
    experiment = llmops.load("experiment.yaml", root=case)
    (item,) = plan(experiment, path="experiment.yaml", options=Options())
    outside = f"../{case.name}-not/x.txt"
    names: Sequence[str] = [
        *(".", "..", "route.py", "words.jsonl", "baselines/b.json", "cassettes/c.json", "reports/results.json"),
        *("a/__pycache__/b.pyc", ".llmops/ledger", ".env", "a/.env.local", outside, "/etc/hosts"),
        *("a/prompt.txt", "prompts", str(case / "absolute.txt")),
    ]
    files: dict[str, str | None] = dict.fromkeys(names, "0123456789abcdef0123456789abcdef")
    files |= {"helper.cpython-311-x86_64-linux-gnu.so": None, "helper": None, "x.py": None, "missing.txt": None}
    assert project_of(experiment, "experiment.yaml").reads(item.request, files) == {
        "a/prompt.txt": "0123456789abcdef",
        "absolute.txt": "0123456789abcdef",
        "missing.txt": None,
        "prompts": "0123456789abcdef",
    }


def test_a_path_through_a_link_is_the_same_file(case: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "case"
    link.symlink_to(case, target_is_directory=True)
    experiment = llmops.load(link / "experiment.yaml", root=link)
    (item,) = plan(experiment, path="experiment.yaml", options=Options())
    found = project_of(experiment, "experiment.yaml").reads(item.request, {str(case / "prompt.txt"): "0" * 64})
    assert found == {"prompt.txt": "0" * 16}


def test_another_execution_of_another_version_makes_the_version_unknown(case: Path) -> None:
    experiment = llmops.load("experiment.yaml", root=case)
    repeated = replace(experiment, gate=replace(experiment.gate, repeat=2))
    (item,) = plan(repeated, path="experiment.yaml", options=Options())
    running = Session(LocalEngine(), Store(None), None, at_once=1)
    (first,) = read_results(case / "reports").cells
    try:
        assert running._join(item, [first, first]).digest == first.digest
        running._store = Store(None)
        assert running._join(item, [first, replace(first, digest="other")]).digest == ""
    finally:
        running.close()
