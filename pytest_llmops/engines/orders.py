"""What a worker is told to do, and how that reaches it: one pickled value, its length first."""

from __future__ import annotations

import os
import pickle
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from pytest_llmops.records.run import RunRequest

_LENGTH = struct.Struct(">Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run, and what its flow sees of the process that asked for it: environment and import path.

    ``track`` has the worker tell what the flow reads.
    """

    request: RunRequest
    environment: Mapping[str, str] = field(repr=False)
    import_path: tuple[str, ...]
    track: bool = False


def from_here(request: RunRequest, *, track: bool = False) -> Order:
    """Make an order with the environment and import path of this process, as they are now."""
    here = os.getcwd()
    import_path = tuple(os.path.join(here, entry) for entry in sys.path)
    return Order(request=request, environment=dict(os.environ), import_path=import_path, track=track)


def encode(order: Order) -> bytes:
    """Encode an order. It holds secrets, so it goes from process to process and nowhere else."""
    body = pickle.dumps(order)
    return _LENGTH.pack(len(body)) + body


def decode(source: BinaryIO) -> Order:
    """Read an order.

    Raises:
        EOFError: when the sender went away.
    """
    (length,) = _LENGTH.unpack(_exactly(source, _LENGTH.size))
    order: Order = pickle.loads(_exactly(source, length))  # noqa: S301 - written by this module
    return order


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise EOFError("the engine went away")
    return data
