"""``llmops mutate`` and ``llmops noise`` on a flow that asks a model: what is asked, recorded, replayed and refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai_server import OpenAIServer, serving

from pytest_llmops.cli import main

FILES = {
    "ask.py": (
        "import os\nfrom pathlib import Path\n\nfrom openai import OpenAI\n\n\n"
        "def ask(word: str) -> dict:\n"
        '    prompt = Path(__file__).with_name("ask.jinja2").read_text().replace("{{word}}", word)\n'
        '    url = os.environ.get("STUB_URL", "http://127.0.0.1:9/v1")\n'
        '    client = OpenAI(base_url=url, api_key="k", max_retries=0)\n'
        '    messages = [{"role": "user", "content": prompt}]\n'
        '    answer = client.chat.completions.create(model="tiny", messages=messages)\n'
        '    return {"answer": answer.choices[0].message.content}\n'
    ),
    "ask.jinja2": "Say it loud.\n{{word}}\n",
    "check.py": (
        "def check(answer: str, gold: str) -> dict:\n"
        '    return {"accuracy": int(answer == gold)}\n\n\n'
        "def aggregate(rows: list) -> dict:\n"
        '    return {"accuracy": sum(row["accuracy"] for row in rows) / len(rows)}\n'
    ),
    "rows.jsonl": '{"id": "a", "word": "one", "gold": "ONE"}\n{"id": "b", "word": "two", "gold": "TWO"}\n',
    "experiment.yaml": """
name: asking
flow: ask:ask
datasets:
- {name: rows, source: rows.jsonl, mappings: {word: "${data.word}"}}
evaluators:
- name: check
  flow: check:check
  thresholds: {accuracy: ">= 0.9"}
  datasets:
  - {name: rows, mappings: {answer: "${run.outputs.answer}", gold: "${data.gold}"}}
