"""Datasets: where they are found, what is read of them, and gold rows beside the rows of a run."""

from __future__ import annotations

import pytest
from spec_case import Case

FILE = "evals/case/experiment.yaml"
ROWS = "evals/case/data/rows.jsonl"
GOLD = "evals/case/data/gold.jsonl"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "id,text\n1,one\n2,\"two, and\na half\"\n\n3,three\n"),
        ("rows.csv", "\ufeffid,text\n1,one\n2,two\n3,three\n"),
        ("rows.tsv", "id\ttext\n1\tone\n2\ttwo\n3\tthree\n"),
        ("rows.json", '[{"id": 1, "text": "a"}, {"id": 2, "text": "b"}, {"id": 3, "text": "c"}]'),
        ("rows.jsonl", '{"id": 1, "text": "a"}\n\n{"id": 2, "text": "b"}\n{"id": 3, "text": null}'),
        ("rows.txt", '{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n{"id": 3, "text": "c"}\n'),
    ],
)  # fmt: skip
def test_rows_and_columns_of_each_format(case: Case, name: str, text: str) -> None:
    case.write(f"data/{name}", text)
    case.edit("experiment.yaml", "source: rows.jsonl", f"source: {name}")
    dataset = case.load().datasets[0]

    assert (dataset.rows, dataset.columns) == (3, ("id", "text"))


def test_formats_that_are_not_looked_into(case: Case) -> None:
    case.write("data/rows.parquet", "PAR1")
    case.edit("experiment.yaml", "source: rows.jsonl", "source: rows.parquet")
    dataset = case.load().datasets[0]

    assert (dataset.rows, dataset.columns) == (None, None)
    assert dataset.source == case.folder / "data/rows.parquet"


def test_a_folder_is_a_dataset(case: Case) -> None:
    case.edit("experiment.yaml", "source: rows.jsonl", "source: data")

    assert (case.load().datasets[0].source, case.load().datasets[0].rows) == (case.folder / "data", None)


def test_remote_data_is_taken_as_it_is(case: Case) -> None:
    case.edit("experiment.yaml", "source: rows.jsonl", "source: azureml:tickets:3")
    dataset = case.load().datasets[0]

    assert (dataset.remote, dataset.source, dataset.rows) == ("azureml:tickets:3", None, None)


def test_remote_data_without_version(case: Case) -> None:
    case.edit("experiment.yaml", "source: rows.jsonl", "source: azureml:tickets")

    assert case.errors() == [
        f"{FILE}:5: datasets.rows.source: 'azureml:tickets' is no data asset with a version; "
        "write azureml:<name>:<version>"
    ]


def test_shared_datasets_of_the_root(case: Case) -> None:
    shared = case.root / "datasets" / "shared.jsonl"
    shared.parent.mkdir()
    shared.write_text('{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n', encoding="utf-8")
    case.edit("experiment.yaml", "source: rows.jsonl", "source: shared.jsonl")

    assert case.load().datasets[0].source == shared


def test_missing_file_names_the_places_tried(case: Case) -> None:
    case.edit("experiment.yaml", "source: rows.jsonl", "source: row.jsonl")
    case.edit("experiment.yaml", "source: gold.jsonl", "source: elsewhere/x.csv")

    assert case.errors() == [
        f"{FILE}:5: datasets.rows.source: no file 'row.jsonl', looked for evals/case/row.jsonl, "
        "evals/case/data/row.jsonl, datasets/row.jsonl; did you mean 'rows.jsonl'?",
        f"{FILE}:13: evaluators.score.datasets.gold.source: no file 'elsewhere/x.csv', "
        "looked for evals/case/elsewhere/x.csv, evals/case/data/elsewhere/x.csv, datasets/elsewhere/x.csv; "
        "correct the path",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rows.jsonl", '{"text": "a"}\n{"text": }\n',
         ":2: not valid JSON: Expecting value at column 10; correct this line"),
        ("rows.jsonl", '{"text": "a"}\n["b"]\n', ':2: a row is ["b"], not an object; write {"column": value, ...}'),
        ("rows.jsonl", '\ufeff{"text": "a"}\n',
         ":1: starts with a byte order mark, which prompt flow can't read; save it without one"),
        ("rows.jsonl", f'{{"text": {"[" * 100_000}', ":1: not valid JSON: nested too deeply; correct this line"),
        ("rows.json", '{"text": ["a"]}', ":1: is not a list of rows; "
         "write [{...}, {...}], or one row per line in a .jsonl file"),
        ("rows.json", '[\n{"text": "a"},\n?]', ":3: not valid JSON: Expecting value at column 1; correct this line"),
        ("rows.csv", "text\na\nb,c\n", ":3: has 2 fields, but the header has 1; quote fields that hold the separator"),
    ],
)  # fmt: skip
def test_rows_that_can_not_be_read(case: Case, name: str, text: str, message: str) -> None:
    case.write(f"data/{name}", text)
    case.edit("experiment.yaml", "source: rows.jsonl", f"source: {name}")

    assert case.errors() == [f"evals/case/data/{name}{message}"]


