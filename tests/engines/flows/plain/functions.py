import contextvars
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from helpers import shout

current = contextvars.ContextVar("current", default="none")


def grade(answer: str, gold: str, weight: int = 1):
    if answer == "boom":
        raise ValueError("boom\nand more")
    return {"correct": weight * (answer == gold)}


def aggregate(rows: list) -> dict:
    return {"accuracy": sum(row["correct"] for row in rows) / len(rows), "n": len(rows)}


def loud(answer: str) -> str:
    return shout(answer)


async def later(answer: str) -> str:
    before = current.get()
    current.set(answer)
    return f"{before} {answer}"


def everything(**columns):
    return columns


def setting(name: str):
    return os.environ.get(name, "unset")


def place(answer: str):
    return os.path.basename(os.getcwd())


def unserializable(answer: str):
    return {"it": object()}


def slow(answer: str):
    time.sleep(0 if answer == "quick" else 30)
    return answer


def die(answer: str):
    os._exit(0)


@dataclass
class Pair:
    left: str
    right: int


def pair(answer: str) -> Pair:
    return Pair(answer, len(answer))


def stuck(answer: str):
    subprocess.Popen(["sleep", "60"])
    time.sleep(60)


def clock(answer: str):
    begun = time.monotonic()
    time.sleep(0.2)
    return {"begun": begun, "ended": time.monotonic()}


def crash(answer: str):
    if answer == "fine":
        return answer
    time.sleep(0.1)
    print("the last words", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGKILL)


def imported(answer: str):
    return {"promptflow": "promptflow" in sys.modules}
