"""What looks like personal data, and how sure each pattern is of it."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Detection(NamedTuple):
    """A piece of a message that may be personal data; ``confidence`` is between 0 and 1."""

    start: int
    end: int
    label: str
    confidence: float


class Detector(NamedTuple):
    """A pattern for one kind of data. Its group ``data``, or else the whole match, is what is detected."""

    label: str
    confidence: float
    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool] = lambda _: True


def luhn(number: str) -> bool:
    """Tell whether the check digit of a payment card number is right."""
    digits = [int(character) for character in number if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(account: str) -> bool:
    """Tell whether the check digits of an IBAN are right."""
    compact = account.replace(" ", "")
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


NAME = r"[A-Z]\w+(?: [A-Z]\w+){1,2}"
DETECTORS = (
    Detector("EMAIL", 1.0, re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    Detector("IBAN", 0.95, re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"), iban),
    Detector("CARD", 0.9, re.compile(r"\b(?:\d{4}[ -]?){3}\d{4}\b"), luhn),
    Detector("PHONE", 0.85, re.compile(r"\+\d{2}(?: ?\d{2,4}){3,5}\b")),
    Detector("BIRTHDAY", 0.7, re.compile(r"\bborn (?:on )?(?P<data>\d{1,2}[./]\d{1,2}[./]\d{4})")),
    Detector("NAME", 0.6, re.compile(rf"\b(?:[Mm]y name is|I am|regards,|wishes,|Sincerely,)\s+(?P<data>{NAME})")),
    Detector("PHONE", 0.6, re.compile(r"\b0\d{3,4} \d{6,7}\b")),
    Detector("ADDRESS", 0.5, re.compile(r"\b\d{1,4} [A-Z]\w+ (?:Street|Road|Lane|Court|Avenue)\b")),
    Detector("NUMBER", 0.4, re.compile(r"\b\d(?:[ -]?\d){6,}\b")),
    Detector("NAME", 0.3, re.compile(rf"\b{NAME}")),
)


def detect(message: str) -> Iterator[Detection]:
    """Find everything in a message that may be personal data; detections may overlap."""
    for label, confidence, pattern, is_valid in DETECTORS:
        for match in pattern.finditer(message):
            group = "data" if "data" in pattern.groupindex else 0
            if is_valid(match[group]):
                yield Detection(*match.span(group), label, confidence)
