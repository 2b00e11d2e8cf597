"""The ``llmops`` command."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from doc_examples import ROOT
from ledger_case import Engine, write_request

from pytest_llmops import __version__
from pytest_llmops.cli import main
from pytest_llmops.ledger import Ledger
from pytest_llmops.spec import json_schema


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"llmops {__version__}\n"


def test_a_command_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 4
    assert capsys.readouterr().err.splitlines()[-1] == "llmops: the following arguments are required: COMMAND"


def test_the_help_tells_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert capsys.readouterr().out.endswith(
        "exit codes:\n"
        "  0    all is well\n"
        "  1    what was found is bad: the gate is closed, no gate noticed, nothing can be told\n"
        "  4    settings, files or the command line are wrong\n"
        "  130  interrupted\n"
    )


COMMANDS = [
    *(["baseline", "save"], ["baseline", "show"], ["baseline", "diff"], ["compare"], ["regate"]),
    *(["gate"], ["merge"], ["pr-comment"], ["report"], ["view"]),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_option_of_a_command_is_in_the_reference(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert f"`llmops {' '.join(command)}" in page
    assert {option for option in options if f"`{option}" not in page} == set()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_says_what_it_does(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command[:-1], "--help"])
    purpose = re.search(rf"^ +{command[-1]}\s+(.+(\n {{9,}}.+)*)", capsys.readouterr().out, re.MULTILINE)
    assert purpose is not None
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    _, said, *_ = capsys.readouterr().out.split("\n\n")
    words = " ".join(purpose[1].split())
    assert " ".join(said.split()) == f"{words[0].upper()}{words[1:]}."


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a ledger that holds one run of three rows, below the working directory."""
    monkeypatch.chdir(tmp_path)
    with closing(Ledger(tmp_path / ".llmops")) as kept:
        Engine(kept).run(write_request(tmp_path))
    return tmp_path / ".llmops"


def test_info_says_what_is_kept(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "info"]) == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(said) == ["runs", "row outcomes", "flows", "size", "oldest", "newest"]
    assert (said["runs"], said["row outcomes"], said["flows"]) == ("1", "3", "shout")
    assert re.fullmatch(r"0\.\d MB", said["size"])
    times = [datetime.fromisoformat(said[name]) for name in ("oldest", "newest")]
    assert times == sorted(times)
    assert all(datetime.now(timezone.utc) - time < timedelta(minutes=1) for time in times)


def test_prune_forgets_what_is_not_used(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "prune", "--older-than", "1d"]) == 0
    assert re.fullmatch(r"removed: 0 runs and row outcomes\nleft: 4, 0\.\d MB\n", capsys.readouterr().out)
    assert main(["ledger", "prune", "--all"]) == 0
    assert re.fullmatch(r"removed: 4 runs and row outcomes\nleft: 0, 0\.\d MB\n", capsys.readouterr().out)
    assert main(["ledger", "info"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if not line.startswith("size")] == [
        *("runs: 0", "row outcomes: 0", "flows: none", "oldest: none", "newest: none"),
    ]


@pytest.mark.parametrize("choice", [(), ("--older-than", "1d", "--all")])
def test_prune_wants_one_choice(choice: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["ledger", "prune", *choice])
    assert end.value.code == 4
    assert "--older-than" in capsys.readouterr().err


def test_prune_wants_a_duration(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "prune", "--older-than", "long"]) == 4
    assert capsys.readouterr().err == (
        "--older-than: 'long' is not a duration; write a number and a unit, such as 90s, 30m, 12h, 7d or 2w\n"
    )


def test_the_ledger_is_where_the_option_or_the_environment_says(
    ledger: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.rename("there")
    monkeypatch.setenv("LLMOPS_LEDGER", "there")
    assert main(["ledger", "info"]) == 0
    monkeypatch.setenv("LLMOPS_LEDGER", "nowhere")
    assert main(["ledger", "info", "--ledger", "there"]) == 0
    capsys.readouterr()
    assert main(["ledger", "info"]) == 4
    assert capsys.readouterr().err == "ledger nowhere: there is none; give the folder of one with --ledger\n"
    assert not Path("nowhere").exists()


@pytest.mark.parametrize("action", [["info"], ["prune", "--all"]])
def test_a_torn_ledger_is_refused(ledger: Path, action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (ledger / "ledger.db").write_bytes(b"torn" * 1000)
    assert main(["ledger", *action]) == 4
    assert capsys.readouterr().err == (
        "ledger .llmops/ledger.db: it is damaged; this session neither reuses nor keeps results from here on; "
        "delete its folder\n"
    )


def test_a_newer_ledger_is_refused(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(ledger / "ledger.db")) as newer:
        newer.execute("PRAGMA user_version = 99")
    assert main(["ledger", "info"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ledger .llmops/ledger.db: written by a newer version of pytest-llmops (format 99, ")
