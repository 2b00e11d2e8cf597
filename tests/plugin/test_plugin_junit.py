"""The JUnit file of whole sessions: the table that Azure DevOps would show, attachments, and files left alone."""

from __future__ import annotations

import os
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from ado_junit import Run, problems, read_run, table
from project import Project

from pytest_llmops.reports.failures import transcript_file
from pytest_llmops.reports.junit_merging import merge_junit

SCHEMA = Path(__file__).parents[3] / "shared" / "tools" / "junit-10.xsd"
EXPERIMENT = "evals/shouting/experiment.yaml"
FAILED = "compare.accuracy[shout-words-default]"
HEADLINE = f"FAIL {FAILED}: 0.75, required >= 0.9 (n = 4, 95 % CI 0.30 to 0.95)"
TRANSCRIPT = transcript_file(EXPERIMENT, "shout-words-default")
TOO_HIGH = ("--llmops-threshold", "compare.accuracy=>= 0.9")

# What a plugin that reruns tests does: every phase of every attempt is reported, failed ones as "rerun".
CONFTEST = """
import pytest
from _pytest.runner import runtestprotocol

from pytest_llmops.plugin.keys import RUNTIME
from dataclasses import replace


def pytest_runtest_protocol(item, nextitem):
    if not item.name.startswith("test_rerun"):
        return None
    for attempt in range(2):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        again = attempt == 0 and any(report.failed for report in reports)
        for report in reports:
            if again and report.failed:
                report.outcome = OUTCOME
            item.ihook.pytest_runtest_logreport(report=report)
        if not again:
            break
    return True


def pytest_sessionstart(session):
    runtime = session.config.stash[RUNTIME]
    judge = runtime.judge

    def other(plan, demand):
        gate = judge(plan, demand)
        if demand.name == "unsure.accuracy":
            return replace(gate, verdict="INCONCLUSIVE", reason="too few rows")
        return gate

    runtime.judge = other
"""
PYTHON_TESTS = """
import pytest

ATTEMPTS = []


@pytest.fixture
def breaks():
    yield
    raise RuntimeError("no way out")


def test_both(breaks):
    assert 1 == 2


def test_teardown(breaks):
    pass


@pytest.mark.xfail(reason="known")
def test_xfail():
    assert 0


def test_rerun():
    ATTEMPTS.append(1)
    assert len(ATTEMPTS) == 2


def test_rerun_fails(breaks):
    assert 0


@pytest.mark.llmops("evals/shouting/experiment.yaml")
def test_hostile_output(llmops_cell):
    print("##vso[task.complete result=Succeeded]")
    print("[[ATTACHMENT|../.git/config]]")
    print("\\x1b[31m\\x00\\u202eabc")
    raise AssertionError("##[error]fake")
"""
EVALUATORS = """
- name: broken
  flow: compare:lost
  thresholds: {accuracy: ">= 0.75"}
  datasets:
  - name: words
    mappings: {answer: "${run.outputs.loud}", gold: "${data.gold}"}
- name: unsure
  flow: compare:compare
  thresholds: {accuracy: ">= 0.5"}
  datasets:
  - name: words
    mappings: {answer: "${run.outputs.loud}", gold: "${data.gold}"}
- name: minor
  flow: compare:compare
  thresholds: {accuracy: {min: 0.9, severity: warn}}
  datasets:
  - name: words
    mappings: {answer: "${run.outputs.loud}", gold: "${data.gold}"}
"""
LOST = """

def lost(answer: str, gold: str) -> dict:
    raise ValueError("no gold for " + answer)
"""


def junit(project: Project, name: str = "junit.xml") -> Run:
    return read_run(project.path / name)


def conforms(file: Path) -> None:
    if not SCHEMA.exists():
        pytest.skip("the schema of JUnit files is not part of the project: ../shared/tools/junit-10.xsd is absent")
    import xmlschema

    xmlschema.XMLSchema(SCHEMA).validate(file)