def test_rows_that_are_not_utf_8(case: Case) -> None:
    (case.folder / "data/rows.jsonl").write_bytes(b'{"text": "\xff"}\n')

    assert case.errors() == [f"{ROWS}: is not UTF-8 text; save it as UTF-8"]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.json"])
def test_empty_dataset(case: Case, name: str) -> None:
    case.write(f"data/{name}", "")
    case.edit("experiment.yaml", "source: rows.jsonl", f"source: {name}")

    assert case.errors() == [f"{FILE}:5: datasets.rows.source: evals/case/data/{name} has no rows; add rows"]


def test_gold_rows_that_are_too_few(case: Case) -> None:
    case.write("data/gold.jsonl", '{"label": "a"}\n')

    assert case.errors() == [
        f"{FILE}:13: evaluators.score.datasets.gold.source: {GOLD} has 1 row, but {ROWS} has 3 rows; "
        "give each row of the run one gold row, in the same order"
    ]
    assert case.load(max_rows=1).datasets[0].rows == 3


def test_key_that_pairs(case: Case) -> None:
    case.edit("experiment.yaml", "    source: gold.jsonl\n", "    source: gold.jsonl\n    key: id\n")

    assert case.load().evaluators[0].datasets[0].key == "id"


def test_key_that_differs_in_a_row(case: Case) -> None:
    case.edit("experiment.yaml", "    source: gold.jsonl\n", "    source: gold.jsonl\n    key: id\n")
    case.write("data/gold.jsonl", '{"id": 1, "label": "a"}\n{"id": 3, "label": "c"}\n{"id": 2, "label": "b"}\n')

    assert case.errors() == [
        f"{FILE}:14: evaluators.score.datasets.gold.key: in row 2, {GOLD} has 3, but {ROWS} has 2; "
        "put the gold rows in the order of the run's rows"
    ]
    assert case.load(max_rows=1).evaluators[0].datasets[0].key == "id"


@pytest.mark.parametrize(("file", "shown"), [("gold.jsonl", GOLD), ("rows.jsonl", ROWS)])
def test_key_that_a_file_lacks(case: Case, file: str, shown: str) -> None:
    case.edit("experiment.yaml", "    source: gold.jsonl\n", "    source: gold.jsonl\n    key: id\n")
    text = (case.folder / "data" / file).read_text(encoding="utf-8")
    case.write(f"data/{file}", text.replace('"id"', '"idx"'))

    assert case.errors() == [
        f"{FILE}:14: evaluators.score.datasets.gold.key: {shown} has no column 'id'; did you mean 'idx'?"
    ]


