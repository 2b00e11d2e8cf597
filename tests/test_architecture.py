"""The layers of ARCHITECTURE.md, and what the entry point costs a session that does not use it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pytest_llmops"

LAYERS = [
    {"errors", "rules", "hashing", "secrets", "httpclients", "durations", "samplesize"},
    {"records"},
    {"spec", "stats", "cassettes", "throttle", "ledger", "matrix", "store", "mutation", "azure"},
    {"cloudruns", "disclosure", "definitions", "parity", "auditing"},
    {"plan", "versions", "thresholds"},
    {"judging", "sharding", "subjects", "fingerprints", "resolving"},
    {"engines"},
    {"session", "regating", "merging"},
    {"reports"},
    {"baselines", "ado", "deployment"},
    {"api"},
    {"sensitivity"},
    {"plugin", "cli"},
]
HEAVY = {"promptflow", "pandas", "openai", "httpx", "httpx2", "pydantic", "jinja2", "yaml"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports from the package, type-checking and function-level imports included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("pytest_llmops."))


def level(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_layer_imports_only_layers_below_it(path: Path) -> None:
    part = part_of(path)
    for other in set(imported(ast.parse(path.read_text(encoding="utf-8")))) - {part, "__version__"}:
        assert level(other) < level(part), f"{part} must not import {other}"


def test_only_the_plugin_imports_pytest() -> None:
    users = {
        part_of(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(alias.name == "pytest" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "pytest")
    }
    assert users == {"plugin"}


def loaded_after(*arguments: str) -> set[str]:
    """Top-level modules that a pytest run in a fresh process has loaded at its end."""
    script = (
        "import json, sys, pytest\n"
        f"pytest.main({list(arguments)!r})\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return set(json.loads(process.stdout.splitlines()[-1]))


def test_importing_the_entry_point_adds_nothing_but_itself() -> None:
    script = (
        "import json, sys, pytest\n"
        "before = set(sys.modules)\n"
        "import pytest_llmops.plugin.hooks\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(process.stdout) == [
        "pytest_llmops",
        "pytest_llmops.plugin",
        "pytest_llmops.plugin.hooks",
        "pytest_llmops.plugin.keys",
    ]


def test_a_session_without_experiments_loads_no_third_party_module() -> None:
    options = ("--help", "-q", "-p", "no:cacheprovider")
    with_plugin, without = loaded_after(*options), loaded_after(*options, "-p", "no:llmops")
    assert with_plugin - without <= {"pytest_llmops"} | set(sys.stdlib_module_names)


def test_collecting_experiments_loads_neither_promptflow_nor_pandas() -> None:
    loaded = loaded_after("evals", "--collect-only", "-q", "-p", "no:cacheprovider")
    assert "pytest_llmops" in loaded
    assert not loaded & {"promptflow", "pandas", "openai", "httpx", "httpx2"}
