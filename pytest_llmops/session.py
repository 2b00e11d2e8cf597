"""Schedules cells: starts all of them at once, lets them overlap, and hands out each result when it is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from pytest_llmops.engines.base import Engine, Progress
from pytest_llmops.errors import RunError
from pytest_llmops.ledger import Ledger
from pytest_llmops.plan import CellPlan, EvaluationPlan
from pytest_llmops.records.gate import CellResult, Evaluation
from pytest_llmops.records.run import RunRequest, RunResult
from pytest_llmops.store import Store


class Session:
    """Executes planned cells on an engine, each exactly once over all processes that share the store.

    What the ledger knows is not executed. ``at_once`` is the number of cells that are under way at the same time.
    """

    def __init__(self, engine: Engine, store: Store, ledger: Ledger | None, *, at_once: int) -> None:
        self._engine = engine
        self._store = store
        self._ledger = ledger
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="llmops-cell")
        self._futures: dict[str, Future[CellResult | None]] = {}
        self._progress: dict[str, tuple[int, int]] = {}
        self._closed = False

    def start(self, plans: Iterable[CellPlan]) -> None:
        """Begin to execute cells, in order, and return at once. A cell that was started before is left alone."""
        for plan in plans:
            if plan.key not in self._futures:
                self._progress[plan.key] = (0, plan.expected_rows or 0)
                self._futures[plan.key] = self._pool.submit(self._execute_unclaimed, plan)

    def wait(self, plan: CellPlan, timeout: float | None) -> bool:
        """Wait at most ``timeout`` seconds for a cell; tell whether this process is done with it."""
        return bool(wait([self._futures[plan.key]], timeout).done)

    def result(self, plan: CellPlan) -> CellResult:
        """Return the result of a cell, started now if it was not before, and waited for."""
        self.start([plan])
        mine = self._futures[plan.key].result()
        if mine is not None:
            return mine
        with self._store.claim(plan.key, wait=True):
            return self._store.get(plan.key) or self._execute(plan)

    def progress(self) -> Mapping[str, tuple[int, int]]:
        """Rows done and rows to do of every started cell, by key."""
        return dict(self._progress)

    def release(self) -> None:
        """Let the threads go. What is queued never starts."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> None:
        """Wait for what is under way, because another process may wait for it too. What is queued never starts."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Stop at once: what is queued never starts, what is under way is ended."""
        self._closed = True
        self.release()
        self._engine.close()

    def _execute_unclaimed(self, plan: CellPlan) -> CellResult | None:
        with self._store.claim(plan.key, wait=False) as mine:
            return (self._store.get(plan.key) or self._execute(plan)) if mine else None

    def _execute(self, plan: CellPlan) -> CellResult:
        run = self._run(plan.request, lambda done, total: self._progress.update({plan.key: (done, total)}))
        expected = plan.expected_rows if plan.expected_rows is not None else len(run.rows)
        evaluations = {item.evaluator: self._evaluate(item, run, expected) for item in plan.evaluations}
        if self._closed:
            # What was ended in the middle is not the cell's result: whoever wants it executes it again.
            raise RunError("the session was closed before the cell was finished")
        result = CellResult(cell=plan.cell, run=run, evaluations=evaluations, expected_rows=plan.expected_rows)
        return self._store.put(plan.key, result)

    def _run(self, request: RunRequest, progress: Progress | None = None) -> RunResult:
        if self._ledger is None:
            return self._engine.run(request, progress=progress)
        with self._ledger.journal(request) as journal:
            return journal.finished() or self._engine.run(request, journal=journal, progress=progress)

    def _evaluate(self, plan: EvaluationPlan, run: RunResult, expected_rows: int) -> Evaluation:
        if run.completed:
            result = self._run(plan.after(run))
        else:
            result = RunResult(status="Failed", error="no row of the run completed, there is nothing to evaluate")
        return Evaluation(evaluator=plan.evaluator, dataset=plan.dataset, expected_rows=expected_rows, result=result)
