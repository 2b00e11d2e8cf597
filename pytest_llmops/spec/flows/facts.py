"""What is known of a flow, and how it is taken out of YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.records.experiment import Flow, Port
from pytest_llmops.spec.findings import Findings, Reporter
from pytest_llmops.spec.positions import Document
from pytest_llmops.spec.suggest import describe

# Prompt flow wraps whatever is no dict in a dict with this key.
OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFacts:
    """A flow, with what only the checks need.

    ``outputs`` is None where they can't be known before a run. ``open_init`` is true where ``__init__`` may take more
    parameters than could be read. ``sample_init`` is what prompt flow uses where no init values are given.
    """

    flow: Flow
    outputs: tuple[str, ...] | None
    open_init: bool = False
    sample_init: Mapping[str, Any] = field(default_factory=dict)


class FlowReader:
    """Takes values of expected shapes out of a flow's YAML; what has another shape is reported and left out."""

    def __init__(self, document: Document, findings: Findings) -> None:
        self.document = document
        self.report = Reporter(document, findings)

    def mapping(self, *path: str | int) -> dict[str, Any]:
        """Return the mapping at a path, empty where there is none."""
        value = self.document.get(path)
        if value is not None and not isinstance(value, dict):
            what = f"expected a mapping, but YAML reads this as {describe(value)}"
            self.report.error(path, what, "correct it")
        return value if isinstance(value, dict) else {}

    def mappings(self, *path: str | int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Iterate over the mappings in a mapping."""
        for key, written in self.mapping(*path).items():
            value = self.mapping(*path, key)
            if written is None or isinstance(written, dict):
                yield key, value

    def ports(self, section: str) -> dict[str, Port]:
        """Read inputs or init parameters. Like prompt flow, take a default of null for none."""
        ports = {}
        for name, port in self.mappings(section):
            if "type" not in port:
                self.report.error((section, name), "key 'type' is missing", "add it")
            kind, default = str(port.get("type", "object")), port.get("default")
            ports[name] = Port(name=name, type=kind, default=default, required=default is None)
        return ports
