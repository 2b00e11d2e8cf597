"""A flow as it is uploaded: the files that its digest is of, in one folder, and none that look like secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_llmops.disclosure import refuse_secrets
from pytest_llmops.errors import ConfigurationError, RunError
from pytest_llmops.ledger import FileDigests, definition_of, digest_of
from pytest_llmops.records.deployment import NOT_SERVED
from pytest_llmops.records.experiment import Flow
from pytest_llmops.records.run import Variant
from pytest_llmops.resolving import write_resolved
from pytest_llmops.versions import flow_digest, flow_files, is_as_written

_SECRET = re.compile(
    r".*\.(pem|key|pfx|p12|jks|keystore|kdbx|publishsettings|tfstate)|id_(rsa|dsa|ecdsa|ed25519)|\.netrc|\.pypirc"
    r"|\.npmrc|\.git-credentials|\.htpasswd|(client_)?secrets?\.(json|ya?ml|toml|txt)|credentials(\.json)?",
    re.IGNORECASE | re.DOTALL,
)
"""Names under which keys and passwords are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A copy of a flow, in a folder of the same name. ``left_out`` lies in the flow's own, and is no part of it.

    All that is deployed is made of the copy, the model and the image: the flow's own files may change meanwhile.
    """

    flow: Flow
    left_out: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """What is uploaded."""
        return self.flow.folder


def pack(flow: Flow, variant: Variant, folder: Path, digest: str) -> Package:
    """Put a flow, resolved to a variant, into a folder. Init values are no part of it.

    ``digest`` is that of the files that were let through, see ``versions.flow_digest``: they may change any time.

    Raises:
        ConfigurationError: for a flow that nothing can serve, or with a file that looks like a secret, or holds one.
        RunError: where the flow's files can't be copied, or are others by now.
    """
    if flow.kind in NOT_SERVED:
        raise ConfigurationError.one(flow.file, 0, "flow", *NOT_SERVED[flow.kind])
    files = _files(flow)
    if secret := next((name for name in files if _SECRET.fullmatch(PurePosixPath(name).name)), ""):
        what = "it looks like a secret, and would be uploaded with the flow"
        raise ConfigurationError.one(flow.folder / secret, 0, "", what, "keep it elsewhere, or name it otherwise")
    refuse_secrets(flow.folder, files)
    left_out = sorted(definition_of(flow, FileDigests())["files"].keys() - files.keys())
    chosen = Variant() if is_as_written(flow, variant) else variant
    copy = write_resolved(flow, chosen, folder / flow.folder.name)
    if flow_digest(flow, variant) != digest or not _are_copied(files, flow, copy.folder):
        todo = "leave them alone, and run the evaluation again"
        raise RunError(f"flow '{flow.name}': its files changed after they were compared with the gate; {todo}")
    return Package(flow=copy, left_out=tuple(left_out))


def _files(flow: Flow) -> Mapping[str, str | None]:
    try:
        return flow_files(flow)
    except OSError as problem:
        raise RunError(f"the files of flow '{flow.name}' can't be read: {problem.strerror}") from problem


def _are_copied(files: Mapping[str, str | None], flow: Flow, folder: Path) -> bool:
    """Tell whether the files that are copied under their own names hold what they should: none was caught halfway."""
    definition = Path(os.path.relpath(flow.file, flow.folder)).as_posix()  # is written anew
    own = (name for name in files if not name.startswith("../") and name != definition)
    return all(digest_of(str(folder / name)) == files[name] for name in own)
