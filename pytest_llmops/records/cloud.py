"""Places in the cloud: a workspace of Azure Machine Learning, and the address of a flow that is served somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from pytest_llmops.secrets import is_secret

_KEYS = ("code", "sig")
"""Parameters of a URL that are keys, as Azure's services name them."""

Backend = Literal["local", "azureml", "endpoint"]
"""Where flows are run: on this machine, on the compute of a workspace, or by what serves them somewhere."""

CREDENTIALS = ("cli", "pipelines", "workload-identity", "managed-identity", "default")
"""Ways to log in to Azure."""
DEFAULT_TIMEOUT = 86_400.0
"""Seconds that a run in a workspace is waited for: queues and images take hours, and none takes longer than a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Coordinates of an Azure Machine Learning workspace."""

    subscription: str
    resource_group: str
    name: str

    @property
    def id(self) -> str:
        """Its resource id in Azure Resource Manager."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )

    def __str__(self) -> str:
        return f"{self.name} (resource group {self.resource_group})"


AUTOMATIC = "automatic"
"""The runtime that a workspace starts for a flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """What runs flows in the cloud: a workspace, by its resource id, and one of its runtimes.

    Where it starts one for the flow, ``instance_type`` is the size of its virtual machines; empty leaves it the choice.
    """

    workspace: str = ""
    runtime: str = AUTOMATIC
    instance_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a served flow takes requests: a scoring URL, and what goes with every request.

    ``deployment`` addresses one deployment of an online endpoint, whatever its traffic. ``token`` is a key or an access
    token, sent as a bearer token. As text, it is without the URL's query, which may hold a key too.
    """

    url: str
    deployment: str = ""
    token: str = field(default="", repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of a request."""
        named = {"azureml-model-deployment": self.deployment} if self.deployment else {}
        return named | ({"Authorization": f"Bearer {self.token}"} if self.token else {})

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read what is sent there: it is encrypted, or does not leave this machine."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme == "https" or host == "localhost":
            return True
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def place(self) -> str:
        """The URL as it may be shown."""
        return urlsplit(self.url)._replace(query="", fragment="").geturl()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may stand in no message: the token, and keys that are part of the URL."""
        query = parse_qsl(urlsplit(self.url).query)
        return (self.token, *(value for name, value in query if is_secret(name) or name in _KEYS))

    def __str__(self) -> str:
        return f"{self.place} (deployment {self.deployment})" if self.deployment else self.place
