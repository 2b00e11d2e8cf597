"""Settings: one name each, read from the command line, the environment or the ini file, in this order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_llmops.durations import format_duration, parse_duration

if TYPE_CHECKING:
    from pytest_llmops.plan import Options
    from pytest_llmops.records.experiment import Threshold

LLM_MODES = ("live", "replay", "record", "auto")
_THRESHOLD = "--llmops-threshold"
_SHOWN, _LONGEST = 100, 1000  # characters of a value, and of a message


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
    """One setting, ``--llmops-<name>``. ``grammar`` says what ``parse``, the inverse of ``show``, takes.

    Of several on the command line the last one counts, but with ``once`` they are refused: it reads like a list.
    """

    name: str
    help: str
    default: Any = None
    parse: Callable[[str], Any] = _text
    grammar: str = "text"
    show: Callable[[Any], str] = str
    once: bool = False

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
    Setting("history", "Folder with results.json files of earlier sessions, for the report's trend", once=True),
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
        elif setting.once:
            group.addoption(option, dest=setting.key, metavar=metavar, action="append", help=setting.help)
        else:
            group.addoption(option, dest=setting.key, metavar=metavar, help=setting.help)
        parser.addini(setting.key, setting.help, default=None)
    group.addoption(
        _THRESHOLD,
        dest="llmops_threshold",
        action="append",
        default=[],
        metavar="METRIC=RULE",
        help="Threshold that replaces those of the experiment files, such as matcher.f1='>= 0.9'; repeatable",
    )


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
        sources["thresholds"] = _THRESHOLD
        try:
            thresholds.append(_threshold(text))
        except ValueError as problem:
            refused.append(f"{_THRESHOLD}: {problem}")
    settings = Settings(values=values, sources=sources, thresholds=tuple(thresholds))
    if refused:
        _refuse(refused, settings, config, environ)
    return settings


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

    return parse_threshold(text, _THRESHOLD)


def _refuse(problems: Sequence[str], settings: Settings, config: pytest.Config, environ: Mapping[str, str]) -> NoReturn:
    from pytest_llmops.errors import LLMOpsError
    from pytest_llmops.plugin.slicing import with_slice
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
