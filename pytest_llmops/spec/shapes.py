"""Parts that the models of ``experiment.yaml`` are made of: kinds of values, and what all blocks have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from pytest_llmops.spec.suggest import describe

T = TypeVar("T")

NAME_PATTERN = r"^\w([\w .-]*[\w.-])?$"

SHAPES = ("<text>", "<list>", "<mapping>")


def _shape(value: object) -> str:
    if isinstance(value, Mapping):
        return "<mapping>"
    return "<list>" if isinstance(value, Sequence) and not isinstance(value, str) else "<text>"


# Where YAML may hold one of several shapes, errors are reported for the shape it has, not for all of them.
BY_SHAPE = Discriminator(_shape)


def _plain(value: object) -> object:
    if isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            _plain(item)
    elif value is not None and not isinstance(value, (str, bool, int, float)):
        raise PydanticCustomError("not_plain", "{what}", {"what": f"YAML reads {value} as {describe(value)}"})
    elif isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("not_plain", "{what}", {"what": f"YAML reads this as the number {value}"})
    return value


def _property(value: object) -> str:
    if type(value) is date:  # YAML reads api_version: 2024-06-01 as one
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise PydanticCustomError("not_property", "expected text or a number")
    return str(value)


def _refused(value: object) -> object:
    raise PydanticCustomError("not_yet", "not supported yet")


Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Plain = Annotated[Any, AfterValidator(_plain)]
Property = Annotated[Any, AfterValidator(_property), WithJsonSchema({"type": ["string", "number"]})]
NotYet = Annotated[T | None, AfterValidator(_refused)]


class Block(BaseModel):
    """A mapping in the file: unknown keys and near types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())
