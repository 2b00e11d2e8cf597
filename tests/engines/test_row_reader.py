"""Reading datasets with the standard library."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops.engines.function.rows import read_rows
from pytest_llmops.errors import RunError


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.jsonl", '{"a": 1}\n\n{"a": "x\u2028y"}\r\n', [{"a": 1}, {"a": "x\u2028y"}]),
        ("a.json", '[{"a": 1}, {"b": null}]', [{"a": 1}, {"b": None}]),
        ("a.csv", 'a,b\n1,\n"x, y",2\n', [{"a": "1", "b": ""}, {"a": "x, y", "b": "2"}]),
        ("a.TSV", "a\tb\n1\t2\n3\n", [{"a": "1", "b": "2"}, {"a": "3", "b": ""}]),
    ],
)
def test_formats(tmp_path: Path, name: str, content: str, rows: object) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert read_rows(tmp_path / name) == rows
    assert read_rows(tmp_path) == rows


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": }\n', "a.jsonl:2: not valid JSON: Expecting value at column 7"),
        ("a.jsonl", b"[1]\n", "a.jsonl:1: not a JSON object"),
        ("a.json", b'[\n{"a": 1},\n{"b": }]', "a.json:3: not valid JSON: Expecting value at column 7"),
        ("a.json", b"{}", "a.json: not a list of objects"),
        ("a.jsonl", b"\xef\xbb\xbf{}", "a.jsonl:1: starts with a byte order mark; save the file as UTF-8 without it"),
        ("a.jsonl", b"\xff{}", "a.jsonl: not UTF-8 (invalid start byte at byte 0)"),
        ("a.csv", b"a,b\n1,2,3\n", "a.csv:2: more values than the header has columns"),
        ("a.xlsx", b"", "a.xlsx: can't read .xlsx files; use .jsonl, .json, .csv, .tsv"),
    ],
)
def test_errors(tmp_path: Path, name: str, content: bytes, error: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunError) as caught:
        read_rows(tmp_path / name)
    assert str(caught.value) == error
