"""``llmops pr-comment``: one comment and one status of a pull request, against a server that behaves as Azure Repos."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import ado_log
import pytest
from ado_server import AzureRepos, azure_repos
from report_samples import HOSTILE, cell_result, metric_gate, report, run_gate

from pytest_llmops.cli import main
from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.report import BUILD, COMMIT, Report
from pytest_llmops.reports.write import write_reports

SHA = "c" * 40
MARKER = "<!-- llmops:5:gate iteration=2 build=77 -->"
FAILED = metric_gate(verdict="FAIL", rule=">= 0.8", reason="1 of 2 rows failed")
HEADLINE = "FAIL matcher.exact\\_match\\_rate[ner\\_extract-general-terse]"
Output = pytest.CaptureFixture[str]


@pytest.fixture
def repos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureRepos]:
    monkeypatch.chdir(tmp_path)
    with azure_repos() as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        yield server


def write(*gates: GateResult, folder: str = "reports", **changes: Any) -> Report:
    """Write the reports of this run; without gates, of one that passed."""
    created = datetime.now(timezone.utc) - timedelta(minutes=1)
    made = replace(
        report(*(gates or (run_gate(), metric_gate()))),
        created=created.isoformat(timespec="seconds"),
        versions={COMMIT: SHA, BUILD: "77"},
    )
    write_reports(made := replace(made, **changes), Path(folder))
    return made


def content(thread: dict[str, Any]) -> str:
    text: str = thread["comments"][0]["content"]
    return text


def warning(capsys: Output) -> str:
    """Return the one warning that the page of the run shows; its text is no command, and has no token."""
    out, err = capsys.readouterr()
    assert err == ""
    assert "secret-token" not in out
    messages = {command.message for command in ado_log.issues("warning", ado_log.parse(out))}
    (message,) = messages
    return message


def test_an_open_gate(repos: AzureRepos, capsys: Output) -> None:
    write()
    assert main(["pr-comment"]) == 0
    (thread,) = repos.threads
    assert thread["status"] == "fixed"
    assert content(thread).splitlines()[:6] == [
        MARKER,
        f"[Run 20260901.4]({repos.collection}My%20Project/_build/results?buildId=77)",
        "",
        "# Gate open: gate",
        "",
        "**2 gates, 2 PASS**",
    ]
    assert "| matcher.exact_match_rate\\[ner_extract-general-terse\\] | PASS | 0.5 |" in content(thread)
    assert repos.statuses == [
        {
            "id": 1,
            "state": "succeeded",
            "description": "gate open: 2 gates, 2 PASS",
            "context": {"name": "gate", "genre": "llmops"},
            "targetUrl": f"{repos.collection}My%20Project/_build/results?buildId=77",
            "iterationId": 2,
        }
    ]
    assert capsys.readouterr().out.splitlines() == [
        "pull request 12: comment added",
        "pull request 12: status llmops/gate is succeeded",
    ]


def test_a_closed_gate(repos: AzureRepos) -> None:
    write(run_gate(), FAILED)
    assert main(["pr-comment"]) == 0
    (thread,) = repos.threads
    assert thread["status"] == "active"
    assert "# Gate closed: gate\n\n**1 of 2 gates failed**" in content(thread)
    assert "0.5, required >= 0.8 (n = 1): 1 of 2 rows failed" in content(thread)
    assert [status["state"] for status in repos.statuses] == ["failed"]


def test_a_second_run_updates_the_comment(repos: AzureRepos, capsys: Output) -> None:
    write(run_gate(), FAILED)
    main(["pr-comment"])
    write()
    assert main(["pr-comment"]) == 0
    (thread,) = repos.threads
    assert (thread["status"], len(thread["comments"])) == ("fixed", 1)
    assert "# Gate open" in content(thread)
    assert [status["state"] for status in repos.statuses] == ["failed", "succeeded"]
    assert "pull request 12: comment updated\n" in capsys.readouterr().out
    write(run_gate(), FAILED)
    main(["pr-comment"])
    assert thread["status"] == "active"


def test_an_older_run_that_took_longer_changes_no_comment_of_a_newer_one(
    repos: AzureRepos, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("BUILD_BUILDID", "78")
    write(run_gate(), FAILED, versions={COMMIT: SHA, BUILD: "78"})
    main(["pr-comment"])
    (thread,) = repos.threads
    newer = content(thread)
    monkeypatch.setenv("BUILD_BUILDID", "77")
    monkeypatch.setenv("SYSTEM_PULLREQUEST_SOURCECOMMITID", "a" * 40)
    write()
    capsys.readouterr()
    assert main(["pr-comment"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pull request 12: comment left as it is: it is of run 78, which is newer",
        "pull request 12: status llmops/gate is succeeded",
    ]
    assert (content(thread), thread["status"], len(repos.threads)) == (newer, "active", 1)
    assert [status["iterationId"] for status in repos.statuses] == [2, 1]


def test_a_deleted_comment_is_not_brought_back(repos: AzureRepos) -> None:
    write()
    main(["pr-comment"])
    repos.threads[0]["comments"][0]["isDeleted"] = True
    main(["pr-comment"])
    repos.threads[1]["isDeleted"] = True
    main(["pr-comment"])
    assert len(repos.threads) == 3


def test_each_suite_and_each_pipeline_has_its_own(repos: AzureRepos, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    for _ in range(2):
        main(["pr-comment"])
        main(["pr-comment", "--suite", "nightly --> x"])
    monkeypatch.setenv("SYSTEM_DEFINITIONID", "6")
    main(["pr-comment"])
    assert [content(thread).partition("\n")[0] for thread in repos.threads] == [
        MARKER,
        "<!-- llmops:5:nightly%20-%2D%3E%20x iteration=2 build=77 -->",
        "<!-- llmops:6:gate iteration=2 build=77 -->",
    ]
    assert [status["context"]["name"] for status in repos.statuses][:2] == ["gate", "nightly --> x"]


@pytest.mark.parametrize("gates", [(), (FAILED,)])
def test_a_decision_of_another_run_says_nothing_of_this_one(repos: AzureRepos, gates: tuple[GateResult, ...]) -> None:
    write(*gates, versions={COMMIT: SHA, BUILD: "76"})
    assert main(["pr-comment"]) == 0
    assert [status["state"] for status in repos.statuses] == ["error"]
    assert "# Gate closed: gate\n\n**it is of run 76, this is run 77;" in content(repos.threads[0])
    assert repos.threads[0]["status"] == "active"


def test_without_a_decision_the_gate_is_closed(repos: AzureRepos) -> None:
    assert main(["pr-comment"]) == 0
    said = "reports/gate.json: there is none: nothing was decided here; run the evaluation again"
    assert content(repos.threads[0]).endswith(f"# Gate closed: gate\n\n**{said}**")
    assert [(status["state"], status["description"]) for status in repos.statuses] == [
        ("error", f"gate closed: {said}")
    ]


@pytest.mark.parametrize("torn", [b"", b"{", b'{"schema_version": 9}'])
def test_without_results_the_comment_has_what_the_decision_says(repos: AzureRepos, torn: bytes) -> None:
    write(run_gate(), FAILED)
    Path("reports/results.json").write_bytes(torn)
    assert main(["pr-comment"]) == 0
    text = content(repos.threads[0])
    assert "reports/results.json: " in text
    assert "- FAIL matcher.exact_match_rate\\[ner_extract-general-terse\\]: 0.5, required >= 0.8 (n = 1)" in text
    assert [status["state"] for status in repos.statuses] == ["failed"]


def test_results_of_another_session_are_not_shown(repos: AzureRepos) -> None:
    write(run_gate(), FAILED, folder="older", created="2026-01-01T00:00:00+00:00")
    write()
    Path("older/results.json").replace("reports/results.json")
    main(["pr-comment"])
    assert "reports/results.json: it is of another session than the decision" in content(repos.threads[0])
    assert "## ner" not in content(repos.threads[0])


def test_a_missing_permission_is_named(repos: AzureRepos, capsys: Output) -> None:
    write()
    repos.denied = {"build"}
    assert main(["pr-comment"]) == 0
    assert warning(capsys) == (
        "pull request 12: HTTP 403: not allowed (TF401027: You need the Git 'PullRequestContribute' permission to "
        "perform this action. Details: identity 'Build\\5d1c', scope 'repository'.); the identity "
        "'My Project Build Service' needs 'Contribute to pull requests' of the repository set to Allow"
    )


def test_what_is_refused_is_explained_and_changes_nothing(repos: AzureRepos, capsys: Output) -> None:
    write()
    repos.refusals = [(404, {}, b'{"message": "TF401180: not found"}')] * 2
    assert main(["pr-comment"]) == 0
    assert warning(capsys) == (
        "pull request 12: HTTP 404: there is none in this repository, or the token may not see it (TF401180: not "
        "found); see 'Limit job authorization scope' in the settings of the project"
    )


def test_the_status_is_set_even_if_the_comment_is_refused(repos: AzureRepos) -> None:
    write()
    repos.refusals = [(500, {}, b"")]
    assert main(["pr-comment"]) == 0
    assert repos.threads == []
    assert len(repos.statuses) == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SYSTEM_PULLREQUEST_PULLREQUESTID", "", "this run is not of a pull request: nothing to do\n"),
        ("SYSTEM_PULLREQUEST_PULLREQUESTID", "$(System.PullRequest.PullRequestId)", "this run is not of a pull req"),
        ("BUILD_REPOSITORY_PROVIDER", "GitHub", "the repository is not in Azure Repos, but GitHub: nothing to do\n"),
        ("BUILD_REPOSITORY_PROVIDER", "", "the repository is not in Azure Repos, but elsewhere: nothing to do\n"),
    ],
)
def test_there_may_be_nothing_to_do(
    repos: AzureRepos, name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv(name, value)
    write()
    assert main(["pr-comment"]) == 0
    assert capsys.readouterr().out.startswith(said)
    assert repos.requests == []


@pytest.mark.parametrize("token", ["", "$(System.AccessToken)"])
def test_a_token_that_is_not_mapped(
    repos: AzureRepos, token: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("SYSTEM_ACCESSTOKEN", token)
    write()
    assert main(["pr-comment"]) == 0
    assert warning(capsys) == (
        "pull request 12: no token, so neither comment nor status; map it in the step: "
        "env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}"
    )
    assert repos.requests == []


def test_a_dry_run_sends_nothing(repos: AzureRepos, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.delenv("SYSTEM_ACCESSTOKEN")
    write(metric_gate(verdict="FAIL", reason="##vso[task.complete result=Succeeded]"))
    assert main(["pr-comment", "--dry-run", "--suite", "smoke"]) == 0
    out = capsys.readouterr().out
    assert "\n# Gate closed: smoke\n" in out
    assert out.endswith("status: llmops/smoke: failed\n")
    assert ado_log.parse(out) == []
    assert repos.requests == []


@pytest.mark.parametrize("suite", ["", " ", "a\nb", "x" * 101])
def test_a_suite_has_a_name(repos: AzureRepos, suite: str, capsys: Output) -> None:
    assert main(["pr-comment", "--suite", suite]) == 4
    assert capsys.readouterr().err == "--suite: give a name of 1 to 100 characters on one line\n"


@pytest.mark.parametrize("text", [*HOSTILE, "@<5d1c3f5e-0000-0000-0000-000000000000>", "#12 !34 @all \\#5", "\\&#6"])
def test_no_text_of_a_model_acts_on_the_page(repos: AzureRepos, text: str) -> None:
    write(
        metric_gate(verdict="FAIL", reason=f"row 1: {text}", details=(text,)),
        cells=(cell_result(output=text),),
    )
    main(["pr-comment"])
    (thread,) = repos.threads
    text = content(thread).removeprefix(MARKER)
    assert "<" not in text
    assert not re.search(r"(?<!&)[@#!](?=[\w<&])", text)
    assert "&#" not in text
    assert "##vso[" not in text


def test_a_long_comment_is_cut_at_the_end_of_a_line(repos: AzureRepos) -> None:
    write(*(metric_gate(name=f"m.é{number}", verdict="FAIL", reason="日本 " * 100) for number in range(1000)))
    main(["pr-comment"])
    text = content(repos.threads[0])
    assert 95_000 < len(text.encode()) <= 100_200
    *_, last, empty, note = text.splitlines()
    assert (last[-1:], empty) == ("|", "")
    assert note == "*The rest does not fit here: see summary.md among the reports of the run.*"


def test_the_body_is_what_was_sent(repos: AzureRepos, capsys: Output) -> None:
    write()
    main(["pr-comment", "--dry-run"])
    shown = capsys.readouterr().out.splitlines()[:-1]
    main(["pr-comment"])
    assert shown == content(repos.threads[0]).splitlines()[1:]
    assert json.loads(Path("reports/gate.json").read_text(encoding="utf-8"))["state"] == "open"
