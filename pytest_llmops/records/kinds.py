"""Kinds of flows, and what executes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

FlowKind = Literal["dag", "flex", "prompty", "callable", "workflow"]
Engine = Literal["promptflow", "function", "agent-framework"]

ENGINES: Mapping[FlowKind, Engine] = {
    "dag": "promptflow",
    "flex": "promptflow",
    "prompty": "promptflow",
    "callable": "function",
    "workflow": "agent-framework",
}
NOT_PROMPT_FLOW: Mapping[FlowKind, str] = {
    "callable": "a Python function",
    "workflow": "a workflow of Agent Framework",
}
"""Kinds of flows that are none of prompt flow's, in words. No workspace runs them, and no image of its serves them."""
