"""Fixtures of the Azure emulator."""

from __future__ import annotations

from azure_fixtures import azure, azure_authority, azure_sdks, azurite, azurite_process, loopback_only

__all__ = ["azure", "azure_authority", "azure_sdks", "azurite", "azurite_process", "loopback_only"]
