"""A keyring for machines that have none: it holds one key, the same in every process."""

from __future__ import annotations

from keyring.backend import KeyringBackend


class FixedKeyring(KeyringBackend):
    """Gives the same key for everything. Only fit for secrets that are none."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str:
        """Return the key, in the form that prompt flow encrypts with."""
        return "A" * 43 + "="

    def set_password(self, service: str, username: str, password: str) -> None:
        """Forget the key."""
