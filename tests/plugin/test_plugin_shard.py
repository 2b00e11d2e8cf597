"""Sessions that do a part of the work: what they select, say and leave, and that the parts add up."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from project import Project

from pytest_llmops.cli import main

ROWS = {"a": 3, "b": 5, "c": 2, "d": 4}
EXPERIMENT = """
name: shouting
flow: shout:shout
datasets:
{datasets}
evaluators:
- name: compare
  flow: compare:compare
  thresholds: {{accuracy: ">= 0.6"}}
  datasets:
{golds}
{more}
"""
DATASET = '- {{name: {0}, source: {0}.jsonl, mappings: {{word: "${{data.word}}"}}}}'
GOLD = '  - {{name: {0}, mappings: {{answer: "${{run.outputs.loud}}", gold: "${{data.gold}}"}}}}'
MARKED = """
import pytest

@pytest.mark.llmops("evals/shouting/experiment.yaml")
def test_loud(llmops_cell):
    assert llmops_cell.run.rows

def test_plain():
    pass
"""
WITHOUT_XDIST = ("-p", "no:xdist")
XDIST = pytest.param(("-n", "2"), marks=pytest.mark.slow)
# By cost: b (5 rows) is in shard 1, d (4) in 2, a (3) and then c (2) in 3.
SHARDS = {1: ["b"], 2: ["d"], 3: ["a", "c"]}


@pytest.fixture
def divisible(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Four cells of different sizes, of which the smallest fails its threshold."""
    write(project)
    (project.folder / "words.jsonl").unlink()
    for name, count in ROWS.items():
        words = [f"{name}{number}" for number in range(count)]
        rows = [{"word": word, "gold": word.upper() + ("!" if number else "?")} for number, word in enumerate(words)]
        project.write_rows(f"{name}.jsonl", rows)
    return project


def write(project: Project, more: str = "") -> None:
    datasets, golds = ("\n".join(map(line.format, ROWS)) for line in (DATASET, GOLD))
    project.write("experiment.yaml", EXPERIMENT.format(datasets=datasets, golds=golds, more=more))


def run(project: Project, *arguments: str) -> pytest.RunResult:
    return project.run("-W", "ignore", *arguments)


def run_shard(project: Project, index: int, count: int, *arguments: str) -> pytest.RunResult:
    folder = f"shards/{index}"
    options = ("--llmops-report-dir", folder, f"--junitxml={folder}/junit.xml", *arguments)
    return run(project, "--llmops-shard", f"{index}/{count}", *options)


def shard_report(project: Project, index: int, name: str = "results.json") -> Any:
    return json.loads((project.path / "shards" / str(index) / name).read_text(encoding="utf-8"))


def datasets_of(document: Any) -> list[str]:
    return sorted(cell["cell"]["dataset"] for cell in document["cells"])


def line_of(result: pytest.RunResult, start: str) -> str:
    return next(line for line in result.outlines if line.startswith(start))


def test_each_shard_executes_its_cells_alone(divisible: Project) -> None:
    for index, datasets in SHARDS.items():
        result = run_shard(divisible, index, 3)
        found = shard_report(divisible, index)
        assert datasets_of(found) == datasets
        assert (found["shard"]["index"], found["shard"]["count"], found["shard"]["attempt"]) == (index, 3, 1)
        assert found["settings"]["shard"] == f"{index}/3"
        words = sorted(f"{name}{number}" for name in datasets for number in range(ROWS[name]))
        assert divisible.calls() == words
        (divisible.folder / "calls.txt").unlink()
        assert result.ret == (1 if "c" in datasets else 0)


def test_the_header_and_the_items_of_other_shards(divisible: Project) -> None:
    result = run_shard(divisible, 1, 3, *WITHOUT_XDIST)
    assert (
        line_of(result, "llmops: ") == "llmops: llm=replay, concurrency=16, shard=1/3 (--llmops-shard), "
        "report-dir=shards/1 (--llmops-report-dir)"
    )
    assert line_of(result, "collected ") == "collected 8 items / 6 deselected / 2 selected"
    assert line_of(result, "this is ") == "this is shard 1/3 alone: llmops merge makes the gate of the whole"
    result.assert_outcomes(passed=2, deselected=6)


