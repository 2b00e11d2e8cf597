"""The libraries of the page are those that its README names, and can stand in a page."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from pytest_llmops.reports import page

VENDOR = Path(page.__file__).parent / "vendor"
APP = Path(page.__file__).parent / "app"
TABLE = re.compile(r"\| `(.+?)` \|.*\| `([0-9a-f]{64})` \|")
LIBRARIES = dict(TABLE.findall((VENDOR / "README.md").read_text(encoding="utf-8")))


def test_the_table_names_every_library() -> None:
    assert sorted(LIBRARIES) == sorted(file.name for file in VENDOR.glob("*.js"))


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_is_the_one_of_the_table_and_has_its_licence(name: str) -> None:
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == LIBRARIES[name]
    assert (VENDOR / name).with_suffix(".LICENSE").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("file", [*VENDOR.glob("*.js"), *APP.iterdir()], ids=lambda file: file.name)
def test_no_file_ends_the_element_that_it_stands_in(file: Path) -> None:
    # A carriage return would be another character to the browser than to the hash in the page's policy.
    assert not re.search(rb"</(script|style)|<!--|\r", file.read_bytes(), re.IGNORECASE)


def test_no_two_scripts_of_the_page_declare_the_same_name() -> None:
    # They share one scope, in which a second declaration leaves the whole page blank.
    declared = re.compile(r"^(?:async )?(?:const|let|class|function) ([\w$]+|\{[^}]*\})", re.MULTILINE)
    names = [
        name
        for file in APP.glob("*.js")
        for found in declared.findall(file.read_text(encoding="utf-8"))
        for name in re.findall(r"[\w$]+", found)
    ]
    assert [name for name, times in Counter(names).items() if times > 1] == []
