"""Which values are secrets, and texts without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

_WORDS = ("key", "secret", "token", "password")
_SHORTEST = 4


def is_secret(name: str) -> bool:
    """Tell by its name whether a property or variable holds a secret."""
    return any(word in name.lower() for word in _WORDS)


def named_secrets(values: Mapping[str, object]) -> Iterator[str]:
    """Yield the texts that stand under the name of a secret, at any depth."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from named_secrets(value)
        elif isinstance(value, str) and is_secret(str(name)):
            yield value


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace every secret in a text by asterisks. Values too short to be a secret are left alone."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, "***")
    return text
