"""What sessions on parts of the work left in their folders, found and read for ``llmops merge``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.merging import Named
    from pytest_llmops.records.report import Report


def find_shards(folders: Iterable[str], target: Path) -> tuple[list[Named], list[str]]:
    """Read the results of all shards that are in folders, or below. Returns them, and a line for each trouble.

    What an earlier merge left in ``target`` is none of them.
    """
    from pytest_llmops.reports import results

    found: dict[str, Report] = {}
    troubles: list[str] = []
    for folder in folders:
        try:
            files = list(_results(Path(folder), target.resolve()))
        except OSError as error:
            troubles.append(f"{folder}: can't be read: {error.strerror}")
            continue
        if not files:
            what = f"{folder}: there is no {results.FILE} of a shard in it, or below"
            troubles.append(f"{what}; name the reports of shards")
        troubles += [trouble for file in files if (trouble := _read(file, found))]
    return list(found.items()), list(dict.fromkeys(troubles))


def merged_junit(parts: Sequence[Named], name: str) -> tuple[str, list[str]]:
    """Merge the JUnit files of shards, if they have any. Returns the text, and a line for each trouble."""
    from pytest_llmops.reports.junit_merging import merge_junit

    files = [Path(folder) / name for folder, _ in parts]
    if not any(file.exists() for file in files):
        return "", []
    troubles = [line for file in files if (line := _junit_trouble(file))]
    if troubles:
        return "", troubles
    try:
        return merge_junit([file.read_text(encoding="utf-8") for file in files]), []
    except (OSError, ValueError) as error:
        return "", [f"{name}: {error}"]


def _results(path: Path, target: Path) -> Iterator[Path]:
    """Find the results in a folder, else in those below: a shard's own folder may hold those of earlier sessions."""
    from pytest_llmops.reports import results

    file = path if path.name == results.FILE and path.is_file() else path / results.FILE
    is_target = file.parent.resolve() == target
    if file.exists() and not is_target:
        yield file
    elif path.is_dir():
        for below in sorted(each for each in path.iterdir() if each.is_dir() and not each.is_symlink()):
            yield from _results(below, target)


def _read(file: Path, found: dict[str, Report]) -> str:
    """Add results to those that were found, by folder. Returns what is wrong with them; nothing if they are good."""
    from pytest_llmops.baselines import shown
    from pytest_llmops.reports import results

    try:
        found[shown(file.parent)] = results.read(Path(shown(file)))
    except LLMOpsError as error:
        return str(error)
    return ""


def _junit_trouble(file: Path) -> str:
    """Say what is wrong with the JUnit file of a shard; nothing if it is good."""
    from pytest_llmops.reports.junit_merging import merge_junit

    try:
        merge_junit([file.read_text(encoding="utf-8")])
    except FileNotFoundError:
        return f"{file.as_posix()}: there is none, and other shards have one"
    except OSError as error:
        return f"{file.as_posix()}: can't be read: {error.strerror}"
    except ValueError as error:
        return f"{file.as_posix()}: {error}"
    return ""
