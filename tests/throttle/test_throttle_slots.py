"""Slots of the limit's server: order, and what happens when a holder or the server ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from pytest_llmops.errors import RunError
from pytest_llmops.throttle import LimitServer
from pytest_llmops.throttle.limit import SUCCEEDED, UNKNOWN, Outcome
from pytest_llmops.throttle.slots import Slot, Slots

GONE = re.escape("the process that limits concurrent LLM calls has ended; run again")
HOLDER = """
import sys, time
from pytest_llmops.throttle.slots import Slots
slots = Slots(sys.argv[1])
slots.take().granted.result()
waiting = slots.take()
print("held", flush=True)
time.sleep(60)
"""


def granted(slot: Slot) -> bool:
    slot.granted.result(timeout=5)
    return True


def test_slots_are_given_in_the_order_in_which_they_were_asked_for(one_slot: LimitServer) -> None:
    slots = Slots(one_slot.address)
    holder, *waiting = [slots.take() for _ in range(20)]
    order: list[int] = []
    for number, slot in enumerate(waiting):
        slot.granted.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
    for slot in (holder, *waiting):
        assert granted(slot)
        slot.give_back(SUCCEEDED)
    assert order == list(range(19))


def test_processes_share_the_slots(one_slot: LimitServer) -> None:
    here, there = Slots(one_slot.address), Slots(one_slot.address)
    first = here.take()
    assert granted(first)
    second = there.take()
    assert not second.granted.done()
    first.give_back(SUCCEEDED)
    assert granted(second)


def test_a_place_in_the_queue_can_be_left(one_slot: LimitServer) -> None:
    slots = Slots(one_slot.address)
    first, second, third = slots.take(), slots.take(), slots.take()
    assert granted(first)
    second.give_back(UNKNOWN)
    first.give_back(SUCCEEDED)
    assert granted(third)
    assert not second.granted.done()


def test_giving_back_twice_counts_once(one_slot: LimitServer) -> None:
    slots = Slots(one_slot.address)
    first = slots.take()
    assert granted(first)
    first.give_back(SUCCEEDED)
    first.give_back(SUCCEEDED)
    second, third = slots.take(), slots.take()
    assert granted(second)
    assert not third.granted.done()


def test_a_killed_holder_frees_its_slot_and_its_place_in_the_queue(one_slot: LimitServer) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, one_slot.address], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        slot = Slots(one_slot.address).take()
        assert not slot.granted.done()
        holder.send_signal(signal.SIGKILL)
        assert granted(slot)


def test_nobody_starts_before_the_pause_that_a_refusal_asks_for(one_slot: LimitServer) -> None:
    slots = Slots(one_slot.address)
    first = slots.take()
    started = first.granted.result(timeout=5)
    second = slots.take()
    first.give_back(Outcome("refused", pause=0.1))
    assert second.granted.result(timeout=5) >= started + 0.1


def test_closing_a_process_s_slots_gives_them_back(one_slot: LimitServer) -> None:
    leaving = Slots(one_slot.address)
    assert granted(leaving.take())
    leaving.close()
    assert granted(Slots(one_slot.address).take())


def test_waiting_calls_fail_when_the_server_ends() -> None:
    server = LimitServer(1)
    slots = Slots(server.address)
    assert granted(slots.take())
    waiting = slots.take()
    server.close()
    with pytest.raises(RunError, match=GONE):
        waiting.granted.result(timeout=5)
    with pytest.raises(RunError, match=GONE):
        slots.take().granted.result(timeout=5)
    with pytest.raises(RunError, match=GONE):
        Slots(server.address)
    server.close()


def test_a_visitor_without_the_key_is_turned_away(one_slot: LimitServer) -> None:
    key, _, place = one_slot.address.partition("@")
    with pytest.raises(RunError, match=GONE):
        Slots(f"{'0' * len(key)}@{place}")
    assert granted(Slots(one_slot.address).take())
