"""Admission: an honest deployment goes through, and one of anything else than what passed does not."""

from __future__ import annotations

import getpass
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from release_case import FLOW, PATH, load, session, write_case, write_session

from pytest_llmops.deployment.admission import (
    Admission,
    Override,
    admit,
    find_variant,
    overlay_of,
    read_override,
    tags_of,
)
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.deployment import FLOW_DIGEST
from pytest_llmops.records.report import BUILD, COMMIT, Report
from pytest_llmops.reports.gate_check import Expected, check_gate
from pytest_llmops.stats.gates import decide
from pytest_llmops.subjects import subject_of
from pytest_llmops.versions import flow_digest

SHA = "0123456789abcdef0123456789abcdef01234567"
THRESHOLD = 'thresholds: {score: ">= 0.5"}'
WARNING = "thresholds: {score: {min: 0.5, severity: warn}}"
AGAIN = "run the evaluation again"
CRITERIA = "what it is judged by (thresholds, gate policy, evaluators)"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_case(tmp_path)


def ask(
    root: Path,
    made: Report | None,
    *,
    variant: str | None = None,
    override: Override | None = None,
    env: str | None = None,
    commit: str = "",
) -> Admission:
    """Ask for the experiment as it is now, by the decision of a session."""
    if made is not None:
        write_session(root, made)
    expected = Expected(now=datetime.now(timezone.utc), max_age=86_400, commit=commit)
    check = check_gate(root / "reports", expected)
    experiment = load(root, overlay_of(check, env))
    return admit(check, experiment, find_variant(experiment, variant), env=env, override=override)


