"""Environment variables that clients of models read by themselves, where their arguments don't say it.

SOURCE: ``agent_framework_openai`` 1.17 (``_shared.py``, docstrings of its clients), ``openai`` 3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

_MODELS = {
    "OpenAIChatClient": "CHAT_MODEL",
    "OpenAIChatCompletionClient": "CHAT_COMPLETION_MODEL",
    "OpenAIEmbeddingClient": "EMBEDDING_MODEL",
}
UNPACKED = "**"
"""Stands for the keywords of a call that are not in its source."""
_PLAIN = ("OpenAI", "AsyncOpenAI")
_AZURE = ("AzureOpenAI", "AsyncAzureOpenAI")
_NO_KEY_NEEDED = ("api_key", "credential", "async_client", "azure_ad_token", "azure_ad_token_provider")
_ADDRESSES = {"OPENAI": ("OPENAI_BASE_URL",), "AZURE_OPENAI": ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL")}
_ADDRESS = ("base_url", "azure_endpoint", "async_client")


@dataclass(frozen=True, slots=True)
class Read:
    """A value that is read from the first of several environment variables that is set. ``what`` a client reads."""

    names: tuple[str, ...]
    place: str
    optional: bool = False
    what: str = ""


def takes_model(called: str) -> bool:
    """Tell whether this is a client whose first argument is the model."""
    return called in _MODELS


def reads_of_client(called: str, given: Collection[str], place: str) -> Iterator[Read]:
    """Yield what making a client reads, where these keywords are given."""
    if called not in _MODELS and called not in _PLAIN and called not in _AZURE:
        return
    unsure = UNPACKED in given
    azure = called in _AZURE or "azure_endpoint" in given
    prefixes = ("AZURE_OPENAI",) if azure else ("OPENAI",) if called in _PLAIN else ("OPENAI", "AZURE_OPENAI")
    if not set(_NO_KEY_NEEDED) & set(given):
        yield Read(tuple(f"{prefix}_API_KEY" for prefix in prefixes), place, unsure, "key")
    if not set(_ADDRESS) & set(given):
        names = [name for prefix in prefixes for name in _ADDRESSES[prefix]]
        yield Read(tuple(names), place, unsure or not azure, "address")
    if called in _MODELS and "model" not in given:
        names = [f"{prefix}_{kind}" for prefix in prefixes for kind in (_MODELS[called], "MODEL")]
        yield Read(tuple(names), place, unsure, "model")
    if called in _AZURE and "api_version" not in given:
        yield Read(("OPENAI_API_VERSION",), place, unsure, "version")
