"""Changes to promptflow itself, made once in a worker process, where no other run can notice.

Imported only in worker processes, because it imports promptflow.
"""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import Any

from promptflow._core.log_manager import NodeLogManager
from promptflow._sdk._version_hint_utils import HINT_ACTIVITY_NAME
from promptflow.executor import flow_executor
from promptflow.executor._flow_nodes_scheduler import FlowNodesScheduler


class LineScheduler(FlowNodesScheduler):  # type: ignore[misc]
    """Runs a node in the thread of its line where no other node can run beside it.

    promptflow gives each line threads for its nodes; starting them and waiting for them takes longer than most nodes.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # As in promptflow, what a node sets is seen by the nodes after it, and not by other lines.
        self._line = contextvars.copy_context()

    def _submit_nodes(self, executor: Executor, nodes: Sequence[Any]) -> None:
        if len(nodes) != 1 or self._future_to_node:
            super()._submit_nodes(executor, nodes)
            return
        done: Future[Any] = Future()
        try:
            done.set_result(self._line.run(self._exec_single_node_in_thread, (nodes[0], self._dag_manager)))
        except BaseException as problem:
            done.set_exception(problem)
        self._future_to_node[done] = nodes[0]


def adapt_promptflow() -> None:
    """Make promptflow's executors fit for many lines at once in threads, and keep its client from the network."""
    flow_executor.FlowNodesScheduler = LineScheduler
    # It would swap ``sys.stdout`` for each line, which goes wrong when lines overlap.
    NodeLogManager.__enter__ = lambda self: self
    NodeLogManager.__exit__ = lambda self, *_: None
    # It would wrap the OpenAI clients' methods again for each line.
    flow_executor.inject_openai_api = lambda: None
    # For these operations it would look for a newer version of itself.
    HINT_ACTIVITY_NAME.clear()
