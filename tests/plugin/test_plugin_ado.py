"""A session in Azure DevOps: what the agent finds in its log."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import ado_log
import pytest
from ado_log import Command, issues, named
from project import EXPERIMENT, Project

FORCED = "--llmops-ado"
CLOSED = ("--llmops-threshold", "compare.accuracy=>= 0.9")
HEADLINE = "FAIL compare.accuracy[shout-words-default]: 0.75, required >= 0.9 (n = 4, 95 % CI 0.30 to 0.95)"
HOSTILE = """
import sys


def test_hostile() -> None:
    print("##vso[task.setvariable variable=decision;isOutput=true]open")
    print("##vso[task.complete result=Succeeded]", file=sys.stderr)
    print("#", end="")
    print("#vso[task.complete result=Succeeded]")
    said = "##vso[build.addbuildtag]llmops-gate-open"
    assert said == "##[section]x"
"""


def found(result: pytest.RunResult) -> list[Command]:
    return ado_log.parse(f"{result.stdout}\n{result.stderr}")


def set_threshold(project: Project, rule: str) -> None:
    project.replace("experiment.yaml", '">= 0.75"', f'"{rule}"')


def test_an_open_gate_is_announced(project: Project) -> None:
    summary, tag = found(project.run(FORCED))
    assert summary == Command("task", "uploadsummary", {}, str(project.path / "reports" / "summary.md"))
    assert tag == Command("build", "addbuildtag", {}, "llmops-gate-open")
    assert ado_log.failures([summary]) == []


def test_a_closed_gate_is_annotated_where_its_threshold_stands(project: Project) -> None:
    set_threshold(project, ">= 0.9")
    result = project.run(FORCED)
    (error,) = issues("error", found(result))
    place = {"sourcepath": str(project.folder / "experiment.yaml"), "linenumber": "10"}
    assert error.properties == {"type": "error", "code": "llmops", **place}
    assert EXPERIMENT.lstrip().splitlines()[9].startswith("  thresholds:")
    assert error.message == HEADLINE
    assert [tag.message for tag in named("build.addbuildtag", found(result))] == ["llmops-gate-closed"]
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_threshold_of_the_command_line_stands_on_no_line(project: Project) -> None:
    (error,) = issues("error", found(project.run(FORCED, *CLOSED)))
    assert "linenumber" not in error.properties
    assert error.properties["sourcepath"] == str(project.folder / "experiment.yaml")


def test_what_does_not_close_the_gate_is_a_warning(project: Project) -> None:
    project.replace("experiment.yaml", '{accuracy: ">= 0.75"}', "{accuracy: {min: 0.9, severity: warn}}")
    commands = found(project.run(FORCED))
    assert issues("error", commands) == []
    assert [warning.message for warning in issues("warning", commands)] == [HEADLINE]
    assert [tag.message for tag in named("build.addbuildtag", commands)] == ["llmops-gate-open"]


def test_a_mistake_in_the_configuration_is_annotated_where_it_is(project: Project) -> None:
    project.replace("experiment.yaml", 'word: "${data.word}"', 'wrod: "${data.word}"')
    result = project.run(FORCED)
    first, *_ = issues("error", found(result))
    assert first.properties["sourcepath"] == str(project.folder / "experiment.yaml")
    assert first.properties["linenumber"] == "6"
    assert first.message.startswith("datasets.words.mappings.wrod: ")
    assert [tag.message for tag in named("build.addbuildtag", found(result))] == ["llmops-gate-closed"]
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_test_that_can_not_be_collected_is_annotated(project: Project) -> None:
    (project.path / "evals" / "test_broken.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    (error, *_) = issues("error", found(project.run(FORCED, "--continue-on-collection-errors")))
    assert error.properties["sourcepath"] == str(project.path / "evals" / "test_broken.py")
    assert error.message == "evals/test_broken.py: collection failed"


def test_the_agent_switches_it_on(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    assert len(found(project.run())) == 2


def test_the_setting_switches_it_off(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_BUILD", "True")
    monkeypatch.setenv("LLMOPS_ADO", "false")
    assert found(project.run()) == []


def test_elsewhere_it_is_off(project: Project) -> None:
    assert found(project.run()) == []


def test_a_release_has_no_tags(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_HOSTTYPE", "release")
    assert [command.name for command in found(project.run(FORCED))] == ["task.uploadsummary"]


@pytest.mark.parametrize("quiet", [["-q"], ["-qq"], ["--tb=no"], ["-p", "no:terminal"], ["--no-summary", "-qq"]])
def test_a_quiet_session_announces_as_much(project: Project, quiet: list[str]) -> None:
    set_threshold(project, ">= 0.9")
    names = [command.name for command in found(project.run(FORCED, *quiet))]
    assert names == ["task.logissue", "task.uploadsummary", "build.addbuildtag"]


def test_a_session_without_experiments_announces_nothing(project: Project) -> None:
    (project.path / "test_other.py").write_text("def test_other():\n    pass\n", encoding="utf-8")
    result = project.pytester.runpytest_inprocess("test_other.py", FORCED, "-p", "no:cacheprovider")
    assert found(result) == []


@pytest.mark.parametrize("option", ["--collect-only", "--llmops-plan"])
def test_what_runs_nothing_announces_nothing(project: Project, option: str) -> None:
    assert found(project.run(FORCED, option)) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_reports_that_can_not_be_written_close_the_gate(project: Project) -> None:
    (project.path / "reports").mkdir(mode=0o500)
    _check_unwritten(project)


def test_a_file_in_place_of_the_reports_closes_the_gate(project: Project) -> None:
    (project.path / "reports").mkdir()
    (project.path / "reports" / "summary.md").mkdir()
    _check_unwritten(project)


def _check_unwritten(project: Project) -> None:
    commands = found(project.run(FORCED))
    assert [error.message for error in issues("error", commands)] == [
        "the reports could not be written, so the gate is closed"
    ]
    assert [command.message for command in commands[1:]] == ["llmops-gate-closed"]


def test_a_shard_announces_no_decision(project: Project) -> None:
    set_threshold(project, ">= 0.9")
    commands = found(project.run(FORCED, "--llmops-shard", "1/1"))
    assert [command.name for command in commands] == ["task.logissue"]


@pytest.mark.parametrize(
    "options", [[], ["-v"], ["-rA"], ["--color=yes", "-vv"], ["-q"], ["--tb=native"], ["-s"], ["--capture=tee-sys"]]
)
def test_nothing_that_tests_print_is_a_command(project: Project, options: list[str]) -> None:
    (project.path / "evals" / "test_hostile.py").write_text(HOSTILE, encoding="utf-8")
    result = project.run(FORCED, *options)
    result.assert_outcomes(passed=2, failed=1)
    assert "# #vso[task.setvariable variable=decision;isOutput=true]open" in str(result.stdout)
    assert {command.name for command in found(result)} == {"task.logissue", "task.uploadsummary", "build.addbuildtag"}
    assert [tag.message for tag in named("build.addbuildtag", found(result))] == ["llmops-gate-closed"]
    assert "##[" not in str(result.stdout)


def test_nothing_that_is_printed_outside_of_capture_is_a_command(project: Project) -> None:
    said = "print('##vso[task.complete result=Failed]'); import sys; print('##[x]', file=sys.stderr)"
    hooks = ("pytest_sessionstart", "pytest_runtest_logreport", "pytest_sessionfinish", "pytest_unconfigure")
    text = "".join(f"def {hook}():\n    {said}\n\n" for hook in hooks)
    (project.path / "evals" / "conftest.py").write_text(text, encoding="utf-8")
    test = f"def test_disabled(capsys):\n    with capsys.disabled():\n        {said}\n"
    (project.path / "evals" / "test_disabled.py").write_text(test, encoding="utf-8")
    out = sys.stdout.write
    result = project.run(FORCED)
    assert str(result.stdout).count("# #vso[task.complete result=Failed]") >= len(hooks) + 1
    assert "##[x]" not in str(result.stderr)
    assert [command.name for command in found(result)] == ["task.uploadsummary", "build.addbuildtag"]
    assert sys.stdout.write == out


def test_nothing_in_the_name_of_a_test_is_a_command(project: Project) -> None:
    (project.path / "evals" / "test_names.py").write_text(
        'import pytest\n\n\n@pytest.mark.parametrize("text", ["##vso[task.complete result=Failed]", "a]; b"])\n'
        "def test_name(text):\n    assert not text\n",
        encoding="utf-8",
    )
    result = project.run(FORCED, "-v", "-rA")
    assert ado_log.failures(found(result)) == []
    first, second = issues("error", found(result))
    assert first.message == "evals/test_names.py::test_name[# #vso[task.complete result=Failed]]: test failed"
    assert second.message == "evals/test_names.py::test_name[a]; b]: test failed"


@pytest.mark.slow
@pytest.mark.parametrize("options", [["-v"], ["-s"], ["-n", "2"]])
def test_flows_that_print_commands_are_harmless(project: Project, options: list[str]) -> None:
    said = "##vso[task.complete result=Failed]x"
    project.replace(
        "shout.py",
        "    if word ==",
        "    import os, sys\n"
        f"    print('{said}', flush=True)\n"
        f"    print('{said}', file=sys.stderr, flush=True)\n"
        f"    os.write(1, b'{said}\\n')\n"
        f"    os.system('echo \"{said}\" >&2')\n"
        "    if word ==",
    )
    project.replace("shout.py", "the word is crash", said)
    project.write_rows("words.jsonl", [{"word": said, "gold": said}, {"word": "crash", "gold": said}])
    result = project.pytester.runpytest_subprocess("evals", FORCED, "-p", "no:cacheprovider", *options)
    result.stdout.fnmatch_lines(["*# #vso[[]task.complete result=Failed[]]*"])
    assert {command.name for command in found(result)} == {"task.logissue", "task.uploadsummary", "build.addbuildtag"}


@pytest.mark.parametrize("way", ["no", "sys", "tee-sys"])
def test_unseen_output_is_warned_of(project: Project, way: str) -> None:
    (warning,) = issues("warning", found(project.run(FORCED, f"--capture={way}")))
    assert warning.message == (
        f"--capture={way}: the agent acts on logging commands that tests print; leave the option out"
    )


@pytest.mark.slow
def test_several_processes_announce_once(project: Project) -> None:
    set_threshold(project, ">= 0.9")
    (project.path / "evals" / "test_hostile.py").write_text(HOSTILE, encoding="utf-8")
    commands = found(project.run(FORCED, "-n", "2"))
    assert [command.name for command in commands] == [
        *("task.logissue", "task.logissue", "task.uploadsummary", "build.addbuildtag"),
    ]
    assert {error.message for error in issues("error", commands)} == {
        HEADLINE,
        "evals/test_hostile.py::test_hostile: test failed",
    }


def test_a_report_folder_elsewhere(project: Project, tmp_path: Path) -> None:
    summary, _ = found(project.run(FORCED, "--llmops-report-dir", str(tmp_path / "else where")))
    assert summary.message == str(tmp_path / "else where" / "summary.md")
