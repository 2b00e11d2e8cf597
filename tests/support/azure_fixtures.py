"""Fixtures of the Azure emulator. A test outside of tests/azure imports those that it uses."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping

import pytest
from azure_blob import MISSING, Azurite, azurite_program
from azure_emulator import Emulator, quiet
from azure_guard import guard
from azure_tls import Authority


@pytest.fixture(scope="session")
def azure_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The certificate authority that clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def azurite_process(azure_authority: Authority) -> Iterator[Azurite]:
    """The blob store of all emulators of this process; it runs from the first blob on."""
    azurite = Azurite(azure_authority)
    yield azurite
    azurite.stop()


@pytest.fixture(scope="session")
def azure_sdks(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Import the SDKs once, and return the settings for them. Their modules warn of what they use of marshmallow."""
    settings = quiet(tmp_path_factory.mktemp("promptflow"))
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        # Some of them are read once, when the modules are imported.
        for name, value in settings.items():
            patch.setenv(name, value)
        pytest.importorskip("azure.ai.ml", reason="needs pytest-llmops[azure]")
        importlib.import_module("promptflow.azure")
    return settings


@pytest.fixture
def azurite(azurite_process: Azurite) -> Azurite:
    """The blob store; tests whose product code reads or writes blobs need it."""
    if azurite_program() is None:
        pytest.skip(MISSING)
    return azurite_process


@pytest.fixture
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let no connection of this process leave loopback: it fails, and so does the test."""
    attempts: list[str] = []
    guard(attempts.append, monkeypatch.setattr)
    yield attempts
    assert not attempts, attempts


@pytest.fixture
def azure(
    azure_sdks: Mapping[str, str],
    azure_authority: Authority,
    azurite_process: Azurite,
    loopback_only: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Emulator]:
    """An empty workspace on this machine, which the SDKs of this process take for Azure."""
    emulator = Emulator(azure_authority, azurite_process, azure_sdks)
    with emulator.started():
        for name, value in emulator.environ.items():
            monkeypatch.setenv(name, value)
        yield emulator
    unexpected = emulator.refused + emulator.escaped + emulator.unknown
    assert not unexpected, unexpected