def change(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    assert old in text
    (root / name).write_text(text.replace(old, new), encoding="utf-8")


def test_what_passed_goes_on(root: Path) -> None:
    admission = ask(root, session(root))
    assert (admission.is_open, admission.overridden, admission.reasons) == (True, False, ())
    assert admission.digest == flow_digest(load(root).flow)


def test_without_a_decision_nothing_goes_on(root: Path) -> None:
    admission = ask(root, None)
    said = f"the gate is closed: {root}/reports/gate.json: there is none: nothing was decided here; {AGAIN}"
    assert (admission.is_open, admission.closed, admission.foreign) == (False, (said,), ())


def test_a_closed_gate_says_what_closed_it(root: Path) -> None:
    admission = ask(root, session(root, failed=["kind"]))
    assert admission.closed == ("the gate is closed: 1 of 4 gates failed",)
    assert not admission.is_open


def test_a_candidate_is_no_variant_to_be_deployed(root: Path) -> None:
    new = "{name: new, flow: 'new:greet', parity: {agreement: '== 1'}}"
    change(root, PATH, "evaluators:", f"llmops: {{candidates: [{new}]}}\nevaluators:")
    (root / "evals/greeter/new.py").write_text("def greet(name: str) -> dict:\n    return {'text': name}\n", "utf-8")
    made = session(root)
    gates = tuple(
        replace(gate, verdict="ERROR", blocking=False, optional=True) if gate.cell.endswith("-new") else gate
        for gate in made.gates
    )
    admission = ask(root, replace(made, gates=gates, decision=decide(gates)))
    assert (admission.is_open, admission.reasons) == (True, ())
    assert {line.item for line in admission.lines} == {"run[greet-names-kind]", "polite.score[greet-names-kind]"}
    with pytest.raises(LLMOpsError, match=r"^--variant: there is no variant 'new'; there are: 'kind', 'terse'$"):
        find_variant(load(root), "new")


def with_required(root: Path) -> None:
    """Give the use case a candidate that has to pass."""
    new = "{name: new, flow: 'new:greet', required: true, parity: {agreement: '== 1'}}"
    change(root, PATH, "evaluators:", f"llmops: {{candidates: [{new}]}}\nevaluators:")
    (root / "evals/greeter/new.py").write_text("def greet(name: str) -> dict:\n    return {'text': name}\n", "utf-8")


def test_a_candidate_that_has_to_pass_and_did(root: Path) -> None:
    with_required(root)
    assert ask(root, session(root)).is_open


@pytest.mark.parametrize("variants", ["defaults", "kind"])
def test_a_candidate_that_has_to_pass_and_was_left_out(root: Path, variants: str) -> None:
    with_required(root)
    made = session(root, variants=variants)
    assert made.decision.state == "open"
    admission = ask(root, made)
    said = "candidate 'new' has to pass, and was not evaluated on dataset 'names'"
    assert (admission.is_open, admission.closed, admission.foreign) == (False, (said,), ())


def test_a_candidate_that_has_to_pass_and_has_no_verdict_on_its_parity(root: Path) -> None:
    with_required(root)
    made = session(root)
    gates = tuple(gate for gate in made.gates if gate.name != "run.agreement")
    assert ask(root, replace(made, gates=gates, decision=decide(gates))).closed == (
        "candidate 'new' has to pass, and has no verdict on run.agreement on dataset 'names'",
    )


def test_a_candidate_that_has_to_pass_and_did_not(root: Path) -> None:
    with_required(root)
    made = session(root, failed=["agreement"])
    failed = "FAIL run.agreement[greet-names-new]: 0.25, required == 1 (n = 2)"
    assert ask(root, made).closed == (f"candidate 'new' has to pass, and did not pass: {failed}",)
    gates = tuple(replace(gate, blocking=gate.blocking or gate.cell.endswith("-new")) for gate in made.gates)
    closed = "the gate is closed: 1 of 7 gates failed"
    assert ask(root, replace(made, gates=gates, decision=decide(gates))).closed == (closed,)


def test_an_old_decision_and_one_of_another_commit(root: Path) -> None:
    made = replace(session(root, age=100_000), versions={COMMIT: "f" * 40})
    assert ask(root, made, commit=SHA).closed == (
        f"the gate is closed: it is 27 hours old, more than 1d; {AGAIN}, or allow more with --max-age",
        f"the gate is closed: it is of commit ffffffffffff, this is 0123456789ab; {AGAIN}",
    )


def test_a_flow_that_changed_after_its_gate(root: Path) -> None:
    before = flow_digest(load(root).flow)
    made = session(root)
    change(root, f"{FLOW}/kind.jinja2", "Dear", "Hey")
    after = flow_digest(load(root).flow)
    admission = ask(root, made)
    said = f"flow 'greet' changed after the gate was decided (it was {before[:12]}, it is {after[:12]}); {AGAIN}"
    assert (admission.closed, admission.foreign, admission.is_open) == ((), (said,), False)


def test_yesterdays_data(root: Path) -> None:
    made = session(root)
    change(root, "evals/greeter/names.jsonl", "Ann", "Eve")
    (said,) = ask(root, made).foreign
    assert said.startswith("the data changed after the gate was decided (it was ")


def test_what_was_served_by_an_endpoint_is_not_known_to_be_these_files(root: Path) -> None:
    made = session(root, backend="endpoint")
    made = replace(made, subjects={PATH: replace(made.subjects[PATH], digest="")})
    said = "the gate was decided on what an endpoint answered, not on the files of flow 'greet'; evaluate these"
    assert ask(root, made).foreign == (said,)


def test_a_decision_that_does_not_say_what_it_is_of(root: Path) -> None:
    assert ask(root, replace(session(root), subjects={})).foreign == (
        f"flow 'greet': which files of it were evaluated is not known; {AGAIN}",
        f"the data: which rows were evaluated is not known; {AGAIN}",
        f"{CRITERIA}: what that was is not known; {AGAIN}",
    )


def test_a_decision_on_other_experiments(root: Path) -> None:
    made = session(root)
    gates = tuple(replace(gate, experiment="evals/other/experiment.yaml") for gate in made.gates)
    assert ask(root, replace(made, gates=gates)).foreign == (
        "gate.json has no decision on experiment.yaml of 'greeter'; it has: evals/other/experiment.yaml",
    )


def test_files_that_can_not_be_read(root: Path) -> None:
    made = session(root)
    write_session(root, made)
    experiment = load(root)
    for file in (root / FLOW).iterdir():
        file.unlink()
    (root / FLOW).rmdir()
    check = check_gate(root / "reports", Expected(now=datetime.now(timezone.utc), max_age=86_400))
    word = Override(by="ann", reason="no")
    admission = admit(check, experiment, find_variant(experiment, None), override=word)
    assert admission.foreign == ("the files of flow 'greet' can't be read; check them",)
    assert not admission.is_open


@pytest.mark.parametrize(
    ("old", "new", "file"),
    [
        (">= 0.5", ">= 0.99", PATH),
        ("name: greeter\n", "name: greeter\nllmops: {gate: {max_failed_rows: 1}}\n", PATH),
        ("text.startswith", "not text.startswith", "evals/greeter/polite.py"),
    ],
)
@pytest.mark.parametrize("commit", ["", SHA, f"{SHA}-dirty"])
def test_what_it_is_judged_by_changed_whatever_the_commit_says(
    root: Path, commit: str, old: str, new: str, file: str
) -> None:
    made = replace(session(root), versions={COMMIT: commit} if commit else {})
    before = made.subjects[PATH].criteria
    change(root, file, old, new)
    after = subject_of(load(root)).criteria
    admission = ask(root, made, commit=commit)
    said = f"{CRITERIA} changed after the gate was decided (it was {before[:12]}, it is {after[:12]}); {AGAIN}"
    assert (admission.closed, admission.foreign, admission.is_open) == ((), (said,), False)


def test_two_trees_that_are_not_committed_and_have_the_same_files(root: Path) -> None:
    made = replace(session(root), versions={COMMIT: f"{SHA}-dirty"})
    assert ask(root, made, commit=f"{SHA}-dirty").reasons == ()


def test_each_demand_on_the_variant_needs_its_verdict(root: Path) -> None:
    made = session(root)
    gates = tuple(gate for gate in made.gates if gate.item != "polite.score[greet-names-kind]")
    made = replace(made, gates=gates, decision=decide(gates))
    assert made.decision.state == "open"
    assert ask(root, made).closed == (
        "variant 'kind' has no verdict on polite.score on dataset 'names'",
        "variants that passed: terse; name one with --variant, or make it the flow's default",
    )


def test_a_decision_that_was_made_again_by_the_thresholds_as_they_are(root: Path) -> None:
    made = session(root, regated="true")
    assert ask(root, made).is_open
    change(root, PATH, ">= 0.5", ">= 0.6")
    assert not ask(root, made).is_open


OVERLAY = "evals/greeter/experiment.{}.yaml"
LOOSE = """
evaluators:
- name: polite
  flow: polite:judge
  thresholds: {score: ">= 0.01"}
  datasets:
  - {name: names, mappings: {text: "${run.outputs.text}"}}
"""


@pytest.mark.parametrize("decided", [None, "prod"])
def test_the_overlay_of_the_environment_or_none(root: Path, decided: str | None) -> None:
    write_case(root, {OVERLAY.format("prod"): LOOSE})
    made = session(root, env=decided) if decided else session(root)
    admission = ask(root, made, env="prod")
    assert (admission.reasons, admission.experiment.env) == ((), decided)


def test_the_overlay_of_another_environment(root: Path) -> None:
    write_case(root, {OVERLAY.format("dev"): LOOSE})
    made = session(root, env="dev")
    said = "the gate was decided with the overlay of environment 'dev', this is for"
    assert ask(root, made, env="dev").is_open
    assert ask(root, made, env="prod").foreign == (
        f"{said} 'prod'; evaluate with --llmops-env prod, or without an overlay",
    )
    assert ask(root, made).foreign == (f"{said} no environment; name it with --env dev",)


def test_the_default_variant_was_not_evaluated(root: Path) -> None:
    made = session(root, variants="terse")
    assert made.decision.state == "open"
    admission = ask(root, made)
    assert admission.closed == (
        "variant 'kind' was not evaluated on dataset 'names'",
        "variants that passed: terse; name one with --variant, or make it the flow's default",
    )
    assert ask(root, made, variant="terse").is_open


def test_an_open_gate_is_closed_to_a_variant_that_failed(root: Path) -> None:
    made = session(root, failed=["terse"])
    assert made.decision.state == "open"
    assert ask(root, made).is_open
    assert ask(root, made, variant="terse").closed == (
        "variant 'terse' did not pass: FAIL polite.score[greet-names-terse]: 0.25, required >= 0.5 (n = 2)",
        "variants that passed: kind; name one with --variant, or make it the flow's default",
    )


def test_what_only_warns_stops_no_variant(root: Path) -> None:
    change(root, PATH, THRESHOLD, WARNING)
    assert ask(root, session(root, failed=["terse"]), variant="terse").is_open


def test_a_rule_that_was_relaxed_after_the_decision_helps_nobody(root: Path) -> None:
    made = session(root, failed=["terse"])
    change(root, PATH, THRESHOLD, WARNING)
    assert not ask(root, made, variant="terse").is_open


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_rows": "1"}, "max-rows 1"),
        ({"thresholds": "polite.score=>= 0"}, "thresholds polite.score=>= 0"),
        ({"repeat": "1", "regated": "true"}, "repeat 1"),
    ],
)
def test_what_was_measured_in_part_does_not_go_on(root: Path, settings: dict[str, Any], said: str) -> None:
    assert ask(root, session(root, **settings)).closed == (
        f"the gate was decided on less than the files ask for ({said}); evaluate without these limits",
    )


