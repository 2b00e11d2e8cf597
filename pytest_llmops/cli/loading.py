"""How commands find and load an experiment."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records.experiment import Experiment

_NAME = "experiment.yaml"
_SHOWN = 10


def load_as_asked(options: argparse.Namespace) -> Experiment:
    """Load the experiment that the options name, with what is needed to answer LLM calls as they say.

    Raises:
        ConfigurationError: with every problem of the file; a key that is not set is one unless answers are replayed.
        LLMOpsError: for a folder, with the experiment files in it.
    """
    from pytest_llmops.api.assets import fetch_asset
    from pytest_llmops.api.shared import root_of
    from pytest_llmops.spec import load_experiment

    file = Path(options.experiment).absolute()
    if file.is_dir():
        raise LLMOpsError(f"{options.experiment}: it is a folder; {_choice(Path(options.experiment))}")
    live, root = options.llm != "replay", root_of(file.parent)
    fetch = partial(fetch_asset, folder=file.parent, root=root, environ=os.environ)
    return load_experiment(file, root=root, env=options.env, environ=os.environ, live=live, fetch=fetch)


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Declare the argument that ``experiment_file`` reads."""
    parser.add_argument("experiment", metavar="EXPERIMENT", help="experiment file, or a folder that has one")


def experiment_file(text: str) -> Path:
    """Return the absolute path of an experiment file, or of the only one in a folder.

    Raises:
        LLMOpsError: where there is none, or more than one to choose from.
    """
    given = Path(text)
    if not given.is_dir():
        if not given.is_file():
            raise LLMOpsError(f"{text}: there is no such file; correct the path")
        return given.absolute()
    found = _files_in(given)
    if len(found) != 1:
        raise LLMOpsError(f"{text}: {_choice(given)}")
    return Path(found[0]).absolute()


def _choice(folder: Path) -> str:
    found = _files_in(folder)
    if not found:
        return f"name an experiment file; there is no {_NAME} in it"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"name one of its experiment files: {', '.join(found[:_SHOWN])}{more}"


def _files_in(folder: Path) -> list[str]:
    return sorted(path.as_posix() for path in folder.rglob(_NAME) if not _is_hidden(path.relative_to(folder)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
