"""Prompt templates, broken on purpose: lines taken away, answers of few-shot examples given to the wrong question.

What makes a template run stays: Jinja's control lines and expressions, markers of roles, the front matter of a prompty.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

PARTS = 3
"""Number of mutants that lines are dropped in: each line is missing from exactly one of them."""

_FRONT_MATTER = re.compile(r"\A\s*-{3,}[ \t]*\n.*?^-{3,}[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
_ROLE = re.compile(r"\s*#?\s*(system|developer|user|assistant|function|tool)\s*:\s*", re.IGNORECASE)
_ROLE_DETAIL = re.compile(r"\s*##\s*\w+\s*:.*")
_FIELD = re.compile(r"(?P<name>[A-Za-z][\w -]{0,30}):[ \t]*(?P<value>.*?)\s*")


@dataclass(frozen=True, slots=True)
class _Span:
    """Lines from ``start`` up to and without ``end``, as indices."""

    start: int
    end: int


def drop_lines(template: str, part: int) -> str:
    """Drop one third of a template's lines of plain text: the first, second or third one (``part`` 0, 1 or 2)."""
    lines = template.splitlines(keepends=True)
    droppable = [index for index, plain in enumerate(_plain(template, lines)) if plain]
    size = -(-len(droppable) // PARTS)
    dropped = set(droppable[part * size : (part + 1) * size])
    return "".join(line for index, line in enumerate(lines) if index not in dropped)


def swap_answers(template: str) -> str:
    """Give each few-shot example the answer of another one.

    Examples are the assistant's messages of a chat, or else the lines of the last field, such as ``Label: positive``,
    that the template repeats. A template without two different answers stays as it is.
    """
    lines = template.splitlines(keepends=True)
    plain = _plain(template, lines)
    spans = _assistant_messages(lines, plain) or _last_fields(lines, plain)
    swapped = rotate(["".join(lines[span.start : span.end]) for span in spans])
    for span, answer in zip(reversed(spans), reversed(swapped), strict=True):
        lines[span.start : span.end] = [answer]
    return "".join(lines)


def rotate(answers: Sequence[str]) -> list[str]:
    """Move each answer to another example, all by the same distance: the one that changes most examples."""

    def moved(distance: int) -> list[str]:
        return [*answers[distance:], *answers[:distance]]

    def changed(distance: int) -> int:
        return sum(old != new for old, new in zip(answers, moved(distance), strict=True))

    return moved(max(range(len(answers)), key=lambda distance: (changed(distance), -distance))) if answers else []


def _plain(template: str, lines: Sequence[str]) -> list[bool]:
    """Tell for each line whether it is plain text of the prompt."""
    front_matter = _FRONT_MATTER.match(template)
    kept = [match.span() for match in _JINJA.finditer(template)]
    kept += [front_matter.span()] if front_matter else []
    flags, start = [], 0
    for line in lines:
        end = start + len(line)
        touched = any(first < end and start < last for first, last in kept)
        marker = _ROLE.fullmatch(line) or _ROLE_DETAIL.fullmatch(line)
        flags.append(bool(line.strip()) and not touched and not marker)
        start = end
    return flags


def _assistant_messages(lines: Sequence[str], plain: Sequence[bool]) -> list[_Span]:
    """Find what the assistant says in the examples of a chat, up to the first line that is not plain text."""
    markers = [index for index, line in enumerate(lines) if _ROLE.fullmatch(line)]
    spans = []
    for marker, end in zip(markers, [*markers[1:], len(lines)][: len(markers)], strict=True):
        text = (index for index in range(marker + 1, end) if lines[index].strip())
        said = list(itertools.takewhile(lambda index: plain[index], text))
        if "assistant" in lines[marker].lower() and said:
            spans.append(_Span(said[0], said[-1] + 1))
    return spans


def _last_fields(lines: Sequence[str], plain: Sequence[bool]) -> list[_Span]:
    """Find the lines of the field that stands last in each example: the one that the model is to fill in."""
    fields = [(index, match) for index, line in enumerate(lines) if (match := _FIELD.fullmatch(line))]
    if not fields:
        return []
    last = fields[-1][1]["name"]
    answers = (index for index, match in fields if match["name"] == last and match["value"] and plain[index])
    return [_Span(index, index + 1) for index in answers]
