"""Inputs and outputs of a flow, and what the files of a candidate tell of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pytest_llmops.auditing.findings import WHEN_RUN, Finding, Topic
from pytest_llmops.auditing.module import Module
from pytest_llmops.records.experiment import Flow


def interface_findings(flow: Flow, candidate: Flow, code: Module) -> Iterator[Finding]:
    """Say of each input and output of the flow whether the candidate has it."""
    if candidate.kind == "workflow":
        yield from _inputs_of_workflow(flow, code)
        yield from _outputs_of_workflow(flow, code)
        return
    yield from _named("input", flow.inputs, candidate.inputs, unsure=candidate.open_inputs)
    yield from _named("output", flow.outputs, candidate.outputs, unsure=not candidate.outputs)


def _named(
    topic: Topic, wanted: Collection[str], there: Collection[str], *, unsure: bool, of: str = ""
) -> Iterator[Finding]:
    for name in wanted:
        if name in there:
            yield Finding(topic, name, "covered", f"in {of}" if of else "")
        elif unsure:
            yield Finding(topic, name, "unknown", WHEN_RUN)
        else:
            yield Finding(topic, name, "open", f"not found{f' in {of}' if of else ''}")


def _inputs_of_workflow(flow: Flow, code: Module) -> Iterator[Finding]:
    """Compare with the fields of the message that the start executor's handlers take."""
    taken = [name for start in code.starts for name in _taken(start, code)]
    if set(taken) == {"str"} and len(flow.inputs) == 1:
        yield from _named("input", flow.inputs, flow.inputs, unsure=False, of="a text, which the workflow takes")
        return
    fields = [(name, *fields_of(name, code)) for name in dict.fromkeys(taken)]
    names = {field for _, found, _ in fields for field in found}
    unsure = not fields or any(is_open for *_, is_open in fields)
    yield from _named("input", flow.inputs, names, unsure=unsure, of=", ".join(name for name, *_ in fields))


def _taken(start: str, code: Module) -> Collection[str]:
    made = code.made.get(start)
    callee = made.called if made and made.called else start
    if callee not in code.takes and callee.endswith("Agent"):
        return ["str"]
    return code.takes.get(callee, ())


def _outputs_of_workflow(flow: Flow, code: Module) -> Iterator[Finding]:
    """Compare with the keys of dicts, and the fields of objects, that executors yield as outputs."""
    names: set[str] = set()
    unsure = not code.yields
    for made in code.yields:
        known = code.made.get(made.called, made)
        found, is_open = (known.keys, False) if known.keys is not None else fields_of(known.called, code)
        names.update(found)
        unsure = unsure or is_open
    yield from _named("output", flow.outputs, names, unsure=unsure, of="what is yielded")


def fields_of(name: str, code: Module, seen: frozenset[str] = frozenset()) -> tuple[tuple[str, ...], bool]:
    """Return the fields of a class by its name, inherited ones too, and whether it may have more than can be read."""
    declared = code.classes.get(name)
    if declared is None or name in seen:
        return (), True
    inherited = [fields_of(base, code, seen | {name}) for base in declared.bases]
    # A class that inherits has the decorator, or the base, that makes fields of annotations further up.
    is_open = any(more for _, more in inherited) if inherited else declared.open
    return (*declared.names, *(field for fields, _ in inherited for field in fields)), is_open