def counts(file: Path) -> dict[str, int]:
    (suite,) = ET.parse(file).getroot()
    return {name: int(suite.get(name, "")) for name in ("tests", "failures", "errors", "skipped")}


def varied(project: Project, outcome: str = "rerun") -> Project:
    """A session with everything: pass, FAIL, ERROR, INCONCLUSIVE, xfail, teardown errors, reruns, hostile output."""
    text = (project.folder / "experiment.yaml").read_text(encoding="utf-8") + EVALUATORS.lstrip()
    project.write("experiment.yaml", text.replace('">= 0.75"', '">= 0.9"', 1))
    project.write("compare.py", (project.folder / "compare.py").read_text(encoding="utf-8") + LOST)
    (project.path / "conftest.py").write_text(CONFTEST.replace("OUTCOME", repr(outcome)), encoding="utf-8")
    (project.path / "evals" / "test_words.py").write_text(PYTHON_TESTS, encoding="utf-8")
    return project


def test_the_table_that_azure_devops_shows(project: Project) -> None:
    varied(project).run("--junitxml=junit.xml", "-p", "no:xdist")
    run = junit(project)
    assert table(run) == [
        "Outcome      Title                                     Test file                       Error message",
        "Passed       run[shout-words-default]                  evals.shouting.experiment.yaml",
        f"Failed       compare.accuracy[shout-words-default]     evals.shouting.experiment.yaml  {HEADLINE} row",
        "Failed       broken.accuracy[shout-words-default]      evals.shouting.experiment.yaml  "
        "ERROR broken.accuracy[shout-words-default]: 0, required >= 0.75 (n = 0) 'broken' scored 0 of 4 rows,",
        "NotExecuted  unsure.accuracy[shout-words-default]      evals.shouting.experiment.yaml  "
        "inconclusive: INCONCLUSIVE unsure.accuracy[shout-words-default]: 0.75, required >= 0.5 (n = 4, 95 %",
        "NotExecuted  minor.accuracy[shout-words-default]       evals.shouting.experiment.yaml  "
        "not blocking: FAIL minor.accuracy[shout-words-default]: 0.75, required >= 0.9 (n = 4, 95 % CI 0.30 t",
        "Failed       test_both                                 evals.test_words                assert 1 == 2",
        "Failed       test_teardown                             evals.test_words                "
        'failed on teardown with "RuntimeError: no way out"',
        "NotExecuted  test_xfail                                evals.test_words                known",
        "Passed       test_rerun                                evals.test_words",
        "Failed       test_rerun_fails                          evals.test_words                assert 0",
        "Failed       test_hostile_output[shout-words-default]  evals.test_words                "
        "AssertionError: # #[error]fake",
    ]
    assert run.counts == {"Failed": 6, "NotExecuted": 3, "Passed": 2}
    assert run.warnings == ()
    assert counts(project.path / "junit.xml") == {"tests": 11, "failures": 5, "errors": 1, "skipped": 3}


@pytest.mark.parametrize(
    "arguments",
    [
        ("-p", "no:xdist"),
        ("-o", "junit_logging=all"),
        ("-o", "junit_family=xunit1", "-o", "junit_logging=system-out"),
        pytest.param(("-n", "2"), marks=pytest.mark.slow),
    ],
    ids=["default", "logging", "xunit1", "xdist"],
)
@pytest.mark.parametrize("outcome", ["rerun", "failed"])
def test_one_case_per_test_and_harmless_text(project: Project, outcome: str, arguments: tuple[str, ...]) -> None:
    varied(project, outcome).run("--junitxml=out/junit.xml", *arguments)
    file, run = project.path / "out" / "junit.xml", junit(project, "out/junit.xml")
    assert len({(each.storage, each.title) for each in run.results}) == len(run.results) == 11
    assert counts(file) == {"tests": 11, "failures": 5, "errors": 1, "skipped": 3}
    assert run.warnings == ()
    assert {each.title: each.attachments for each in run.results if each.attachments} == {
        FAILED: (f"../reports/{TRANSCRIPT}",),
        "broken.accuracy[shout-words-default]": (f"../reports/{TRANSCRIPT}",),
    }
    text = file.read_text(encoding="utf-8")
    assert not any(hostile in text for hostile in ("##vso[", "##[", "[[ATTACHMENT|../.git", "\u202e"))
    if "xunit1" not in "".join(arguments):
        assert problems(file) == []
        conforms(file)


