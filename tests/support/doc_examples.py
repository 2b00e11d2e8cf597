"""Examples of a documentation page, executed in the order in which they stand.

Each page has a folder of its own, empty at first; a page that holds ``<!-- project: samples -->`` finds copies of
the repository's sample use cases in it. What becomes of a fenced block depends on the words after its fence:

- any language with ``title="path"``: the block is written to that file;
- ``console``: bash runs each line that begins with ``$ ``, in the page's folder. The lines below it are its output,
  standard error included, with ``...`` for anything; where there are none, the output is not compared. The exit code
  of the last command is 0, or what ``exit="n"`` says; that of the others is 0;
- ``console azure``: likewise, in an emulated workspace of Azure, see ``azure_examples.py``;
- ``console background``: bash runs the command until the page ends. The port that follows ``--port`` is another one
  then, of which the rest of the page does not know;
- ``python``: the block is executed, ``pycon``: likewise, as a doctest. Names stay known to later blocks;
- all others, ``text`` above all, are there to be read.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure_examples import AzureExamples

ROOT = Path(__file__).parents[2]
SAMPLES = ("flows", "datasets", "evals")

_BLOCK = re.compile(r"^```(?P<info>\S.*)\n(?P<text>(?:.*\n)*?)^```$", re.MULTILINE)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
_RULER = re.compile(r"([=_-])\1{2,}")
_PORT = re.compile(r"--port (\d+)")
_DURATION = re.compile(r"\bin \d+\.\d+s\b")
_OF_OUR_TESTS = "-p no:hypothesispytest -p no:anyio"
"""Plugins that only those have who test this project. They take a third of the time of a short session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. ``line`` is that of its fence, counted from 1, ``words`` are those after the language."""

    language: str
    attributes: dict[str, str]
    text: str
    line: int
    words: frozenset[str] = frozenset()


def read_blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        yield Block(
            language=match["info"].split()[0],
            attributes=dict(_ATTRIBUTE.findall(match["info"])),
            text=match["text"],
            line=text.count("\n", 0, match.start()) + 1,
            words=frozenset(_ATTRIBUTE.sub("", match["info"]).split()[1:]),
        )


def needs_agents(page: Path) -> bool:
    """Tell whether a page needs Agent Framework. It is run where that is installed, by ``tests/agents``."""
    return "<!-- needs: agents -->" in page.read_text(encoding="utf-8")


def needs_azure(page: Path) -> bool:
    """Tell whether commands of a page are run in Azure."""
    return any("azure" in block.words for block in read_blocks(page))


def run_page(page: Path, folder: Path, azure: AzureExamples | None = None) -> None:
    """Execute the examples of a page, which may need an Azure. The working directory of this process is ``folder``.

    Raises:
        AssertionError: naming the line of an example that does not do what the page says.
    """
    if "<!-- project: samples -->" in page.read_text(encoding="utf-8"):
        for name in SAMPLES:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".recording"))
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    with ExitStack() as until_end:
        player = _Player(page, folder, azure, until_end)
        for block in read_blocks(page):
            player.play(block)


@dataclass(frozen=True, slots=True)
class _Player:
    page: Path
    folder: Path
    azure: AzureExamples | None
    until_end: ExitStack
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    ports: dict[str, str] = field(default_factory=dict)

    def play(self, block: Block) -> None:
        if "title" in block.attributes:
            file = self.folder / block.attributes["title"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            self._run_commands(block)
        elif block.language == "python":
            # Blank lines in front make line numbers of tracebacks those of the page.
            exec(compile("\n" * block.line + block.text, str(self.page), "exec"), self.names)
        elif block.language == "pycon":
            self._run_doctest(block)

    def _run_commands(self, block: Block) -> None:
        examples = list(_COMMAND.finditer(block.text))
        assert examples, f"{self.page}:{block.line}: no line of this console block begins with '$ '"
        if self.azure and "azure" in block.words:
            self.azure.prepare(block.attributes)
        for example in examples:
            where = f"{self.page}:{block.line}: $ {example['command']}"
            if "background" in block.words:
                self._start(example["command"])
                continue
            code, said = self._run(example["command"], in_azure="azure" in block.words)
            expected = int(block.attributes.get("exit", "0")) if example is examples[-1] else 0
            assert code == expected, f"{where}\nexit code {code}\n{said}"
            if example["output"].strip():
                assert matches(example["output"], said), f"{where}\nsays\n{said}"

    def _run(self, command: str, *, in_azure: bool) -> tuple[int, str]:
        """Run a command, and return its exit code and output."""
        for written, actual in self.ports.items():
            command = command.replace(f":{written}", f":{actual}")
        environment = _environment()
        if in_azure:
            assert self.azure is not None, "give run_page an Azure for this page"
            if command.startswith("llmops "):
                return self.azure.run(command)
            environment = self.azure.environ(environment)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said = done.stdout
        for written, actual in self.ports.items():
            said = said.replace(f":{actual}", f":{written}")
        return done.returncode, said

    def _start(self, command: str) -> None:
        """Run a command until the page ends, on a port that is free."""
        written = _PORT.findall(command)
        for port in written:
            self.ports[port] = _free_port()
            command = command.replace(f"--port {port}", f"--port {self.ports[port]}")
        home = self.folder.with_name(f"{self.folder.name}-background")
        home.mkdir(exist_ok=True)
        (home / "pf.yaml").write_text("telemetry: {enabled: false}\ntrace: {destination: none}\n", encoding="utf-8")
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**_environment(), "HOME": str(home), "PF_HOME_DIRECTORY": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.until_end.callback(process.wait)
        self.until_end.callback(os.killpg, process.pid, signal.SIGKILL)

    def _run_doctest(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.text, self.names, "page", str(self.page), block.line)
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        report: list[str] = []
        runner.run(test, out=report.append, clear_globs=False)
        self.names.update(test.globs)
        assert not report, "".join(report)


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def matches(documented: str, actual: str) -> bool:
    """Compare outputs, with ``...`` in the documented one for anything; durations and widths of rulers may differ."""
    return doctest.OutputChecker().check_output(_normal(documented), _normal(actual), doctest.ELLIPSIS)


def _normal(output: str) -> str:
    lines = (line.rstrip() for line in output.strip().splitlines())
    return _DURATION.sub("in 0.00s", _RULER.sub(r"\1\1\1", "\n".join(lines))) + "\n"


def _environment() -> dict[str, str]:
    """Make the environment of somebody who has this Python's scripts on the path, and a terminal of 80 columns."""
    prefixes = ("PYTEST", "LLMOPS", "COV_", "CI", "BUILD_NUMBER")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    path = os.pathsep.join((sysconfig.get_path("scripts"), inherited.get("PATH", "")))
    return {**inherited, "PATH": path, "COLUMNS": "80", "PY_COLORS": "0", "PYTEST_ADDOPTS": _OF_OUR_TESTS}
