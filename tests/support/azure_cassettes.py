"""Recordings of Azure Machine Learning, made by prompt flow's own project, answered to the real SDKs of today.

A recording holds what the service answered in 2024. Requests are matched by what they ask for: method, address and
body, without what differs between the SDKs of then and now, or between one checkout and another (see ``_told``). So a
recording proves the form of requests, and how answers are read, but not what is in the files that would be uploaded.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import vcr
import yaml
from azure_emulator import Credential
from vcr.request import Request

from pytest_llmops.azure.clients import Client, connect
from pytest_llmops.records.cloud import Workspace

RECORDINGS = Path(__file__).parents[3] / "shared" / "azure-cassettes"
WORKSPACE = Workspace(subscription="00000000-0000-0000-0000-000000000000", resource_group="00000", name="00000")

_ZEROS = "0" * 36
# The hash of what is uploaded was an MD5 once, and is a SHA-256 now.
_UPLOAD = re.compile(r"(az-ml-artifacts|LocalUpload)/(?:[0-9a-f]{64}|[0-9a-f]{32,36})(?=/)")
_UNSAID = ("runtimeName", "sessionId", "computeName", "flowLineageId", "runExperimentName", "runDisplayName")
_IGNORED_QUERY = {"api-version", "sig", "sv", "st", "se", "sr", "sp"}


@contextmanager
def recorded(name: str) -> Iterator[tuple[Client, vcr.cassette.Cassette]]:
    """Answer the SDKs from a recording; a request that is not in it is an error. Skips where there is none."""
    path = RECORDINGS / f"{name}.yaml"
    if not path.exists():
        pytest.skip("needs the recordings of Azure in ../shared/azure-cassettes, which are not part of the repository")
    player = vcr.VCR(record_mode="none", before_record_response=_as_of_today, decode_compressed_response=True)
    player.register_matcher("told", lambda asked, held: _told(asked) == _told(held))
    with player.use_cassette(str(path), match_on=["told"], allow_playback_repeats=True) as cassette:
        yield connect(WORKSPACE, Credential()), cassette


def answers(name: str, address: str) -> list[Any]:
    """Return what a recording holds, as JSON, of answers to addresses with a pattern, in order and each but once."""
    content = yaml.load((RECORDINGS / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    found: dict[str, None] = {}
    for interaction in content["interactions"]:
        if re.search(address, interaction["request"]["uri"]):
            body = interaction["response"]["body"]["string"]
            body = body.encode() if isinstance(body, str) else body
            found[(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body).decode()] = None
    return [json.loads(text) for text in found]


def last_state(name: str, run: str) -> Mapping[str, Any]:
    """Return what a recording holds last of the state of a run."""
    states: list[Mapping[str, Any]] = [found["runMetadata"] for found in answers(name, "/rundata$")]
    return [state for state in states if state["runId"] == run][-1]


def requests_of(cassette: vcr.cassette.Cassette, address: str) -> int:
    """Count the requests to addresses with a pattern that were answered."""
    return sum(
        cassette.play_counts[place] for place, held in enumerate(cassette.requests) if re.search(address, held.uri)
    )


def _told(request: Request) -> tuple[str, str, Any]:
    """Return what a request is matched by."""
    query = sorted(pair for pair in request.query if pair[0] not in _IGNORED_QUERY)
    address = _UPLOAD.sub(rf"\1/{_ZEROS}", request.uri.partition("?")[0])
    return request.method, f"{address} {query}", _body(request)


def _body(request: Request) -> Any:
    if "/listSecrets" in request.uri or not request.body:
        return None  # it was empty once, and asks for a secret that expires now
    text = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
    content = json.loads(_UPLOAD.sub(rf"\1/{_ZEROS}", text))
    return {name: value for name, value in content.items() if name not in _UNSAID}


def _as_of_today(response: dict[str, Any]) -> dict[str, Any]:
    """Give out the signature that SDKs ask for today where the recording holds a key."""
    body = response["body"].get("string") or b""
    if b'"secretsType"' not in (body if isinstance(body, bytes) else body.encode()):
        return response
    return {**response, "body": {"string": b'{"secretsType": "Sas", "sasToken": "sig=x"}'}}
