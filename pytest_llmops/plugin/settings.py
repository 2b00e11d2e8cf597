"""Settings: one name each, read from the command line, the environment or the ini file, in this order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.durations import format_duration, parse_duration

if TYPE_CHECKING:
    from pytest_llmops.plan import Options
    from pytest_llmops.records.experiment import Threshold

LLM_MODES = ("live", "replay", "record", "auto")


def _text(raw: str) -> str:
    return raw


def _count(raw: str) -> int:
    number = int(raw)
    if number < 1:
        raise ValueError
    return number


def _repeats(raw: str) -> int:
    from pytest_llmops.records.experiment import MOST_REPEATS

    if (number := _count(raw)) > MOST_REPEATS:
        raise ValueError
    return number


def _shard(raw: str) -> tuple[int, int]:
    index, count = (_count(part) for part in raw.split("/"))
    if index > count:
        raise ValueError
    return index, count


def _number(raw: str) -> int:
    return 0 if raw == "0" else _count(raw)


def _mode(raw: str) -> str:
    if raw not in LLM_MODES:
        raise ValueError
    return raw


def _flag(raw: str) -> bool:
    return {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}[
        raw.lower()
    ]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, ``--llmops-<name>``. ``grammar`` says what ``parse``, the inverse of ``show``, takes."""

    name: str
    help: str
    default: Any = None
    parse: Callable[[str], Any] = _text
    grammar: str = "text"
    show: Callable[[Any], str] = str

    @property
    def key(self) -> str:
        """Name of the option's destination and of the ini key; upper case, of the environment variable."""
        return "llmops_" + self.name.replace("-", "_")


# Help texts begin with a capital and have no full stop when they are a single phrase.
SETTINGS = (
    Setting("env", "Environment: overlay experiment.<ENV>.yaml is laid over each experiment.yaml"),
    Setting("variants", "Variants to run: all, defaults, or a comma-separated list of globs"),
    Setting("llm", "Where LLM answers come from: live, replay, record or auto", "replay", _mode, "|".join(LLM_MODES)),
    Setting("llm-retries", "Repetitions of an LLM call that was refused or lost", 5, _number, "a number, 0 or more"),
    Setting("concurrency", "LLM calls at once in all, and rows at once in each run", 16, _count, "a positive number"),
    Setting("max-rows", "Use only the first N rows of every dataset", None, _count, "a positive number"),
    Setting("repeat", "Run each row N times, whatever the files say", None, _repeats, "a number from 1 to 1000"),
    Setting("baseline", "Results to compare with: a file, or a folder with a results.json"),
    Setting("ledger", "Folder of the ledger: outcomes of earlier sessions, which are reused", ".llmops"),
    Setting("no-cache", "Execute everything anew, whatever the ledger has", False, _flag, "true|false"),
    Setting(
        "max-age",
        "Reuse nothing that is older, such as 12h or 7d",
        None,
        parse_duration,
        "a duration such as 7d",
        format_duration,
    ),
    Setting(
        "shard",
        "Part of the work to do, such as 2/5; in Azure DevOps, by default, the job's slice",
        None,
        _shard,
        "a part such as 2/5",
        "{0[0]}/{0[1]}".format,
    ),
    Setting("history", "Folder with results.json files of earlier sessions, for the report's trend"),
    Setting("plan", "Say what would be run and what reused, and run nothing", False, _flag, "true|false"),
    Setting("report-dir", "Folder for the reports", "reports"),
    Setting("ado", "Write for Azure DevOps; on by default where TF_BUILD is set", None, _flag, "true|false"),
    Setting("strict", "Treat warnings about experiment files as errors", False, _flag, "true|false"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Effective settings of a session, and where each that is not a default came from."""

    values: Mapping[str, Any]
    sources: Mapping[str, str]
    thresholds: tuple[Threshold, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def options(self, *, recording: str, llm_limit: str) -> Options:
        """Return the part of the settings that shapes the work, for a session of the name ``recording``.

        ``llm_limit`` is the address of the limit on its LLM calls.
        """
        from pytest_llmops.plan import Options

        return Options(
            llm=self["llm"],
            concurrency=self["concurrency"],
            max_rows=self["max-rows"],
            variants=self["variants"],
            repeat=self["repeat"],
            recording=recording,
            llm_retries=self["llm-retries"],
            llm_limit=llm_limit,
        )

    def report_dir(self, root: Path) -> Path:
        """Folder of the reports; a relative one is taken from the root folder."""
        return root / str(self["report-dir"])

    def described(self) -> dict[str, str]:
        """Settings as text by name, without those that are not set."""
        given = ((setting, self.values[setting.name]) for setting in SETTINGS)
        shown = {setting.name: setting.show(value) for setting, value in given if value not in (None, False)}
        if self.thresholds:
            from pytest_llmops.thresholds import described

            shown["thresholds"] = described(self.thresholds)
        return shown


def add_options(parser: pytest.Parser) -> None:
    """Declare every setting to pytest."""
    group = parser.getgroup("llmops", "evaluation of LLM flows")
    for setting in SETTINGS:
        option, metavar = f"--llmops-{setting.name}", setting.name.split("-")[-1].upper()
        if setting.parse is _flag:
            group.addoption(option, dest=setting.key, action="store_const", const="true", help=setting.help)
        else:
            group.addoption(option, dest=setting.key, metavar=metavar, help=setting.help)
        parser.addini(setting.key, setting.help, default=None)
    group.addoption(
        "--llmops-threshold",
        dest="llmops_threshold",
        action="append",
        default=[],
        metavar="METRIC=RULE",
        help="Threshold that replaces those of the experiment files, such as matcher.f1='>= 0.9'; repeatable",
    )


def read_settings(config: pytest.Config, environ: Mapping[str, str]) -> Settings:
    """Work out the effective settings.

    Raises:
        pytest.UsageError: naming the setting, where its value came from, and what it may be.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        given = (
            (config.getoption(setting.key), f"--llmops-{setting.name}"),
            (_from_environment(environ, setting.key.upper()), setting.key.upper()),
            (config.getini(setting.key), f"ini {setting.key}"),
        )
        raw, source = next(((raw, source) for raw, source in given if raw is not None), (None, ""))
        values[setting.name] = setting.default if raw is None else _parse(setting, str(raw), source)
        if raw is not None:
            sources[setting.name] = source
    thresholds = tuple(_threshold(text) for text in config.getoption("llmops_threshold"))
    if thresholds:
        sources["thresholds"] = "--llmops-threshold"
    return Settings(values=values, sources=sources, thresholds=thresholds)


def _from_environment(environ: Mapping[str, str], name: str) -> str | None:
    """Read a variable. Pipelines set empty ones, and leave a macro such as ``$(x)`` as it is where x is not set."""
    value = environ.get(name, "")
    return None if not value or value.startswith("$(") else value


def _parse(setting: Setting, raw: str, source: str) -> Any:
    try:
        return setting.parse(raw)
    except (ValueError, KeyError):
        raise pytest.UsageError(f"{source}: {raw!r} is not allowed; give {setting.grammar}") from None


def _threshold(text: str) -> Threshold:
    from pytest_llmops.thresholds import parse_threshold

    try:
        return parse_threshold(text, "--llmops-threshold")
    except ValueError as problem:
        raise pytest.UsageError(f"--llmops-threshold: {problem}") from None
