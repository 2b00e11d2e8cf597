"""The page on messages quotes texts that the package has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from doc_examples import ROOT

PAGE = ROOT / "docs" / "reference" / "errors.md"
_MESSAGE = re.compile(r"^\| `(.+?)` \|", re.MULTILINE)


def texts(file: Path) -> list[str]:
    """Return the texts in a module, literal parts of f-strings and format strings included."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.fixture(scope="module")
def known() -> str:
    return "\n".join(text for file in sorted((ROOT / "pytest_llmops").rglob("*.py")) for text in texts(file))


@pytest.mark.parametrize("message", _MESSAGE.findall(PAGE.read_text(encoding="utf-8")))
def test_a_message_is_one_of_the_package(message: str, known: str) -> None:
    parts = [part.strip("' ") for part in message.split("…")]
    assert [part for part in parts if part not in known] == []
