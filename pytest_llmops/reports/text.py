"""Untrusted text made safe to show: what a model or a dataset says must not act on a terminal, an agent or a page."""

from __future__ import annotations

import json
import re
from typing import Any

from pytest_llmops.records.encoding import to_json

# Everything that moves the cursor, hides, or reorders text, except tab, newline and the joiners that scripts need:
# C0, DEL, C1, soft hyphen, zero-width space, bidi marks and overrides, line separators, BOM, tags, lone surrogates.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f\ud800-\udfff]"
)
# The agent searches for "##vso[" with .NET's culture-sensitive IndexOf, which skips characters that have no weight:
# anything that is not printable ASCII may stand in between, but for the end of the line.
_SKIPPED = r"[^\x20-\x7e\r\n]*"
COMMAND = re.compile(rf"#(?={_SKIPPED}#{_SKIPPED}(?:v{_SKIPPED}s{_SKIPPED}o{_SKIPPED})?\[)")
"""The first character of a logging command."""
COMMAND_BEGUN = re.compile(
    rf"#{_SKIPPED}(?:#{_SKIPPED}(?:v{_SKIPPED}(?:s{_SKIPPED}(?:o{_SKIPPED})?)?)?)?\Z",
)
"""The end of a text that what is written next may make a logging command of."""
_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")
# A backslash becomes an entity, so the backslashes put in here are the only ones.
_MARKDOWN = str.maketrans(
    {"\\": "&#92;", "&": "&amp;", "<": "&lt;", **{mark: f"\\{mark}" for mark in ("|", "`", "*", "[", "]", "#", "~")}}
)
_EMPHASIS = re.compile(r"(?<!\w)_|_(?!\w)")


def visible(text: str) -> str:
    """Show control, invisible and text-reordering characters as escapes such as ``\\x1b`` and ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def defuse(text: str) -> str:
    """Break up each logging command that an Azure DevOps agent would run, and leave all else as it is."""
    return COMMAND.sub("# ", text)


def neutralise(text: str) -> str:
    """Make text safe to print: characters visible, and no logging command that an Azure DevOps agent would run."""
    return defuse(visible(text))


def encodable(text: str, encoding: str | None) -> str:
    """Put escapes in place of characters that a stream's encoding lacks: an old code page is no reason to fail."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def one_line(text: str, limit: int = 200) -> str:
    """Make text safe to print on one line of at most ``limit`` characters."""
    line = " ".join(neutralise(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def markdown_cell(text: str, limit: int = 300) -> str:
    """Make text safe for one line of Markdown, in a table or a list: it renders as itself, never as markup."""
    return _EMPHASIS.sub(r"\\_", one_line(text, limit).translate(_MARKDOWN))


def plain(value: Any) -> str:
    """Write any value as text: strings as they are, nothing for None, all else as JSON."""
    encoded = "" if value is None else to_json(value)
    return encoded if isinstance(encoded, str) else json.dumps(encoded, ensure_ascii=False)


def csv_cell(value: Any) -> str:
    """Write a value for CSV so that no spreadsheet takes text for a formula. Numbers stay numbers."""
    text = plain(value)
    is_formula = text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text)
    return ("'" if is_formula else "") + visible(text)