def test_a_decision_is_found_wherever_pytest_was_started(root: Path) -> None:
    made = session(root)
    shorter = "greeter/experiment.yaml"
    gates = tuple(replace(gate, experiment=shorter) for gate in made.gates)
    made = replace(made, gates=gates, subjects={shorter: made.subjects[PATH]})
    assert ask(root, made).is_open


def test_variants_are_found_by_their_id(root: Path) -> None:
    experiment = load(root)
    assert find_variant(experiment, None).id == "kind"
    with pytest.raises(LLMOpsError) as refused:
        find_variant(experiment, "ters")
    assert str(refused.value) == "--variant: there is no variant 'ters'; did you mean 'terse'?"


def test_somebodys_word_lets_anything_through_and_is_on_record(root: Path) -> None:
    made = replace(session(root, failed=["kind"]), versions={COMMIT: SHA, BUILD: "77"})
    write_session(root, made)
    change(root, f"{FLOW}/kind.jinja2", "Dear", "Hey")
    admission = ask(root, None, override=Override(by="Ann", reason="the model is gone tomorrow"), commit=SHA)
    assert (admission.is_open, admission.overridden) == (True, True)
    tags = tags_of(admission)
    assert tags["llmops_verdict"] == "overridden"
    assert tags["llmops_override"] == "the model is gone tomorrow"
    assert tags["llmops_override_by"] == "Ann"
    assert tags["llmops_override_against"].startswith("the gate is closed: 1 of 4 gates failed; flow 'greet' changed")


