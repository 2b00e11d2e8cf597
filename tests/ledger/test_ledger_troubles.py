"""A ledger that can't be used: a line that says so, and a run that is as correct as without one."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledger_case import Engine, lines_of

from pytest_llmops.ledger import Info, Ledger
from pytest_llmops.records.run import Outcome, Reads, Row, RunRequest

Ledgers = Callable[..., Ledger]
Requests = Callable[..., RunRequest]

REST = "this session neither reuses nor keeps results from here on"


@pytest.fixture(autouse=True)
def _named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def assert_runs_without(ledger: Ledger, request: RunRequest, trouble: str) -> None:
    """Whatever is asked of the ledger, all lines are executed each time, and there is one line about the trouble."""
    for _ in range(2):
        engine = Engine(ledger)
        result = engine.run(request)
        assert [row.output for row in result.rows] == [{"loud": "A"}, {"loud": "B"}, {"loud": "C"}]
        assert len(engine.executed) == 3
    assert not ledger.explain(request).reused
    assert (ledger.info(), ledger.prune()) == (Info(), 0)
    assert ledger.troubles == (trouble,)


def run_once(ledger: Ledger, request: RunRequest) -> None:
    Engine(ledger).run(request)
    ledger.close()


@pytest.mark.parametrize("torn", ["header", "half", "text", "empty middle"])
def test_torn_file(torn: str, open_ledger: Ledgers, request_of: Requests) -> None:
    file, request = Path(".llmops/ledger.db"), request_of()
    run_once(open_ledger(), request)
    content = file.read_bytes()
    file.write_bytes(
        {
            "header": b"SQLite format 4\0" + content[16:],
            "half": content[: len(content) // 3],
            "text": b"not a database, but long enough to be one" * 99,
            "empty middle": content[:100] + bytes(len(content) - 100),
        }[torn]
    )
    assert_runs_without(open_ledger(), request, f"ledger .llmops/ledger.db: it is damaged; {REST}; delete its folder")


def test_damaged_entries_are_not_used(open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of()
    run_once(open_ledger(), request)
    with closing(sqlite3.connect(".llmops/ledger.db")) as connection, connection:
        connection.execute("UPDATE outcomes SET content = replace(content, 'B', 'X')")
    ledger, engine = open_ledger(), None
    for executed in (1, 0):
        engine = Engine(ledger)
        assert [row.output for row in engine.run(request).rows] == [{"loud": "A"}, {"loud": "B"}, {"loud": "C"}]
        assert len(engine.executed) == executed
    assert ledger.troubles == (
        "ledger .llmops/ledger.db: some entries are damaged and are not used; delete its folder if that happens again",
    )


@pytest.mark.parametrize("column", ["runs.content", "runs.feed", "runs.reads", "reads.found", "contexts.ingredients"])
def test_damage_anywhere_gives_no_wrong_result(column: str, open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of()
    ledger = open_ledger()
    Engine(ledger, reads=Reads(variables={"PATH_TO_NOTHING": None})).run(request)
    ledger.close()
    table, name = column.split(".")
    with closing(sqlite3.connect(".llmops/ledger.db")) as connection, connection:
        connection.execute(f"UPDATE {table} SET {name} = substr({name}, 2)")
    assert open_ledger().explain(request).reused is (table == "contexts")
    result = Engine(open_ledger()).run(request)
    assert [row.output for row in result.rows] == [{"loud": "A"}, {"loud": "B"}, {"loud": "C"}]
    assert result.metrics == {"count": 3}


def test_newer_version(open_ledger: Ledgers, request_of: Requests) -> None:
    run_once(open_ledger(), request_of())
    with closing(sqlite3.connect(".llmops/ledger.db")) as connection:
        connection.execute("PRAGMA user_version = 9")
    assert_runs_without(
        open_ledger(),
        request_of(),
        "ledger .llmops/ledger.db: written by a newer version of pytest-llmops (format 9, known here: 1); "
        f"{REST}; upgrade pytest-llmops, or give another folder with --llmops-ledger",
    )


def test_database_of_another_program(open_ledger: Ledgers, request_of: Requests) -> None:
    Path(".llmops").mkdir()
    with closing(sqlite3.connect(".llmops/ledger.db")) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    assert_runs_without(
        open_ledger(),
        request_of(),
        f"ledger .llmops/ledger.db: it is another program's database; {REST}; give another folder with --llmops-ledger",
    )


def test_folder_that_cannot_be_made(open_ledger: Ledgers, request_of: Requests) -> None:
    Path(".llmops").write_text("a file", encoding="utf-8")
    ledger = open_ledger()
    assert len(Engine(ledger).run(request_of()).rows) == 3
    assert ledger.troubles == (
        "ledger .llmops/ledger.db: its folder can't be made, because a file has that name; "
        f"{REST}; give a folder that can be written with --llmops-ledger",
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(open_ledger: Ledgers, request_of: Requests) -> None:
    run_once(open_ledger(), request_of())
    Path(".llmops/ledger.db").chmod(0o400)
    Path(".llmops").chmod(0o500)
    try:
        assert_runs_without(
            open_ledger(),
            request_of(),
            f"ledger .llmops/ledger.db: it can't be opened for writing; {REST}; "
            "give a folder that can be written with --llmops-ledger",
        )
    finally:
        Path(".llmops").chmod(0o700)


def test_file_that_cannot_be_written(open_ledger: Ledgers, request_of: Requests) -> None:
    """What SQLite says of a file on a read-only disk, which holds for root too."""
    run_once(open_ledger(), request_of())
    ledger = open_ledger()
    ledger._access.attempt(lambda database: database._connection.execute("PRAGMA query_only = ON"), None)
    assert len(Engine(ledger).run(request_of(data=[{"word": "new"}])).rows) == 1
    assert ledger.troubles == (
        f"ledger .llmops/ledger.db: it can't be opened for writing; {REST}; "
        "give a folder that can be written with --llmops-ledger",
    )


def test_full_disk(open_ledger: Ledgers, request_of: Requests) -> None:
    """The disk fills up in the middle of a run."""
    ledger = open_ledger()
    request = request_of(data=[{"word": str(number)} for number in range(60)])
    run_once(open_ledger(), request_of())
    ledger._access.attempt(lambda database: database._connection.execute("PRAGMA max_page_count = 30"), None)
    engine = Engine(ledger, answer=lambda inputs: {"loud": inputs["word"] * 1000})
    result = engine.run(request)
    assert [row.output for row in result.rows] == [{"loud": str(number) * 1000} for number in range(60)]
    assert len(engine.executed) == 60
    assert ledger.troubles == (
        f"ledger .llmops/ledger.db: the disk is full; {REST}; make room, for example with 'llmops ledger prune'",
    )
    again = Engine(open_ledger(), answer=lambda inputs: {"loud": inputs["word"] * 1000})
    assert [row.output for row in again.run(request).rows] == [row.output for row in result.rows]
    assert 0 < len(again.executed) < 60


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(".llmops/ledger.db", isolation_level=None)
connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def test_locked_by_another_process(open_ledger: Ledgers, request_of: Requests) -> None:
    run_once(open_ledger(), request_of())
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert_runs_without(
            open_ledger(patience=0.05),
            request_of(data=[{"word": "a"}, {"word": "b"}, {"word": "c"}]),
            f"ledger .llmops/ledger.db: another process holds it locked; {REST}; "
            "end that process, or delete the ledger's folder",
        )
        holder.communicate()


def test_a_ledger_that_is_closed_knows_nothing(open_ledger: Ledgers, request_of: Requests) -> None:
    ledger = open_ledger()
    with ledger.journal(request_of()) as journal:
        ledger.close()
        known, mine = journal.take(lines_of(request_of()))
        journal.keep([Outcome(row=Row(line_number=0, inputs={}, output={}))], Reads())
    assert (known, list(mine), ledger.troubles) == ({}, [0, 1, 2], ())


def test_a_flow_without_a_key_is_run(open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of(column_mapping={"word": object})
    ledger = open_ledger()
    for _ in range(2):
        engine = Engine(ledger)
        engine.run(request)
        assert len(engine.executed) == 3
    assert ledger.troubles == (
        "ledger .llmops/ledger.db: flow 'shout' is neither reused nor kept, as its key can't be made: "
        "Object of type type is not JSON serializable",
    )


KEYLESS = "ledger .llmops/ledger.db: flow 'shout' is neither reused nor kept, as its key can't be made: "


def shut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one folder be one that nobody may list: for root, who runs tests in containers, there is none."""
    scandir, listdir = os.scandir, os.listdir

    def refusing(real: Callable[[str], Any]) -> Callable[[str], Any]:
        def listed(path: str) -> Any:
            if Path(path) == folder:
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return real(path)

        return listed

    monkeypatch.setattr(os, "scandir", refusing(scandir))
    monkeypatch.setattr(os, "listdir", refusing(listdir))


