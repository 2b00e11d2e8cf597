"""A certificate authority of our own, so that the SDKs talk TLS to servers on loopback under the names of Azure."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

REGION = "westeurope"
ARM = "management.azure.com"
LOGIN = "login.microsoftonline.com"
SCORING = f"*.{REGION}.inference.ml.azure.com"
DATA_PLANE = "*.api.azureml.ms"
BLOBS = "*.blob.core.windows.net"
WEB_APPS = "*.azurewebsites.net"
"""Web apps have no key of their own."""
EMULATED = (ARM, LOGIN, SCORING, DATA_PLANE, WEB_APPS, "*.azurecr.io")
"""Hosts that the emulator answers for; those of ``BLOBS`` are Azurite's."""


class Authority:
    """An authority and one certificate of it for all names that are emulated. ``bundle`` is what clients trust."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert(*EMULATED, BLOBS, "localhost", "127.0.0.1")
        self.bundle = folder / "ca.pem"
        self.certificate = folder / "cert.pem"
        self.key = folder / "key.pem"
        authority.cert_pem.write_to_path(str(self.bundle))
        certificate.private_key_pem.write_to_path(str(self.key))
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.server)
