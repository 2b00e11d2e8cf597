import os
import signal
import sys
import time

from promptflow.core import tool


@tool
def act(what: str):
    if what == "raise":
        raise ValueError("first\nsecond")
    if what == "object":
        return object()
    if what == "exit":
        sys.exit(3)
    if what == "os._exit":
        time.sleep(0.1)
        print("the last words")
        sys.stdout.flush()
        os._exit(3)
    if what == "kill":
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "segfault":
        time.sleep(0.1)
        import ctypes

        ctypes.string_at(0)
    if what == "sleep":
        time.sleep(60)
    if what == "nan":
        return float("nan")
    if what == "tuple":
        return (1, 2)
    if what == "leak":
        raise ValueError(f"key {os.environ['LLMOPS_TEST_SECRET']} is wrong")
    return what
