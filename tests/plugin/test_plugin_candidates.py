"""Candidates: other implementations, on the same rows, held to what the flow itself comes to."""

from __future__ import annotations

import pytest
from project import EXPERIMENT, Project

from pytest_llmops.baselines import page_sources
from pytest_llmops.cli import main
from pytest_llmops.reports.page.rows import rows
from pytest_llmops.reports.results import read

WORDS = [f"word{number}" for number in range(12)]
CANDIDATE = """
def yell(word: str) -> dict:
    if word in {failing}:
        raise ValueError("no such word")
    return {{"loud": "?" if word in {wrong} else word.upper() + "!", "letters": len(word)}}
"""
PARITY = """
llmops:
  candidates:
  - name: rewrite
    flow: yell:yell
    parity: {margin: 0.3, agreement: '>= 0.9'}
"""


@pytest.fixture
def candidate(project: Project) -> Project:
    """A project whose candidate gives what the flow gives, and one output more."""
    project.write_rows("words.jsonl", [{"word": word, "gold": word.upper() + "!"} for word in WORDS])
    project.write("experiment.yaml", EXPERIMENT + PARITY)
    project.replace("experiment.yaml", "  thresholds:", "  scores: {accuracy: correct}\n  thresholds:")
    write_candidate(project)
    return project


def write_candidate(project: Project, *, wrong: tuple[str, ...] = (), failing: tuple[str, ...] = ()) -> None:
    project.write("yell.py", CANDIDATE.format(wrong=list(wrong), failing=list(failing)))


def gates(project: Project) -> dict[str, dict[str, object]]:
    """Gates of the candidate by name."""
    found = project.report()["gates"]
    return {gate["name"]: gate for gate in found if gate["cell"] == "shout-words-rewrite"}


def said(project: Project) -> dict[str, tuple[object, object]]:
    """Verdict and reason of each of the candidate's gates."""
    return {name: (gate["verdict"], gate["reason"]) for name, gate in gates(project).items()}


def state(project: Project) -> str:
    return str(project.report("gate.json")["state"])


def test_a_candidate_that_gives_the_same_passes(candidate: Project) -> None:
    result = candidate.run()
    result.assert_outcomes(passed=5)
    may = "rewrite (yell) may take the place of shout: 3 of 3 gates kept"
    result.stdout.fnmatch_lines(["  words    rewrite (candidate)  12 PASS*", may])

    assert said(candidate) == {
        "run": ("PASS", "12 rows ran"),
        "compare.accuracy": ("PASS", "all 12 outputs are the same as in flow shout"),
        "run.agreement": ("PASS", "outputs compared with those of flow shout"),
    }
    variants = [cell["cell"]["variant"] for cell in candidate.report()["cells"]]
    assert [(found["id"], found["is_candidate"]) for found in variants] == [("default", False), ("rewrite", True)]
    summary = (candidate.path / "reports" / "summary.md").read_text(encoding="utf-8")
    assert f"\n\nCandidates, compared with the flow:\n\n- {may}\n\n" in summary
    assert [cell["implementation"] for cell in candidate.report()["cells"]] == ["", "yell"]


def test_rows_that_differ_are_shown_with_both_outputs(candidate: Project) -> None:
    write_candidate(candidate, wrong=("word1", "word4"))
    candidate.run()
    gate = gates(candidate)["run.agreement"]

    assert (gate["verdict"], gate["value"], gate["n"], gate["blocking"]) == ("FAIL", 10 / 12, 12, False)
    assert gate["interval"] is not None
    assert gate["details"] == [
        'differs: row 1: was "WORD1!"  is "?"  word="word1"',
        'differs: row 4: was "WORD4!"  is "?"  word="word4"',
    ]


def test_a_candidate_does_not_close_the_gate(candidate: Project) -> None:
    write_candidate(candidate, wrong=tuple(WORDS))
    result = candidate.run()
    result.assert_outcomes(passed=3, xfailed=2)
    result.stdout.fnmatch_lines(["(FAIL) does not close the gate", "gate: open"])

    assert {name: gate["verdict"] for name, gate in gates(candidate).items()} == {
        "run": "PASS",
        "compare.accuracy": "FAIL",
        "run.agreement": "FAIL",
    }
    assert state(candidate) == "open"


