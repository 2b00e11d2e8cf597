"""Examples of a documentation page, executed in the order in which they stand.

Each page has a folder of its own, empty at first; a page that holds ``<!-- project: samples -->`` finds copies of
the repository's sample use cases in it. What becomes of a fenced block depends on the words after its fence:

- any language with ``title="path"``: the block is written to that file;
- ``console``: bash runs each line that begins with ``$ ``, in the page's folder. The lines below it are its output,
  standard error included, with ``...`` for anything; where there are none, the output is not compared. The exit code
  of the last command is 0, or what ``exit="n"`` says; that of the others is 0;
- ``python``: the block is executed, ``pycon``: likewise, as a doctest. Names stay known to later blocks;
- all others, ``text`` above all, are there to be read.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SAMPLES = ("flows", "datasets", "evals")

_BLOCK = re.compile(r"^```(?P<info>\S.*)\n(?P<text>(?:.*\n)*?)^```$", re.MULTILINE)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)
_RULER = re.compile(r"([=_-])\1{2,}")
_DURATION = re.compile(r"\bin \d+\.\d+s\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. ``line`` is that of its fence, counted from 1."""

    language: str
    attributes: dict[str, str]
    text: str
    line: int


def read_blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        yield Block(
            language=match["info"].split()[0],
            attributes=dict(_ATTRIBUTE.findall(match["info"])),
            text=match["text"],
            line=text.count("\n", 0, match.start()) + 1,
        )


def run_page(page: Path, folder: Path) -> None:
    """Execute the examples of a page. The working directory of this process has to be ``folder``.

    Raises:
        AssertionError: naming the line of an example that does not do what the page says.
    """
    if "<!-- project: samples -->" in page.read_text(encoding="utf-8"):
        for name in SAMPLES:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".recording"))
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    player = _Player(page, folder)
    for block in read_blocks(page):
        player.play(block)


@dataclass(frozen=True, slots=True)
class _Player:
    page: Path
    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

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
        for example in examples:
            done = subprocess.run(
                ["bash", "-c", example["command"]],
                cwd=self.folder,
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            where = f"{self.page}:{block.line}: $ {example['command']}"
            expected = int(block.attributes.get("exit", "0")) if example is examples[-1] else 0
            assert done.returncode == expected, f"{where}\nexit code {done.returncode}\n{done.stdout}"
            if example["output"].strip():
                assert matches(example["output"], done.stdout), f"{where}\nsays\n{done.stdout}"

    def _run_doctest(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.text, self.names, "page", str(self.page), block.line)
        runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        report: list[str] = []
        runner.run(test, out=report.append, clear_globs=False)
        self.names.update(test.globs)
        assert not report, "".join(report)


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
    return {**inherited, "PATH": path, "COLUMNS": "80", "PY_COLORS": "0"}
