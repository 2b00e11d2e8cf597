"""JUnit of a real pytest run, as Azure DevOps shows it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from ado_junit import NAME_LIMIT, Shown, problems, read

CONFTEST = """
import pytest
from pytest_llmops.reports.console import failure_text
from report_samples import FEW_SHOT, HOSTILE, metric_gate, run_gate, unsure_gate

GATES = [
    run_gate(),
    metric_gate(value=0.625, verdict="FAIL", rule=">= 0.8", n=40,
                reason="2 of 42 rows failed and are not in it", details=HOSTILE[:-1] * 99),
    metric_gate(FEW_SHOT, value=0.75, verdict="FAIL", blocking=False, rule=">= 0.8", n=40),
    unsure_gate(name="matcher.f1", on_inconclusive="fail", details=HOSTILE[:-1] * 99),
]

class Refused(Exception):
    pass

class Experiment(pytest.File):
    def collect(self):
        for gate in GATES:
            yield GateItem.from_parent(self, name=gate.item, gate=gate)

class GateItem(pytest.Item):
    def __init__(self, *, gate, **keywords):
        super().__init__(**keywords)
        self.gate = gate

    def runtest(self):
        if self.gate.closes_gate():
            raise Refused
        if self.gate.verdict == "FAIL":
            pytest.xfail(failure_text(self.gate).splitlines()[0])

    def repr_failure(self, excinfo, style=None):
        return failure_text(self.gate)

    def reportinfo(self):
        return self.path, 0, self.name

def pytest_collect_file(file_path, parent):
    return Experiment.from_parent(parent, path=file_path) if file_path.name == "experiment.yaml" else None
"""
METRIC = "matcher.exact_match_rate"
HEADLINE = f"FAIL {METRIC}[ner_extract-general-terse]: 0.625, required >= 0.8 (n = 40)"


@pytest.fixture
def junit(pytester: pytest.Pytester) -> Path:
    pytester.makeconftest(CONFTEST)
    folder = pytester.mkdir("evals") / "ner"
    folder.mkdir()
    (folder / "experiment.yaml").touch()
    result = pytester.runpytest("evals", "--junitxml=junit.xml", "-p", "no:llmops")
    result.assert_outcomes(passed=1, failed=2, xfailed=1)
    return pytester.path / "junit.xml"


def test_what_azure_devops_shows(junit: Path) -> None:
    run, failed, weaker, _ = read(junit)
    storage = "evals.ner.experiment.yaml"
    assert run == Shown(title="run[ner_extract-general-terse]", storage=storage, outcome="Passed")
    assert (failed.title, failed.storage) == (f"{METRIC}[ner_extract-general-terse]", storage)
    assert failed.outcome == "Failed"
    assert weaker == Shown(
        title=f"{METRIC}[ner_extract-general-few_shot]",
        storage=storage,
        outcome="NotExecuted",
        message=f"FAIL {METRIC}[ner_extract-general-few_shot]: 0.75, required >= 0.8 (n = 40)",
    )


def test_the_first_500_characters_of_a_failure_carry_the_verdict(junit: Path) -> None:
    failed = read(junit)[1]
    assert failed.message[:500].splitlines()[:2] == [HEADLINE, "2 of 42 rows failed and are not in it"]
    assert failed.stack_trace.splitlines()[0] == HEADLINE
    unsure = read(junit)[3]
    assert unsure.outcome == "Failed"
    assert unsure.message[:500].splitlines()[:2] == [
        "INCONCLUSIVE matcher.f1[ner_extract-general-terse]: 0.6, required >= 0.5, at most 0.05 worse, baseline 0.65, "
        "delta -0.05 (95 % bound -0.1537) "
        "(n = 40 common rows, 95 % CI 0.45 to 0.74, p = 0.3438)",
        "the loss may be as large as 0.1537; 4 rows got worse, 2 better",
    ]


def test_the_file_keeps_to_the_schema_and_to_one_history_per_item(junit: Path) -> None:
    assert problems(junit) == []
    assert all(len(shown.title) <= NAME_LIMIT for shown in read(junit))


def test_no_property_is_needed(junit: Path) -> None:
    assert list(ET.parse(junit).getroot().iter("properties")) == []


def test_nothing_in_the_file_would_act_in_a_log(junit: Path) -> None:
    text = junit.read_text(encoding="utf-8")
    assert "##vso[" not in text
    assert "##[" not in text


def test_the_reader_follows_the_documented_rules(tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    file.write_text(
        '<testsuites><testsuite name="s" tests="5" failures="1" errors="1">'
        '<testcase classname="c"/>'
        '<testcase classname="c" name="both"><error message="e">E</error><failure message="f">F</failure></testcase>'
        '<testcase classname="c" name="error"><error message="e">E</error></testcase>'
        '<testcase classname="c" name="skipped"><skipped message="why">ignored</skipped></testcase>'
        '<testcase classname="c" name="skipped" file="x.py"><properties/></testcase>'
        "</testsuite></testsuites>",
        encoding="utf-8",
    )
    assert read(file) == [
        Shown(title="both", storage="c", outcome="Failed", message="f", stack_trace="F"),
        Shown(title="error", storage="c", outcome="Failed", message="e", stack_trace="E"),
        Shown(title="skipped", storage="c", outcome="NotExecuted", message="why"),
        Shown(title="skipped", storage="c", outcome="Passed"),
    ]
    assert problems(file) == [
        "('c', 'skipped') is there 2 times",
        "testcase has no name",
        "attribute file of testcase is not allowed",
        "properties in testcase is not allowed",
    ]
