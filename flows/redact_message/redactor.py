from statistics import fmean
from typing import TypedDict

from detectors import Detection, detect


class Redaction(TypedDict):
    """A message without the personal data that was found in it, and the kinds of it in the order of the text."""

    text: str
    labels: list


class Redactor:
    """Replaces personal data in customer messages by placeholders such as ``[EMAIL]``.

    ``threshold`` is the confidence from which on a detection is believed: lower values hide more, needed details too.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        # Prompt flow hands over a default that it read from this signature as text.
        self._threshold = float(threshold)

    def __call__(self, *, message: str) -> Redaction:
        """Redact one message."""
        chosen = self._choose(message)
        text = message
        for found in reversed(chosen):
            text = f"{text[: found.start]}[{found.label}]{text[found.end :]}"
        return Redaction(text=text, labels=[found.label for found in chosen])

    def __aggregate__(self, results: list[Redaction]) -> dict[str, float]:
        """Log how much was redacted over all messages."""
        counts = [len(result["labels"]) for result in results]
        return {
            "redactions_per_message": fmean(counts),
            "untouched_rate": fmean(count == 0 for count in counts),
        }

    def _choose(self, message: str) -> list[Detection]:
        """Keep what is believed, in the order of the text; of detections that overlap, the surest and longest."""
        believed = [found for found in detect(message) if found.confidence >= self._threshold]
        chosen: list[Detection] = []
        for found in sorted(believed, key=lambda found: (-found.confidence, found.start - found.end)):
            if all(found.end <= other.start or other.end <= found.start for other in chosen):
                chosen.append(found)
        return sorted(chosen)