""",
    "pytest.ini": "[pytest]\n",
}
RECORDED = "cassettes/mutants/drop-lines/ask.json"
DROPPED = "1 line dropped, the first third of ask.jinja2"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with serving() as running:
        running.answers = {f"Say it loud.\n{word}\n": word.upper() for word in ("one", "two")}
        monkeypatch.setenv("STUB_URL", running.url)
        yield running


@pytest.mark.slow
def test_answers_of_mutants_are_recorded_once_and_replayed(
    folder: Path, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = "check.accuracy[ask-rows-default]"
    drop_lines = ["mutate", "experiment.yaml", "--mutations", "drop-lines"]
    assert main([*drop_lines, "--llm", "auto"]) == 0
    assert len(server.requests) == 4
    assert (folder / RECORDED).is_file()
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "asking: which gates notice that the flow is broken?",
        "",
        f"  drop-lines 1/3: {DROPPED}",
        "",
        "  ask-rows-default",
        "    gate            rule    (none)  drop-lines 1/3",
        "    check.accuracy  >= 0.9  1 PASS  0 FAIL, noticed",
        "",
        f"{gate}: noticed 1 of 1",
    ]
    monkeypatch.delenv("STUB_URL")
    assert main(drop_lines) == 0
    assert capsys.readouterr().out == said
    assert len(server.requests) == 4
    (folder / RECORDED).unlink()
    assert main(drop_lines) == 1
    assert capsys.readouterr().out.splitlines()[4:] == [
        "  ask-rows-default",
        "    gate            rule    (none)  drop-lines 1/3",
        "    check.accuracy  >= 0.9  1 PASS  not recorded",
        "",
        "not recorded: drop-lines 1/3; they take about 2 LLM calls and 0 tokens",
        "record their answers with --llm auto; later runs replay them",
        f"{gate}: not tested, no mutant ran",
    ]


@pytest.mark.slow
def test_noise_of_answers_is_measured_and_a_single_recording_is_no_evidence(
    folder: Path, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["noise", "experiment.yaml", "--repeat", "3", "--llm", "auto"]) == 0
    assert len(server.requests) == 6
    table = capsys.readouterr().out.splitlines()[2:5]
    assert table == [
        "ask-rows-default: 3 runs of 2 rows",
        "  metric          mean  sd  lowest  highest  largest diff  rerun SE  rows SE  rows that flip",
        "  check.accuracy     1   0       1        1             0         0        0          0 of 2",
    ]
    monkeypatch.delenv("STUB_URL")
    assert main(["noise", "experiment.yaml", "--repeat", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[5:] == [
        "  all repeats are equal, but answers were replayed: nothing is known of the model's noise now; use --llm live"
    ]
    assert main(["noise", "experiment.yaml", "--repeat", "4"]) == 1
    assert capsys.readouterr().out.splitlines()[3:] == [
        "  ERROR repeat 3 has no recorded answers, and one recording says nothing about noise; ask the model with "
        "--llm auto, which records them, or --llm live: 2 LLM calls for each"
    ]


@pytest.mark.slow
def test_a_model_that_is_not_sure_gets_a_margin_and_repeats(
    folder: Path, server: OpenAIServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "check.py").write_text(
        FILES["check.py"].replace("answer == gold", "answer == gold or int(answer.split()[1]) % 2"), encoding="utf-8"
    )
    text = FILES["experiment.yaml"].replace("mappings: {answer", "key: id, mappings: {answer")
    (folder / "experiment.yaml").write_text(text, encoding="utf-8")
    # Of six answers to the only row three are right, in whatever order the repeats ask.
    (folder / "rows.jsonl").write_text('{"id": "b", "word": "two", "gold": "TWO"}\n', encoding="utf-8")
    server.answers = {}
    assert main(["noise", "experiment.yaml", "--repeat", "6", "--llm", "live"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "ask-rows-default: 6 runs of 1 row",
        "  metric          mean      sd  lowest  highest  largest diff  rerun SE  rows SE  rows that flip",
        "  check.accuracy   0.5  0.5477       0        1             1    0.5477        0          1 of 1",
        "  check.accuracy: share of repeats in which a row flips: b 0.5",
        "  check.accuracy: margin: 1 (95 % of the 15 pairs of repeats differ by at most 1; one row weighs 1)",
        "  check.accuracy: repeat: 7 (an unchanged version passes that margin in 36% of cases with one run, "
        "in at least 95% with 7)",
        "  1 of 1 rows flip in more than 20% of repeats: the flow is too noisy for gates row by row, and no row is "
        "proposed for quarantine; repeat rows, or lower the temperature",
        "",
        "to put into the experiment file, under 'gate:' of 'llmops:':",
        "    repeat: 7",
        "experiment.yaml:9: check.accuracy: margin: 1",
    ]


def test_temperature_is_no_matter_of_recorded_answers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "flow.dag.yaml").write_text("nodes: [{name: a, inputs: {temperature: 0}}]\n")
    assert main(["mutate", "experiment.yaml", "--mutations", "raise-temperature"]) == 1
    assert capsys.readouterr().out.splitlines()[2] == (
        "  raise-temperature: not run: recorded answers can't show it; ask the model, with --llm auto or --llm live"
    )


def test_mutants_are_kept_where_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutate", "experiment.yaml", "--mutations", "truncate-context", "--keep", "kept"]) == 1
    assert '"first_half_of_word": "o"' in (folder / "kept/truncate-context/data/rows.jsonl").read_text(encoding="utf-8")
    assert main(["mutate", "experiment.yaml", "--keep", "kept"]) == 4
    assert capsys.readouterr().err == "--keep kept: it exists already; give a new folder\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["mutate", "experiment.yaml", "--mutations", "drop-lines,swap"],
            "--mutations: there is no mutation 'swap'; there are: "
            "drop-lines, swap-labels, truncate-context, raise-temperature\n",
        ),
        (
            ["noise", "experiment.yaml", "--repeat", "1001"],
            "--repeat 1001: at most 1000 repeats are run; 10 are a good start\n",
        ),
        (
            ["noise", "experiment.yaml", "--variants", "zz"],
            "experiment.yaml: variants: no variant is selected by 'zz'; there are: default\n",
        ),
        (
            ["mutate", "experiment.yaml", "--variants", "zz"],
            "experiment.yaml: variants: no variant is selected by 'zz'; there are: default\n",
        ),
        (
            ["mutate", "experiment.yaml", "--keep", "rows.jsonl/kept"],
            "--keep rows.jsonl/kept: can't be made: Not a directory; give a folder elsewhere\n",
        ),
        (["noise", "."], ".: it is a folder; name one of its experiment files: experiment.yaml\n"),
        (["mutate", "empty"], "empty: it is a folder; name an experiment file; there is no experiment.yaml in it\n"),
        (
            ["noise", "experiment.yaml", "--repeat", "1"],
            "--repeat 1: noise needs at least 2 repeats; 10 are a good start\n",
        ),
    ],
)
def test_usage_errors_are_one_line(
    folder: Path, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "empty").mkdir()
    assert main(arguments) == 4
    assert capsys.readouterr().err == complaint


def test_without_thresholds_there_is_no_gate_to_test(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = FILES["experiment.yaml"].replace('  thresholds: {accuracy: ">= 0.9"}\n', "")
    (folder / "experiment.yaml").write_text(text, encoding="utf-8")
    assert main(["mutate", "experiment.yaml"]) == 4
    assert capsys.readouterr().err == "experiment.yaml: it has no thresholds, so there is no gate to test\n"
