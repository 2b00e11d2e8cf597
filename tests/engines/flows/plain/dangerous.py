"""A function that hangs, crashes or minds its own business, and counts the lines that came through."""

import os
import re
import signal
import time


def act(what: str, log: str = ""):
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(what + "\n")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "leave":
        os._exit(0)
    if what == "wait":
        time.sleep(60)
    if what == "close":
        os.closerange(3, 256)
    if what == "backtrack":
        # Holds the interpreter's lock all the while.
        re.match(r"(a+)+$", "a" * 60 + "!")
    time.sleep(0.02)
    return what


def aggregate(rows):
    if any(row["output"] == "poison" for row in rows):
        os.kill(os.getpid(), signal.SIGSEGV)
    return {"rows": len(rows)}