def test_the_report_says_what_all_shards_do(divisible: Project) -> None:
    run_shard(divisible, 3, 3)
    shard = shard_report(divisible, 3)["shard"]
    path = "evals/shouting/experiment.yaml"
    names = [f"{what}[shout-{name}-default]" for name in ROWS for what in ("run", "compare.accuracy")]
    assert shard["planned"] == {path: names}
    assert shard["own"] == {path: [name for name in names if "-a-" in name or "-c-" in name]}


@pytest.mark.parametrize("arguments", [WITHOUT_XDIST, XDIST])
def test_a_shard_with_nothing_to_do_is_all_right_and_its_gate_is_closed(
    divisible: Project, arguments: tuple[str, ...]
) -> None:
    result = run_shard(divisible, 5, 5, *arguments)
    assert result.ret == pytest.ExitCode.OK
    reason = "shard 5/5 has nothing to do; the gate of the whole is made by llmops merge"
    found = shard_report(divisible, 5)
    assert found["decision"]["reasons"] == ["nothing was evaluated", reason]
    assert found["decision"]["state"] == shard_report(divisible, 5, "gate.json")["state"] == "closed"
    assert (found["shard"]["index"], found["shard"]["own"]) == (5, {})
    assert list(found["shard"]["planned"]) == ["evals/shouting/experiment.yaml"]


def test_one_shard_of_one_is_everything(divisible: Project) -> None:
    run_shard(divisible, 1, 1).assert_outcomes(passed=7, failed=1)
    found = shard_report(divisible, 1)
    assert (found["settings"]["shard"], found["shard"]["count"]) == ("1/1", 1)


def test_a_session_without_cells_is_whole(divisible: Project) -> None:
    test = divisible.path / "test_plain.py"
    test.write_text("def test_plain():\n    pass\n", encoding="utf-8")
    result = divisible.pytester.runpytest_inprocess(test, "-p", "no:cacheprovider", "--llmops-shard", "2/2")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "1/2/3", "-1/2"])
def test_a_shard_that_there_is_not_is_a_usage_error(divisible: Project, shard: str) -> None:
    result = run(divisible, f"--llmops-shard={shard}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --llmops-shard: '{shard}' is not allowed; give a part such as 2/5"])


