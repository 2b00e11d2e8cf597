"""Which files of a project are part of a flow's version, and which only lie in its folder or were read beside it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_llmops.ledger.files import UNREADABLE, is_ignored
from pytest_llmops.records.experiment import Experiment, Flow
from pytest_llmops.records.run import RunRequest

_OF_ONE_MACHINE = re.compile(r"\.env(\..*)?|\.DS_Store|Thumbs\.db|desktop\.ini", re.DOTALL)
_OF_A_REPORT = frozenset({"results.json", "summary.md"})
_MARKERS = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg")
_MODULES = ("", ".py", ".so", ".pyd")
_DIGITS = 16
"""Of a read file's digest: enough to tell two contents apart, and little where there are many files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project, seen from one experiment: absolute paths.

    ``root`` is where pytest names the experiment's file from. ``written`` is what sessions write there, and ``beside``
    what of the use case is known otherwise: its file and overlays, and the data.
    """

    root: Path
    written: tuple[Path, ...] = ()
    beside: tuple[Path, ...] = ()

    def parts(self, flow: Flow, files: Mapping[str, str | None]) -> dict[str, str | None]:
        """Select those files of a flow's definition that are part of it, by their names from its folder."""
        reports = _report_folders(files)
        left_out = (*self.written, *self.beside)
        return {
            name: content
            for name, content in files.items()
            if not _OF_ONE_MACHINE.fullmatch(PurePosixPath(name).name)
            and reports.isdisjoint(PurePosixPath(name).parents)
            and not _is_below(os.path.normpath(flow.folder / name), left_out)
        }

    def reads(self, request: RunRequest, files: Mapping[str, str | None]) -> dict[str, str | None]:
        """Select those files that a flow read which are part of its version: files of the project that are no data.

        ``files`` and what is returned are as in ``Reads``, the latter with short digests, and with names that are the
        same in every checkout. Where modules were looked for in vain is left out: it depends on the import path.
        """
        flow = request.flow
        root = self._root_above(flow.folder)
        known = [flow.file, *self.written, *(p for p in (request.data, request.run_inputs) if isinstance(p, Path))]
        found: dict[str, str | None] = {}
        for name, content in files.items():
            place = _place(flow.folder, name, root)
            if place is None or (content is None and PurePosixPath(name).suffix in _MODULES):
                continue
            path = os.path.normpath(flow.folder / place)
            if not (_is_below(path, known) or _holds(path, (flow.folder, *self.written)) or _is_noise(path, root)):
                found[place] = content if content == UNREADABLE else short_digest(content)
        return dict(sorted(found.items()))

    def _root_above(self, folder: Path) -> Path:
        """Return the outermost of what marks the project: pytest's root, and the repository of the folder.

        Without a repository, as in a container, the next folder above with a project's configuration counts.
        """
        above = (folder, *folder.parents)
        own = next((each for each in above if (each / ".git").exists()), None) or next(
            (each for each in above if any((each / marker).exists() for marker in _MARKERS)), folder
        )
        return self.root if self.root in own.parents else own


def project_of(experiment: Experiment, path: str) -> Project:
    """Describe the project of an experiment. ``path`` names the experiment file from the root."""
    depth = sum(part != ".." for part in PurePosixPath(path).parts)
    stem, suffix = experiment.file.stem, experiment.file.suffix
    datasets = (*experiment.datasets, *(gold for evaluator in experiment.evaluators for gold in evaluator.datasets))
    baseline = experiment.baseline.path if experiment.baseline else None
    return Project(
        root=experiment.file.parents[min(depth, len(experiment.file.parents)) - 1],
        written=(
            experiment.folder / "cassettes",
            experiment.folder / "baselines",
            *((baseline,) if baseline else ()),
        ),
        beside=(
            experiment.file,
            *experiment.folder.glob(f"{stem}.*{suffix}"),
            *(dataset.source for dataset in datasets if dataset.source is not None),
        ),
    )


def short_digest(content: str | None) -> str | None:
    """Return what a version keeps of the digest of a file that was read."""
    return None if content is None else content[:_DIGITS]


def _place(folder: Path, name: str, root: Path) -> str | None:
    """Name a file from the flow's folder, if it is one of the project, under whichever name it was opened."""
    path = os.path.normpath(folder / name)
    if _is_below(path, (root,)):
        return Path(os.path.relpath(path, folder)).as_posix()
    path = os.path.realpath(path)
    inside = _is_below(path, (root.resolve(),))
    return Path(os.path.relpath(path, folder.resolve())).as_posix() if inside else None


def _is_below(path: str, places: Iterable[Path]) -> bool:
    return any(path == str(place) or path.startswith(f"{place}{os.sep}") for place in places)


def _holds(path: str, places: Iterable[Path]) -> bool:
    """Tell whether something is the listing of a folder in which sessions and tools come and go."""
    return any(str(place) == path or str(place).startswith(path.rstrip(os.sep) + os.sep) for place in places)


def _is_noise(path: str, root: Path) -> bool:
    parts = Path(os.path.relpath(path, root)).parts
    if any(map(is_ignored, parts)) or _OF_ONE_MACHINE.fullmatch(parts[-1]):
        return True
    return any(all((parent / name).is_file() for name in _OF_A_REPORT) for parent in _between(Path(path), root))


def _between(path: Path, root: Path) -> Iterator[Path]:
    return (parent for parent in path.parents if root in parent.parents)


def _report_folders(names: Collection[str]) -> frozenset[PurePosixPath]:
    """Return the folders that hold the reports of a session, as their files tell."""
    folders = {PurePosixPath(name).parent for name in names if PurePosixPath(name).name in _OF_A_REPORT}
    known = frozenset(names)
    return frozenset(
        folder for folder in folders if folder.parts and all(str(folder / name) in known for name in _OF_A_REPORT)
    )
