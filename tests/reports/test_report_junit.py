"""JUnit: of a real pytest run as Azure DevOps shows it, improved, and of several shards."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from ado_junit import NAME_LIMIT, Shown, problems, read, read_run
from hypothesis import given
from hypothesis import strategies as st
from report_samples import HOSTILE, metric_gate

from pytest_llmops.reports.junit import case_key, failure_note, improve
from pytest_llmops.reports.junit_merging import merge_junit

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


def test_the_reader_resolves_attachments_and_says_what_is_lost(tmp_path: Path) -> None:
    (tmp_path / "there.txt").touch()
    out = "<system-out>[[ATTACHMENT|there.txt]]\n[[ATTACHMENT|gone.txt]]</system-out>"
    (tmp_path / "junit.xml").write_text(
        '<testsuite timestamp="2026-09-01T10:00:00" time="NaN">'
        f'<testcase classname="c" name="f" time="1.5"><failure message="m"/>{out}<system-out/></testcase>'
        f'<testcase classname="c" name="{"p" * 257}" time="-1">{out}</testcase>'
        '<testcase classname="c"/></testsuite>',
        encoding="utf-8",
    )
    run = read_run(tmp_path / "junit.xml")
    failed, passed = run.results
    assert (failed.attachments, failed.console) == (
        ("there.txt",),
        "[[ATTACHMENT|there.txt]]\n[[ATTACHMENT|gone.txt]]",
    )
    assert (passed.attachments, passed.console) == ((), "")
    assert run.started is not None
    assert (run.started.isoformat(), run.duration) == ("2026-09-01T10:00:00+00:00", 1.5)
    assert run.warnings == (
        "a testcase of c has no name",
        "Skipping attachment as it is not available on disk: gone.txt",
        "name of 257 characters",
    )


def suite(*cases: str, attributes: str = "") -> str:
    return f'<testsuites><testsuite name="pytest" {attributes}>{"".join(cases)}</testsuite></testsuites>'


def case(name: str, *children: str, time: str = "1.000") -> str:
    return f'<testcase classname="c" name="{name}" time="{time}">{"".join(children)}</testcase>'


def read_text(text: str) -> ET.Element:
    (found,) = ET.fromstring(text)
    return found


FAILURE = '<failure message="m">F</failure>'
ERROR = '<error message="failed on teardown">E</error>'
SKIPPED = '<skipped type="pytest.xfail" message="known">S</skipped>'
OUT = "<system-out>out</system-out>"


def test_the_halves_of_an_attempt_are_one_case() -> None:
    text = suite(case("other"), case("t", FAILURE, OUT), case("u"), case("t", ERROR, OUT, time="0.5"))
    found = read_text(improve(text, {}, {"c.t": 2}))
    assert found.attrib == {"name": "pytest", "tests": "3", "failures": "1", "errors": "0", "skipped": "0"}
    assert [each.get("name") for each in found] == ["other", "t", "u"]
    assert found[1].get("time") == "1.500"
    assert [(each.tag, each.text) for each in found[1]] == [
        ("failure", "F\n\nfailed on teardown\n\nE"),
        ("system-out", "out"),
    ]


def test_of_several_attempts_the_last_one_holds() -> None:
    text = suite(case("t", FAILURE, time="3"), case("t"), case("v"), case("v", FAILURE), case("v", ERROR))
    found = read_text(improve(text, {}, {"c.t": 1, "c.v": 2}))
    assert [[child.tag for child in each] for each in found] == [[], ["failure"]]
    assert (found.get("tests"), found.get("failures")) == ("2", "1")


def test_tests_that_only_share_their_name_both_stay() -> None:
    found = read_text(improve(suite(case("t", FAILURE), case("t")), {}))
    assert (found.get("tests"), found.get("failures")) == ("2", "1")


def test_a_case_with_several_outcomes_has_the_one_that_is_read() -> None:
    found = read_text(improve(suite(case("t", SKIPPED, ERROR, FAILURE, FAILURE), case("u", SKIPPED, ERROR)), {}))
    assert [[child.tag for child in each] for each in found] == [["failure"], ["error"]]
    assert found[0][0].text == "F\n\nm\n\nF\n\nfailed on teardown\n\nE\n\nknown\n\nS"
    assert [found.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["2", "1", "1", "0"]


def test_a_note_comes_before_all_output_in_the_first_system_out() -> None:
    gate = metric_gate(verdict="FAIL")
    note = failure_note(gate, "failures/x.txt")
    found = read_text(improve(suite(case("t", OUT, FAILURE, OUT, "<system-err>err</system-err>")), {"c.t": note}))
    assert note == (
        "FAIL matcher.exact_match_rate[ner_extract-general-terse]: 0.5, required >= 0.5 (n = 1)\n"
        "[[ATTACHMENT|failures/x.txt]]"
    )
    assert [(each.tag, each.text) for each in found[0]] == [
        ("failure", "F"),
        ("system-err", "err"),
        ("system-out", f"{note}\nout\nout"),
    ]


@pytest.mark.parametrize(
    ("nodeid", "classname", "name"),
    [
        ("evals/ner/experiment.yaml::m.f1[a-b-c]", "evals.ner.experiment.yaml", "m.f1[a-b-c]"),
        ("tests/test_a.py::TestA::test_b[x/y::z.py]", "tests.test_a.TestA", "test_b[x/y::z.py]"),
    ],
)
def test_a_node_id_and_its_case_have_the_same_key(nodeid: str, classname: str, name: str) -> None:
    text = f'<testsuite name="s"><testcase classname="p.{classname}" name="{name}"/></testsuite>'
    assert "note" in improve(text, {case_key(nodeid, "p"): "note"})


@pytest.mark.parametrize("text", [*HOSTILE[:-1], "[[ATTACHMENT|/etc/passwd]]", "[\u200b[\xadattachment|x]]"])
def test_no_text_acts_on_an_agent(text: str) -> None:
    element = ET.Element("testsuite", name="s")
    inner = ET.SubElement(element, "testcase", classname="c", name="t")
    clean = "".join(character for character in text if character.isprintable())
    ET.SubElement(inner, "failure", message=clean).text = clean
    ET.SubElement(inner, "system-err").text = clean
    improved = improve(ET.tostring(element, encoding="unicode"), {})
    assert not any(command in improved.lower() for command in ("##vso[", "##[", "[[attachment", "\u200b", "\u202e"))


def test_long_names_are_cut_and_stay_apart() -> None:
    text = suite(case("n" * 300 + "a"), case("n" * 300 + "b"), case("n" * 200))
    names = [each.get("name", "") for each in read_text(improve(text, {}))]
    assert [len(name) for name in names] == [200, 200, 200]
    assert len(set(names)) == 3
    assert names == [each.get("name", "") for each in read_text(improve(text, {}))]


def test_a_case_without_name_goes_unless_it_tells_of_an_error() -> None:
    text = suite('<testcase time="0"/>', '<testcase classname="" time="0"><error message="m"/></testcase>')
    assert [each.get("name") for each in read_text(improve(text, {}))] == ["session"]


def test_totals_are_put_right_where_there_are_some() -> None:
    root = ET.fromstring(improve('<testsuites tests="9" failures="9"><testsuite name="a"/></testsuites>', {}))
    assert root.attrib == {"tests": "0", "failures": "0"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JUnit file (no element found: line 1, column 0)"),
        ("<a/>", "not a JUnit file (its root is 'a')"),
        ("<!DOCTYPE a><testsuites/>", "not a JUnit file (it declares a document type)"),
    ],
)
def test_what_is_no_junit_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="JUnit") as raised:
        improve(text, {})
    assert str(raised.value) == message
    with pytest.raises(ValueError, match="JUnit") as raised:
        merge_junit([suite(), text])
    assert str(raised.value) == message


ONE = suite(
    "<properties><property name='model' value='gpt'/></properties>",
    case("b", FAILURE, time="2"),
    case("a"),
    attributes='time="3.5" timestamp="2026-09-01T10:00:00.500000+00:00" hostname="one"',
)
TWO = suite(
    "<properties><property name='model' value='gpt'/></properties>",
    case("c", SKIPPED),
    attributes='time="1.25" timestamp="2026-09-01T11:59:00+02:00" hostname="two"',
)


@pytest.mark.parametrize("texts", [(ONE, TWO), (TWO, ONE)])
def test_shards_make_one_suite_that_adds_up(texts: tuple[str, str]) -> None:
    found = read_text(merge_junit(texts))
    assert found.attrib == {
        "name": "pytest",
        "time": "4.750",
        "timestamp": "2026-09-01T11:59:00+02:00",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    assert [each.get("name", each.tag) for each in found] == ["properties", "a", "b", "c"]
    assert len(found[0]) == 1


def test_what_two_shards_ran_is_named() -> None:
    texts = [suite(*(case(f"t{number}") for number in range(7))), suite(*(case(f"t{number}") for number in range(6)))]
    with pytest.raises(ValueError, match="more than one shard") as raised:
        merge_junit(texts)
    assert str(raised.value) == "tests that more than one shard ran: c.t0, c.t1, c.t2, c.t3, c.t4 and 1 more"


@pytest.mark.parametrize(
    ("outcome", "total"),
    [
        ('<error message="collection failure">E</error>', "errors"),
        ('<skipped message="collection skipped"/>', "skipped"),
    ],
)
def test_what_became_of_collecting_a_file_is_told_once(outcome: str, total: str) -> None:
    collected = f'<testcase classname="" name="evals.test_x" time="0">{outcome}</testcase>'
    texts = [suite(collected, case(name)) for name in "abc"]
    found = read_text(merge_junit(texts))
    assert [each.get("name") for each in found] == ["evals.test_x", "a", "b", "c"]
    assert (found.get("tests"), found.get(total)) == ("4", "1")


def test_no_shard_at_all_is_an_empty_suite() -> None:
    assert read_text(merge_junit([])).get("tests") == "0"


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
OUTCOMES = st.lists(st.sampled_from(("failure", "error", "skipped")), max_size=3)
CASES = st.lists(st.tuples(TEXT, OUTCOMES, TEXT), max_size=8)


@given(CASES)
def test_whatever_the_cases_are_counts_and_cases_agree(cases: list[tuple[str, list[str], str]]) -> None:
    root = ET.Element("testsuite", name="s")
    for name, outcomes, text in cases:
        element = ET.SubElement(root, "testcase", classname="c", name=name)
        for outcome in outcomes:
            ET.SubElement(element, outcome, message=text).text = text
    improved = improve(ET.tostring(root, encoding="unicode"), {})
    found = ET.fromstring(improved)
    kept = [outcomes for name, outcomes, _ in cases if name or outcomes]
    assert int(found.get("tests", "")) == len(found) == len(kept)
    assert sum(int(found.get(count, "")) for count in ("failures", "errors", "skipped")) == sum(map(bool, kept))
    assert improve(improved, {}) == improved
