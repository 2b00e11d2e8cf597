"""Azurite, Microsoft's own emulator of Blob Storage, as the storage account of the emulated workspace."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from azure_tls import Authority

ACCOUNT = "wsstore"
MISSING = "needs Azurite (npm install --prefix <the virtual environment> azurite)"
# Its input ends with the process of the tests, however that ends; so does Azurite.
_WATCHED = '"$@" & cat; kill $!'


def azurite_program() -> str | None:
    """Return where Azurite is installed: on the path, or with npm in the environment of this Python."""
    beside = Path(sys.prefix, "node_modules", ".bin", "azurite-blob")
    return shutil.which("azurite-blob") or (str(beside) if beside.exists() else None)


class Azurite:
    """A process of Azurite that keeps blobs in memory. It is started by the first who asks for its port."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._process: subprocess.Popen[str] | None = None
        self._port = 0
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """Where it listens for TLS on loopback."""
        with self._lock:
            if self._process is None:
                self._start()
            return self._port

    def _start(self) -> None:
        program = azurite_program()
        if program is None:
            raise FileNotFoundError(MISSING)
        command = [program, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
        command += ["--cert", str(self._authority.certificate), "--key", str(self._authority.key)]
        # The SDKs are ahead of the API versions that Azurite lists.
        command += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        environ = os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{self._key}"}
        self._process = subprocess.Popen(
            ["sh", "-c", _WATCHED, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "successfully listens" in line:
                self._port = int(line.rpartition(":")[2])
                return
        raise RuntimeError("Azurite did not start")

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.communicate(timeout=10)

    def create_container(self, name: str) -> None:
        """Make an empty container."""
        self.container(name).create_container()

    def container(self, name: str) -> Any:
        """Return a client for a container, which tests look into it with."""
        from azure.storage.blob import ContainerClient

        return ContainerClient(
            account_url=f"https://127.0.0.1:{self.port}/{ACCOUNT}",
            container_name=name,
            credential={"account_name": ACCOUNT, "account_key": self._key},
            connection_verify=str(self._authority.bundle),
        )

    def signature(self, container: str) -> str:
        """Return a shared access signature that lets everything be done with a container."""
        from azure.storage.blob import ContainerSasPermissions, generate_container_sas

        everything = ContainerSasPermissions(read=True, write=True, create=True, add=True, list=True, delete=True)
        expiry = datetime.now(timezone.utc) + timedelta(hours=1)
        sas = generate_container_sas(ACCOUNT, container, self._key, permission=everything, expiry=expiry)
        return str(sas)
