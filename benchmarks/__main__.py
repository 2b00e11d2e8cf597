"""Run the benchmarks, print a line for each figure, and write the table of the documentation.

    python -m benchmarks [--only b1,b3] [--quick]

Needs an environment with this package installed, and for B4 access to PyPI and npm.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import page
from benchmarks.figures import Figure, Settings
from benchmarks.processes import compile_bytecode

MODULES = {
    "B1": "b1_matrix",
    "B2": "b2_llm",
    "B3": "b3_throughput",
    "B4": "b4_peers",
    "B5": "b5_collection",
    "B6": "b6_workers",
    "B7": "b7_record_replay",
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    parser.add_argument("--only", default=",".join(MODULES), help="such as b1,b3")
    parser.add_argument("--quick", action="store_true", help="a small trial; the documentation stays as it is")
    given = parser.parse_args()
    chosen = given.only.upper().split(",")
    if unknown := [name for name in chosen if name not in MODULES]:
        parser.error(f"--only: no benchmark is named {unknown[0]}; there are {', '.join(MODULES)}")
    compile_bytecode()
    figures: dict[str, list[Figure]] = {name: [] for name in MODULES}
    for name in chosen:
        measure: Callable[[Path, Settings], Iterable[Figure]]
        measure = importlib.import_module(f"benchmarks.{MODULES[name]}").measure
        with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as folder:
            for figure in measure(Path(folder), Settings(quick=given.quick)):
                print(f"{name} {figure.line}", flush=True)
                figures[name].append(figure)
        if not given.quick:
            page.write(figures)


if __name__ == "__main__":
    main()
