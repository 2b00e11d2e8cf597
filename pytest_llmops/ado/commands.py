"""Logging commands: lines in a step's log that the agent acts on.

Escaping is the inverse of how the agent reads them (microsoft/azure-pipelines-agent, Command.cs).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TextIO

from pytest_llmops.reports.text import encodable

IssueKind = Literal["error", "warning"]

_CODE = "llmops"
# The percent sign first: what stands for the others begins with one.
_ESCAPES = (("%", "%AZP25"), (";", "%3B"), ("\r", "%0D"), ("\n", "%0A"), ("]", "%5D"))


def command(name: str, message: str = "", **properties: str) -> str:
    """Write the command ``name``, such as ``task.logissue``, on one line. Properties without a value are left out."""
    given = ";".join(f"{key}={_escape(value)}" for key, value in properties.items() if value)
    return f"##vso[{name}{' ' * bool(given)}{given}]{_escape(message)}"


def log_issue(kind: IssueKind, message: str, *, path: str = "", line: int = 0) -> str:
    """Have the run's summary show a message, and where it belongs. It does not fail the step."""
    number = str(line) if line else ""
    return command("task.logissue", message, type=kind, sourcepath=path, linenumber=number, code=_CODE)


def set_output(name: str, value: str) -> str:
    """Set an output variable that no later command can change. The step needs a name for others to read it."""
    # Where it is read, the agent would put variables in place of $(...).
    return command("task.setvariable", value.replace("$(", "$ ("), variable=name, isOutput="true", isReadOnly="true")


def set_secret(name: str, value: str) -> str:
    """Set a variable of the job that later steps read by its macro alone, and that the agent masks in every log."""
    return command("task.setvariable", value, variable=name, issecret="true")


def upload_summary(file: Path) -> str:
    """Show a Markdown file on the run's page. The step fails where the file does not exist."""
    return command("task.uploadsummary", str(file.absolute()))


def add_build_tag(tag: str) -> str:
    """Tag the run. A tag has no colon."""
    return command("build.addbuildtag", tag)


def emit(commands: Iterable[str], log: TextIO) -> None:
    """Write commands into the log, each on a line of its own."""
    log.writelines(f"{encodable(line, log.encoding)}\n" for line in commands)
    log.flush()


def _escape(text: str) -> str:
    for mark, written in _ESCAPES:
        text = text.replace(mark, written)
    return text
