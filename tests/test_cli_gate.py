"""``llmops gate``: open only by a sound, fresh decision on this commit and run; a closed gate by anything else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import ado_log
import pytest
from gate_files import CONTENTS, ITEM, SHA, write
from hypothesis import HealthCheck, given, settings
from report_samples import EXPERIMENT, FEW_SHOT, metric_gate, report, run_gate, unsure_gate

from pytest_llmops.cli import main
from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.report import BUILD, COMMIT, Report, Shard
from pytest_llmops.reports.gate import document

DAY = 86_400.0
FAILED = metric_gate(verdict="FAIL", rule=">= 0.8")
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, in no repository and no pipeline."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def in_a_pipeline(monkeypatch: pytest.MonkeyPatch, build: str = "77", commit: str = SHA) -> None:
    for name, value in (("TF_BUILD", "True"), ("BUILD_BUILDID", build), ("BUILD_SOURCEVERSION", commit)):
        monkeypatch.setenv(name, value)


def session(*gates: GateResult, age: float = 60.0, commit: str = "", build: str = "", **limits: str) -> Report:
    """A session that ended ``age`` seconds ago; without gates, one that passed."""
    created = datetime.now(timezone.utc) - timedelta(seconds=age)
    versions = {name: value for name, value in ((COMMIT, commit), (BUILD, build)) if value}
    made = report(*(gates or (run_gate(), metric_gate())))
    given = {"llm": "replay", **{name.replace("_", "-"): value for name, value in limits.items()}}
    return replace(made, created=created.isoformat(timespec="seconds"), versions=versions, settings=given)


def last_line(capsys: Output) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def test_an_open_gate(capsys: Output) -> None:
    created = document(made := session())["created"]
    write(made)
    assert main(["gate"]) == 0
    assert capsys.readouterr().out == f"decided: {created}, 1 experiment, llm replay\ngate: open: 2 gates, 2 PASS\n"


def test_the_folder_is_an_argument_or_an_option(capsys: Output) -> None:
    write(session())
    Path("reports").rename("there")
    assert main(["gate", "there"]) == main(["gate", "--report-dir", "there"]) == 0
    with pytest.raises(SystemExit) as end:
        main(["gate", "there", "--report-dir", "there"])
    assert end.value.code == 4
    said = "llmops gate: argument --report-dir: not allowed with argument DIR"
    assert capsys.readouterr().err.splitlines()[-1] == said


def test_a_closed_gate_says_what_closed_it(capsys: Output) -> None:
    obstacle = "evals/test_a.py::test_b: test failed"
    made = session(run_gate(), FAILED, metric_gate(FEW_SHOT, value=0.25, verdict="FAIL", blocking=False))
    made = replace(made, decision=replace(made.decision, reasons=(*made.decision.reasons, obstacle)))
    write(made)
    assert main(["gate"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"FAIL {ITEM}: 0.5, required >= 0.8 (n = 1)",
        obstacle,
        f"decided: {made.created}, 1 experiment, llm replay",
        "gate: closed: 1 of 3 gates failed",
    ]


def test_a_gate_closed_by_no_verdict(capsys: Output) -> None:
    made = session()
    reasons = ("evals/a.py::test_x: test failed", f"{EXPERIMENT}: only 2 of 3 items were decided")
    write(replace(made, decision=replace(made.decision, state="closed", reasons=reasons)))
    assert main(["gate"]) == 1
    assert last_line(capsys) == "gate: closed: evals/a.py::test_x: test failed (and 1 more)"


def test_many_closing_gates_are_cut(capsys: Output) -> None:
    write(session(*(metric_gate(verdict="FAIL", name=f"matcher.m{number}") for number in range(70))))
    assert main(["gate"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[50]) == (53, "and 20 more: see summary.md")


def test_names_can_not_act_on_the_log(capsys: Output) -> None:
    write(session(metric_gate(verdict="FAIL", cell="##vso[task.complete result=Succeeded]\x1b[2J")))
    assert main(["gate", "--ado"]) == 1
    out = capsys.readouterr().out
    assert [command.name for command in ado_log.parse(out)] == ["task.logissue", *["task.setvariable"] * 2]
    assert "\x1b" not in out


def test_what_is_no_decision_is_a_closed_gate(capsys: Output) -> None:
    write(session()).write_bytes(b"{")
    assert main(["gate"]) == 1
    assert capsys.readouterr().out == (
        "gate: closed: reports/gate.json: it is not valid JSON, or only a part of it; run the evaluation again\n"
    )


def test_verdicts_that_do_not_close_leave_the_gate_open(capsys: Output) -> None:
    write(session(run_gate(), unsure_gate(), metric_gate(FEW_SHOT, value=0.25, verdict="FAIL", blocking=False)))
    assert main(["gate"]) == 0
    assert last_line(capsys) == "gate: open: 3 gates, 1 FAIL (1 not blocking), 1 INCONCLUSIVE (1 not blocking), 1 PASS"


@pytest.mark.parametrize(
    ("age", "options", "said"),
    [
        (DAY - 60, [], None),
        (DAY + 60, [], "it is 24 hours old, more than 1d; run the evaluation again, or allow more with --max-age"),
        (DAY + 60, ["--max-age", "2d"], None),
        (120, ["--max-age", "1m"], "it is 2 minutes old, more than 1m; run the evaluation again, or allow"),
        (-240, [], None),
        (-600, [], "it is from the future ("),
    ],
)
def test_the_age_of_a_decision(age: float, options: list[str], said: str | None, capsys: Output) -> None:
    write(session(age=age))
    assert main(["gate", *options]) == (0 if said is None else 1)
    assert last_line(capsys).startswith("gate: open: " if said is None else f"gate: closed: {said}")


@pytest.mark.parametrize("created", ["", "yesterday", "2026-09-01T10:00:00", "0001-01-01T00:00:00+23:59"])
def test_a_time_that_can_not_be_told_closes_the_gate(created: str) -> None:
    write(session(), created=created)
    assert main(["gate"]) == 1


@pytest.mark.parametrize(
    ("commit", "asked", "said"),
    [
        (SHA, SHA, None),
        (SHA, SHA[:7], None),
        (SHA, SHA.upper(), None),
        (SHA, "f" * 40, "it is of commit 0123456789ab, this is ffffffffffff; run the evaluation again"),
        (SHA[:7], SHA, "it is of commit 0123456, this is 0123456789ab; run the evaluation again"),
        ("", SHA, "it is of no known commit, this is 0123456789ab; evaluate in the repository"),
        (f"{SHA}-dirty", SHA, "it is of commit 0123456789ab-dirty, with files that were changed since; "),
        (SHA, "auto", "it is of commit 0123456789ab, and which one this is can't be told; name it with --commit"),
        ("", "auto", None),
    ],
)
def test_the_commit_of_a_decision(commit: str, asked: str, said: str | None, capsys: Output) -> None:
    write(session(commit=commit))
    assert main(["gate", "--commit", asked]) == (0 if said is None else 1)
    assert last_line(capsys).startswith("gate: open: " if said is None else f"gate: closed: {said}")


def test_the_commit_that_is_checked_out(capsys: Output) -> None:
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "one")):
        subprocess.run([*git, *command], check=True)
    sha = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    write(session(commit=sha))
    assert main(["gate"]) == 0
    write(session(commit=SHA))
    assert main(["gate"]) == 1
    assert last_line(capsys) == (
        f"gate: closed: it is of commit 0123456789ab, this is {sha[:12]}; run the evaluation again"
    )


@pytest.mark.parametrize(
    ("build", "commit", "said"),
    [
        ("77", SHA, None),
        ("76", SHA, "it is of run 76, this is run 77; decide in the run that evaluated"),
        ("", SHA, "it is of no run of a pipeline, this is run 77; decide in the run that evaluated"),
        ("77", "f" * 40, "it is of commit ffffffffffff, this is 0123456789ab; run the evaluation again"),
        ("77", "", "it is of no known commit, this is 0123456789ab; evaluate in the repository"),
        ("76", "", "it is of no known commit, this is 0123456789ab; evaluate in the repository (and 1 more)"),
    ],
)
def test_the_run_of_a_decision(
    build: str, commit: str, said: str | None, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    in_a_pipeline(monkeypatch)
    write(session(build=build, commit=commit))
    assert main(["gate"]) == (0 if said is None else 1)
    out = capsys.readouterr().out
    assert ("gate: open: " if said is None else f"gate: closed: {said}\n") in out


def test_the_decision_on_a_shard_is_none(capsys: Output) -> None:
    write(replace(session(), shard=Shard(index=1, count=3)))
    assert main(["gate"]) == 1
    assert last_line(capsys) == (
        "gate: closed: it is the decision on shard 1/3 alone; make the shards whole with: llmops merge"
    )


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        ({"max_rows": "5"}, "max-rows 5"),
        ({"variants": "terse"}, "variants terse"),
        ({"repeat": "1"}, "repeat 1"),
        ({"thresholds": "f1>= 0.1"}, "thresholds f1>= 0.1"),
        ({"regated": "yes"}, "regated yes"),
        ({"max_rows": "5", "variants": "defaults"}, "max-rows 5, variants defaults"),
    ],
)
def test_a_limited_session_is_not_complete(limits: dict[str, str], shown: str, capsys: Output) -> None:
    write(session(**limits))  # type: ignore[arg-type]
    assert main(["gate"]) == 0
    assert shown.split(",", maxsplit=1)[0] in capsys.readouterr().out
    assert main(["gate", "--complete"]) == 1
    assert last_line(capsys) == (
        f"gate: closed: the session was limited ({shown}), and --complete asks for all; evaluate without these limits"
    )


def test_what_does_not_limit_a_session() -> None:
    write(session(env="prod", variants="all", baseline="main"))
    assert main(["gate", "--complete"]) == 0


def test_changed_files_are_not_complete(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr("pytest_llmops.baselines.commit_of", lambda folder: {COMMIT: f"{SHA}-dirty"})
    write(session(commit=f"{SHA}-dirty"))
    assert main(["gate"]) == 0
    assert main(["gate", "--complete"]) == 1
    assert last_line(capsys) == (
        "gate: closed: files were changed since commit 0123456789ab-dirty, and --complete asks for a commit; "
        "run the evaluation again"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-age", "old"], "--max-age: 'old' is not a duration; write a number and a unit, such as 90s, 30m, 12h"),
        (["--commit", "main"], "--commit: 'main' is no commit; give 7 to 64 hexadecimal digits, or auto\n"),
        (["--commit", ""], "--commit: '' is no commit; give 7 to 64 hexadecimal digits, or auto\n"),
    ],
)
def test_a_wrong_option_is_a_closed_gate_too(options: list[str], said: str, capsys: Output) -> None:
    write(session())
    assert main(["gate", "--ado", *options]) == 4
    out, err = capsys.readouterr()
    assert err.startswith(said)
    assert ado_log.outputs(ado_log.parse(out))["decision"] == "closed"


def test_outputs_of_an_open_gate(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    in_a_pipeline(monkeypatch)
    made = session(build="77", commit=SHA)
    write(made)
    assert main(["gate"]) == 0
    commands = ado_log.parse(capsys.readouterr().out)
    assert [command.name for command in commands] == ["task.setvariable", "task.setvariable"]
    assert ado_log.outputs(commands) == {
        "summary": (
            f"gate open: 2 gates, 2 PASS; decided: {made.created}, 1 experiment, llm replay; "
            f"PASS {ITEM}: 0.5, required >= 0.5 (n = 1)"
        ),
        "decision": "open",
    }


def test_outputs_of_a_closed_gate(capsys: Output) -> None:
    write(session(FAILED))
    assert main(["gate", "--ado"]) == 1
    commands = ado_log.parse(capsys.readouterr().out)
    (error,) = ado_log.issues("error", commands)
    assert error.message == "gate: closed: 1 of 1 gates failed"
    assert ado_log.outputs(commands)["decision"] == "closed"
    assert sum(command.properties.get("variable") == "decision" for command in commands) == 1


def test_elsewhere_no_commands_are_written(capsys: Output) -> None:
    write(session(FAILED))
    main(["gate"])
    assert "##vso[" not in capsys.readouterr().out


def test_a_fault_of_our_own_is_a_closed_gate(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pytest_llmops.reports.gate_check.check_gate", fail)
    write(session())
    assert main(["gate", "--ado"]) == 1
    out = capsys.readouterr().out
    assert "gate: closed: the check failed (ZeroDivisionError); please report it\n" in out
    assert ado_log.outputs(ado_log.parse(out))["decision"] == "closed"


def test_a_decision_that_can_not_be_printed_is_closed(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pytest_llmops.cli.gate.show", fail)
    write(session())
    assert main(["gate", "--ado"]) == 1
    said = capsys.readouterr()
    assert said.err == "the output can't be written: No space left on device\n"
    commands = ado_log.named("task.setvariable", ado_log.parse(said.out))
    assert [command.message for command in commands if command.properties["variable"] == "decision"] == ["closed"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_log_in_any_code_page(encoding: str) -> None:
    write(session(metric_gate(cell="c-日本語…-v"), run_gate()))
    script = "import sys; from pytest_llmops.cli import main; sys.exit(main())"
    environ = {**os.environ, "PYTHONIOENCODING": encoding, "TF_BUILD": "True"}
    done = subprocess.run([sys.executable, "-c", script, "gate"], env=environ, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert ado_log.outputs(ado_log.parse(done.stdout.decode(encoding)))["decision"] == "open"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(content=CONTENTS)
def test_whatever_is_in_the_file_it_is_said_and_decided_once(content: bytes, capsys: Output) -> None:
    path = Path("reports/gate.json")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    code = main(["gate", "--ado", "--commit", SHA])
    out, err = capsys.readouterr()
    assert err == ""
    commands = ado_log.parse(out)
    decided = [command.message for command in commands if command.properties.get("variable") == "decision"]
    assert decided == [{0: "open", 1: "closed"}[code]]
