"""``llmops endpoint``: what is deployed, whether it answers, and the token that it takes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pytest_llmops.cli.base import add_command, show
from pytest_llmops.cli.releasing import add_target, command_agent, reach, reach_endpoint, service_of

if TYPE_CHECKING:
    from pytest_llmops.azure.clients import Client
    from pytest_llmops.cli.base import Commands
    from pytest_llmops.cli.releasing import Target
    from pytest_llmops.records.cloud import Address
    from pytest_llmops.records.deployment import DeploymentState, EndpointState

_TOKEN = "LLMOPS_ENDPOINT_TOKEN"  # noqa: S105  # the name of a variable
_HEADS = ("endpoint", "deployment", "state", "traffic", "flow", "age")
_SHOWN = 8
_FAILED = 1


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "endpoint", "list endpoints, test one, or get the token for one")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listed = add_command(actions, "list", "list the workspace's endpoints of this kind, with their deployments")
    listed.set_defaults(command=_list)
    tested = add_command(actions, "test", "send the test request to an endpoint, or to its deployment of a name")
    tested.set_defaults(command=_test)
    token = add_command(actions, "token", f"print the key or token, or set it as secret {_TOKEN} in a pipeline")
    token.set_defaults(command=_token)
    for action in (listed, tested, token):
        add_target(action)


def _list(options: argparse.Namespace) -> int:
    target, client = reach_endpoint(options)
    rows = [row for endpoint in service_of(target, client).list() for row in _rows(endpoint)]
    show(_table([_HEADS, *rows]) if rows else ["there are no endpoints of this kind"])
    return 0


def _test(options: argparse.Namespace) -> int:
    target, client = reach(options)
    address = _address(target, client, *filter(None, [options.deployment]))
    problems = target.test(address)
    show(problems or [f"{address}: answers the test request"])
    return _FAILED if problems else 0


def _token(options: argparse.Namespace) -> int:
    from pytest_llmops.ado.commands import set_secret
    from pytest_llmops.ado.environment import is_agent

    target, client = reach_endpoint(options)
    token = _address(target, client).token
    if is_agent(os.environ):
        command_agent([set_secret(_TOKEN, token)])
    else:
        show([token])
    return 0


def _address(target: Target, client: Client, *deployment: str) -> Address:
    """Return where to send requests, to one deployment or to whom the traffic says, of an endpoint that is there."""
    from pytest_llmops.deployment.standing import there

    service = service_of(target, client)
    found = there(target.release, service.find(target.release.endpoint), *deployment)
    return service.address(found.name, *deployment)


def _rows(endpoint: EndpointState) -> Iterator[Sequence[str]]:
    if not endpoint.deployments:
        yield endpoint.name, "none", endpoint.state, "", "", ""
    for deployment in endpoint.deployments.values():
        share = f"{endpoint.traffic.get(deployment.name, 0)} %"
        flow = deployment.tags.get("llmops_flow", "unknown")[:_SHOWN]
        yield endpoint.name, deployment.name, deployment.state, share, flow, _age(deployment)


def _age(deployment: DeploymentState) -> str:
    from pytest_llmops.reports.ages import age

    try:
        made = datetime.fromisoformat(deployment.tags.get("llmops_deployed", ""))
        return age((datetime.now(timezone.utc) - made).total_seconds())
    except (ValueError, TypeError):  # TypeError: a time without a zone
        return "unknown"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
