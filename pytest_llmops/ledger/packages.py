"""The packages that are installed, read from the names of their metadata folders and nothing else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

_SUFFIXES = (".dist-info", ".egg-info")


def installed_packages(import_path: Iterable[str]) -> dict[str, str]:
    """Return the versions of all packages by name. The first place on the path wins, as it does for imports."""
    packages: dict[str, str] = {}
    for place in dict.fromkeys(import_path):
        with contextlib.suppress(OSError):  # archives, and entries that are not there
            for entry in sorted(os.listdir(place or os.curdir)):
                stem, suffix = os.path.splitext(entry)
                if suffix in _SUFFIXES:
                    name, _, version = stem.partition("-")
                    packages.setdefault(name.lower().replace("_", "-"), version)
    return packages
