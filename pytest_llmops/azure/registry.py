"""Container images built by a registry of Azure, from a build context that is uploaded to it.

Source of requests and answers: the REST reference of Azure Container Registry tasks, 2019-04-01 (Registries, Runs).
"""

from __future__ import annotations

import hashlib
import tarfile
import time
from collections.abc import Callable
from io import BytesIO
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from pytest_llmops.azure.arm import ResourceManager
from pytest_llmops.azure.failures import installed, translated
from pytest_llmops.errors import CloudError
from pytest_llmops.secrets import without_secrets

_TASKS = "2019-04-01"
_REGISTRIES = "2023-07-01"
_UNDER_WAY = {"Queued", "Started", "Running"}
_PAUSES = (0.1, 0.5, 1.0, 2.0, 5.0)
_HEARTBEAT = 60.0  # seconds
_LOG_LINES = 30
_NO_HOST = "registry '{}' is not there; correct its name or its resource group"


class Registry:
    """A registry that builds images. ``say`` is told that a build goes on, and the end of the log of a failed one."""

    def __init__(self, arm: ResourceManager, resource: str, say: Callable[[str], None]) -> None:
        self._arm = arm
        self._id = resource
        self._say = say

    def host(self) -> str:
        """Return the name that images are pulled by.

        Raises:
            CloudError: where there is no such registry.
        """
        name = self._id.rpartition("/")[2]
        with translated(f"registry '{name}'"):
            found = self._arm.get(self._id, _REGISTRIES)
        if found is None:
            raise CloudError(_NO_HOST.format(name))
        return str(found["properties"]["loginServer"])

    def build(self, context: Path, repository: str, patience: float) -> str:
        """Build the image of a context, at most for ``patience`` seconds, and return its full name.

        Its tag is a digest of the context: another content never goes by the name of an image that is in use.

        Raises:
            CloudError: where it can't be built.
        """
        host, image = self.host(), f"{repository}:{context_digest(context)[:12]}"
        what = f"image '{image}'"
        with translated(f"{what}: build"):
            run = self._schedule(context, image, patience)
            status = self._wait(what, run, time.monotonic() + patience)
        if status != "Succeeded":
            self._tell_log(what, run)
            raise CloudError(f"{what}: it was not built ({status})")
        return f"{host}/{image}"

    def _schedule(self, context: Path, image: str, patience: float) -> str:
        with installed():
            from azure.storage.blob import BlobClient
        place = self._arm.send("POST", f"{self._id}/listBuildSourceUploadUrl", _TASKS)
        with BlobClient.from_blob_url(place["uploadUrl"]) as blob:
            blob.upload_blob(_packed(context), overwrite=True)
        request = {
            "type": "DockerBuildRequest",
            "imageNames": [image],
            "isPushEnabled": True,
            "dockerFilePath": "Dockerfile",
            "sourceLocation": place["relativePath"],
            "platform": {"os": "Linux", "architecture": "amd64"},
            "timeout": max(300, int(patience)),
        }
        return str(self._arm.send("POST", f"{self._id}/scheduleRun", _TASKS, request)["properties"]["runId"])

    def _wait(self, what: str, run: str, end: float) -> str:
        spoken = time.monotonic()
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            found = self._arm.get(f"{self._id}/runs/{run}", _TASKS) or {}
            status = str(found.get("properties", {}).get("status", "it vanished"))
            if status not in _UNDER_WAY:
                return status
            if time.monotonic() > end:
                self._arm.send("POST", f"{self._id}/runs/{run}/cancel", _TASKS)
                return "it took too long"
            if time.monotonic() > spoken + _HEARTBEAT:
                spoken = time.monotonic()
                self._say(f"{what}: still being built")
            time.sleep(pause)
        raise AssertionError  # pragma: no cover

    def _tell_log(self, what: str, run: str) -> None:
        with installed():
            from azure.storage.blob import BlobClient
        with translated(f"{what}: log of its build"):
            link = self._arm.send("POST", f"{self._id}/runs/{run}/listLogSasUrl", _TASKS)["logLink"]
            with BlobClient.from_blob_url(link) as blob:
                log: Any = blob.download_blob().readall()
        self._say(f"{what}: the end of the log of its build:")
        for line in log.decode("utf-8", "replace").splitlines()[-_LOG_LINES:]:
            self._say(f"  | {without_secrets(line)}")


def context_digest(context: Path) -> str:
    """Return the digest of a build context: of the names and contents of its files."""
    digest = hashlib.sha256()
    for file in _files(context):
        for part in (file.relative_to(context).as_posix().encode(), file.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _packed(context: Path) -> bytes:
    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for file in _files(context):
            archive.add(file, file.relative_to(context).as_posix())
    return content.getvalue()


def _files(context: Path) -> list[Path]:
    return sorted(path for path in context.rglob("*") if path.is_file())
