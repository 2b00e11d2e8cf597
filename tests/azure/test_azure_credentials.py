"""Ways to log in: the real azure-identity against a token endpoint on loopback, and an Azure CLI of our own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from azure_identity import (
    CLIENT,
    CONNECTION,
    EXPIRED,
    NOT_LOGGED_IN,
    SCOPE,
    SYSTEM_TOKEN,
    TENANT,
    Directory,
    calls_of_az,
    install_az,
    token,
)
from azure_routes import Answer
from azure_tls import Authority

from pytest_llmops.azure.credentials import get_credential
from pytest_llmops.errors import AccessError

pytestmark = pytest.mark.usefixtures("azure_sdks", "loopback_only")

_CHOOSE = "--llmops-credential, --credential or LLMOPS_CREDENTIAL: cli, pipelines, workload-identity, managed-identity"
_REFUSED = Answer(
    status=401,
    body={
        "error": "invalid_client",
        "error_description": "AADSTS700213: No matching federated identity record found for presented assertion.",
    },
)


@pytest.fixture
def directory(azure_authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    """The token endpoint, which this process logs in at."""
    directory = Directory(azure_authority)
    with directory.started():
        set_all(monkeypatch, directory.environ)
        yield directory


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder before everything else on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def refusal(kind: str | None) -> str:
    """The words that a login is refused with."""
    with pytest.raises(AccessError) as refused:
        get_credential(kind, os.environ).get_token(SCOPE)
    return str(refused.value)


def test_the_azure_cli_gives_a_token(path: Path) -> None:
    install_az(path)

    assert get_credential("cli", os.environ).get_token(SCOPE).token.startswith("eyJ")
    assert calls_of_az(path) == ["account get-access-token --output json --resource https://management.azure.com"]


def test_the_azure_cli_is_asked_once_for_many_requests(path: Path) -> None:
    install_az(path)
    credential = get_credential("cli", os.environ)

    assert len({credential.get_token(SCOPE).token for _ in range(5)}) == 1
    assert len(calls_of_az(path)) == 1


def test_a_token_about_to_expire_is_renewed(path: Path) -> None:
    install_az(path, output=f'{{"accessToken": "{token()}", "expires_on": 1}}')
    credential = get_credential("cli", os.environ)
    for _ in range(2):
        credential.get_token(SCOPE)

    assert len(calls_of_az(path)) == 2


def test_another_scope_needs_another_token(path: Path) -> None:
    install_az(path)
    credential = get_credential("cli", os.environ)
    for scope in (SCOPE, "https://ml.azure.com/.default"):
        credential.get_token(scope)

    assert len(calls_of_az(path)) == 2


@pytest.mark.parametrize(
    ("pipeline", "error", "line"),
    [
        (False, NOT_LOGGED_IN, "nobody is logged in to the Azure CLI; run 'az login'"),
        (True, NOT_LOGGED_IN, "nobody is logged in to the Azure CLI; run this inside of an AzureCLI@2 task"),
        (
            False,
            EXPIRED,
            "the login of the Azure CLI has expired, or is refused (AADSTS700082); run 'az login'",
        ),
        (
            True,
            "ERROR: AADSTS700024: Client assertion is not within its valid time range.",
            "the login of the Azure CLI has expired, or is refused (AADSTS700024); "
            "for jobs that outlive the login of AzureCLI@2, choose the credential 'pipelines'",
        ),
        (
            False,
            "ERROR: The subscription was not found.\n",
            "the Azure CLI gave no token (ERROR: The subscription was not found); try 'az account get-access-token'",
        ),
    ],
)
def test_the_azure_cli_gives_no_token(
    path: Path, monkeypatch: pytest.MonkeyPatch, pipeline: bool, error: str, line: str
) -> None:
    install_az(path, error=error)
    if pipeline:
        monkeypatch.setenv("TF_BUILD", "True")

    assert refusal("cli") == f"no login (cli): {line}"


def test_there_is_no_azure_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert refusal("cli") == (
        "no login (cli): the Azure CLI, az, is not installed, or not on PATH; install it, or choose another credential"
    )


def test_a_token_is_never_in_a_message(path: Path) -> None:
    secret = token()
    install_az(path, output=f'{{"accessToken": "{secret}", "expiresOn": "soon"}}')

    line = refusal("cli")
    assert line.startswith("no login (cli): the Azure CLI gave no token (Unexpected output from Azure CLI: ")
    assert secret not in line
    assert "\n" not in line


def test_azure_pipelines_exchanges_the_token_of_the_job(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, directory.of_the_agent)

    assert get_credential("pipelines", os.environ).get_token(SCOPE).token.startswith("eyJ")
    oidc, _ = directory.requests
    assert (oidc.method, oidc.path, oidc.query["serviceConnectionId"]) == ("POST", "/oidc", CONNECTION)
    assert oidc.headers["authorization"] == f"Bearer {SYSTEM_TOKEN}"
    assert directory.requests[1].path == f"/{TENANT}/oauth2/v2.0/token"
    form = directory.form()
    assert (form["client_id"], form["client_assertion"]) == (CLIENT, "oidc-token-of-the-job")


def test_azure_pipelines_without_its_variables() -> None:
    assert refusal("pipelines") == (
        "no login (pipelines): not set: SYSTEM_OIDCREQUESTURI (an agent of Azure Pipelines sets it), "
        "SYSTEM_ACCESSTOKEN (map it in the step: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)), "
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID (AzureCLI@2 sets it, or set AZURE_SERVICE_CONNECTION_ID), "
        "AZURESUBSCRIPTION_CLIENT_ID (AzureCLI@2 sets it, or set AZURE_CLIENT_ID), "
        "AZURESUBSCRIPTION_TENANT_ID (AzureCLI@2 sets it, or set AZURE_TENANT_ID)"
    )


def test_a_token_that_the_step_does_not_map(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, directory.of_the_agent | {"SYSTEM_ACCESSTOKEN": "$(System.AccessToken)"})

    assert refusal("pipelines") == (
        "no login (pipelines): not set: "
        "SYSTEM_ACCESSTOKEN (map it in the step: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken))"
    )


def test_azure_pipelines_refuses_the_service_connection(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, directory.of_the_agent)
    directory.refuse["oidc"] = Answer(status=404, body={"message": "no service connection"})

    assert refusal("pipelines") == (
        "no login (pipelines): Azure Pipelines gave no token for the service connection "
        "(no service connection); check that the service connection exists, "
        "uses workload identity federation and may be used here"
    )


def test_entra_refuses_the_assertion(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, directory.of_the_agent)
    directory.refuse[TENANT] = _REFUSED

    line = refusal("pipelines")
    assert line == (
        "no login (pipelines): Microsoft Entra refused it: (invalid_client) AADSTS700213: No matching federated "
        "identity record found for presented assertion; check the client id, the tenant id and the federated credential"
    )
    assert SYSTEM_TOKEN not in line


@pytest.mark.slow  # the library tries again, for seconds
def test_entra_can_not_be_reached(directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, of_a_pod(tmp_path, "token-of-the-pod") | {"REQUESTS_CA_BUNDLE": certifi.where()})

    line = refusal("workload-identity")
    assert line.startswith("no login (workload-identity): ")
    assert "CERTIFICATE_VERIFY_FAILED" in line
    assert line.endswith("; check the network, the proxy and AZURE_AUTHORITY_HOST")
    assert "token-of-the-pod" not in line


def test_workload_identity_exchanges_the_token_of_its_file(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, of_a_pod(tmp_path, "token-of-the-pod"))

    assert get_credential("workload-identity", os.environ).get_token(SCOPE).token.startswith("eyJ")
    assert (directory.form()["client_id"], directory.form()["client_assertion"]) == (CLIENT, "token-of-the-pod")


def test_workload_identity_without_its_file(
    directory: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, of_a_pod(tmp_path, None))

    assert refusal("workload-identity") == (
        "no login (workload-identity): AZURE_FEDERATED_TOKEN_FILE can't be read (No such file or directory); "
        "correct the path"
    )


def test_workload_identity_without_its_variables() -> None:
    assert refusal("workload-identity") == (
        "no login (workload-identity): not set: AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_FEDERATED_TOKEN_FILE"
    )


def of_a_pod(folder: Path, content: str | None) -> dict[str, str]:
    """Variables that Kubernetes sets."""
    file = folder / "token"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    return {"AZURE_CLIENT_ID": CLIENT, "AZURE_TENANT_ID": TENANT, "AZURE_FEDERATED_TOKEN_FILE": str(file)}


@pytest.mark.parametrize("client", ["", CLIENT])
def test_managed_identity_of_a_machine(directory: Directory, monkeypatch: pytest.MonkeyPatch, client: str) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", client)

    assert get_credential("managed-identity", os.environ).get_token(SCOPE).token.startswith("eyJ")
    asked = directory.requests[-1]
    assert (asked.path, asked.query.get("client_id", "")) == ("/metadata/identity/oauth2/token", client)


def test_a_machine_without_an_identity(directory: Directory) -> None:
    directory.refuse["metadata"] = Answer(
        status=400, body={"error": "invalid_request", "error_description": "Identity not found"}
    )

    assert refusal("managed-identity") == (
        "no login (managed-identity): this machine has no managed identity to use "
        "(no response from the IMDS endpoint. Token request error: (invalid_request) Identity not found); "
        "give one to it, name a user-assigned one in AZURE_CLIENT_ID, or choose another credential"
    )


def test_the_default_chain_finds_the_azure_cli(directory: Directory, path: Path) -> None:
    directory.refuse["metadata"] = Answer(status=400, body={"error": "invalid_request"})
    install_az(path)

    assert get_credential(None, os.environ).get_token(SCOPE).token.startswith("eyJ")


def test_the_default_chain_finds_nothing(directory: Directory, path: Path) -> None:
    directory.refuse["metadata"] = Answer(status=400, body={"error": "invalid_request"})
    install_az(path, error=NOT_LOGGED_IN)

    assert refusal(None) == (
        f"no login (default): none of the ways to log in worked; run 'az login', or choose one with {_CHOOSE}"
    )


@pytest.mark.parametrize("kind", [None, "default"])
@pytest.mark.parametrize("variable", ["TF_BUILD", "CI"])
def test_in_a_pipeline_no_login_is_guessed(kind: str | None, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "true")

    assert refusal(kind) == f"in a pipeline, no login is guessed; choose one with {_CHOOSE}"


def test_an_unknown_way_to_log_in() -> None:
    assert refusal("browser") == (
        "credential 'browser': there is no such way to log in; "
        "give one of cli, pipelines, workload-identity, managed-identity, default"
    )


def test_azures_libraries_print_nothing_of_their_own(path: Path) -> None:
    install_az(path, error=EXPIRED)
    script = (
        "import os\n"
        "from pytest_llmops.azure.credentials import get_credential\n"
        "try:\n"
        f"    get_credential('cli', os.environ).get_token({SCOPE!r})\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
