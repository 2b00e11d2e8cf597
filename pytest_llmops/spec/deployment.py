"""How the flow is deployed to each environment, as ``llmops.deployment`` of the experiment file says it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_llmops.durations import parse_duration
from pytest_llmops.records.deployment import EndpointKind, Kubernetes, Release, WebApp
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.models_deployment import DeploymentBlock
from pytest_llmops.spec.positions import KeyPath

DEPLOYMENTS: KeyPath = ("llmops", "deployment")
REQUIRED: Mapping[EndpointKind, tuple[str, ...]] = {
    "managed": ("endpoint", "instance_type"),
    "kubernetes": ("endpoint", "compute", "cpu", "memory"),
    "webapp": ("endpoint", "resource_group", "plan", "sku", "registry", "registry_resource_group"),
}
"""Settings that a deployment of a kind can't do without."""
_ONLINE = ("auth", "endpoint_description", "description", "instance_type", "instance_count")
_KUBERNETES = ("compute", "cpu", "memory")
_WEBAPP = ("registry", "registry_resource_group", "resource_group", "plan", "sku")
_FOREIGN = {
    "managed": (*_KUBERNETES, *_WEBAPP),
    "kubernetes": _WEBAPP,
    "webapp": (*_ONLINE, *_KUBERNETES),
}


def read_deployments(blocks: Mapping[str, DeploymentBlock] | None, base: Path, report: Reporter) -> dict[str, Release]:
    """Read what each environment says. Variables are left as they are written; paths are from ``base``.

    An environment with a mistake is reported and left out.
    """
    releases = {}
    for env, block in (blocks or {}).items():
        path: KeyPath = (*DEPLOYMENTS, env)
        mistakes = list(_mistakes(block, path))
        for mistake in mistakes:
            report.error(*mistake)
        if not mistakes:
            releases[env] = _release(env, block, base, path, report)
    return releases


def _mistakes(block: DeploymentBlock, path: KeyPath) -> Iterator[tuple[KeyPath, str, str]]:
    kind = block.kind
    for key in REQUIRED[kind]:
        if getattr(block, key) is None:
            yield (*path, key), "key is missing", f"a deployment of kind {kind} needs it: add it"
    for key in _FOREIGN[kind]:
        if key in block.model_fields_set:
            owners = " or ".join(owner for owner, foreign in _FOREIGN.items() if key not in foreign)
            yield (*path, key), f"not a key of a deployment of kind {kind}", f"remove it, or write kind: {owners}"
    if block.prior and block.prior == block.deployment:
        yield (*path, "prior"), "is the deployment itself", "name the one that has the traffic now, or remove it"


def _release(env: str, block: DeploymentBlock, base: Path, path: KeyPath, report: Reporter) -> Release:
    place = report.document.place(path)
    online = block.kind != "webapp"
    return Release(
        env=env,
        kind=block.kind,
        endpoint=block.endpoint or "",
        deployment=block.deployment or "",
        endpoint_description=block.endpoint_description or "",
        description=block.description or "",
        auth=block.auth,
        identity=block.identity or "" if online else "",
        instance_type=block.instance_type or "",
        instance_count=block.instance_count,
        environment_variables=block.environment_variables or {},
        connections=tuple(block.connections or ()),
        prior=block.prior or "",
        traffic=tuple(block.traffic),
        pause=parse_duration(block.pause),
        timeout=parse_duration(block.timeout),
        on_failure=block.on_failure,
        sample=Path(os.path.normpath(base / block.sample)) if block.sample else None,
        kubernetes=_kubernetes(block),
        webapp=_webapp(block),
        file=place.file,
        line=place.line,
        keys=_keys(block, path, report),
    )


def _kubernetes(block: DeploymentBlock) -> Kubernetes | None:
    if block.kind != "kubernetes":
        return None
    return Kubernetes(compute=block.compute or "", cpu=block.cpu or "", memory=block.memory or "")


def _webapp(block: DeploymentBlock) -> WebApp | None:
    if block.kind != "webapp":
        return None
    return WebApp(
        registry=block.registry or "",
        registry_resource_group=block.registry_resource_group or "",
        resource_group=block.resource_group or "",
        plan=block.plan or "",
        sku=block.sku or "",
        identity=block.identity or "",
    )


def _keys(block: DeploymentBlock, path: KeyPath, report: Reporter) -> dict[str, tuple[str, int]]:
    document = report.document
    settings = {name: (*path, name) for name in type(block).model_fields}
    settings |= {
        f"environment_variables.{name}": (*path, "environment_variables", name)
        for name in block.environment_variables or ()
    }
    return {name: (document.key(place), document.place(place).line) for name, place in settings.items()}
