"""Names of the ways to log in, and why one of them gave no token: one line, with what to do."""

from __future__ import annotations

import re

from pytest_llmops.azure.failures import said
from pytest_llmops.records.cloud import CREDENTIALS

CLI, PIPELINES, WORKLOAD, MANAGED, DEFAULT = CREDENTIALS
CHOOSE = f"--llmops-credential, --credential or LLMOPS_CREDENTIAL: {CLI}, {PIPELINES}, {WORKLOAD}, {MANAGED}"
_ENTRA = "/oauth2/v2.0/"  # of the address that Microsoft Entra gives tokens at
_AADSTS = re.compile(r"AADSTS\d+")
_UNAVAILABLE = re.compile(r"^\w+ authentication unavailable[.,] ")


def why(kind: str, error: Exception, *, pipeline: bool) -> str:
    """Say why a credential gave no token. In a pipeline, nobody can log in at a prompt."""
    words = said(error)
    if kind == CLI:
        return _why_not_cli(words, pipeline=pipeline)
    if kind == MANAGED:
        todo = "give one to it, name a user-assigned one in AZURE_CLIENT_ID, or choose another credential"
        return f"this machine has no managed identity to use ({_UNAVAILABLE.sub('', words)}); {todo}"
    if kind == DEFAULT:
        return f"none of the ways to log in worked; run 'az login', or choose one with {CHOOSE}"
    if isinstance(error, OSError):
        return f"AZURE_FEDERATED_TOKEN_FILE can't be read ({error.strerror}); correct the path"
    return _why_not_exchanged(words, _address(error))


def _why_not_cli(words: str, *, pipeline: bool) -> str:
    todo = "run this inside of an AzureCLI@2 task" if pipeline else "run 'az login'"
    if "CLI not found" in words:
        return "the Azure CLI, az, is not installed, or not on PATH; install it, or choose another credential"
    if "set up an account" in words:
        return f"nobody is logged in to the Azure CLI; {todo}"
    if code := _AADSTS.search(words):
        if pipeline:
            todo = "for jobs that outlive the login of AzureCLI@2, choose the credential 'pipelines'"
        return f"the login of the Azure CLI has expired, or is refused ({code[0]}); {todo}"
    return f"the Azure CLI gave no token ({words}); try 'az account get-access-token'"


def _why_not_exchanged(words: str, asked: str) -> str:
    """Say who refused to exchange one token for another; ``asked`` is the address that did, empty where none did."""
    if not asked:
        return f"{words}; check the network, the proxy and AZURE_AUTHORITY_HOST"
    if _ENTRA not in asked:
        todo = "check that the service connection exists, uses workload identity federation and may be used here"
        return f"Azure Pipelines gave no token for the service connection ({words}); {todo}"
    words = words.removeprefix("Microsoft Entra ID error ").strip("'. ")
    return f"Microsoft Entra refused it: {words}; check the client id, the tenant id and the federated credential"


def _address(error: Exception) -> str:
    request = getattr(getattr(error, "response", None), "request", None)
    return str(getattr(request, "url", ""))