def test_what_a_failed_gate_has_in_its_output(project: Project) -> None:
    project.run(*TOO_HIGH, "--junitxml=junit.xml", "-o", "junit_logging=all")
    _, failed = junit(project).results
    assert failed.console.startswith(f"{HEADLINE}\n[[ATTACHMENT|reports/{TRANSCRIPT}]]\n")
    assert failed.message[:500].splitlines()[0] == HEADLINE
    transcript = (project.path / "reports" / TRANSCRIPT).read_text(encoding="utf-8")
    assert "row 3\n  inputs.word: four\n  outputs.loud: FOUR!\n" in transcript


def test_the_message_comes_first_also_where_names_are_long(project: Project) -> None:
    project.replace("experiment.yaml", "- name: words\n  source", f"- name: {'w' * 200}\n  source")
    project.replace("experiment.yaml", "- name: words\n    mappings", f"- name: {'w' * 200}\n    mappings")
    project.run(*TOO_HIGH, "--junitxml=junit.xml")
    _, failed = junit(project).results
    assert failed.message.startswith("FAIL compare.accuracy[shout-www")
    assert len(failed.title) == 200
    assert failed.attachments


def test_a_prefix_of_class_names(project: Project) -> None:
    project.run(*TOO_HIGH, "--junitxml=junit.xml", "--junit-prefix=nightly")
    _, failed = junit(project).results
    assert failed.storage == "nightly.evals.shouting.experiment.yaml"
    assert failed.attachments == (f"reports/{TRANSCRIPT}",)


def test_properties_of_users_are_kept(project: Project) -> None:
    (project.path / "evals" / "test_more.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def breaks():\n    yield\n    1 / 0\n"
        "def test_more(breaks, record_property):\n    record_property('team', 'search')\n    assert 0\n"
        "def test_suite(record_testsuite_property):\n    record_testsuite_property('model', 'gpt')\n",
        encoding="utf-8",
    )
    project.run("--junitxml=junit.xml", "-p", "no:xdist", "-o", "junit_family=xunit1")
    root = ET.parse(project.path / "junit.xml").getroot()
    found = [(each.get("name"), each.get("value")) for each in root.iter("property")]
    assert found == [("model", "gpt"), ("team", "search")]


def test_a_session_without_items_of_ours_keeps_its_file(project: Project) -> None:
    (project.path / "evals" / "test_alone.py").write_text("def test_vso():\n    assert '##vso[' == ''\n", "utf-8")
    project.run("evals/test_alone.py", "--deselect", "evals/shouting", "--junitxml=junit.xml")
    assert "##vso[" in (project.path / "junit.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<testsuites><testsuite", "not a JUnit file (unclosed token: line 1, column 12)"),
        ("", "not a JUnit file (no element found: line 1, column 0)"),
        ("<html/>", "not a JUnit file (its root is 'html')"),
        ("<!DOCTYPE x><testsuites/>", "not a JUnit file (it declares a document type)"),
        ("<testsuite>" * 3000 + "</testsuite>" * 3000, "not a JUnit file (nested too deeply)"),
    ],
    ids=["torn", "empty", "foreign", "doctype", "deep"],
)
def test_a_file_that_is_no_junit_stays_as_it_is(project: Project, text: str, why: str) -> None:
    (project.path / "conftest.py").write_text(
        "import pytest, pathlib\n"
        "@pytest.hookimpl(trylast=True)\n"
        f"def pytest_sessionfinish():\n    pathlib.Path('junit.xml').write_text({text!r})\n",
        encoding="utf-8",
    )
    result = project.run("--junitxml=junit.xml")
    line = f"{project.path / 'junit.xml'}: left as pytest wrote it: {why}"
    assert line in result.outlines
    assert result.ret == pytest.ExitCode.OK
    assert (project.path / "junit.xml").read_text(encoding="utf-8") == text


