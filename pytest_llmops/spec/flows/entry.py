"""Flows with a Python entry: flex flows, plain callables, and workflows of Agent Framework."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pytest_llmops.errors import Problem
from pytest_llmops.records.experiment import Flow
from pytest_llmops.spec.files import read_text
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.flows.facts import OUTPUT, FlowFacts, FlowReader
from pytest_llmops.spec.flows.signatures import EntryError, Parameters, Returns, Signature, read_signature
from pytest_llmops.spec.resolve import ENTRY, FlowPlace, Paths
from pytest_llmops.spec.suggest import listing, suggest


def read_callable(place: FlowPlace, file: str, text: str, findings: Findings) -> FlowFacts | None:
    """Read a function or class of a module; ``file`` is the module's name to show, ``text`` its source."""
    signature = _signature(text, place.name, file, findings)
    return _facts(place, signature) if signature else None


def read_workflow(place: FlowPlace, file: str, text: str, findings: Findings) -> FlowFacts | None:
    """Read the function that makes a workflow: its parameters are init values.

    What the workflow takes and gives is known once it is made, so it is checked before the first row is run.
    """
    signature = _signature(text, place.entry.partition(":")[2], file, findings)
    if signature is None:
        return None
    made = signature.inputs
    flow = Flow(
        name=place.name,
        kind=place.kind,
        file=place.file,
        folder=place.folder,
        entry=place.entry,
        init=made.ports,
        open_inputs=True,
    )
    return FlowFacts(flow=flow, outputs=None, open_init=made.open)


def read_flex(place: FlowPlace, reader: FlowReader, paths: Paths) -> FlowFacts | None:
    """Read a ``flow.flex.yaml`` and the entry that it names."""
    entry = reader.document.get(("entry",))
    match = ENTRY.fullmatch(entry) if isinstance(entry, str) else None
    if match is None:
        todo = "write entry: module:function or entry: module:Class"
        reader.report.error(("entry",), "key is missing" if entry is None else f"{entry!r} is no entry", todo)
        return None
    code = reader.document.get(("code",))
    place = replace(
        place, folder=Path(os.path.normpath(place.folder / code)) if isinstance(code, str) else place.folder
    )
    file = place.folder / f"{match[1].replace('.', '/')}.py"
    if not file.is_file():
        reader.report.error(("entry",), f"there is no file '{paths.show(file)}'", "correct the module")
        return None
    text = read_text(file, paths.show(file), reader.report.findings)
    signature = _signature(text, match[2], paths.show(file), reader.report.findings) if text is not None else None
    return _declared_facts(replace(place, entry=match[0]), signature, reader) if signature else None


def _signature(text: str, entry: str, file: str, findings: Findings) -> Signature | None:
    try:
        return read_signature(text, entry)
    except EntryError as error:
        todo = suggest(entry, error.near, "it has") if error.near else "correct the file"
        findings.error(Problem(file, error.line, "", error.what, todo))
        return None


def _facts(place: FlowPlace, signature: Signature) -> FlowFacts:
    init = signature.init or Parameters()
    outputs = (OUTPUT,) if signature.returns == "primitive" else None
    flow = Flow(
        name=place.name,
        kind=place.kind,
        file=place.file,
        folder=place.folder,
        entry=place.entry,
        inputs=signature.inputs.ports,
        outputs=outputs or (),
        init=init.ports,
        open_inputs=signature.inputs.open,
    )
    return FlowFacts(flow=flow, outputs=outputs, open_init=init.open)


def _declared_facts(place: FlowPlace, signature: Signature, reader: FlowReader) -> FlowFacts:
    """Prefer what the YAML declares to what the entry's signature says."""
    facts = _facts(place, signature)
    outputs = _outputs(reader, signature.returns) or facts.outputs
    sample = reader.mapping("sample").get("init")
    flow = replace(
        facts.flow,
        inputs=_declared(reader, "inputs", signature.inputs).ports,
        init=_declared(reader, "init", signature.init or Parameters()).ports,
        outputs=outputs or (),
    )
    return replace(facts, flow=flow, outputs=outputs, sample_init=sample if isinstance(sample, dict) else {})


def _declared(reader: FlowReader, section: str, found: Parameters) -> Parameters:
    """Read declared parameters, which prompt flow wants to be all that the entry has."""
    if section not in reader.document.value:
        return found
    ports = reader.ports(section)
    for name in ports.keys() - found.ports.keys() if not found.open else ():
        todo = suggest(name, found.ports, "its parameters")
        reader.report.error((section, name), "not a parameter of the entry", todo)
    missing = [name for name in found.ports if name not in ports]
    if missing:
        what = f"lacks the entry's {listing(missing)}, and prompt flow wants all or none"
        reader.report.error((section,), what, "add it")
    return Parameters(ports=ports, open=found.open)


def _outputs(reader: FlowReader, returns: Returns) -> tuple[str, ...] | None:
    """Read declared outputs where the entry's return type has fields; without one, a row may hold anything."""
    declared = tuple(reader.mapping("outputs"))
    if returns == "fields":
        return declared or None
    if declared not in ((), (OUTPUT,)):
        what = f"the entry's return type has no fields, so prompt flow only accepts '{OUTPUT}' here"
        todo = "remove it, or annotate the return with a TypedDict or a dataclass"
        reader.report.error(("outputs",), what, todo)
    return None