def pipeline(monkeypatch: pytest.MonkeyPatch, position: str = "2", total: str = "3", **variables: str) -> None:
    values = {"TF_BUILD": "True", "SYSTEM_JOBPOSITIONINPHASE": position, "SYSTEM_TOTALJOBSINPHASE": total, **variables}
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("arguments", [WITHOUT_XDIST, XDIST])
def test_in_a_pipeline_the_shard_is_the_jobs_slice(
    divisible: Project, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    pipeline(monkeypatch, SYSTEM_JOBATTEMPT="2", BUILD_BUILDID="77")
    result = run(divisible, *arguments)
    assert "shard=2/3 (SYSTEM_JOBPOSITIONINPHASE)" in line_of(result, "llmops: ")
    found = divisible.report()
    assert datasets_of(found) == SHARDS[2]
    assert (found["settings"]["shard"], found["shard"]["attempt"], found["versions"]["build"]) == ("2/3", 2, "77")


def test_what_is_asked_for_wins_over_the_jobs_slice(divisible: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline(monkeypatch, SYSTEM_JOBATTEMPT="4")
    run(divisible, "--llmops-shard", "1/3")
    found = divisible.report()
    assert datasets_of(found) == SHARDS[1]
    assert found["shard"]["attempt"] == 4


@pytest.mark.parametrize(
    ("position", "total", "arguments", "count"),
    [
        ("1", "1", (), 4),
        ("$(System.JobPositionInPhase)", "$(System.TotalJobsInPhase)", (), 4),
        ("2", "3", ("-o", "llmops_ado=false"), 4),
    ],
    ids=["one job", "macros", "switched off"],
)
def test_where_there_are_no_slices_the_session_is_whole(
    divisible: Project,
    monkeypatch: pytest.MonkeyPatch,
    position: str,
    total: str,
    arguments: tuple[str, ...],
    count: int,
) -> None:
    pipeline(monkeypatch, position, total)
    run(divisible, *arguments)
    found = divisible.report()
    assert (len(found["cells"]), found["shard"]) == (count, None)


def test_python_tests_go_with_their_cell_and_others_into_the_first_shard(divisible: Project) -> None:
    (divisible.path / "evals" / "test_loud.py").write_text(MARKED, encoding="utf-8")
    # Each shard has the run, the threshold and the Python test of its cells.
    for index, passed in ((1, 4), (2, 3), (3, 5)):
        result = run_shard(divisible, index, 3)
        result.assert_outcomes(passed=passed, failed=1 if index == 3 else 0)
        reasons = shard_report(divisible, index, "gate.json")["reasons"]
        assert reasons == (["FAIL compare.accuracy[shout-c-default]"] if index == 3 else [])


def test_a_marked_test_of_the_shard_that_does_not_run_closes_its_gate(divisible: Project) -> None:
    (divisible.path / "evals" / "test_loud.py").write_text(MARKED, encoding="utf-8")
    run_shard(divisible, 3, 3, "-k", "not test_loud")
    assert "2 of 2 tests marked llmops neither passed nor failed" in shard_report(divisible, 3, "gate.json")["reasons"]


def test_a_selection_is_of_the_shard(divisible: Project) -> None:
    result = run_shard(divisible, 3, 3, "-k", "accuracy")
    result.assert_outcomes(passed=1, failed=1, deselected=6)
    assert shard_report(divisible, 3, "gate.json")["reasons"] == [
        "FAIL compare.accuracy[shout-c-default]",
        "evals/shouting/experiment.yaml: only 2 of 4 items were decided",
    ]


def test_a_selection_that_is_all_in_other_shards_is_no_error(divisible: Project) -> None:
    result = run_shard(divisible, 1, 3, "-k", "shout-d-default")
    assert result.ret == pytest.ExitCode.OK
    assert shard_report(divisible, 1, "gate.json")["reasons"] == [
        "evals/shouting/experiment.yaml: only 0 of 2 items were decided",
        "nothing was evaluated",
    ]
    assert run_shard(divisible, 1, 3, "-k", "no_such_item").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_an_item_that_is_named_runs_in_its_shard(divisible: Project) -> None:
    name = "evals/shouting/experiment.yaml::run[shout-d-default]"
    for index, passed in ((1, 0), (2, 1)):
        options = ("-p", "no:cacheprovider", "-W", "ignore", "--llmops-shard", f"{index}/3")
        result = divisible.pytester.runpytest_inprocess(name, *options)
        result.assert_outcomes(passed=passed, deselected=1 - passed)
        assert result.ret == pytest.ExitCode.OK


def test_last_failed_runs_the_failed_items_of_the_shard(divisible: Project) -> None:
    options = ("evals", "-W", "ignore", "--llmops-shard", "3/3")
    divisible.pytester.runpytest_inprocess(*options).assert_outcomes(passed=3, failed=1)
    divisible.pytester.runpytest_inprocess(*options, "--lf").assert_outcomes(failed=1)


def test_collect_only_lists_the_items_of_the_shard(divisible: Project) -> None:
    result = run(divisible, "--co", "-q", "--llmops-shard", "2/3")
    assert [line for line in result.outlines if "::" in line] == [
        "evals/shouting/experiment.yaml::run[shout-d-default]",
        "evals/shouting/experiment.yaml::compare.accuracy[shout-d-default]",
    ]
    assert run(divisible, "--co", "-q", "--llmops-shard", "5/5").ret == pytest.ExitCode.OK


def test_the_plan_is_that_of_the_shard(divisible: Project) -> None:
    text = run(divisible, "--llmops-plan", "--llmops-shard", "2/3").stdout.str()
    assert "shout-d-default" in text
    assert not any(f"shout-{name}-default" in text for name in "abc")
    assert "to run: 2 of 2 runs, 8 rows at most" in text
    result = run(divisible, "--llmops-plan", "--llmops-shard", "5/5")
    assert result.ret == pytest.ExitCode.OK
    assert "this shard has nothing to do" in result.outlines


def test_a_threshold_of_no_evaluator_is_an_error_in_each_shard(divisible: Project) -> None:
    for index in (1, 5):
        result = run_shard(divisible, index, 5, "--llmops-threshold", "compere.accuracy=>= 0.5")
        assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_an_experiment_of_other_shards_has_selected_variants(divisible: Project) -> None:
    other = divisible.path / "evals" / "other"
    other.mkdir()
    for file in divisible.folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    run_shard(divisible, 8, 8)
    found = shard_report(divisible, 8)
    assert len(found["experiments"]) == len(found["shard"]["own"]) == 1
    assert len(found["shard"]["planned"]) == 2
    assert not any("no variant was selected" in reason for reason in found["decision"]["reasons"])


def test_cells_that_are_decided_on_together_are_in_one_shard(divisible: Project) -> None:
    write(divisible, "llmops: {gate: {require: best}}")
    run_shard(divisible, 1, 2).assert_outcomes(passed=7, failed=1)
    run_shard(divisible, 2, 2).assert_outcomes(deselected=8)


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        left_out = ("created", "duration", "recorded")
        return {key: without_times(item) for key, item in value.items() if key not in left_out}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def cases(file: Path) -> Counter[tuple[str | None, str | None, str]]:
    found = ET.parse(file).iter("testcase")
    return Counter((case.get("classname"), case.get("name"), outcome(case)) for case in found)


def outcome(case: ET.Element) -> str:
    return next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")


def totals(*files: Path) -> Counter[str]:
    sums: Counter[str] = Counter()
    for file in files:
        for suite in ET.parse(file).iter("testsuite"):
            sums.update({name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")})
    return sums


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "count"), [(WITHOUT_XDIST, 5), (("-n", "2"), 3)], ids=["one has none", "-n 2"])
def test_merged_shards_are_the_same_as_one_session(
    divisible: Project, arguments: tuple[str, ...], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(divisible.path)
    (divisible.path / "evals" / "test_loud.py").write_text(MARKED, encoding="utf-8")
    write(divisible, "llmops: {thresholds: {run.total_tokens: {max: 5, severity: warn}}, baseline: base.json}")
    options = ("--llmops-no-cache", "--llmops-llm", "replay", *arguments)
    run(divisible, *options, "--junitxml=whole.xml")
    expected, gate = divisible.report(), divisible.report("gate.json")
    indexes = range(1, count + 1)
    for index in indexes:
        run_shard(divisible, index, count, *options)
    files = [Path(f"shards/{index}/junit.xml") for index in indexes]
    assert totals(*files) == totals(Path("whole.xml"))
    assert sum((cases(file) for file in files), Counter()) == cases(Path("whole.xml"))

    assert main(["merge", "shards"]) == 1
    assert without_times(divisible.report()) == without_times(expected)
    assert without_times(divisible.report("gate.json")) == without_times(gate)
    assert expected["baselines"] == {"evals/shouting/experiment.yaml": "evals/shouting/base.json"}
    assert totals(Path("reports/junit.xml")) == totals(Path("whole.xml"))
    assert cases(Path("reports/junit.xml")) == cases(Path("whole.xml"))


def merged(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Merge the shards, and return why the gate is closed."""
    monkeypatch.chdir(project.path)
    main(["merge", "shards"])
    reasons: list[str] = project.report("gate.json")["reasons"]
    return reasons


def write_test(project: Project, name: str, text: str) -> None:
    (project.path / name).parent.mkdir(exist_ok=True)
    (project.path / name).write_text(text, encoding="utf-8")


def test_a_session_that_dies_leaves_no_results_to_merge(divisible: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in (1, 2):
        run_shard(divisible, index, 2)
    write_test(divisible, "conftest.py", "def pytest_runtestloop():\n    import os\n    os._exit(9)\n")
    options = ("--llmops-shard=2/2", "--llmops-report-dir=shards/2", "-p", "no:cacheprovider")
    divisible.pytester.runpytest_subprocess("evals", *options)
    assert not (divisible.path / "shards/2/results.json").exists()
    assert "of 2 shards, 2 is missing (there are: 1 in shards/1)" in merged(divisible, monkeypatch)


def test_a_shard_that_meets_no_experiment_leaves_no_results(divisible: Project) -> None:
    run_shard(divisible, 2, 2)
    exits = "import pytest\n\ndef pytest_collection():\n    pytest.exit('enough', returncode=3)\n"
    write_test(divisible, "conftest.py", exits)
    run_shard(divisible, 2, 2)
    assert not (divisible.path / "shards/2/results.json").exists()
    assert not (divisible.path / "shards/2/gate.json").exists()


def test_a_whole_session_that_dies_leaves_its_results(divisible: Project) -> None:
    run(divisible)
    write_test(divisible, "conftest.py", "def pytest_runtestloop():\n    import os\n    os._exit(9)\n")
    divisible.pytester.runpytest_subprocess("evals", "-p", "no:cacheprovider")
    assert (divisible.path / "reports/results.json").exists()
    assert not (divisible.path / "reports/gate.json").exists()


LINE = "shards/2: not of the same session as shards/1: other {}"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("experiment.yaml", ">= 0.6", ">= 0.1"),
        ("shout.py", "word.upper()", "str(word).upper()"),
        ("a.jsonl", "A1", "A9"),
    ],
    ids=["threshold", "flow", "data"],
)
def test_shards_of_different_files_are_not_merged(
    divisible: Project, monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str
) -> None:
    run_shard(divisible, 1, 2)
    divisible.replace(name, old, new)
    run_shard(divisible, 2, 2)
    what = "thresholds, flows, data or baselines are in evals/shouting/experiment.yaml"
    assert LINE.format(what) in merged(divisible, monkeypatch)


def test_shards_that_are_compared_with_different_results_are_not_merged(
    divisible: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = divisible.path / "base.json"
    options = ("--llmops-baseline", "base.json")
    run(divisible)
    base.write_bytes((divisible.path / "reports" / "results.json").read_bytes())
    divisible.replace("experiment.yaml", '">= 0.6"', "{margin: 0.5}")
    for index in (1, 2):
        run_shard(divisible, index, 2, *options)
    assert not any("not of the same session" in reason for reason in merged(divisible, monkeypatch))
    base.write_text(base.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    run_shard(divisible, 2, 2, *options)
    what = "thresholds, flows, data or baselines are in evals/shouting/experiment.yaml"
    assert LINE.format(what) in merged(divisible, monkeypatch)


@pytest.mark.parametrize("arguments", [WITHOUT_XDIST, XDIST])
def test_shards_of_different_paths_are_not_merged(
    divisible: Project, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    write_test(divisible, "tests_llm/test_loud.py", MARKED)
    write_test(divisible, "evals/test_plain.py", "def test_plain():\n    pass\n")
    run_shard(divisible, 1, 2, *arguments)
    run_shard(divisible, 2, 2, "tests_llm", *arguments)
    found = shard_report(divisible, 2)["shard"]["tests"]
    assert list(found) == ["evals/test_plain.py", "tests_llm/test_loud.py"]
    assert shard_report(divisible, 1)["shard"]["tests"] == {name: found[name] for name in ["evals/test_plain.py"]}
    assert LINE.format("tests were selected in tests_llm/test_loud.py") in merged(divisible, monkeypatch)


def test_a_file_that_no_shard_can_collect_is_the_reason(divisible: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write_test(divisible, "evals/test_broken.py", "import no_such_module\n")
    write_test(divisible, "evals/test_skipped.py", "import pytest\npytest.importorskip('no_such_module')\n")
    for index in (1, 2):
        run_shard(divisible, index, 2, "--continue-on-collection-errors")
    reasons = merged(divisible, monkeypatch)
    assert "evals/test_broken.py: collection failed" in reasons
    assert not any("junit" in reason for reason in reasons)
    names = [case.get("name") for case in ET.parse("reports/junit.xml").iter("testcase")]
    assert (names.count("evals.test_broken"), names.count("evals.test_skipped")) == (1, 1)


def test_failed_cells_are_attached_to_the_merged_junit_file(
    divisible: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(divisible.path)
    for index in (1, 2):
        run_shard(divisible, index, 2)
    main(["merge", "shards"])
    texts = [case.findtext("system-out") or "" for case in ET.parse("reports/junit.xml").iter("testcase")]
    attached = [line for text in texts for line in text.splitlines() if line.startswith("[[ATTACHMENT|")]
    assert len(attached) == 1
    file = Path("reports", attached[0].removeprefix("[[ATTACHMENT|").removesuffix("]]"))
    assert "compare.accuracy[shout-c-default]" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(("position", "issues"), [("4", 1), ("5", 0)], ids=["a failed gate", "nothing to do"])
def test_a_pipeline_is_told_of_failed_gates_alone(
    divisible: Project, monkeypatch: pytest.MonkeyPatch, position: str, issues: int
) -> None:
    pipeline(monkeypatch, position, "5")
    result = run(divisible)
    assert result.ret == issues
    assert result.stdout.str().count("##vso[task.logissue type=error;") == issues
