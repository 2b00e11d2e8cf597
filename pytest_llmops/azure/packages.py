"""Packages of a flow's image: those that it asks for, at the versions that it was evaluated with on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.errors import ConfigurationError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_FAMILY = "promptflow"
_COMMENT = re.compile(r"(^|\s+)#.*$")


@dataclass(frozen=True, slots=True)
class Requirements:
    """Lines for ``pip install --requirement`` and ``--constraint``."""

    lines: tuple[str, ...]
    constraints: tuple[str, ...]

    @classmethod
    def of(cls, file: Path | None, *packages: str) -> Requirements:
        """Make the lines for packages and a flow's ``requirements.txt``.

        Everything that these bring along is held at the version that is installed here, but for what the file itself
        asks for in another version.

        Raises:
            ConfigurationError: for lines that name other files, and for another version of prompt flow.
        """
        from packaging.requirements import Requirement

        own = _read(file) if file else []
        asked = [*map(Requirement, packages), *(requirement for _, requirement in own)]
        pinned = dict(_installed(tuple((_canonical(each.name), frozenset(each.extras)) for each in asked)))
        for number, requirement in own:
            here = pinned.get(_canonical(requirement.name))
            if here is None or requirement.url or requirement.specifier.contains(here, prereleases=True):
                continue
            if _canonical(requirement.name).startswith(_FAMILY):
                what = f"'{requirement}' is not the {here} that the flow is evaluated with here"
                raise ConfigurationError.one(shown(file), number, "", what, "install it, or leave out the version")
            del pinned[_canonical(requirement.name)]
        lines = dict.fromkeys(str(requirement) for requirement in asked)
        return cls(tuple(lines), tuple(f"{name}=={number}" for name, number in sorted(pinned.items())))


def shown(file: Path | None) -> str:
    """Name a file of a flow by the flow's folder: what images are made of is a copy of that."""
    return "/".join(file.parts[-2:]) if file else ""


def _read(file: Path) -> list[tuple[int, Requirement]]:
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        text = _COMMENT.sub("", line).strip()
        if not text:
            continue
        try:
            found.append((number, Requirement(text)))
        except InvalidRequirement:
            what = f"'{text}' is no package that an image can be built with"
            raise ConfigurationError.one(shown(file), number, "", what, "write name==version lines only") from None
    return found


@cache
def _installed(roots: tuple[tuple[str, frozenset[str]], ...]) -> Mapping[str, str]:
    """Return the versions of installed packages that the roots, names with extras, bring along with themselves."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(roots)
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            # Without a local label such as +cpu, which no index has.
            found[name] = Version(version(name)).public
            needed = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue  # the newest is as good as any where there is none here
        waiting += [(_canonical(r.name), frozenset(r.extras)) for r in needed if _applies(r, extras)]
    return found


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)
