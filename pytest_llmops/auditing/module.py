"""What files of code and settings say, one by one and together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.auditing.clients import Read


@dataclass(frozen=True, slots=True)
class Value:
    """A value in source: a literal where ``known``, perhaps that which stands in for an environment ``variable``."""

    known: bool = False
    literal: Any = None
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A name that is given a value somewhere: as a keyword or key, or else, ``by_name``, as a default or variable."""

    key: str
    value: Value
    place: str
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields that a class declares, and the classes that it has more from; ``open`` where it may have others."""

    names: tuple[str, ...]
    bases: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What an expression is, for outputs: a dict of these keys, or what a name, or a call of it, gives."""

    keys: tuple[str, ...] | None = None
    called: str = ""


@dataclass(slots=True)
class Module:
    """What one module says. Names are those of executors and agents, as ``snake_case`` has them, to their places.

    ``takes`` maps executors to the names of the types that their handlers take, ``starts`` are what workflows start
    with, ``made`` what variables are assigned.
    """

    names: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    settings: list[Setting] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    sets: set[str] = field(default_factory=set)
    classes: dict[str, Fields] = field(default_factory=dict)
    takes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    yields: list[Made] = field(default_factory=list)
    made: dict[str, Made] = field(default_factory=dict)
    imports: list[tuple[int, str]] = field(default_factory=list)


def merged(modules: Iterable[Module]) -> Module:
    """Put together what several modules say; of a name that several have, the first counts."""
    whole = Module()
    for module in modules:
        whole.names = {**module.names, **whole.names}
        whole.functions = {**module.functions, **whole.functions}
        whole.classes = {**module.classes, **whole.classes}
        whole.takes = {**module.takes, **whole.takes}
        whole.made = {**module.made, **whole.made}
        whole.settings += module.settings
        whole.strings += module.strings
        whole.reads += module.reads
        whole.sets |= module.sets
        whole.starts += module.starts
        whole.yields += module.yields
        whole.imports += module.imports
    return whole