def test_a_candidate_that_breaks_is_an_error_and_does_not_close_the_gate(candidate: Project) -> None:
    write_candidate(candidate, failing=tuple(WORDS))
    result = candidate.run()
    result.assert_outcomes(passed=2, xfailed=3)
    result.stdout.fnmatch_lines(
        [
            "rewrite (yell) may not take the place of shout: 0 of 3 gates kept, 1 failed, 2 broken",
            "rewrite (candidate): 3 of 3 gates failed or broken, none closes the gate; 2 of them: 12 of 12 *",
            "(FAIL) and (ERROR) do not close the gate",
            "gate: open",
        ]
    )

    found = gates(candidate)
    assert {name: gate["verdict"] for name, gate in found.items()} == {
        "run": "ERROR",
        "compare.accuracy": "ERROR",
        "run.agreement": "FAIL",
    }
    assert found["run.agreement"]["value"] == 0
    assert found["run.agreement"]["details"][0] == (  # type: ignore[index]
        """differs: row 0: was "WORD0!"  is failed ("Execution failure in 'yell': (ValueError) no such word")  """
        'word="word0"'
    )


def test_a_candidate_that_is_required_closes_the_gate(candidate: Project) -> None:
    candidate.replace("experiment.yaml", "agreement: '>= 0.9'}", "agreement: '>= 0.9'}\n    required: true")
    write_candidate(candidate, wrong=("word1", "word4"))
    candidate.run()

    assert gates(candidate)["run.agreement"]["blocking"] is True
    assert candidate.report("gate.json")["reasons"] == ["FAIL run.agreement[shout-words-rewrite]"]


def test_a_part_of_the_rows_or_items_does_not_say_that_it_may(candidate: Project) -> None:
    for option, why in (
        (("--llmops-max-rows", "6"), "only the first rows of words"),
        (("-k", "not accuracy"), "not everything asked for was decided"),
    ):
        result = candidate.run(*option)
        result.stdout.fnmatch_lines([f"whether rewrite (yell) may take the place of shout can't be told yet: *{why}"])


def test_a_candidate_alone_needs_what_the_flow_gave(candidate: Project) -> None:
    result = candidate.run("--llmops-variants", "rewrite")

    todo = "run the flow too, or save what it gives with: llmops baseline save"
    lacking = ("ERROR", f"flow shout was not run, and there is no baseline file; {todo}")
    assert said(candidate) == {
        "run": ("PASS", "12 rows ran"),
        "compare.accuracy": lacking,
        "run.agreement": lacking,
    }
    result.assert_outcomes(passed=1, failed=2)
    assert state(candidate) == "closed"


def test_what_the_flow_gave_is_kept_in_a_baseline_that_knows_no_candidate(candidate: Project) -> None:
    candidate.write("experiment.yaml", EXPERIMENT)
    candidate.run()
    assert main(["baseline", "save"]) == 0
    candidate.write("experiment.yaml", EXPERIMENT + PARITY)
    candidate.replace("experiment.yaml", "llmops:\n", "llmops:\n  baseline: baselines/shouting.json\n")
    candidate.replace("shout.py", "from pathlib import Path", "raise ImportError('retired')")
    write_candidate(candidate, wrong=("word1",))

    candidate.run("--llmops-variants", "rewrite")
    found = gates(candidate)
    assert found["run.agreement"]["verdict"] == "PASS"
    assert found["run.agreement"]["reason"] == "outputs compared with those of flow shout (baseline)"
    assert found["compare.accuracy"]["comparison"]["name"] == "flow shout (baseline)"  # type: ignore[index]
    assert found["run.agreement"]["blocking"] is True
    assert state(candidate) == "open"
    report = read(candidate.path / "reports" / "results.json")
    sources = page_sources(report, candidate.path)
    (path,) = report.experiments
    candidates, saved = rows(report, path, sources.baselines[path])["runs"]
    assert (sources.problems[path], saved["variant"], saved["isCandidate"]) == ("", "baseline", False)
    assert candidates["agreement"] == {line: float(line != 1) for line in range(12)}


def test_a_baseline_is_saved_with_its_candidates(candidate: Project) -> None:
    candidate.run()
    assert main(["baseline", "save"]) == 0
    text = (candidate.folder / "baselines" / "shouting.json").read_text(encoding="utf-8")
    assert '"is_candidate": true' in text

    assert main(["compare", "evals/shouting/baselines/shouting.json::default", "reports::rewrite"]) == 0


