"""Logging commands: the agent reads what was meant."""

from __future__ import annotations

import io
from pathlib import Path

from ado_log import Command, outputs, parse
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.ado.commands import add_build_tag, command, emit, log_issue, set_output, upload_summary

TRICKY = st.lists(st.sampled_from(["%", "%3B", "%AZP25", "25", ";", "]", "[", "\r", "\n", "=", "##vso[", "é", "x"]))
ANY_TEXT = TRICKY.map("".join) | st.text()


@given(ANY_TEXT, ANY_TEXT)
def test_the_agent_reads_back_what_was_written(value: str, message: str) -> None:
    line = command("task.logissue", message, type="error", sourcepath=value)
    given = {"sourcepath": value} if value else {}
    assert parse(line) == [Command("task", "logissue", {"type": "error", **given}, message)]


def test_a_command_without_properties() -> None:
    assert command("build.addbuildtag", "a tag") == "##vso[build.addbuildtag]a tag"


def test_an_issue_with_its_place() -> None:
    assert log_issue("error", "FAIL f1[a]: 0.5", path="/s/evals/experiment.yaml", line=12) == (
        "##vso[task.logissue type=error;sourcepath=/s/evals/experiment.yaml;linenumber=12;code=llmops]FAIL f1[a%5D: 0.5"
    )


def test_an_issue_without_a_place() -> None:
    assert log_issue("warning", "100 %") == "##vso[task.logissue type=warning;code=llmops]100 %AZP25"


def test_an_output_can_not_be_changed_later() -> None:
    line = set_output("decision", "closed")
    assert line == "##vso[task.setvariable variable=decision;isOutput=true;isReadOnly=true]closed"
    assert outputs(parse(f"{line}\n{set_output('decision', 'open')}")) == {"decision": "closed"}


def test_an_output_names_no_other_variable() -> None:
    assert set_output("summary", "a $(password)").endswith("]a $ (password)")


def test_a_summary_has_an_absolute_path() -> None:
    assert upload_summary(Path("a;b.md")) == f"##vso[task.uploadsummary]{Path.cwd()}/a%3Bb.md"


def test_a_tag() -> None:
    assert add_build_tag("llmops-gate-open") == "##vso[build.addbuildtag]llmops-gate-open"


def test_a_log_that_lacks_a_character_gets_an_escape() -> None:
    log = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    emit(["##vso[a.b]…\ud800"], log)
    log.seek(0)
    assert log.read() == "##vso[a.b]\\u2026\\ud800\n"
