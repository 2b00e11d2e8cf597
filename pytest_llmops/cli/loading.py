"""How commands that may ask a model load an experiment."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pytest_llmops.records.experiment import Experiment


def load_as_asked(options: argparse.Namespace) -> Experiment:
    """Load the experiment that the options name, with what is needed to answer LLM calls as they say.

    Raises:
        ConfigurationError: with every problem of the file; a key that is not set is one unless answers are replayed.
    """
    from pytest_llmops.api.shared import root_of
    from pytest_llmops.spec import load_experiment

    file = Path(options.experiment).absolute()
    live = options.llm != "replay"
    return load_experiment(file, root=root_of(file.parent), env=options.env, environ=os.environ, live=live)
