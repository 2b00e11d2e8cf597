"""``.prompty`` files: a prompt below front matter in YAML."""

from __future__ import annotations

import re

from pytest_llmops.errors import Problem
from pytest_llmops.records.experiment import Flow
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.flows.facts import OUTPUT, FlowFacts, FlowReader
from pytest_llmops.spec.resolve import FlowPlace
from pytest_llmops.spec.yaml_reader import read_yaml

_FRONT_MATTER = re.compile(r"\s*-{3,}[ \t]*\n(.*?)^-{3,}[ \t]*$", re.DOTALL | re.MULTILINE)


def read_prompty(place: FlowPlace, file: str, text: str, findings: Findings) -> FlowFacts | None:
    """Read the front matter; ``file`` is the name to show, ``text`` what the file holds."""
    match = _FRONT_MATTER.match(text)
    if match is None:
        findings.error(Problem(file, 1, "", "has no front matter", "start it with YAML between two lines of '---'"))
        return None
    first_line = text.count("\n", 0, match.start(1)) + 1
    document = read_yaml(match[1], file, findings, yaml_1_2=True, first_line=first_line)
    if document is None:
        return None
    reader = FlowReader(document, findings)
    inputs = reader.ports("inputs")
    if not inputs and document.get(("sample",)) is not None:
        what = "declares a sample but no inputs: prompt flow would answer the sample on every row"
        reader.report.error(("sample",), what, "declare the inputs under 'inputs:'")
    connection = document.get(("model", "configuration", "connection"))
    outputs = _outputs(reader)
    flow = Flow(
        name=place.name,
        kind="prompty",
        file=place.file,
        folder=place.folder,
        inputs=inputs,
        outputs=outputs or (),
        connections=(connection,) if isinstance(connection, str) else (),
    )
    return FlowFacts(flow=flow, outputs=outputs)


def _outputs(reader: FlowReader) -> tuple[str, ...] | None:
    """Text answers come as ``output``; the keys of JSON answers are known where they are declared."""
    answer_format = reader.document.get(("model", "parameters", "response_format", "type"))
    if answer_format != "json_object":
        return (OUTPUT,)
    return tuple(reader.mapping("outputs")) or None
