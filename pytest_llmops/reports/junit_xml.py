"""What JUnit files consist of, as pytest writes them: suites of cases, each with its outcomes and output."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from contextlib import suppress

OUTCOMES = ("failure", "error", "skipped")
STREAMS = ("system-out", "system-err")
Identity = tuple[str, str]
"""Class name and name of a case."""

_HEAD = '<?xml version="1.0" encoding="utf-8"?>'
_COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def parse(text: str) -> ET.Element:
    """Read a JUnit file.

    Raises:
        ValueError: where the text is none.
    """
    # Entities, the one danger of XML from elsewhere, need a declaration, and nobody who writes JUnit makes any.
    if "<!DOCTYPE" in text:
        raise ValueError("not a JUnit file (it declares a document type)")
    try:
        root = ET.fromstring(text)  # noqa: S314
    except (ET.ParseError, ValueError) as error:
        raise ValueError(f"not a JUnit file ({error})") from None
    if root.tag not in {"testsuites", "testsuite"}:
        raise ValueError(f"not a JUnit file (its root is '{root.tag}')")
    return root


def written(root: ET.Element) -> str:
    """Write a JUnit file.

    Raises:
        ValueError: where it is nested too deeply to be one.
    """
    try:
        return _HEAD + ET.tostring(root, encoding="unicode")
    except RecursionError:
        raise ValueError("not a JUnit file (nested too deeply)") from None


def identity(case: ET.Element) -> Identity:
    """Return what tells a case from others."""
    return case.get("classname", ""), case.get("name", "")


def outcome(case: ET.Element) -> str | None:
    """Return what became of a case, if it did not pass."""
    return next((tag for tag in OUTCOMES if case.find(tag) is not None), None)


def absorb(parent: ET.Element, child: ET.Element) -> None:
    """Add a child to those that are there: properties to properties, a stream to a stream, but nothing twice."""
    known = parent.find(child.tag) if child.tag in {"properties", *STREAMS} else None
    if known is None:
        parent.append(child)
    elif child.tag == "properties":
        there = [each.attrib for each in known]
        known.extend(each for each in child if each.attrib not in there)
    elif (child.text or "") not in (known.text or ""):
        known.text = f"{known.text}\n{child.text}"


def count(root: ET.Element) -> None:
    """Write into every suite how many cases it has, and what became of them; totals only where there are some."""
    for element in root.iter():
        if not element.tag.startswith("testsuite"):
            continue
        outcomes = [outcome(case) for case in element.iter("testcase")]
        counts = {"tests": len(outcomes)} | {name: outcomes.count(tag) for name, tag in _COUNTS.items()}
        for name, number in counts.items():
            if element.tag == "testsuite" or name in element.attrib:
                element.set(name, str(number))


def seconds(element: ET.Element) -> float:
    """Return the time that an element took; nothing for what Azure DevOps ignores as well."""
    with suppress(ValueError):
        time = float(element.get("time", "0"))
        return time if 0 <= time < math.inf else 0.0
    return 0.0