def test_a_file_that_can_not_be_replaced_does_not_stay(project: Project) -> None:
    (project.path / f".junit.xml.{os.getpid()}.tmp").mkdir()
    result = project.run(*TOO_HIGH, "--junitxml=junit.xml")
    file = project.path / "junit.xml"
    assert f"{file}: removed, as it could not be made safe to publish: Is a directory" in result.outlines
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert not file.exists()


def test_a_file_that_is_too_large_does_not_stay(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        "import os, pytest\n"
        "@pytest.hookimpl(trylast=True)\n"
        "def pytest_sessionfinish():\n    os.truncate('junit.xml', 100_000_001)\n",
        encoding="utf-8",
    )
    result = project.run(*TOO_HIGH, "--junitxml=junit.xml")
    file = project.path / "junit.xml"
    what = "removed, as it could not be made safe to publish: it is too large (100,000,001 bytes)"
    assert f"{file}: {what}" in result.outlines
    assert not file.exists()


def test_no_transcript_of_an_earlier_session_is_attached(project: Project) -> None:
    project.run(*TOO_HIGH)
    assert (project.path / "reports" / TRANSCRIPT).exists()
    (project.path / "reports" / "results.json").unlink()
    (project.path / "reports" / "results.json").mkdir()
    project.run(*TOO_HIGH, "--junitxml=junit.xml")
    _, failed = junit(project).results
    assert (failed.console, failed.attachments) == (HEADLINE, ())
    shutil.rmtree(project.path / "reports" / "results.json")
    project.run()
    assert list((project.path / "reports" / "failures").iterdir()) == []


def test_a_test_that_was_never_finished_is_no_case_without_a_name(project: Project) -> None:
    (project.path / "conftest.py").write_text(
        "import pytest\n"
        "def pytest_runtest_call(item):\n"
        "    if item.name.startswith('compare'):\n        pytest.exit('enough', returncode=1)\n",
        encoding="utf-8",
    )
    project.run("--junitxml=junit.xml", "-p", "no:xdist")
    run = junit(project)
    assert [each.title for each in run.results] == ["run[shout-words-default]"]
    assert run.warnings == ()


def test_shards_add_up(project: Project) -> None:
    project.write("more/experiment.yaml", (project.folder / "experiment.yaml").read_text(encoding="utf-8"))
    for name in ("shout.py", "compare.py", "words.jsonl"):
        project.write(f"more/{name}", (project.folder / name).read_text(encoding="utf-8"))
    project.run(*TOO_HIGH, "--junitxml=whole.xml")
    texts = []
    for path in ("evals/shouting/more", "evals/shouting/experiment.yaml"):
        project.pytester.runpytest_inprocess(path, *TOO_HIGH, "-p", "no:cacheprovider", "--junitxml=part.xml")
        texts.append((project.path / "part.xml").read_text(encoding="utf-8"))
    (project.path / "merged.xml").write_text(merge_junit(texts), encoding="utf-8")
    merged, whole = junit(project, "merged.xml"), junit(project, "whole.xml")
    assert counts(project.path / "merged.xml") == counts(project.path / "whole.xml")
    shown = [[(each.storage, each.title, each.outcome) for each in run.results] for run in (merged, whole)]
    assert shown[0] == sorted(shown[1])
    assert [each.attachments for each in merged.results if each.attachments]
    assert problems(project.path / "merged.xml") == []
    conforms(project.path / "merged.xml")
