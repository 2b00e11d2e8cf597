"""Requests, answers and the routing table of the Azure emulator. Routes are added by small modules, one per service."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

RESOURCES = "/subscriptions/{subscription}/resourceGroups/{group}/providers/"
WORKSPACE = RESOURCES + "Microsoft.MachineLearningServices/workspaces/{workspace}"
_SHORTENED = re.compile(
    r"(/subscriptions/[^/]+/resourceGroups/[^/]+/providers/(Microsoft\.MachineLearningServices/workspaces/[^/]+)?)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came in. ``names`` are the parts of host and path that the route names in braces.

    ``fault`` is how the operation that it starts is to end, if not well: see ``azure_faults``.
    """

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    names: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def json(self) -> Any:
        """The body as JSON; None without a body."""
        return json.loads(self.body) if self.body else None

    @property
    def label(self) -> str:
        """Its address for people: no subscription, resource group and workspace, and only the first part of a host."""
        path = _SHORTENED.sub("/", self.path).replace("//", "/").strip("/") or "workspace"
        return path if self.host == "management.azure.com" else f"{self.host.partition('.')[0]}/{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer; ``body`` is bytes, or anything else for JSON. ``note`` is for the log, ``quiet`` keeps out of it."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    quiet: bool = False

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Handler = Callable[[Request], Answer]


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error as Azure Resource Manager words it."""
    body = {"error": {"code": code, "message": message}}
    return Answer(status=status, body=body, headers=headers or {}, note=code)


@dataclass(frozen=True, slots=True)
class Route:
    """A method with patterns of host and path."""

    method: str
    host: re.Pattern[str]
    path: re.Pattern[str]
    handler: Handler


@dataclass(slots=True)
class Routes:
    """The routing table: what is added later comes first."""

    known: list[Route] = field(default_factory=list)

    def add(self, method: str, host: str, path: str, handler: Handler) -> None:
        """Answer requests of a method at ``host`` and ``path``; ``{name}`` stands for one part and is named so."""
        self.known.insert(0, Route(method, _pattern(host, "."), _pattern(path, "/"), handler))

    def find(self, method: str, host: str, path: str) -> tuple[Handler, Mapping[str, str]] | None:
        """Return who answers, and the named parts; None if nobody does."""
        for route in self.known:
            matches = route.host.fullmatch(host), route.path.fullmatch(path)
            if route.method == method and matches[0] and matches[1]:
                return route.handler, matches[0].groupdict() | matches[1].groupdict()
        return None


def _pattern(text: str, separator: str) -> re.Pattern[str]:
    """Return an expression for a host or path, which Azure takes in any case of letters."""
    return re.compile("".join(_parts(text, separator)), re.IGNORECASE)


def _parts(text: str, separator: str) -> Iterator[str]:
    for literal, name in re.findall(r"([^{]*)(?:\{(\w+)\})?", text):
        yield re.escape(literal)
        if name:
            yield rf"(?P<{name}>[^{re.escape(separator)}]+)"
