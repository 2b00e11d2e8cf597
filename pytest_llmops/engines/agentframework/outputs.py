"""How what a workflow yields becomes a row's output."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pytest_llmops.engines.agentframework.owned import is_of_framework
from pytest_llmops.engines.function.values import LineError, as_output
from pytest_llmops.spec.suggest import listing

_OUTPUT = "output"
"""What prompt flow calls an output that has no name."""


class WorkflowEvent(Protocol):
    """What is known of one event of a workflow's run."""

    type: str
    data: Any
    executor_id: str | None


def read_output(events: Iterable[WorkflowEvent], names: Sequence[str]) -> Mapping[str, Any]:
    """Return the output of a row by the events of its run. ``names`` are those that it is to have, where known.

    Raises:
        LineError: where there is not exactly one output, or none by those names.
    """
    happened = list(events)
    if any(event.type == "request_info" for event in happened):
        raise LineError(
            "The workflow waits for an answer (request_info), and nobody answers while rows are run: "
            "have create_workflow leave out what asks"
        )
    yielded = [event for event in happened if event.type == "output"]
    if not yielded:
        raise LineError("The workflow gave no output: an executor has to call ctx.yield_output")
    if len(yielded) > 1:
        sources = listing(dict.fromkeys(str(event.executor_id) for event in yielded))
        raise LineError(
            f"The workflow gave {len(yielded)} outputs, from {sources}, and a row has one: "
            "name the executor that gives it with WorkflowBuilder(output_from=[...])"
        )
    return as_output(_named(_plain(yielded[0].data), names))


def _named(value: Any, names: Sequence[str]) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        if missing := [name for name in names if name not in value]:
            raise LineError(f"The workflow's output has no {listing(missing)}, which the flow it stands for gives")
        return value
    if len(names) > 1:
        kind = type(value).__name__
        raise LineError(f"The workflow gave a {kind}, and the flow it stands for gives {listing(names)}: yield a dict")
    return {names[0] if names else _OUTPUT: value}


def _plain(value: Any) -> Any:
    """Make an object of JSON of what was yielded, as far as it can be one."""
    if isinstance(value, Mapping):
        return {name: _plain_value(item) for name, item in value.items()}
    shown = _shown(value)
    return _plain(shown) if isinstance(shown, Mapping) else _plain_value(shown)


def _plain_value(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, default=_shown))
    except (TypeError, ValueError):
        return value  # of which ``as_output`` says what is wrong with it


def _shown(value: Any) -> Any:
    """Return what an object has to say: an agent's response its structured value, if there is one, else its text."""
    if is_of_framework(type(value)):
        response = getattr(value, "agent_response", value)
        if not hasattr(response, "text"):
            raise LineError(
                f"The workflow gave {type(value).__name__}, which is no answer: yield a str, a dict, a dataclass, a "
                "pydantic model, or an agent's response"
            )
        structured = getattr(response, "value", None)
        return response.text if structured is None else _shown(structured)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}
    return value
