import os
from dataclasses import dataclass

from promptflow.tracing import trace


@dataclass
class Answer:
    number: int
    text: str


@trace
def double(number: int, suffix: str = "") -> Answer:
    if number < 0:
        raise ValueError("too small")
    return Answer(number=2 * number, text=f"{2 * number} {os.environ['LLMOPS_TEST_UNIT']}{suffix}")


async def triple(number: int):
    return 3 * number


async def fail_later(number: int):
    raise KeyError("later")


def in_parts(number: int):
    yield from ("a", "b", str(number))
