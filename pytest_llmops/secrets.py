"""Which values are secrets, which texts hold some, and texts without them: all patterns of secrets are here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

HIDDEN = "***"
"""What stands in place of a secret."""
_WORDS = ("key", "secret", "token", "password")
_SHORTEST = 4


def _shape(name: str, pattern: str) -> tuple[str, re.Pattern[str]]:
    return name, re.compile(pattern)


_KEYS = (
    _shape(
        "a private key",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:\s|\\[nr])+(?:[\w-]+: [^\n]*\n\s*){0,4}[A-Za-z0-9+/=]{30}[^-]*"
        r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?",
    ),
    _shape("a key of OpenAI or Anthropic", r"\bsk-(?=[\w-]{0,99}\d)[\w-]{20,}"),
    _shape("a key of Azure OpenAI", r"\b[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{20,26}\b"),
    _shape("a client secret of Microsoft Entra", r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{31,34}(?![\w~-])"),
    _shape(
        "a key of an Azure storage account or database",
        r"(?i:key)[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9+/]{86}==",
    ),
    _shape("an access key of Azure", r"\bSharedAccessKey=[A-Za-z0-9+/]{30,}={0,2}"),
    _shape("a signature of a shared access", r"\bsig=(?=[A-Za-z0-9%+/]*\d)[A-Za-z0-9%+/]{30,}"),
    _shape("a key", r"(?i:api[_-]?key)[\"']?\s*[:=]\s*[\"']?(?=[0-9A-Fa-f]*\d)[0-9A-Fa-f]{32}\b"),
    _shape("a token of GitHub", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,})"),
    _shape("a token of GitLab", r"\bglpat-[\w-]{20,}"),
    _shape("a token of Slack", r"\bxox[abeoprs]-(?=[\w-]{0,99}\d)[\w-]{20,}"),
    _shape("a token of Hugging Face", r"\bhf_[A-Za-z0-9]{30,}"),
    _shape("a token of PyPI", r"\bpypi-Ag[\w-]{40,}"),
    _shape("a key of Google", r"\bAIza[\w-]{35}(?![\w-])"),
    _shape("an access key of AWS", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
)
"""Secrets that nothing else looks like."""
_PASSWORDS = (
    _shape("a URL with a password", r"\b[A-Za-z][\w+.-]{0,30}://[^\s/:@?#\"'<>]*:(?P<secret>[^\s/@?#\"'<>]+)@[\w\[]"),
    _shape(
        "a connection string with a password",
        r"(?i)\b(?:server|data source|host|initial catalog|database)\s*=[^;\n\"']{0,300};(?:[^;\n\"']{0,300};){0,12}?"
        r"\s*(?:password|pwd)\s*=\s*(?P<secret>[^;\s\"']+)",
    ),
)
_EXAMPLE = re.compile(
    r".*[${}<>%*\[\]].*|x+|\.+|(?:(?:my|your|the)[_-]?)?(?:pw|pwd|pass|passwd|password|secret|token|key|example|changeme)",
    re.IGNORECASE,
)
"""What stands for a password in examples and templates."""
_VARIETY = 8
"""How many different characters a key has at least, and examples such as ``sk-1111...`` have not."""

_QUOTE = r"(?:\\{0,7}[\"'`]|&quot;|&#3[49];)"
_VALUE = rf"(?:(?P<quote>{_QUOTE})(?:.*?)(?:(?<!\\)(?P=quote)|\Z)|[^\s;\"'`<>]+)"
"""A value: all that is quoted, or a word. A connection string goes on after a semicolon."""
_PART = r"[^\s&;#\"'`<>]+"
"""A value in the query of a URL, which goes on after an ampersand."""
_PASSWORD = r"(?:secret|passw(?:or)?d|pwd|passphrase|client_?assertion)"  # noqa: S105
_KEY = (
    r"(?:api|access|account|admin|client|encryption|function|host|instrumentation|master|primary|private|secondary"
    r"|service|shared|signing|storage|subscription)[_-]?key"
)
_TOKEN = r"(?:access|api|auth|bearer|csrf|id|personal|refresh|sas|security|session)[_-]?token"  # noqa: S105


def _mask(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


_MASKS = (
    # Of a URL, all before the host: the name may be the secret too. The second is a password that holds a slash.
    _mask(r"(?P<before>\b[a-z][\w+.-]{0,30}://)[^\s/?#\"'<>]*(?=@)"),
    _mask(r"(?P<before>\b[a-z][\w+.-]{0,30}://)[^\s/:@?#\"'<>]*:(?!\d*[/?#])[^\s@\"'<>]{0,500}(?=@)"),
    _mask(rf"(?P<before>(?:[?&](?:amp;)?|%3F|%26)(?:code|key|sig|signature|token)(?:=|%3D)){_PART}"),
    _mask(rf"(?P<before>(?:\b|(?<=%3F)|(?<=%26))(?:sig|sharedaccesssignature)(?:=|%3D)){_PART}"),
    _mask(
        rf"(?P<before>\bauthorization{_QUOTE}?\s*[:=]\s*{_QUOTE}?(?:(?:basic|bearer|digest|negotiate|sharedkey|token|"
        r"api-?key)\s+)?)[^\s;,\"'`<>]+"
    ),
    # Names of secrets, as JSON, YAML, headers, connection strings and variables give them values.
    _mask(rf"(?P<before>(?:{_KEY}|{_TOKEN}|{_PASSWORD}){_QUOTE}?\s*[:=]\s*){_VALUE}"),
    _mask(rf"(?P<before>(?:(?<=[\w-])key|token|{_PASSWORD})(?:=|%3D)){_VALUE}"),
    _mask(rf"(?P<before>{_QUOTE}token{_QUOTE}\s*:\s*)(?={_QUOTE}){_VALUE}"),
    # A word after "Basic" or "Bearer", if it looks like no word.
    re.compile(
        r"(?P<before>\b(?i:basic|bearer)\s+)"
        r"(?=[\w.~+/-]*\d|[\w.~+/-]*[a-z][A-Z]|[A-Za-z+/]+=(?!\")|[\w~+/-]{24})[\w.~+/-]+=*"
    ),
    _mask(r"\beyJ[\w-]{5,}(?:\.[\w-]*)*"),
    _mask(r"\bsk-(?=[\w-]{0,99}\d)[\w-]{8,}"),
    *(pattern for _, pattern in _KEYS),
)


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
            text = text.replace(secret, HIDDEN)
    return text


def without_secrets(text: str) -> str:
    """Replace what looks like a secret, or stands under the name of one, by asterisks.

    It is for messages of others, and in doubt takes out too much: the word after ``password:``, whatever it is.
    """
    for pattern in _MASKS:
        text = pattern.sub(_hidden, text)
    return text


def _hidden(match: re.Match[str]) -> str:
    parts = match.groupdict()
    quote = parts.get("quote") or ""
    return f"{parts.get('before', '')}{quote}{HIDDEN}{quote}"


def find_secrets(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the kind of each secret that a file holds beyond doubt.

    It is for what people wrote, and in doubt finds nothing: prompts and comments may speak of keys, and show examples.
    """
    for kind, pattern in (*_KEYS, *_PASSWORDS):
        for match in pattern.finditer(text):
            if _is_meant(match):
                yield text.count("\n", 0, match.start()) + 1, kind


def _is_meant(match: re.Match[str]) -> bool:
    if "secret" in match.groupdict():
        return not _EXAMPLE.fullmatch(match["secret"])
    return len(set(match[0])) >= _VARIETY
