"""``llmops mutate``: breaks a flow on purpose, and says which gates noticed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show
from pytest_llmops.cli.loading import load_as_asked
from pytest_llmops.errors import LLMOpsError

if TYPE_CHECKING:
    from pytest_llmops.cli.base import Commands


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "mutate", "break a flow on purpose, and say which gates notice")
    parser.add_argument("experiment", metavar="FILE", help="an experiment.yaml")
    parser.add_argument("--env", help="read the overlay experiment.ENV.yaml")
    parser.add_argument(
        "--llm", choices=("replay", "live", "auto"), default="replay", help="how LLM calls are answered"
    )
    parser.add_argument("--mutations", metavar="NAMES", help="some of them, separated by commas (default: all)")
    parser.add_argument("--variants", default="defaults", metavar="NAMES", help="variants to break (default: defaults)")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the broken copies there, in a new folder")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Test the gates. Returns 1 where a gate that blocks for bad quality was not seen to notice anything."""
    from pytest_llmops.reports.sensitivity import sensitivity_lines
    from pytest_llmops.sensitivity import probe_gates

    mutations = _mutations(options.mutations)
    experiment = load_as_asked(options)
    if not experiment.thresholds:
        raise LLMOpsError(f"{options.experiment}: it has no thresholds, so there is no gate to test")
    with _folder(options.keep) as folder:
        result = probe_gates(experiment, folder, mutations=mutations, llm=options.llm, variants=options.variants)
    show(sensitivity_lines(result))
    return 1 if result.blind else 0


def _mutations(given: str | None) -> list[str]:
    from pytest_llmops.mutation import MUTATIONS

    names = [name.strip() for name in given.split(",")] if given else list(MUTATIONS)
    if unknown := [name for name in names if name not in MUTATIONS]:
        raise LLMOpsError(f"--mutations: there is no mutation '{unknown[0]}'; there are: {', '.join(MUTATIONS)}")
    return list(dict.fromkeys(names))


@contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    """Give the folder in which mutants are made: a temporary one, or a new one that stays."""
    if keep is None:
        with TemporaryDirectory(prefix="llmops-mutants-") as folder:
            yield Path(folder).resolve()
        return
    folder_kept = Path(keep).absolute()
    try:
        folder_kept.mkdir(parents=True)
    except FileExistsError:
        raise LLMOpsError(f"--keep {keep}: it exists already; give a new folder") from None
    except OSError as error:
        raise LLMOpsError(f"--keep {keep}: can't be made: {error.strerror}; give a folder elsewhere") from None
    yield folder_kept
