"""B4: other evaluation tools on the same trivial work for each row, each run as its documentation says.

They are installed into throwaway environments, in their newest versions. One that can't be installed, fails, or does
not record every row is reported as such.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure, Settings, alternately, ratio
from benchmarks.processes import pytest_command, run
from benchmarks.projects import write_rows

_PROJECTS = Path(__file__).parent / "peers"
_QUIET = {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "1",
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "INSPECT_DISPLAY": "plain",
}
"""What keeps them from the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way to run one tool. ``recorded`` counts the rows in what it left in its folder."""

    package: str
    way: str
    command: Sequence[str | Path]
    recorded: Callable[[Path], int]
    also: Sequence[str] = ()
    project: str = ""

    @property
    def folder(self) -> str:
        """Name of its folder below ``peers``."""
        return self.project or self.package.replace("-", "_")


def _in_results(folder: Path) -> int:
    results = json.loads((folder / "reports" / "results.json").read_text(encoding="utf-8"))
    return sum(len(cell["run"]["rows"]) for cell in results["cells"])


def _in_test_run(folder: Path) -> int:
    return len(json.loads((folder / ".deepeval" / ".latest_run_full.json").read_text(encoding="utf-8"))["testCases"])


def _in_report(folder: Path) -> int:
    return len(json.loads((folder / "report.json").read_text(encoding="utf-8"))["cases"])


def _in_bags(folder: Path) -> int:
    return len(json.loads((folder / "test-out" / "eval-results-raw.json").read_text(encoding="utf-8")))


def _in_log(folder: Path) -> int:
    newest = max((folder / "logs").glob("*.eval"), key=lambda file: file.stat().st_mtime)
    with zipfile.ZipFile(newest) as log:
        return sum(name.startswith("samples/") for name in log.namelist())


def _in_output(folder: Path) -> int:
    return len(json.loads((folder / "output.json").read_text(encoding="utf-8"))["results"]["results"])


OURS = Peer(
    package="pytest-llmops",
    way="pytest",
    command=pytest_command("experiment.yaml", "--llmops-no-cache"),
    recorded=_in_results,
    project="ours",
)
PEERS = (
    Peer(
        package="deepeval",
        way="deepeval test run",
        command=("deepeval", "test", "run", "test_rows.py"),
        recorded=_in_test_run,
        also=("pytest",),
    ),
    Peer(package="deepeval", way="evaluate", command=("python", "script.py"), recorded=_in_test_run, also=("pytest",)),
    Peer(package="pydantic-evals", way="evaluate_sync", command=("python", "script.py"), recorded=_in_report),
    Peer(
        package="pytest-evals",
        way="pytest --run-eval",
        command=("pytest", "--run-eval", "--run-eval-analysis"),
        recorded=_in_bags,
    ),
    Peer(
        package="inspect-ai",
        way="inspect eval",
        command=("inspect", "eval", "rows.py", "--model", "mockllm/model"),
        recorded=_in_log,
    ),
    Peer(
        package="promptfoo",
        way="promptfoo eval",
        command=("promptfoo", "eval", "--no-cache", "--output", "output.json"),
        recorded=_in_output,
    ),
)


def measure(folder: Path, settings: Settings) -> Iterator[Figure]:
    """Measure every peer in turn with ours, on 200 and 1,000 rows."""
    sizes = (50,) if settings.quick else (200, 1_000)
    tools = _Tools(folder / "tools")
    for rows in sizes:
        for peer in PEERS:
            yield _compare(folder, tools, peer, rows, settings)


def _compare(folder: Path, tools: _Tools, peer: Peer, rows: int, settings: Settings) -> Figure:
    name = f"peers, {rows:,} rows"
    try:
        version = tools.install(peer)
        here, there = (_write_project(folder / f"{each.folder}-{rows}", each, rows) for each in (OURS, peer))
        taken = alternately(
            {
                "ours": lambda: _session(OURS, here, rows, tools),
                "theirs": lambda: _session(peer, there, rows, tools),
            },
            settings.repetitions,
        )
    except (OSError, RuntimeError, subprocess.SubprocessError) as problem:
        print(f"{peer.package}: {problem}", file=sys.stderr)
        why = str(problem).partition("\n")[0]
        return Figure(name=name, against=f"{peer.package} (`{peer.way}`)", result=f"not measured: {why}")
    against = f"{peer.package} {version} (`{peer.way}`)"
    return ratio(name, against, taken["ours"], taken["theirs"], target=1)


def _session(peer: Peer, folder: Path, rows: int, tools: _Tools) -> float:
    """Run a tool as users do, and make sure that it recorded every row."""
    environment = {**_QUIET, "PROMPTFOO_CONFIG_DIR": str(folder / ".promptfoo")}
    command = [str(tools.program(peer)), *peer.command[1:]]
    # promptfoo ends with an error of its own after all is written, so what counts is what is there.
    finished = run(command, folder, environment=environment, check=False)
    try:
        recorded = peer.recorded(folder)
    except (OSError, ValueError, KeyError) as problem:
        raise RuntimeError(f"recorded nothing\n{problem!r}\n{finished.output[-2000:]}") from problem
    if recorded < rows:
        raise RuntimeError(f"recorded {recorded} of {rows} rows\n{finished.output[-2000:]}")
    return finished.seconds


def _write_project(folder: Path, peer: Peer, rows: int) -> Path:
    if not folder.exists():
        shutil.copytree(_PROJECTS / peer.folder, folder)
        shutil.copy(_PROJECTS / "shared" / "answer.py", folder)
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        questions = [f"question number {number} about something" for number in range(rows)]
        write_rows(folder / "rows.jsonl", [{"question": text, "expected": text.upper()} for text in questions])
        with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
            table = [[text.upper(), f"equals:{text.upper()}"] for text in questions]
            csv.writer(file).writerows([["answer", "__expected"], *table])
    return folder


class _Tools:
    """Installs peers, each into an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._versions: dict[str, str | Exception] = {}

    def install(self, peer: Peer) -> str:
        """Install a peer, once, and return its version.

        Raises:
            OSError, subprocess.SubprocessError: when that fails, each time it is asked for.
        """
        if peer.package not in self._versions:
            try:
                install = _install_with_npm if peer.package == "promptfoo" else _install_from_pypi
                self._versions[peer.package] = install(self._folder / peer.package, peer)
            except (OSError, subprocess.SubprocessError) as problem:
                self._versions[peer.package] = problem
        version = self._versions[peer.package]
        if isinstance(version, Exception):
            raise version
        return version

    def program(self, peer: Peer) -> Path:
        """Return the path of what the command of a peer starts."""
        folder = self._folder / peer.package
        programs = folder / "node_modules" / ".bin" if peer.package == "promptfoo" else folder / "bin"
        return programs / peer.command[0]  # which is ``command[0]`` itself where that is absolute


def _install_from_pypi(folder: Path, peer: Peer) -> str:
    packages = [peer.package, *peer.also]
    python = folder / "bin" / "python"
    if uv := shutil.which("uv"):
        _quietly([uv, "venv", "--python", sys.executable, str(folder)])
        _quietly([uv, "pip", "install", "--compile-bytecode", "--python", str(python), *packages])
    else:
        _quietly([sys.executable, "-m", "venv", str(folder)])
        _quietly([str(python), "-m", "pip", "install", *packages])
    return _quietly([str(python), "-c", f"import importlib.metadata as m; print(m.version({peer.package!r}))"])


def _install_with_npm(folder: Path, peer: Peer) -> str:
    folder.mkdir()
    _quietly(["npm", "install", "--no-fund", "--no-audit", "--prefix", str(folder), peer.package])
    package = folder / "node_modules" / peer.package / "package.json"
    return str(json.loads(package.read_text(encoding="utf-8"))["version"])


def _quietly(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
