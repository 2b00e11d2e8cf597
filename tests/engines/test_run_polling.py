"""Runs in a workspace are waited for: until they are over, through troubles that pass, and not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pytest_llmops.azure.run_records import RunState
from pytest_llmops.engines.azureml import polling
from pytest_llmops.engines.azureml.polling import Poller
from pytest_llmops.errors import AccessError, CloudError, RunError

Look = Callable[[str], "RunState | None"]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs looked at again at once."""
    monkeypatch.setattr(polling, "_FIRST", 0.001)
    monkeypatch.setattr(polling, "_LONGEST", 0.002)


class Clock:
    """Goes on by some seconds whenever it is asked."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


@pytest.mark.usefixtures("at_once")
class TestWaiting:
    def test_a_run_is_waited_for_until_it_is_over(self) -> None:
        states = iter(["NotStarted", "Queued", "Running", "Finalizing", "Completed"])
        assert Poller(lambda name: RunState(name=name, status=next(states))).wait("r").status == "Completed"

    def test_one_thread_looks_at_all(self) -> None:
        lookers: set[int] = set()
        looks = dict.fromkeys(map(str, range(8)), 0)

        def look(name: str) -> RunState:
            lookers.add(threading.get_ident())
            looks[name] += 1
            return RunState(name=name, status="Completed" if looks[name] > 5 else "Running")

        poller = Poller(look)
        waiting = [threading.Thread(target=poller.wait, args=[name]) for name in looks]
        for thread in waiting:
            thread.start()
        for thread in waiting:
            thread.join()
        assert set(looks.values()) == {6}
        assert len(lookers) == 1

    def test_a_run_may_be_unknown_for_a_while(self) -> None:
        states = iter([None, None, None, "Running", None, None, None, "Failed"])

        def look(name: str) -> RunState | None:
            status = next(states)
            return RunState(name=name, status=status) if status else None

        assert Poller(look).wait("r").status == "Failed"

    def test_a_run_that_stays_unknown_is_gone(self) -> None:
        clock = Clock(step=1.0)
        with pytest.raises(CloudError, match=r"^run 'r': it is not in the workspace any more$"):
            Poller(lambda name: None, clock=clock).wait("r")
        assert clock.now >= 30

    def test_however_often_it_is_looked_for_it_is_not_gone_at_once(self) -> None:
        states = iter([None] * 100)

        def look(name: str) -> RunState | None:
            return next(states, RunState(name=name, status="Completed"))

        assert Poller(look, clock=Clock(step=0.1)).wait("r").is_over

    def test_nor_does_one_look_that_takes_long_make_it_gone(self) -> None:
        states = iter([None] * 3)

        def look(name: str) -> RunState | None:
            return next(states, RunState(name=name, status="Completed"))

        assert Poller(look, clock=Clock(step=60.0)).wait("r").is_over

    @pytest.mark.parametrize("problem", [CloudError("503"), AccessError("no login")], ids=str)
    def test_what_can_t_be_looked_at_is_looked_at_again_for_long_but_not_for_ever(self, problem: Exception) -> None:
        failures = iter(range(29))

        def look(name: str) -> RunState:
            if next(failures, None) is None:
                return RunState(name=name, status="Completed")
            raise problem

        assert Poller(look, clock=Clock(step=10.0)).wait("r").is_over
        clock = Clock(step=10.0)
        with pytest.raises(type(problem), match=f"^{problem}$"):
            Poller(_raise(problem), clock=clock).wait("r")
        assert clock.now >= 300

    def test_who_waits_when_it_is_ended_gets_the_reason_and_so_does_who_comes_later(self) -> None:
        looked = threading.Event()

        def look(name: str) -> RunState:
            looked.set()
            return RunState(name=name, status="Running")

        poller = Poller(look)

        def end() -> None:
            looked.wait()
            poller.end(RunError("enough"))

        threading.Thread(target=end).start()
        for name in ("r", "s"):
            with pytest.raises(RunError, match=r"^enough$"):
                poller.wait(name)


def _raise(problem: Exception) -> Look:
    def look(name: str) -> RunState:
        raise problem

    return look
