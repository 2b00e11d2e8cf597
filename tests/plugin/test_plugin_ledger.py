"""What a session reuses of earlier ones, and of those beside it: counted by flows that note each call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from project import ROWS, Project


class Counted(Project):
    """A project whose evaluator notes its calls too. ``new_calls`` are those since the last question."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        super().__init__(pytester)
        note = 'open(__file__.replace("compare.py", "compared.txt"), "a").write(gold + "\\n")'
        self.replace("compare.py", '    return {"correct"', f'    {note}\n    return {{"correct"')

    def new_calls(self) -> tuple[int, int]:
        """Count the rows that the flow and the evaluator were called with."""
        return self._new("calls.txt"), self._new("compared.txt")

    def _new(self, name: str) -> int:
        path = self.folder / name
        count = len(path.read_text(encoding="utf-8").split()) if path.exists() else 0
        path.unlink(missing_ok=True)
        return count


@pytest.fixture
def counted(pytester: pytest.Pytester, short_sessions: None) -> Counted:
    project = Counted(pytester)
    project.run().assert_outcomes(passed=2)
    assert project.new_calls() == (4, 4)
    return project


def without_ages(report: Any) -> Any:
    """Drop what may differ between a session that executes and one that reuses."""
    if isinstance(report, dict):
        return {k: without_ages(v) for k, v in report.items() if k not in ("created", "duration", "recorded")}
    return [without_ages(item) for item in report] if isinstance(report, list) else report


def test_a_second_session_executes_nothing_and_finds_the_same(counted: Counted) -> None:
    first = without_ages(counted.report())
    counted.run().assert_outcomes(passed=2)
    assert counted.new_calls() == (0, 0)
    assert without_ages(counted.report()) == first
    rows = counted.report()["cells"][0]["run"]["rows"]
    assert all(isinstance(row["recorded"], float) for row in rows)


@pytest.mark.parametrize(
    ("name", "old", "new", "calls"),
    [
        ("compare.py", '"accuracy": sum', '"accuracy": 0.0 + sum', (0, 4)),
        ("shout.py", "word.upper() + ending", "word.upper() + str(ending)", (4, 0)),
        ("shout.py", "word.upper() + ending", "word.title() + ending", (4, 4)),
        ("words.jsonl", '"gold": "4"', '"gold": "four"', (0, 1)),
        ("experiment.yaml", ">= 0.75", ">= 0.7", (0, 0)),
        ("experiment.yaml", "words.jsonl", "./words.jsonl", (0, 0)),
    ],
)
def test_a_change_costs_what_depends_on_it(
    counted: Counted, name: str, old: str, new: str, calls: tuple[int, int]
) -> None:
    counted.replace(name, old, new)
    counted.run()
    assert counted.new_calls() == calls


def test_new_rows_cost_themselves_wherever_they_stand(counted: Counted) -> None:
    more = [{"word": word, "gold": word.upper() + "!"} for word in ("five", "six")]
    counted.write_rows("words.jsonl", [more[0], *ROWS, more[1]])
    counted.run().assert_outcomes(passed=2)
    assert counted.new_calls() == (2, 2)
    assert counted.report()["cells"][0]["evaluations"]["compare"]["result"]["metrics"] == {"accuracy": 5 / 6}


def test_no_cache_executes_all_and_keeps_it(counted: Counted) -> None:
    counted.run("--llmops-no-cache").assert_outcomes(passed=2)
    assert counted.new_calls() == (4, 4)
    counted.run()
    assert counted.new_calls() == (0, 0)


def test_max_age(counted: Counted) -> None:
    counted.run("--llmops-max-age", "1h")
    assert counted.new_calls() == (0, 0)
    counted.run("--llmops-max-age", "0s")
    assert counted.new_calls() == (4, 4)
    result = counted.run("--llmops-max-age", "soon")
    result.stderr.fnmatch_lines(["ERROR: --llmops-max-age: 'soon' is not allowed; give a duration such as 7d"])