@pytest.mark.parametrize(
    ("ids", "what"),
    [
        (("1", "7", "1"), f"key '1' stands in rows 1 and 3 of {GOLD}"),
        (("1", '"1"', "2"), f"key '1' stands in rows 1 and 2 of {GOLD}"),
        (('{"b": 1, "a": 2}', "null", "3"), f"row 2 of {GOLD} has no 'id'"),
        (('""', "2", "3"), f"row 1 of {GOLD} has no 'id'"),
    ],
)
def test_a_key_names_one_row(case: Case, ids: tuple[str, ...], what: str) -> None:
    case.edit("experiment.yaml", "    source: gold.jsonl\n", "    source: gold.jsonl\n    key: id\n")
    case.write("data/rows.jsonl", "".join(f'{{"id": {value}, "text": "t"}}\n' for value in ids))
    case.write("data/gold.jsonl", "".join(f'{{"id": {value}, "label": "l"}}\n' for value in ids))

    assert case.errors() == [f"{FILE}:14: evaluators.score.datasets.gold.key: {what}; give each row a key of its own"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("id", None),
        ("idd", f"14: evaluators.score.datasets.rows.key: {ROWS} has no column 'idd'; did you mean 'id'?"),
        ("text", f"14: evaluators.score.datasets.rows.key: key 'same' stands in rows 1 and 2 of {ROWS}; "
         "give each row a key of its own"),
    ],
)  # fmt: skip
def test_key_of_a_dataset_of_the_experiment(case: Case, key: str, message: str | None) -> None:
    case.write("data/rows.jsonl", '{"id": 1, "text": "same"}\n{"id": 2, "text": "same"}\n')
    case.edit("experiment.yaml", "- name: gold\n    reference: rows\n    source: gold.jsonl\n",
              f"- name: rows\n    # no gold rows\n    description: x\n    key: {key}\n")  # fmt: skip
    case.edit("experiment.yaml", "${data.label}", "${data.text}")

    if message is None:
        assert case.load().evaluators[0].datasets[0].kept == {"id": (1, 2)}
    else:
        assert case.errors() == [f"{FILE}:{message}"]


def test_evaluators_that_name_the_rows_of_a_run_differently(case: Case) -> None:
    case.edit("experiment.yaml", "    source: gold.jsonl\n", "    source: gold.jsonl\n    key: id\n")
    case.append("- {name: other, flow: score, datasets: [{name: rows, key: text, mappings: {label: x, mode: x, "
                "answer: '${run.outputs.answer}'}}]}\n")  # fmt: skip

    assert case.errors() == [
        f"{FILE}:19: evaluators.other: key of dataset 'rows' is 'text' here, but 'id' in 'score'; "
        "name rows by the same column"
    ]


def test_line_number_column(case: Case) -> None:
    text = (case.folder / "data/gold.jsonl").read_text(encoding="utf-8")
    case.write("data/gold.jsonl", text.replace('"id"', '"line_number"'))

    assert case.load().warnings == (
        f"{FILE}:13: evaluators.score.datasets.gold.source: {GOLD} has a column 'line_number', by which prompt flow "
        "joins rows instead of by position; rename the column",
    )


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("reference: rows", "reference: row",
         ["12: evaluators.score.datasets.gold.reference: the experiment has no dataset 'row'; did you mean 'rows'?"]),
        ("    reference: rows\n", "",
         ["11: evaluators.score.datasets.gold.reference: key is missing; gold rows need a source and a reference: "
          "add it"]),
        ("    source: gold.jsonl\n", "",
         ["11: evaluators.score.datasets.gold.source: key is missing; gold rows need a source and a reference: "
          "add it"]),
        ("    reference: rows\n    source: gold.jsonl\n", "",
         ["11: evaluators.score.datasets.gold.name: the experiment has no dataset 'gold'; its datasets: 'rows'"]),
        ("- name: gold\n    reference: rows\n", "- name: rows\n",
         ["12: evaluators.score.datasets.rows.source: 'rows' is a dataset of the experiment, which has its own source; "
          "remove this key, or rename the gold dataset",
          f"14: evaluators.score.datasets.rows.mappings.label: {ROWS} has no column 'label'; "
          "its columns: 'id', 'text'"]),
    ],
)  # fmt: skip
def test_datasets_of_evaluators(case: Case, old: str, new: str, messages: list[str]) -> None:
    case.edit("experiment.yaml", old, new)

    assert case.errors() == [f"{FILE}:{message}" for message in messages]


def test_the_same_run_evaluated_twice(case: Case) -> None:
    case.append("  - {name: again, reference: rows, source: gold.jsonl, mappings: {label: '${data.label}', "
                "mode: x, answer: '${run.outputs.answer}'}}\n")  # fmt: skip

    assert case.errors() == [
        f"{FILE}:18: evaluators.score.datasets.again: dataset 'rows' is evaluated a second time; "
        "make another evaluator of it, or remove one"
    ]