def test_a_flow_that_breaks_is_what_the_candidate_can_not_be_compared_with(candidate: Project) -> None:
    candidate.replace("shout.py", "from pathlib import Path", "raise ImportError('gone')")
    candidate.run()

    found = said(candidate)
    assert found["run"] == ("PASS", "12 rows ran")
    for name in ("compare.accuracy", "run.agreement"):
        verdict, reason = found[name]
        assert verdict == "ERROR"
        assert str(reason).startswith("flow shout: its run failed: ")
    assert state(candidate) == "closed"


def test_the_plan_shows_candidates_and_what_they_are_compared_with(candidate: Project) -> None:
    result = candidate.run("--llmops-plan")
    result.stdout.fnmatch_lines(
        [
            "  shout-words-rewrite (candidate)  run *",
            "  shout-words-rewrite (candidate)  compare.accuracy >= 0.75 *does not block*",
            "  *compare.accuracy at most 0.3 worse than flow shout *does not block*",
            "  *run.agreement >= 0.9 with flow shout *does not block*",
        ]
    )


def test_noise_is_that_of_the_flow(candidate: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["noise", "evals/shouting/experiment.yaml", "--repeat", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if " runs of " in line] == ["shout-words-default: 2 runs of 12 rows"]


def test_with_workers_a_candidate_is_judged_alike(candidate: Project) -> None:
    write_candidate(candidate, wrong=("word1",))
    candidate.run()
    alone = said(candidate)
    candidate.run("-n", "2")
    assert said(candidate) == alone


def test_a_part_of_the_work_has_the_flow_with_its_candidate(candidate: Project) -> None:
    for index in (1, 2):
        candidate.run("--llmops-shard", f"{index}/2", "--llmops-report-dir", f"parts/{index}")
    assert main(["merge", "parts/1", "parts/2"]) == 0
    assert len(candidate.report()["gates"]) == 5
    assert state(candidate) == "open"


def test_what_was_recorded_is_decided_again(candidate: Project) -> None:
    write_candidate(candidate, wrong=("word1",))
    candidate.run()
    before = said(candidate)
    main(["regate"])
    assert said(candidate) == before
    main(["regate", "--threshold", "run.agreement=>= 0.95"])
    assert said(candidate)["run.agreement"] == ("FAIL", "outputs compared with those of flow shout")
    write_candidate(candidate)
    main(["regate"])
    changed = (
        "flow 'yell' of candidate 'rewrite' or its settings changed since these results were recorded; run pytest again"
    )
    assert set(said(candidate).values()) == {("ERROR", changed)}
    assert state(candidate) == "open"


def test_the_command_line_can_say_how_far_a_candidate_has_to_agree(candidate: Project) -> None:
    write_candidate(candidate, wrong=("word1", "word4"))
    candidate.run("--llmops-threshold", "run.agreement=>= 0.8")

    names = [gate["name"] for gate in candidate.report()["gates"] if gate["cell"] == "shout-words-default"]
    assert names == ["compare.accuracy", "run"]
    assert (gates(candidate)["run.agreement"]["verdict"], gates(candidate)["run.agreement"]["rule"]) == (
        "PASS",
        ">= 0.8",
    )


def test_agreement_of_the_flow_with_its_baseline_is_a_threshold_like_others(project: Project) -> None:
    project.write("experiment.yaml", EXPERIMENT + "llmops: {thresholds: {run.agreement: '>= 0.75'}}\n")
    result = project.run()
    what = "compares with a baseline, but there is none"
    todo = "set llmops.baseline or --llmops-baseline, or write it under a candidate's parity"
    result.stdout.fnmatch_lines([f"*experiment.yaml:14: run.agreement: {what}; {todo}"])

    project.write(
        "experiment.yaml",
        EXPERIMENT + "llmops: {baseline: baselines/shouting.json, thresholds: {run.agreement: '>= 0.75'}}\n",
    )
    project.run()
    assert main(["baseline", "save"]) == 0
    project.replace("shout.py", "word.upper() + ending", 'word.upper() + ending * (word != "one")')
    project.run()
    gate = next(gate for gate in project.report()["gates"] if gate["name"] == "run.agreement")
    assert (gate["verdict"], gate["value"], gate["reason"]) == (
        "PASS",
        0.75,
        "outputs compared with those of baseline",
    )
    assert gate["details"] == ['differs: row 0: was "ONE!"  is "ONE"  word="one"']
