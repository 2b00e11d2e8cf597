"""Ways to log in to Azure, each with a name. Nothing is guessed in a pipeline: there, a name has to be given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_llmops.azure.failures import LoginError, installed
from pytest_llmops.azure.logins import CHOOSE, CLI, DEFAULT, MANAGED, PIPELINES, WORKLOAD, why
from pytest_llmops.azure.variables import in_ci, variable
from pytest_llmops.errors import AccessError
from pytest_llmops.records.cloud import CREDENTIALS

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

_EARLY = 300  # seconds before its end at which a token is renewed, as Azure's own clients do
_PATIENCE = 60  # seconds that the Azure CLI may take; its own limit of 10 is too short for a busy agent
_NEEDED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    PIPELINES: {
        "SYSTEM_OIDCREQUESTURI": ("SYSTEM_OIDCREQUESTURI",),
        "SYSTEM_ACCESSTOKEN": ("SYSTEM_ACCESSTOKEN",),
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": (
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
            "AZURE_SERVICE_CONNECTION_ID",
        ),
        "AZURESUBSCRIPTION_CLIENT_ID": ("AZURESUBSCRIPTION_CLIENT_ID", "AZURE_CLIENT_ID", "servicePrincipalId"),
        "AZURESUBSCRIPTION_TENANT_ID": ("AZURESUBSCRIPTION_TENANT_ID", "AZURE_TENANT_ID", "tenantId"),
    },
    WORKLOAD: {name: (name,) for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")},
}
_TODO = {
    "SYSTEM_OIDCREQUESTURI": "an agent of Azure Pipelines sets it",
    "SYSTEM_ACCESSTOKEN": "map it in the step: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "AzureCLI@2 sets it, or set AZURE_SERVICE_CONNECTION_ID",
    "AZURESUBSCRIPTION_CLIENT_ID": "AzureCLI@2 sets it, or set AZURE_CLIENT_ID",
    "AZURESUBSCRIPTION_TENANT_ID": "AzureCLI@2 sets it, or set AZURE_TENANT_ID",
}


def get_credential(kind: str | None, environ: Mapping[str, str]) -> Login:
    """Return the credential of a name; without one, Azure's default chain, but not in a pipeline.

    Azure's own variables count as they do everywhere, among them AZURE_AUTHORITY_HOST.

    Raises:
        AccessError: for an unknown name, in a pipeline without one, or where what the credential needs is not set.
    """
    if kind is not None and kind not in CREDENTIALS:
        raise AccessError(f"credential {kind!r}: there is no such way to log in; give one of {', '.join(CREDENTIALS)}")
    if kind in {None, DEFAULT} and in_ci(environ):
        raise AccessError(f"in a pipeline, no login is guessed; choose one with {CHOOSE}")
    kind = kind or DEFAULT
    values = _values(kind, environ)
    try:
        with installed():
            return Login(kind, _MAKERS[kind](values, environ), pipeline=in_ci(environ))
    except ValueError as error:  # of a tenant that can't be one
        raise AccessError(f"no login ({kind}): {' '.join(str(error).split())}") from None


class Login:
    """A credential of Azure's library that keeps its tokens, and says on one line why there is none.

    Several credentials ask anew for every token, the CLI's with a process, and clients ask for one with every request.
    """

    def __init__(self, kind: str, credential: Any, *, pipeline: bool = False) -> None:
        self.kind = kind
        self._credential = credential
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, ...], AccessToken] = {}

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return an access token for the scopes.

        Raises:
            LoginError: where there is no login, or it has expired.
        """
        key = (*scopes, *sorted(f"{name}={value!r}" for name, value in options.items()))
        with self._lock:
            known = self._tokens.get(key)
            if known is None or known.expires_on - time.time() < _EARLY or options.get("claims"):
                known = self._tokens[key] = self._ask(*scopes, **options)
            return known

    def _ask(self, *scopes: str, **options: Any) -> AccessToken:
        try:
            token: AccessToken = self._credential.get_token(*scopes, **options)
        except Exception as error:
            raise LoginError(f"no login ({self.kind}): {why(self.kind, error, pipeline=self._pipeline)}") from error
        return token


def _values(kind: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Read the variables that a credential can't do without."""
    values = {name: variable(environ, *names) for name, names in _NEEDED.get(kind, {}).items()}
    missing = [name for name, value in values.items() if not value]
    if missing:
        listed = ", ".join(f"{name} ({_TODO[name]})" if name in _TODO else name for name in missing)
        raise AccessError(f"no login ({kind}): not set: {listed}")
    return values


def _cli(values: Mapping[str, str], environ: Mapping[str, str]) -> Any:
    from azure.identity import AzureCliCredential

    return AzureCliCredential(process_timeout=_PATIENCE)


def _pipelines(values: Mapping[str, str], environ: Mapping[str, str]) -> Any:
    from azure.identity import AzurePipelinesCredential

    return AzurePipelinesCredential(
        tenant_id=values["AZURESUBSCRIPTION_TENANT_ID"],
        client_id=values["AZURESUBSCRIPTION_CLIENT_ID"],
        service_connection_id=values["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"],
        system_access_token=values["SYSTEM_ACCESSTOKEN"],
    )


def _workload_identity(values: Mapping[str, str], environ: Mapping[str, str]) -> Any:
    from azure.identity import WorkloadIdentityCredential

    return WorkloadIdentityCredential(
        tenant_id=values["AZURE_TENANT_ID"],
        client_id=values["AZURE_CLIENT_ID"],
        token_file_path=values["AZURE_FEDERATED_TOKEN_FILE"],
    )


def _managed_identity(values: Mapping[str, str], environ: Mapping[str, str]) -> Any:
    from azure.identity import ManagedIdentityCredential

    return ManagedIdentityCredential(client_id=variable(environ, "AZURE_CLIENT_ID") or None)


def _default(values: Mapping[str, str], environ: Mapping[str, str]) -> Any:
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(process_timeout=_PATIENCE)


_MAKERS: Mapping[str, Callable[[Mapping[str, str], Mapping[str, str]], Any]] = {
    CLI: _cli,
    PIPELINES: _pipelines,
    WORKLOAD: _workload_identity,
    MANAGED: _managed_identity,
    DEFAULT: _default,
}