def test_another_ledger(counted: Counted) -> None:
    counted.run("--llmops-ledger", "elsewhere")
    assert counted.new_calls() == (4, 4)
    assert (counted.path / "elsewhere" / "ledger.db").exists()


def test_failed_rows_are_tried_again(counted: Counted) -> None:
    counted.write_rows("words.jsonl", [*ROWS, {"word": "crash", "gold": ""}])
    counted.run()
    assert counted.new_calls() == (1, 0)
    counted.run()
    assert counted.new_calls() == (1, 0)


@pytest.mark.parametrize("arguments", [("-p", "no:xdist"), ("-n", "2")])
def test_a_torn_ledger_costs_its_contents_and_is_said(counted: Counted, arguments: tuple[str, ...]) -> None:
    ledger = counted.path / ".llmops" / "ledger.db"
    ledger.write_bytes(b"torn" * 1000)
    result = counted.run(*arguments)
    result.assert_outcomes(passed=2)
    assert counted.new_calls() == (4, 4)
    result.stdout.fnmatch_lines(["*ledger.db: *"])
    assert ledger.read_bytes() == b"torn" * 1000


def test_sessions_side_by_side_execute_each_row_once(pytester: pytest.Pytester) -> None:
    project = Counted(pytester)
    project.replace("shout.py", '    if word == "crash"', '    __import__("time").sleep(0.1)\n    if word == "crash"')
    project.write_rows("words.jsonl", [{"word": f"w{n}", "gold": f"W{n}!"} for n in range(30)])
    command = [sys.executable, "-m", "pytest", "evals", "-q", "-p", "no:cacheprovider", "--llmops-report-dir"]
    sessions = [
        subprocess.Popen([*command, f"reports{n}"], cwd=project.path, stdout=subprocess.DEVNULL) for n in range(3)
    ]
    assert [session.wait() for session in sessions] == [0, 0, 0]
    assert project.new_calls() == (30, 30)


@pytest.mark.usefixtures("own_processes")
def test_all_reused_starts_no_process(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: Any, **options: Any) -> Any:
        assert command[0] == "git", "a process was started"
        return popen(command, **options)

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", refuse)
    counted.run("-p", "no:xdist").assert_outcomes(passed=2)


def test_variants_of_a_value_whose_name_sounds_secret_are_not_shared(counted: Counted) -> None:
    counted.write(
        "shout.py",
        """
        class Shout:
            def __init__(self, sort_key: str = "a"):
                self.sort_key = sort_key

            def __call__(self, word: str) -> dict:
                return {"loud": word + self.sort_key}
        """,
    )
    counted.replace("experiment.yaml", "shout:shout", "shout:Shout")
    text = (counted.folder / "experiment.yaml").read_text(encoding="utf-8")
    counted.write("experiment.yaml", text + 'llmops: {variants: {overrides: {init.sort_key: ["a", "b"]}}}\n')
    counted.run()
    outputs = [cell["run"]["rows"][0]["output"]["loud"] for cell in counted.report()["cells"]]
    assert sorted(outputs) == ["onea", "oneb"]


def test_what_a_flow_reads_elsewhere_counts(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = counted.path / "endings" / "helper.py"
    helper.parent.mkdir()
    helper.write_text("import os\n\ndef ending():\n    return os.environ.get('ENDING', '!')\n", encoding="utf-8")
    counted.replace(
        "shout.py",
        "from pathlib import Path\n",
        f"import sys\nsys.path.append({str(helper.parent)!r})\nfrom pathlib import Path\n",
    )
    counted.replace("shout.py", "word.upper() + ending", "word.upper() + __import__('helper').ending()")
    counted.run()
    assert counted.new_calls() == (4, 0)
    monkeypatch.setenv("ENDING", "?")
    counted.run()
    assert counted.new_calls() == (4, 4)
    monkeypatch.delenv("ENDING")
    counted.run()
    assert counted.new_calls() == (0, 0)
    helper.write_text(helper.read_text(encoding="utf-8").replace("'!'", "'.'"), encoding="utf-8")
    counted.run()
    assert counted.new_calls() == (4, 4)
    assert not Path(counted.path / "evals" / ".llmops").exists()
