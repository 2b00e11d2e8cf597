"""The text of prompts, compared line by line: what a template says between its expressions, and whether it is there."""

from __future__ import annotations

import re
from collections.abc import Iterator

_FRONT_MATTER = re.compile(r"\A\s*-{3,}[ \t]*\n(.*?)^-{3,}[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_OPENING = re.compile(r"\{[%{#]")
_CLOSING = {"{%": "%}", "{{": "}}", "{#": "#}"}
_ROLE = re.compile(r"#?\s*(system|developer|user|assistant|function|tool)\s*:", re.IGNORECASE)
_EXPRESSION = "\0"
"""Stands where an expression of a template was."""


def front_matter(text: str) -> str:
    """Return the YAML above a prompt; empty where there is none."""
    match = _FRONT_MATTER.match(text)
    return match[1] if match else ""


def lines_of(template: str) -> list[tuple[str, ...]]:
    """Return the lines of a template that say something, each as what stands between its expressions.

    Markers of roles are left out: they are messages in code.
    """
    body = _FRONT_MATTER.sub("", template.replace(_EXPRESSION, ""), count=1)
    lines = (line.strip() for line in _without_expressions(body).splitlines())
    return [pieces for line in lines if not _ROLE.fullmatch(line) and (pieces := tuple(_pieces(line)))]


def missing_lines(template: str, text: str) -> tuple[list[str], int]:
    """Return the lines of a template that a ``folded`` text lacks, and how many the template has."""
    lines = lines_of(template)
    lacking = [pieces for pieces in lines if not all(_is_in(piece, text) for piece in pieces)]
    return [" … ".join(pieces) for pieces in lacking], len(lines)


def folded(text: str) -> str:
    """Make all white space of a text single blanks."""
    return " ".join(text.split())


def unescaped(text: str) -> Iterator[str]:
    """Yield a text of code, and, where it may be a format, what it says once it is formatted."""
    yield text
    if "{{" in text:
        yield text.replace("{{", "{").replace("}}", "}")


def _without_expressions(template: str) -> str:
    """Put a mark in place of each expression, statement and comment of Jinja, in one pass over the text."""
    kept: list[str] = []
    unclosed: set[str] = set()
    position = 0
    for match in _OPENING.finditer(template):
        closing = _CLOSING[match[0]]
        if match.start() < position or closing in unclosed:
            continue
        end = template.find(closing, match.end())
        if end < 0:
            unclosed.add(closing)
            continue
        kept += (template[position : match.start()], _EXPRESSION)
        position = end + len(closing)
    return "".join((*kept, template[position:]))


def _pieces(line: str) -> Iterator[str]:
    for piece in line.split(_EXPRESSION):
        if any(map(str.isalnum, piece)):
            yield folded(piece)


def _is_in(piece: str, text: str) -> bool:
    """Tell whether a piece stands in a text as words of their own: "none" is no part of "nonetheless"."""
    start = text.find(piece)
    while start >= 0:
        end = start + len(piece)
        before, after = text[start - 1 : start], text[end : end + 1]
        if not (piece[0].isalnum() and before.isalnum()) and not (piece[-1].isalnum() and after.isalnum()):
            return True
        start = text.find(piece, start + 1)
    return False
