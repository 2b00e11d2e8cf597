"""What others print never becomes a command, however it is cut into pieces."""

from __future__ import annotations

import re

import pytest
from ado_log import parse
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.ado.guard import LogGuard

PIECES = st.lists(
    st.lists(
        st.sampled_from(
            ["#", "##", "##vso[task.complete result=Failed]", "v", "so", "vso[", "[", "]", "\u200d", "\n", "\r", " "]
        )
    ).map("".join)
    | st.text()
)


def guarded(pieces: list[str]) -> str:
    guard = LogGuard()
    return "".join(map(guard, pieces))


@given(PIECES)
def test_no_pieces_make_a_command(pieces: list[str]) -> None:
    written = guarded(pieces)
    assert parse(written) == []
    assert not re.search(r"#[^\x20-\x7e\r\n]*#[^\x20-\x7e\r\n]*(vso)?\[", written)


@given(PIECES)
def test_nothing_but_spaces_is_added(pieces: list[str]) -> None:
    assert guarded(pieces).replace(" ", "") == "".join(pieces).replace(" ", "")


@given(st.lists(st.text(alphabet="ab#[ \n\x1b")))
def test_what_is_no_command_stays_as_it_is(pieces: list[str]) -> None:
    text = "".join(pieces)
    if not re.search(r"#\x1b*#\x1b*\[", text):
        assert guarded(pieces) == text


@pytest.mark.parametrize(
    ("pieces", "written"),
    [
        (["##vso[task.complete]"], "# #vso[task.complete]"),
        (["a\n##[error]b\n"], "a\n# #[error]b\n"),
        (["#", "#vso[x]"], "# #vso[x]"),
        (["##vs", "o[x]"], "##vs o[x]"),
        (["##v", "", "so", "[x]"], "##vso [x]"),
        (["###", "[x]"], "### [x]"),
        (["#\n", "#[x]"], "#\n#[x]"),
        (["\x1b[31m#\x1b[0m", "#vso[x]"], "\x1b[31m#\x1b[0m#vso[x]"),
        (["## heading", "[1]"], "## heading[1]"),
    ],
)
def test_guarded(pieces: list[str], written: str) -> None:
    assert guarded(pieces) == written
