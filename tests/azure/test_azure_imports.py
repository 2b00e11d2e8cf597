"""What of Azure is imported, and when: all of it together, and nothing unless it is asked for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_OF_AZURE = "[name for name in sys.modules if name.split('.')[0] in ('azure', 'msal', 'promptflow')]"


def loaded_after(code: str) -> list[str]:
    """Modules of Azure and prompt flow that a fresh process has loaded after running some code."""
    script = f"import json, sys\n{code}\nprint()\nprint(json.dumps({_OF_AZURE}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_the_versions_of_the_extra_can_be_imported_together() -> None:
    pytest.importorskip("azure.identity", reason="needs pytest-llmops[azure]")

    assert "azure.ai.ml" in loaded_after("import azure.identity, azure.ai.ml\nfrom promptflow.azure import PFClient")


def test_a_session_that_asks_nothing_of_azure_imports_nothing_of_it() -> None:
    assert loaded_after("import pytest\npytest.main(['evals', '--collect-only', '-q', '-p', 'no:cacheprovider'])") == []


@pytest.mark.parametrize("command", ["--help", "register-data --help", "schema"])
def test_a_command_that_asks_nothing_of_azure_imports_nothing_of_it(command: str) -> None:
    code = f"from pytest_llmops.cli import main\ntry:\n    main({command.split()!r})\nexcept SystemExit:\n    pass"

    assert loaded_after(code) == []


def test_the_modules_about_azure_cost_nothing_by_themselves() -> None:
    names = ("assets", "asset_cache", "clients", "credentials", "failures", "workspace", "variables")

    assert loaded_after("".join(f"import pytest_llmops.azure.{name}\n" for name in names)) == []


def test_without_the_extra_it_is_said_what_to_install() -> None:
    script = (
        "import sys\n"
        "sys.modules['azure.identity'] = None\n"
        "from pytest_llmops.azure.credentials import get_credential\n"
        "try:\n"
        "    get_credential('cli', {})\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == (
        "Azure needs packages that are not installed, or too new (no module 'azure.identity'); "
        "install them: pip install 'pytest-llmops[azure]'\n"
    )
