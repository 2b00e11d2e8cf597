"""Long operations of Azure: begun, waited for, and looked at where the answer was lost.

A request that failed may have done its work: the connection broke after it, or a repetition met what it had made. So
the failure is not believed before a look at what is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Any, Literal

from pytest_llmops.azure.failures import installed, translated
from pytest_llmops.durations import format_duration
from pytest_llmops.errors import AccessError, CloudError

Outcome = Literal["under way", "done", "not done"]

_HEARTBEAT = 60.0  # seconds
_LOOKS = (0.1, 0.5, 1.0, 2.0, 5.0)
"""How long to wait between looks at what became of something, in seconds; the last one from then on."""
_CHANGING = frozenset({"Creating", "Updating", "Deleting", "Provisioning"})


def outcome_of(state: str | None) -> Outcome:
    """Tell by its provisioning state what became of a resource."""
    if state in _CHANGING:
        return "under way"
    return "done" if state == "Succeeded" else "not done"


def carry_out(
    what: str,
    begin: Callable[[], Any],
    look: Callable[[], Outcome],
    patience: float,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Begin a long operation and wait for its end, at most for ``patience`` seconds.

    ``begin`` returns a poller of Azure's libraries. ``look`` tells what became of it. Now and then ``say`` is told that
    it goes on.

    Raises:
        AccessError: where it was not begun, for want of a right to it.
        CloudError: where it failed.
    """
    _silence()
    end, problem = time.monotonic() + patience, None
    try:
        with translated(what):
            poller = begin()
    except CloudError as error:
        problem = error
    with begun(what):
        if problem is None:
            problem = _awaited(what, poller, end, say)
        if problem is not None and settled(look, end) != "done":
            raise problem


def settled(look: Callable[[], Outcome], end: float) -> Outcome:
    """Return what became of something, once that is decided, or the monotonic clock is at ``end``."""
    for wait in chain(_LOOKS, repeat(_LOOKS[-1])):
        outcome = look()
        if outcome != "under way" or time.monotonic() >= end:
            break
        time.sleep(wait)
    return outcome


@contextmanager
def begun(what: str) -> Iterator[None]:
    """Surround what follows the beginning of a change: a login that ends then does not mean that nothing happened.

    Raises:
        CloudError: in place of an AccessError.
    """
    try:
        with translated(what):
            yield
    except AccessError as error:
        raise CloudError(str(error)) from error


def _awaited(what: str, poller: Any, end: float, say: Callable[[str], None]) -> CloudError | None:
    """Wait for the end of an operation, and return what went wrong."""
    begun = time.monotonic()
    try:
        with translated(what):
            while not poller.done() and time.monotonic() < end:
                poller.wait(min(_HEARTBEAT, end - time.monotonic()))
                if not poller.done():
                    say(f"{what}: still under way, after {format_duration(round(time.monotonic() - begun))}")
            if poller.done():
                poller.result()
                return None
    except CloudError as error:
        return error
    return CloudError(f"{what}: not done after {format_duration(round(time.monotonic() - begun))}")


def _silence() -> None:
    """Keep Azure's poller from printing a dot at each look, which it does from a thread, to standard output."""
    with installed():
        from azure.ai.ml._utils import _azureml_polling
    vars(_azureml_polling).setdefault("print", lambda *values, **options: None)
