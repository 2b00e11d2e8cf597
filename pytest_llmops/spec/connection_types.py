"""The types of connections, the names of their properties, and which of these are secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llmops.records.experiment import Connection
from pytest_llmops.secrets import is_secret
from pytest_llmops.spec.suggest import short, suggest

CUSTOM = "CustomConnection"
_AZURE = "AzureOpenAIConnection"
_OPEN_AI = "OpenAIConnection"
_TYPES = {
    "azure_open_ai": _AZURE,
    "open_ai": _OPEN_AI,
    "custom": CUSTOM,
    "serverless": "ServerlessConnection",
    "serp": "SerpConnection",
    "qdrant": "QdrantConnection",
    "weaviate": "WeaviateConnection",
    "cognitive_search": "CognitiveSearchConnection",
    "azure_ai_services": "AzureAIServicesConnection",
    "azure_content_safety": "AzureContentSafetyConnection",
    "form_recognizer": "FormRecognizerConnection",
}
_BY_SPELLING = {
    spelling.replace("_", "").lower(): name for short_name, name in _TYPES.items() for spelling in (short_name, name)
}
# The template and the OpenAI SDK have names of their own for these properties of prompt flow's connections.
_ALIASES = {
    (_AZURE, "api_endpoint"): "api_base",
    (_AZURE, "azure_endpoint"): "api_base",
    (_OPEN_AI, "api_base"): "base_url",
}
_IDENTITY = ("name", "type", "connection_type")
# Prompt flow's own form of a custom connection, where the block says which properties are secrets.
_BLOCKS = ("configs", "secrets")


class UnknownType(ValueError):
    """A type of connection that there isn't: what is wrong, and what to do."""

    def __init__(self, written: object) -> None:
        super().__init__(written)
        self.what = f"{short(written)} is no type of connection"
        self.todo = suggest(str(written), _TYPES.values(), "known types")


def connection_type(written: object) -> str:
    """Name a type as prompt flow's class does, however it was spelt.

    Raises:
        UnknownType: where there is no such type.
    """
    kind = _BY_SPELLING.get(str(written).replace("_", "").lower())
    if kind is None:
        raise UnknownType(written)
    return kind


def property_name(kind: str, name: str) -> str:
    """Name a property as prompt flow does."""
    return _ALIASES.get((kind, name), name)


def connection_of(name: str, properties: Mapping[str, Any]) -> Connection:
    """Make a connection of its properties, among which ``type`` or ``connection_type`` may say its type.

    Raises:
        UnknownType: where there is no such type.
    """
    kind = connection_type(properties.get("connection_type") or properties.get("type") or _guess(properties))
    configs, secrets = properties.get("configs") or {}, properties.get("secrets") or {}
    plain = {key: value for key, value in properties.items() if key not in (*_IDENTITY, *_BLOCKS)}
    named = {
        property_name(kind, key): str(value)
        for key, value in {**plain, **configs, **secrets}.items()
        if value is not None
    }
    hidden = {property_name(kind, key) for key in {**plain, **secrets} if key in secrets or is_secret(key)}
    return Connection(
        name=name,
        type=kind,
        values={key: value for key, value in named.items() if key not in hidden},
        secrets={key: value for key, value in named.items() if key in hidden},
    )


def _guess(properties: Mapping[str, Any]) -> str:
    """Tell the type of a connection that doesn't say it: the template's ``.env`` files give none."""
    if "azure" in str(properties.get("api_type", "")) or {"api_base", "azure_endpoint"} & properties.keys():
        return _AZURE
    return _OPEN_AI if "api_key" in properties else CUSTOM
