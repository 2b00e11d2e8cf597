"""What Azure allows for names and sizes, checked before anything is created.

Sources: Microsoft Learn, "Manage and increase quotas" of Azure Machine Learning (names and counts of endpoints and
deployments), whose SDK allows hyphens too (``EndpointConfigurations.NAME_REGEX_PATTERN``); "Naming rules and
restrictions for Azure resources" (registries, resource groups, identities, web apps and their plans); "Configure an App
Service app" (app settings). Kubernetes itself defines names of variables and quantities of resources. Which sizes of
machines a region has changes, and is not checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pytest_llmops.errors import Problem
from pytest_llmops.records.deployment import Kubernetes, Release, WebApp

RESERVED = ("PROMPTFLOW_RUN_MODE", "PRT_CONFIG_OVERRIDE")
"""Variables by which a deployment tells the serving code what it is. Values of the second can't hold ',' or '='."""
LONGEST = 32
_DIGEST_SHOWN = 8
_MOST_INSTANCES = 50
_LONGEST_TOGETHER = 62

_Rule = tuple[re.Pattern[str], str]

_ONLINE: _Rule = (
    re.compile(r"(?=.{3,32}$)[a-zA-Z]([a-zA-Z0-9-]*[a-zA-Z0-9])?"),
    "3 to 32 letters, digits and hyphens, with a letter first and no hyphen last",
)
_WEB_APP: _Rule = (
    re.compile(r"(?=.{2,60}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"),
    "2 to 60 letters, digits and hyphens, with no hyphen first or last",
)
_PLAN: _Rule = (re.compile(r"[\w-]{1,60}"), "1 to 60 letters, digits, '_' and '-'")
_REGISTRY: _Rule = (re.compile(r"[a-zA-Z0-9]{5,50}"), "5 to 50 letters and digits")
_RESOURCE_GROUP: _Rule = (
    re.compile(r"[\w().-]{0,89}[\w()-]"),
    "up to 90 letters, digits, '_', '-', '.' and parentheses, with no '.' last",
)
_SKU: _Rule = (
    re.compile(r"F1|B[1-3]|S[1-3]|P[0-5]M?V[2-9]|I[1-6]M?V[2-9]", re.IGNORECASE),
    "a pricing tier such as B1, S1 or P0V3",
)
_MACHINE: _Rule = (re.compile(r"Standard_[A-Z]\w+"), "a size such as Standard_DS3_v2")
_INSTANCE_TYPE: _Rule = (
    re.compile(r"(?=.{1,63}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?"),
    "the name of an instance type of the cluster",
)
_COMPUTE: _Rule = (re.compile(r"[a-zA-Z][a-zA-Z0-9-]{1,31}"), "the name of an attached compute")
_CPU: _Rule = (re.compile(r"(?=.*[1-9])(\d+(\.\d+)?|\d+m)"), "such as 0.5 or 500m")
_MEMORY: _Rule = (re.compile(r"(?=.*[1-9])\d+(\.\d+)?([EPTGM]i?|Ki|k)?"), "such as 500Mi or 2Gi")
_VARIABLE: _Rule = (re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*"), "letters, digits, '_', '-' and '.', with no digit first")
_APP_SETTING: _Rule = (re.compile(r"[\w.]+", re.ASCII), "letters, digits, '_' and '.'")
_IDENTITY_ID: _Rule = (
    re.compile(
        r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[\w-]+",
        re.IGNORECASE,
    ),
    "the resource id of a user-assigned identity",
)
_IDENTITY_NAME: _Rule = (
    re.compile(rf"[a-zA-Z0-9][\w-]{{2,127}}|{_IDENTITY_ID[0].pattern}", re.IGNORECASE | re.ASCII),
    "the name or resource id of a user-assigned identity",
)


def deployment_name(flow: str, digest: str) -> str:
    """Name a deployment after a flow and its version, as far as the rules let it."""
    room = LONGEST - _DIGEST_SHOWN - 1
    plain = re.sub(r"[^a-z0-9]+", "-", flow.lower()).strip("-")
    named = plain if plain[:1].isalpha() else f"flow-{plain}".strip("-")
    return f"{named[:room].rstrip('-')}-{digest[:_DIGEST_SHOWN]}"


def check_deployment(name: str) -> str:
    """Return what Azure would refuse of a deployment's name; empty where nothing."""
    pattern, wanted = _ONLINE
    return "" if pattern.fullmatch(name) else f"Azure refuses {name!r}; write {wanted}"


def check(release: Release) -> list[Problem]:
    """Return what Azure would refuse of a release, setting by setting."""
    check_more: dict[str, Callable[[Release], Iterator[Problem]]] = {
        "managed": _managed,
        "kubernetes": _kubernetes,
        "webapp": _web_app,
    }
    return [*check_more[release.kind](release), *_variables(release)]


def _managed(release: Release) -> Iterator[Problem]:
    yield from _online(release)
    yield from _check(release, "instance_type", release.instance_type, _MACHINE)
    if release.instance_count > _MOST_INSTANCES:
        what = f"{release.instance_count} instances are more than Azure allows for a deployment"
        yield release.problem("instance_count", what, f"write {_MOST_INSTANCES} or less")


def _kubernetes(release: Release) -> Iterator[Problem]:
    yield from _online(release)
    if len(release.endpoint) + len(release.deployment) > _LONGEST_TOGETHER:
        what = f"is too long together with the name of the endpoint: {_LONGEST_TOGETHER} characters is the most"
        yield release.problem("deployment", what, "shorten one of them")
    if release.instance_type:
        yield from _check(release, "instance_type", release.instance_type, _INSTANCE_TYPE)
    cluster = release.kubernetes or Kubernetes(compute="", cpu="", memory="")
    for setting, rule in (("compute", _COMPUTE), ("cpu", _CPU), ("memory", _MEMORY)):
        yield from _check(release, setting, getattr(cluster, setting), rule)


def _online(release: Release) -> Iterator[Problem]:
    yield from _check(release, "endpoint", release.endpoint, _ONLINE)
    for setting in ("deployment", "prior"):
        if name := getattr(release, setting):
            yield from _check(release, setting, name, _ONLINE)
    if release.identity:
        yield from _check(release, "identity", release.identity, _IDENTITY_ID)


def _web_app(release: Release) -> Iterator[Problem]:
    yield from _check(release, "endpoint", release.endpoint, _WEB_APP)
    for setting in ("deployment", "prior"):
        if name := getattr(release, setting):
            yield from _check(release, setting, name, _ONLINE)
    app = release.webapp or WebApp(registry="", registry_resource_group="", resource_group="", plan="", sku="")
    rules = {
        "registry": _REGISTRY,
        "registry_resource_group": _RESOURCE_GROUP,
        "resource_group": _RESOURCE_GROUP,
        "plan": _PLAN,
        "sku": _SKU,
    }
    for setting, rule in rules.items():
        yield from _check(release, setting, getattr(app, setting), rule)
    if app.identity:
        yield from _check(release, "identity", app.identity, _IDENTITY_NAME)


def _variables(release: Release) -> Iterator[Problem]:
    rule = _APP_SETTING if release.kind == "webapp" else _VARIABLE
    for name, value in release.environment_variables.items():
        setting = f"environment_variables.{name}"
        yield from _check(release, setting, name, rule)
        if name in RESERVED:
            yield release.problem(setting, "is set by the deployment itself", "remove it")
        if "\0" in value:
            yield release.problem(setting, "holds a NUL character", "remove it")


def _check(release: Release, setting: str, value: str, rule: _Rule) -> Iterator[Problem]:
    pattern, wanted = rule
    if not pattern.fullmatch(value):
        yield release.problem(setting, f"Azure refuses {value!r}", f"write {wanted}")