def test_a_word_that_is_not_needed_overrides_nothing(root: Path) -> None:
    admission = ask(root, session(root), override=Override(by="Ann", reason="hurry"))
    assert (admission.is_open, admission.overridden) == (True, False)
    assert tags_of(admission)["llmops_verdict"] == "open"
    assert "llmops_override" not in tags_of(admission)


def test_tags_say_by_what_a_flow_was_let_through(root: Path) -> None:
    made = replace(session(root), versions={COMMIT: SHA, BUILD: "77"})
    tags = tags_of(ask(root, made, commit=SHA))
    version = tags.pop("llmops_version")
    assert version
    assert tags == {
        FLOW_DIGEST: flow_digest(load(root).flow),
        "llmops_verdict": "open",
        "llmops_variant": "kind",
        "llmops_gate": made.created,
        "llmops_commit": SHA,
        "llmops_build": "77",
        "polite.score_greet-names-kind": "0.75 (required >= 0.5)",
    }


def test_tags_are_as_many_and_as_long_as_azure_takes(root: Path) -> None:
    word = Override(by="A" * 300, reason="r" * 300)
    made = session(root, failed=["kind"])
    line = next(gate for gate in made.gates if gate.rule)
    more = tuple(replace(line, name=f"polite.{'m' * 200}{number}") for number in range(20))
    made = replace(made, gates=(*made.gates, *more))
    made = replace(made, decision=replace(made.decision, counts={"PASS": 3, "FAIL": 21}))
    tags = tags_of(ask(root, made, override=word))
    assert len(tags) <= 15
    assert max(map(len, tags)) <= 100
    assert max(map(len, tags.values())) <= 256


def test_who_overrides_is_named_by_the_pipeline_or_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_override(None, {}) is None
    named = read_override("because", {"BUILD_REQUESTEDFOR": "Ann Smith"})
    assert named == Override(by="Ann Smith", reason="because")
    monkeypatch.setattr(getpass, "getuser", lambda: "bo")
    assert read_override("because", {"BUILD_REQUESTEDFOR": "$(x)"}) == Override(by="bo", reason="because")


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_word_without_a_reason_is_refused(reason: str) -> None:
    with pytest.raises(LLMOpsError) as refused:
        read_override(reason, {})
    said = "--override-gate: it is empty; give the reason, which is kept with what is let through"
    assert str(refused.value) == said
