"""What a session was told: by options, by variables of the environment, or by pytest's configuration file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_llmops.plugin.settings import AZUREML, SETTINGS, THRESHOLD, Setting, Settings
from pytest_llmops.plugin.slicing import with_slice

if TYPE_CHECKING:
    from pytest_llmops.records.experiment import Threshold

_SHOWN, _LONGEST = 100, 1000  # characters of a value, and of a message


def read_settings(config: pytest.Config, environ: Mapping[str, str]) -> Settings:
    """Work out the effective settings.

    Where one is refused, this session will decide nothing, and the decision of an earlier one is removed.

    Raises:
        pytest.UsageError: naming each setting that is refused, where its value came from, and what it may be.
    """
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    sources: dict[str, str] = {}
    thresholds: list[Threshold] = []
    refused: list[str] = []
    for setting in SETTINGS:
        raw, source = _given(setting, config, environ)
        if raw is None:
            continue
        sources[setting.name] = source
        if setting.once and len(config.getoption(setting.key) or ()) > 1:
            refused.append(f"{source}: there are two; name one folder that has both below it")
        try:
            values[setting.name] = setting.parse(raw)
        except (ValueError, KeyError):
            refused.append(f"{source}: {raw[:_SHOWN]!r} is not allowed; give {setting.grammar}")
    for text in config.getoption("llmops_threshold"):
        sources["thresholds"] = THRESHOLD
        try:
            thresholds.append(_threshold(text))
        except ValueError as problem:
            refused.append(f"{THRESHOLD}: {problem}")
    settings = Settings(values=values, sources=sources, thresholds=tuple(thresholds))
    if not refused:
        settings, refused = _with_live_calls(settings)
    if not refused:
        settings, refused = _with_address(settings, environ)
    if refused:
        _refuse(refused, settings, config, environ)
    return settings


def _with_live_calls(settings: Settings) -> tuple[Settings, list[str]]:
    """Settle where LLM answers come from where a workspace gives them. Returns the problems as well, if there are any.

    Evaluators that run here are asked about answers that no recording has seen, so theirs are live too.
    """
    sources, llm = settings.sources, settings["llm"]
    if settings["backend"] != AZUREML:
        if source := sources.get("run-timeout"):
            todo = f"is for the backend azureml, and this one is {settings['backend']}; add --llmops-backend azureml"
            return settings, [f"{source}: {todo}"]
        return settings, []
    if "llm" in sources and llm != "live":
        return settings, [
            f"{sources['llm']}: {llm!r} is not for the backend azureml: LLM calls there are live; give live"
        ]
    return replace(settings, values={**settings.values, "llm": "live"}), []


def _with_address(settings: Settings, environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Settle what is asked where flows are served somewhere. Returns the problems as well, if there are any."""
    sources, backend = settings.sources, settings["backend"]
    if backend != "endpoint":
        unused = (sources[name] for name in ("endpoint", "deployment") if name in sources)
        todo = f"is for the backend endpoint, and this one is {backend}; add --llmops-backend endpoint"
        return settings, [f"{source}: {todo}" for source in unused]
    if "endpoint" not in sources:
        return settings, [f"{sources['backend']}: the endpoint's URL is missing; give it with --llmops-endpoint"]
    if settings["variants"] not in (None, "default", "defaults"):
        return settings, [f"{sources['variants']}: an endpoint serves one variant; leave the option out"]
    from pytest_llmops.api.backends import make_address

    try:
        address = make_address(settings["endpoint"], settings["deployment"] or "", environ)
    except ValueError as problem:
        return settings, [f"{sources['endpoint']}: {problem}"]
    return replace(settings, address=address), []


def _given(setting: Setting, config: pytest.Config, environ: Mapping[str, str]) -> tuple[str | None, str]:
    """Return what a setting was given, None for nothing, and where."""
    option = config.getoption(setting.key)
    given = (
        (option[-1] if isinstance(option, list) else option, f"--llmops-{setting.name}"),
        (_from_environment(environ, setting.key.upper()), setting.key.upper()),
        (config.getini(setting.key), f"ini {setting.key}"),
    )
    return next(((str(raw), source) for raw, source in given if raw is not None), (None, ""))


def _from_environment(environ: Mapping[str, str], name: str) -> str | None:
    """Read a variable. Pipelines set empty ones, and leave a macro such as ``$(x)`` as it is where x is not set."""
    value = environ.get(name, "")
    return None if not value or value.startswith("$(") else value


def _threshold(text: str) -> Threshold:
    from pytest_llmops.thresholds import parse_threshold

    return parse_threshold(text, THRESHOLD)


def _refuse(problems: Sequence[str], settings: Settings, config: pytest.Config, environ: Mapping[str, str]) -> NoReturn:
    from pytest_llmops.errors import LLMOpsError
    from pytest_llmops.reports.text import one_line
    from pytest_llmops.reports.write import remove_decision

    if not (settings["plan"] or config.option.collectonly):
        try:
            # Of a shard, whichever it was to be.
            of_shard = "shard" in with_slice(settings, environ).sources
            remove_decision(settings.report_dir(config.rootpath), of_shard=of_shard)
        except LLMOpsError as error:
            problems = [*problems, str(error)]
    raise pytest.UsageError(*(one_line(problem, _LONGEST) for problem in problems))
