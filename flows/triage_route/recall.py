import json
import re
from collections import Counter
from math import fsum, log
from pathlib import Path

from promptflow.core import tool

EXAMPLES = [json.loads(line) for line in Path(__file__).with_name("examples.jsonl").read_text().splitlines()]


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text.lower()))


FREQUENCY = Counter(word for example in EXAMPLES for word in words(example["ticket"]))


@tool
def recall(ticket: str, count: int) -> list[dict]:
    """Return the examples that share the rarest words with the ticket, the most similar one last."""
    asked = words(ticket)

    def similarity(example: dict) -> float:
        # fsum does not depend on the order of a set, which differs from process to process.
        return fsum(log(len(EXAMPLES) / FREQUENCY[word]) for word in asked & words(example["ticket"]))

    return sorted(EXAMPLES, key=similarity)[-count:]