def assert_executes_all(ledger: Ledger, request: RunRequest, trouble: str) -> None:
    for _ in range(2):
        engine = Engine(ledger)
        engine.run(request)
        assert len(engine.executed) == 3
    assert ledger.troubles == (trouble,)


def test_a_flow_with_a_folder_that_can_t_be_listed_is_run(
    open_ledger: Ledgers, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of()
    run_once(open_ledger(), request)
    shut(request.flow.folder / "lib", monkeypatch)
    ledger = open_ledger()
    assert_executes_all(ledger, request, f"{KEYLESS}[Errno 13] it can't be read: 'lib'")
    assert ledger.explain(request).reasons == ("its key can't be made: [Errno 13] it can't be read: 'lib'",)


def test_a_flow_with_a_link_to_a_pipe_or_to_itself_is_run(open_ledger: Ledgers, request_of: Requests) -> None:
    request = request_of()
    os.mkfifo("pipe")
    link = request.flow.folder / "words.txt"
    link.symlink_to(Path("pipe").absolute())
    assert_executes_all(open_ledger(), request, f"{KEYLESS}[Errno 13] it can't be read: 'words.txt'")
    link.unlink()
    link.symlink_to(link)
    assert_executes_all(open_ledger(), request, f"{KEYLESS}[Errno 13] it can't be read: 'words.txt'")


def test_a_folder_of_data_that_can_t_be_listed_gives_no_key(
    open_ledger: Ledgers, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path("pages").absolute()
    (folder / "deep").mkdir(parents=True)
    request = request_of(data=folder)
    shut(folder / "deep", monkeypatch)
    ledger = open_ledger()
    with ledger.journal(request) as journal:
        assert journal.finished() is None
    assert ledger.troubles == (f"{KEYLESS}[Errno 13] it can't be read: 'deep'",)


def test_a_folder_that_is_shut_while_the_flow_runs_is_a_change(
    open_ledger: Ledgers, request_of: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of()

    def answer(inputs: Any) -> dict[str, str]:
        shut(request.flow.folder / "lib", monkeypatch)
        return {"loud": inputs["word"]}

    ledger = open_ledger()
    Engine(ledger, answer).run(request)
    assert ledger.troubles == (
        "ledger .llmops/ledger.db: files of flow 'shout' changed while it ran (lib), "
        "so what it gave since is not kept; if it writes them, have it write elsewhere",
    )
