"""``deployment_config.json`` of Microsoft's template "LLMOps with prompt flow", read as it is.

The file has a list of entries for each kind of endpoint, one entry for each environment. The template ships entries of
all kinds, to be filled in where they are wanted: one whose endpoint has no name is a blank.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmops.errors import Problem
from pytest_llmops.records.deployment import EndpointKind, Kubernetes, Release, WebApp
from pytest_llmops.spec.deployment import REQUIRED
from pytest_llmops.spec.findings import Findings, Reporter
from pytest_llmops.spec.positions import Document, KeyPath
from pytest_llmops.spec.suggest import describe, suggest

ENV = "ENV_NAME"
KINDS: Mapping[str, EndpointKind] = {
    "azure_managed_endpoint": "managed",
    "kubernetes_endpoint": "kubernetes",
    "webapp_endpoint": "webapp",
}
_ONLINE = {
    "endpoint": "ENDPOINT_NAME",
    "endpoint_description": "ENDPOINT_DESC",
    "deployment": "CURRENT_DEPLOYMENT_NAME",
    "description": "DEPLOYMENT_DESC",
    "traffic": "CURRENT_DEPLOYMENT_TRAFFIC_ALLOCATION",
    "prior": "PRIOR_DEPLOYMENT_NAME",
    "prior_traffic": "PRIOR_DEPLOYMENT_TRAFFIC_ALLOCATION",
    "instance_type": "DEPLOYMENT_VM_SIZE",
    "instance_count": "DEPLOYMENT_INSTANCE_COUNT",
    "environment_variables": "ENVIRONMENT_VARIABLES",
    "sample": "TEST_FILE_PATH",
}
_KEYS: Mapping[EndpointKind, Mapping[str, str]] = {
    "managed": _ONLINE,
    "kubernetes": {**_ONLINE, "compute": "COMPUTE_NAME", "cpu": "CPU_ALLOCATION", "memory": "MEMORY_ALLOCATION"},
    "webapp": {
        "endpoint": "WEB_APP_NAME",
        "resource_group": "WEB_APP_RG_NAME",
        "plan": "APP_PLAN_NAME",
        "sku": "WEB_APP_SKU",
        "registry": "REGISTRY_NAME",
        "registry_resource_group": "REGISTRY_RG_NAME",
        "identity": "USER_MANAGED_ID",
        "connections": "CONNECTION_NAMES",
        "sample": "TEST_FILE_PATH",
    },
}
"""Setting to the key of the template that holds it, by kind."""
_UNUSED = ("DEPLOYMENT_BASE_IMAGE_NAME", "DEPLOYMENT_CONDA_PATH")
"""Keys of earlier versions of the template."""
_ALL = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the file, not looked into yet."""

    kind: EndpointKind
    env: str
    path: KeyPath
    document: Document

    @property
    def is_blank(self) -> bool:
        """Whether nobody has filled it in."""
        return not self.document.get((*self.path, _KEYS[self.kind]["endpoint"]))

    def problem(self, key: str, what: str, todo: str) -> Problem:
        """Describe a problem with one of its keys, or, with none, with the entry."""
        return self.document.problem((*self.path, key) if key else self.path, what, todo)


def find_entries(document: Document, findings: Findings) -> list[Entry]:
    """Find the entries of a file; report what is not of its shape."""
    report = Reporter(document, findings)
    if not isinstance(document.value, dict):
        report.error((), "is not an object", "write the keys " + ", ".join(KINDS))
        return []
    for key in document.value.keys() - KINDS.keys():
        report.error((key,), "unknown key", suggest(key, KINDS, "known keys"))
    return [entry for key, kind in KINDS.items() for entry in _entries(key, kind, report)]


def _entries(key: str, kind: EndpointKind, report: Reporter) -> Iterator[Entry]:
    items = report.document.value.get(key, [])
    if not isinstance(items, list):
        report.error((key,), "is not a list", "write a list with an object for each environment")
        return
    for index, item in enumerate(items):
        path: KeyPath = (key, index)
        env = item.get(ENV) if isinstance(item, dict) else None
        if not isinstance(item, dict):
            report.error(path, "is not an object", "write an object with the keys of the template")
        elif ENV not in item:
            report.error((*path, ENV), "key is missing", "name the environment that this is for")
        elif not isinstance(env, str) or not env:
            report.error((*path, ENV), "is no name", "name the environment that this is for")
        else:
            yield Entry(kind, env, path, report.document)


def read_entry(entry: Entry, base: Path, findings: Findings) -> Release:
    """Read an entry; report every value that is missing or can't be. Paths are from ``base``."""
    return _Reader(entry, findings).read(base)


