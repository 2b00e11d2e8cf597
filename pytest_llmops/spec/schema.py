"""The JSON schema of ``experiment.yaml``: editors check and complete the file with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_llmops.spec.models import ExperimentBlock

REQUIRED = ("name", "datasets")


def json_schema() -> dict[str, Any]:
    """Generate the schema from the models. It is that of a base file; overlays need neither of the required keys."""
    schema = ExperimentBlock.model_json_schema()
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **schema, "title": "experiment.yaml", "required": list(REQUIRED)}


def write_json_schema(file: Path) -> None:
    """Write the schema to a file.

    A first line ``# yaml-language-server: $schema=<path>`` in an experiment.yaml makes editors use it.
    """
    file.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
