"""The packages that are installed, read from the names of their metadata folders and nothing else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

_SUFFIXES = (".dist-info", ".egg-info")
_LIBRARIES = frozenset({"site-packages", "dist-packages"})


def installed_packages(import_path: Iterable[str]) -> dict[str, str]:
    """Return the versions of all packages by name. The first place on the path wins, as it does for imports.

    Only folders of installed packages count. What else is on the path depends on how pytest was started, and modules
    from there count as files that a flow reads.
    """
    packages: dict[str, str] = {}
    for place in dict.fromkeys(import_path):
        if os.path.basename(os.path.normpath(place)) not in _LIBRARIES:
            continue
        with contextlib.suppress(OSError):  # archives, and entries that are not there
            for entry in sorted(os.listdir(place)):
                stem, suffix = os.path.splitext(entry)
                if suffix in _SUFFIXES:
                    name, _, version = stem.partition("-")
                    packages.setdefault(name.lower().replace("_", "-"), version)
    return packages
