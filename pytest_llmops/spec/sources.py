"""The base file and the overlay of an experiment, read, laid over each other, and validated."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pytest_llmops.errors import Problem
from pytest_llmops.spec.deployment import DEPLOYMENTS
from pytest_llmops.spec.files import read_text
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.models import ExperimentBlock
from pytest_llmops.spec.overlay import IDENTITY, lay_over
from pytest_llmops.spec.positions import Document
from pytest_llmops.spec.resolve import Paths
from pytest_llmops.spec.schema import REQUIRED
from pytest_llmops.spec.validation import validate
from pytest_llmops.spec.yaml_reader import read_yaml

_ENVIRONMENT = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Sources:
    """The base file as written, the overlay as written, and what is sound of the two together."""

    base: Document
    overlay: Document | None
    document: Document
    block: ExperimentBlock

    def names(self, block: str) -> list[str]:
        """List the names in a block of the effective file, those of items with mistakes too."""
        document = self.overlay if self.overlay and block in self.overlay.value else self.base
        return _names(document, block)

    def removed_datasets(self) -> list[str]:
        """List the datasets that an overlay takes away although it keeps the evaluators."""
        if self.overlay is None or "datasets" not in self.overlay.value or "evaluators" in self.overlay.value:
            return []
        kept = _names(self.overlay, "datasets")
        return [name for name in _names(self.base, "datasets") if name not in kept]

    def overlaid_thresholds(self) -> Collection[str]:
        """List the keys of ``llmops.thresholds`` that the overlay sets."""
        thresholds = self.overlay.get(("llmops", "thresholds")) if self.overlay else None
        return thresholds if isinstance(thresholds, dict) else ()


def _names(document: Document, block: str) -> list[str]:
    items = document.get((block,))
    found = (item.get("name") for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
    return [name for name in found if isinstance(name, str)]


def read_sources(file: Path, env: str | None, paths: Paths, findings: Findings) -> Sources | None:
    """Read an experiment file and, where it exists, its overlay; None where the file can't be read at all."""
    if not file.is_file():
        findings.error(Problem(paths.show(file), 0, "", "there is no such file", "correct the path"))
        return None
    base = _read(file, paths, findings)
    if base is None:
        return None
    _check_required(base, findings)
    block, document = validate(base, findings)
    overlay = _read_overlay(file, env, paths, findings) if env else None
    if overlay:
        _check_identity(overlay, block, base, findings)
        _check_deployments(overlay, findings)
        block, document = validate(lay_over(document, overlay), findings)
        if "datasets" in overlay.value and not overlay.value["datasets"]:
            findings.error(overlay.problem(("datasets",), "leaves no dataset to run", "name at least one"))
    return Sources(base, overlay, document, block)


def _read_overlay(file: Path, env: str, paths: Paths, findings: Findings) -> Document | None:
    if not _ENVIRONMENT.fullmatch(env):
        what = f"{env!r} can't be the name of an environment"
        findings.error(Problem(paths.show(file), 0, "", what, "use letters, digits, '_', '-' and '.'"))
        return None
    overlay = file.with_name(f"{file.stem}.{env}{file.suffix}")
    return _read(overlay, paths, findings) if overlay.is_file() else None


def _read(file: Path, paths: Paths, findings: Findings) -> Document | None:
    shown = paths.show(file)
    text = read_text(file, shown, findings)
    document = read_yaml(text, shown, findings) if text is not None else None
    if document is None or isinstance(document.value, dict):
        return document
    if document.value is not None:
        findings.error(document.problem((), "is not a mapping", "write keys such as 'name:' and 'datasets:'"))
    return Document({}, document.places)


def _check_required(base: Document, findings: Findings) -> None:
    for key in REQUIRED:
        if base.value.get(key) in (None, []):
            what = "is empty" if key in base.value else "key is missing"
            findings.error(base.problem((key,), what, "give it a value" if key in base.value else "add it"))


def _check_identity(overlay: Document, block: ExperimentBlock, base: Document, findings: Findings) -> None:
    """Refuse another name or flow in an overlay: the template ignores them, so they would not take effect."""
    for key in IDENTITY:
        if key not in overlay.value:
            continue
        meant = block.name if key == "name" else block.flow or block.name
        if meant is not None and overlay.value[key] != meant:
            what = f"differs from {meant!r} in {base.place(()).file}, which alone counts"
            findings.error(overlay.problem((key,), what, "remove it"))


def _check_deployments(overlay: Document, findings: Findings) -> None:
    """Refuse deployments in an overlay: they are by environment already, and commands read them without overlays."""
    block = overlay.get(DEPLOYMENTS[:-1])
    if isinstance(block, dict) and DEPLOYMENTS[-1] in block:
        what = "can't be in an overlay: it says by itself what is for which environment"
        findings.error(overlay.problem(DEPLOYMENTS, what, "move it to the experiment file"))
