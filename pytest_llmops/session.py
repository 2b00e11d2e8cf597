"""Schedules executions of cells: starts all at once, lets them overlap, and hands out each result when it is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from pytest_llmops.engines.base import Engine, Progress, Remote
from pytest_llmops.errors import RunError
from pytest_llmops.ledger import BlankJournal, Ledger
from pytest_llmops.plan import CellPlan, EvaluationPlan, ExecutionPlan
from pytest_llmops.records.gate import CellResult, Evaluation, Repeat
from pytest_llmops.records.run import RunRequest, RunResult
from pytest_llmops.store import Store
from pytest_llmops.versions import Versions, inputs_of_run, with_reads


@dataclass(frozen=True, slots=True)
class _Execution:
    """One of the executions of a cell, by number: what is scheduled. A cell's only one has the cell's key."""

    plan: CellPlan
    number: int

    @property
    def key(self) -> str:
        return f"{self.plan.key} {self.number}" if self.plan.repeats else self.plan.key


class Session:
    """Executes planned cells on an engine, each as often as planned over all processes that share the store.

    What the ledger knows is not executed. ``at_once`` is the number of executions that are under way at the same time.
    """

    def __init__(self, engine: Engine, store: Store, ledger: Ledger | None, *, at_once: int) -> None:
        self._engine = engine
        self._store = store
        self._ledger = ledger
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="llmops-cell")
        self._versions: dict[str, Versions] = {}
        self._futures: dict[str, Future[CellResult | None]] = {}
        self._progress: dict[str, dict[int, tuple[int, int]]] = {}
        self._closed = False

    def start(self, plans: Iterable[CellPlan]) -> None:
        """Begin to execute cells, in order, and return at once. A cell that was started before is left alone."""
        for plan in plans:
            if plan.key not in self._progress:
                executions = _executions(plan)
                self._progress[plan.key] = {part.number: (0, plan.expected_rows or 0) for part in executions}
                for part in executions:
                    self._futures[part.key] = self._pool.submit(self._execute_unclaimed, part)

    def wait(self, plan: CellPlan, timeout: float | None) -> bool:
        """Wait at most ``timeout`` seconds for a cell; tell whether this process is done with it."""
        return not wait([self._futures[part.key] for part in _executions(plan)], timeout).not_done

    def result(self, plan: CellPlan) -> CellResult:
        """Return the result of a cell, started now if it was not before, and waited for."""
        self.start([plan])
        parts = [self._part(part) for part in _executions(plan)]
        return self._store.get(plan.key) or self._join(plan, parts)

    def progress(self) -> Mapping[str, tuple[int, int]]:
        """Rows done and rows to do of every started cell, by key; a row that is repeated counts each time."""
        return {key: _added(parts.copy().values()) for key, parts in self._progress.items()}

    def under_way(self) -> str:
        """Say what is waited for where runs are executed elsewhere; empty where they are not."""
        return self._engine.under_way() if isinstance(self._engine, Remote) else ""

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

    def _part(self, part: _Execution) -> CellResult:
        mine = self._futures[part.key].result()
        if mine is not None:
            return mine
        with self._store.claim(part.key, wait=True):
            return self._store.get(part.key) or self._execute(part)

    def _execute_unclaimed(self, part: _Execution) -> CellResult | None:
        with self._store.claim(part.key, wait=False) as mine:
            return (self._store.get(part.key) or self._execute(part)) if mine else None

    def _execute(self, part: _Execution) -> CellResult:
        plan = part.plan
        execution = plan.executions[part.number]
        # Before it runs: what is edited meanwhile is another version, which was not tested.
        versions = self._versions_of(plan)
        version, data = versions.of(execution.request), versions.of_data(plan.requests)
        run = self._run(execution.request, lambda *rows: self._progress[plan.key].update({part.number: rows}))
        run = replace(run, reads=versions.reads(execution.request, run.reads))
        expected = plan.expected_rows if plan.expected_rows is not None else len(run.rows)
        evaluations = self._evaluations(execution, run, expected, versions)
        if self._closed:
            # What was ended in the middle is not the cell's result: whoever wants it executes it again.
            raise RunError("the session was closed before the cell was finished")
        result = CellResult(
            cell=plan.cell,
            run=run,
            evaluations=evaluations,
            expected_rows=plan.expected_rows,
            columns=plan.columns,
            key=plan.key_column,
            digest=with_reads(version, run.reads),
            data=data,
            llm=execution.request.llm.mode,
            partial=plan.partial,
            prices=plan.experiment.prices,
            implementation=execution.request.flow.name if plan.cell.variant.is_candidate else "",
        )
        kept = self._store.put(part.key, result)
        known = [found for other in _executions(plan) if (found := self._store.get(other.key))]
        if plan.repeats and len(known) == len(plan.executions):
            self._join(plan, known)
        return kept

    def _join(self, plan: CellPlan, parts: Sequence[CellResult]) -> CellResult:
        """Make one result of those of all executions, and share it."""
        first, *others = parts
        repeats = tuple(Repeat(run=other.run, evaluations=other.evaluations) for other in others)
        edited = any(other.digest != first.digest and other.run.reads == first.run.reads for other in others)
        return self._store.put(plan.key, replace(first, repeats=repeats, digest="" if edited else first.digest))

    def _versions_of(self, plan: CellPlan) -> Versions:
        path = plan.cell.experiment
        if path not in self._versions:
            self._versions[path] = Versions(plan.experiment, path)
        return self._versions[path]

    def _run(self, request: RunRequest, progress: Progress | None = None) -> RunResult:
        # Without a journal, the engine would not tell what was read.
        with self._ledger.journal(request) if self._ledger else BlankJournal() as journal:
            return journal.finished() or self._engine.run(request, journal=journal, progress=progress)

    def _evaluations(
        self, execution: ExecutionPlan, run: RunResult, expected_rows: int, versions: Versions
    ) -> dict[str, Evaluation]:
        """Evaluate a run: at once where that is done elsewhere, and one by one where this machine is what limits it."""

        def evaluate(plan: EvaluationPlan) -> Evaluation:
            return self._evaluate(plan, run, expected_rows, versions)

        plans = execution.evaluations
        if not isinstance(self._engine, Remote) or len(plans) < 2:
            return {plan.evaluator: evaluate(plan) for plan in plans}
        with ThreadPoolExecutor(len(plans), thread_name_prefix="llmops-evaluation") as pool:
            return {found.evaluator: found for found in pool.map(evaluate, plans)}

    def _evaluate(self, plan: EvaluationPlan, run: RunResult, expected_rows: int, versions: Versions) -> Evaluation:
        version = versions.of(plan.request)
        if run.completed:
            result = self._run(plan.after(run))
            result = replace(result, reads=versions.reads(plan.request, result.reads))
        else:
            result = RunResult(status="Failed", error="no row of the run completed, there is nothing to evaluate")
        return Evaluation(
            evaluator=plan.evaluator,
            dataset=plan.dataset,
            expected_rows=expected_rows,
            result=result,
            digest=with_reads(version, result.reads),
            of_run=inputs_of_run(plan.request.column_mapping),
        )


def _executions(plan: CellPlan) -> list[_Execution]:
    return [_Execution(plan, number) for number in range(len(plan.executions))]


def _added(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    done, total = (sum(column) for column in zip(*counts, strict=True))
    return done, total
