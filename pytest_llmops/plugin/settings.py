"""Settings: one name each, for the command line, the environment and the ini file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.durations import format_duration, parse_duration
from pytest_llmops.records.cloud import CREDENTIALS, DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from pytest_llmops.plan import Options
    from pytest_llmops.records.cloud import Address
    from pytest_llmops.records.experiment import Threshold

LLM_MODES = ("live", "replay", "record", "auto")
LOCAL = "local"
AZUREML = "azureml"
BACKENDS = (LOCAL, AZUREML, "endpoint")
THRESHOLD = "--llmops-threshold"


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


def _place(url: str) -> str:
    from pytest_llmops.records.cloud import Address

    return Address(url=url).place


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


def _choice(name: str, description: str, allowed: tuple[str, ...], default: str | None = None) -> Setting:
    """Make a setting that is one of a few words."""

    def parse(raw: str) -> str:
        if raw not in allowed:
            raise ValueError
        return raw

    return Setting(name, description, default, parse, "|".join(allowed))


# Help texts begin with a capital and have no full stop when they are a single phrase.
SETTINGS = (
    Setting("env", "Environment: overlay experiment.<ENV>.yaml is laid over each experiment.yaml"),
    Setting("variants", "Variants to run: all, defaults, or a comma-separated list of globs"),
    _choice("llm", "Where LLM answers come from: live, replay, record or auto", LLM_MODES, "replay"),
    Setting("llm-retries", "Repetitions of an LLM call that was refused or lost", 5, _number, "a number, 0 or more"),
    _choice("backend", "Where flows are run: local, azureml or endpoint", BACKENDS, LOCAL),
    Setting(
        "endpoint",
        "Scoring URL that the backend endpoint asks; LLMOPS_ENDPOINT_TOKEN holds its key or token",
        show=_place,
    ),
    Setting("deployment", "Deployment of the endpoint to ask, whatever its share of the traffic"),
    _choice("credential", "How to log in to Azure", CREDENTIALS),
    Setting("subscription", "Subscription of the Azure Machine Learning workspace"),
    Setting("resource-group", "Resource group of the workspace"),
    Setting("workspace", "Name of the workspace"),
    Setting("instance-type", "Size of the virtual machines that the backend azureml runs flows on"),
    Setting(
        "run-timeout",
        "How long to wait for a run of the backend azureml, such as 90m, before it is cancelled",
        DEFAULT_TIMEOUT,
        parse_duration,
        "a duration such as 12h",
        format_duration,
    ),
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
    """Effective settings of a session, and where each that is not a default came from.

    ``address`` is where the backend ``endpoint`` finds what it asks.
    """

    values: Mapping[str, Any]
    sources: Mapping[str, str]
    thresholds: tuple[Threshold, ...] = ()
    address: Address | None = field(default=None, repr=False)

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
            backend=self["backend"],
            address=self.address,
        )

    def report_dir(self, root: Path) -> Path:
        """Folder of the reports; a relative one is taken from the root folder."""
        return root / str(self["report-dir"])

    def described(self) -> dict[str, str]:
        """Settings as text by name, without those that are not set; the backend, where it is not this machine."""
        given = ((setting, self.values[setting.name]) for setting in SETTINGS)
        shown = {setting.name: setting.show(value) for setting, value in given if value not in (None, False)}
        if self["backend"] == LOCAL:
            del shown["backend"]
        if self["backend"] != AZUREML:
            del shown["run-timeout"]
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
        THRESHOLD,
        dest="llmops_threshold",
        action="append",
        default=[],
        metavar="METRIC=RULE",
        help="Threshold that replaces those of the experiment files, such as matcher.f1='>= 0.9'; repeatable",
    )