class _Reader:
    """Reads the values of one entry by the setting that they are for."""

    def __init__(self, entry: Entry, findings: Findings) -> None:
        self._entry = entry
        self._keys = _KEYS[entry.kind]
        self._values: Mapping[str, Any] = entry.document.get(entry.path)
        self._findings = findings

    def read(self, base: Path) -> Release:
        entry = self._entry
        self._check_keys()
        place = entry.document.place(entry.path)
        sample = self._text("sample")
        return Release(
            env=entry.env,
            kind=entry.kind,
            endpoint=self._text("endpoint"),
            deployment=self._text("deployment"),
            endpoint_description=self._text("endpoint_description"),
            description=self._text("description"),
            instance_type=self._text("instance_type"),
            instance_count=self._number("instance_count", 1),
            environment_variables=self._variables(),
            connections=self._connections(),
            prior=self._text("prior"),
            traffic=self._traffic(),
            sample=Path(os.path.normpath(base / sample)) if sample else None,
            kubernetes=self._kubernetes(),
            webapp=self._web_app(),
            file=place.file,
            line=place.line,
            keys=self._places(),
            notes=tuple(self._notes()),
        )

    def _check_keys(self) -> None:
        known = [ENV, *self._keys.values()]
        for key in self._values.keys() - {*known, *_UNUSED}:
            owners = [name for name, kind in KINDS.items() if key in _KEYS[kind].values()]
            if not owners:
                self._error(key, "unknown key", suggest(key, known, "known keys"))
            elif self._values[key]:
                self._error(key, f"is a key of {' and '.join(owners)} only", "remove it, or leave it empty")
        for setting in REQUIRED[self._entry.kind]:
            key = self._keys[setting]
            if self._values.get(key) in (None, ""):
                self._error(key, "is empty" if key in self._values else "key is missing", "give it a value")

    def _notes(self) -> Iterator[str]:
        for key in _UNUSED:
            if self._values.get(key):
                todo = "the deployment is built from the flow and its requirements.txt"
                yield str(self._entry.problem(key, "is not used", todo))

    def _error(self, key: str, what: str, todo: str) -> None:
        self._findings.error(self._entry.problem(key, what, todo))

    def _value(self, setting: str) -> Any:
        return self._values.get(self._keys.get(setting, ""))

    def _text(self, setting: str) -> str:
        value = self._value(setting)
        if value is None or isinstance(value, str):
            return (value or "").strip()
        if not isinstance(value, (bool, list, dict)):
            return str(value)
        self._error(self._keys[setting], f"expected text, but this is {describe(value)}", "correct it")
        return ""

    def _number(self, setting: str, default: int) -> int:
        """Read a whole number of 1 or more, which the template writes as text, too."""
        text = self._text(setting)
        if not text:
            return default
        if _is_number(text) and int(text):
            return int(text)
        self._error(self._keys[setting], f"{text!r} is not a whole number above 0", "correct it")
        return default

    def _traffic(self) -> tuple[int, ...]:
        """Read the share of the new deployment, and check that it fits what the prior one gets."""
        share, prior = self._share("traffic"), self._share("prior_traffic")
        if "traffic" not in self._keys:
            return (_ALL,)
        current_key, prior_key = self._keys["traffic"], self._keys["prior_traffic"]
        if share == 0:
            self._error(current_key, "0 is no share", "write 1 to 100, or deploy with --no-traffic")
        if prior is not None and prior + (_ALL if share is None else share) != _ALL:
            what = f"{_ALL if share is None else share} and {prior} ({prior_key}) don't add up to 100"
            self._error(current_key, what, "correct one of them")
        if prior and not self._text("prior"):
            what = f"is empty, but {prior_key} gives it {prior} %"
            self._error(self._keys["prior"], what, "name the deployment that has the traffic now")
        if self._text("prior") and self._text("prior") == self._text("deployment"):
            what = "is the deployment itself"
            self._error(self._keys["prior"], what, "name the one that has the traffic now, or leave it empty")
        return (share or _ALL,)

    def _share(self, setting: str) -> int | None:
        text = self._text(setting)
        if not text:
            return None
        if _is_number(text) and int(text) <= _ALL:
            return int(text)
        self._error(self._keys[setting], f"{text!r} is no share in percent", "write a whole number from 0 to 100")
        return None

    def _variables(self) -> dict[str, str]:
        key = "environment_variables"
        written = self._value(key) or {}
        if not isinstance(written, dict):
            self._error(self._keys[key], f"expected an object, but this is {describe(written)}", "write name: value")
            return {}
        values = {}
        for name, value in written.items():
            if isinstance(value, (str, int, float)) and not isinstance(value, bool):
                values[name] = str(value)
            else:
                path = (*self._entry.path, self._keys[key], name)
                what = f"expected text or a number, but this is {describe(value)}"
                self._findings.error(self._entry.document.problem(path, what, "put it in quotes"))
        return values

    def _connections(self) -> tuple[str, ...]:
        names = self._value("connections") or []
        if isinstance(names, list) and all(isinstance(name, str) and name for name in names):
            return tuple(names)
        self._error(self._keys["connections"], "is not a list of names", 'write ["name"], or []')
        return ()

    def _kubernetes(self) -> Kubernetes | None:
        if self._entry.kind != "kubernetes":
            return None
        return Kubernetes(compute=self._text("compute"), cpu=self._text("cpu"), memory=self._text("memory"))

    def _web_app(self) -> WebApp | None:
        if self._entry.kind != "webapp":
            return None
        settings = ("registry", "registry_resource_group", "resource_group", "plan", "sku", "identity")
        return WebApp(**{setting: self._text(setting) for setting in settings})

    def _places(self) -> dict[str, tuple[str, int]]:
        entry = self._entry
        paths = {setting: (*entry.path, key) for setting, key in self._keys.items()}
        names = self._value("environment_variables")
        for name in names if isinstance(names, dict) else ():
            paths[f"environment_variables.{name}"] = (*paths["environment_variables"], name)
        document = entry.document
        return {setting: (document.key(path), document.place(path).line) for setting, path in paths.items()}


def _is_number(text: str) -> bool:
    """Tell whether a text is a whole number of a sane length."""
    return text.isascii() and text.isdecimal() and len(text) < 10
