"""The JSON schema for editors."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_llmops.spec import json_schema
from pytest_llmops.spec.schema import write_json_schema


def test_schema_names_the_keys_and_what_is_required() -> None:
    schema = json_schema()

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["name", "datasets"]
    assert set(schema["properties"]) == {
        "name", "flow", "datasets", "evaluators", "connections", "runtime", "llmops", "repeat",
    }  # fmt: skip
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["DatasetBlock"]["required"] == ["name", "source", "mappings"]
    assert schema["$defs"]["ConnectionBlock"]["additionalProperties"] == {"type": ["string", "number"]}
    assert schema["$defs"]["GateBlock"]["properties"]["min_rows"]["minimum"] == 1


def test_a_threshold_is_text_or_a_range() -> None:
    thresholds = json_schema()["$defs"]["EvaluatorBlock"]["properties"]["thresholds"]["anyOf"][0]

    assert thresholds["additionalProperties"]["oneOf"] == [{"type": "string"}, {"$ref": "#/$defs/ThresholdBlock"}]


def test_a_threshold_for_slices_has_fewer_keys() -> None:
    blocks = json_schema()["$defs"]

    assert set(blocks["SliceThresholdBlock"]["properties"]) == {"min", "max", "severity"}
    assert blocks["ThresholdBlock"]["properties"]["max_drop"]["anyOf"] == [
        {"minimum": 0, "type": "number"},
        {"type": "null"},
    ]


def test_schema_file(tmp_path: Path) -> None:
    write_json_schema(tmp_path / "schema.json")

    assert json.loads((tmp_path / "schema.json").read_text(encoding="utf-8")) == json_schema()
