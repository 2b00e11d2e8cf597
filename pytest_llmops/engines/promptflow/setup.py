"""Makes promptflow quiet and private before it is imported: no telemetry, no trace service, no ``~/.promptflow``."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_llmops.engines.environment import PLACEHOLDER_KEY

_SETTINGS = {
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    # Tokens are counted from the responses of the service; traces would take twice the time of all else.
    "PF_DISABLE_TRACING": "true",
    "PF_TRACING_SKIP_LOCAL_SETUP": "true",
    # Each run has a process for itself, so another one to read the signature of a flex flow adds nothing.
    "PF_FLOW_META_LOAD_IN_SUBPROCESS": "false",
    "PF_LOGGING_LEVEL": "CRITICAL",
}
_EXPORTERS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_CONFIGURATION = "telemetry:\n  enabled: false\ntrace:\n  destination: none\n"
_MODULES = (
    "pytest_llmops.engines.promptflow.executor",
    "pytest_llmops.cassettes",
    "pandas",
    "promptflow._cli._utils",
    "promptflow._sdk.schemas._flow",
)
"""Our executor, and what it or promptflow would else import in every single run."""
_TOOLS = ("promptflow.tools", "promptflow.tools.template_rendering")
"""The same for LLM nodes, where promptflow-tools is installed."""
_TELEMETRY = "promptflow._sdk._telemetry.logging_handler"
_UNUSED = ("promptflow._sdk._orm", "promptflow._sdk._service")
"""The database of runs and the local web service, with SQLAlchemy and Flask: a fifth of the whole import."""


def set_environment(home: Path) -> None:
    """Set the variables that promptflow reads, at import and later. ``home`` is its private folder."""
    os.environ.update(_SETTINGS, PF_HOME_DIRECTORY=str(home))
    for name in _EXPORTERS:
        os.environ.pop(name, None)


def preload(home: Path) -> None:
    """Import promptflow and all that our executor uses of it.

    Raises:
        ImportError: when it is not installed, or broken.
    """
    set_environment(home)
    if _MODULES[0] in sys.modules:
        return
    (home / "pf.yaml").write_text(_CONFIGURATION, encoding="utf-8")
    sys.modules.setdefault(_TELEMETRY, _no_telemetry())
    sys.meta_path.insert(0, _StandInFinder())
    with _no_new_threads():
        for name in _MODULES:
            importlib.import_module(name)
        with contextlib.suppress(ImportError):
            for name in _TOOLS:
                importlib.import_module(name)
        _warm_up_openai()


def _warm_up_openai() -> None:
    """Make a client, which imports what every client needs, and wrap its methods as promptflow does for its headers."""
    openai = importlib.import_module("openai")
    with contextlib.suppress(openai.OpenAIError), openai.OpenAI(api_key=PLACEHOLDER_KEY) as client:
        _ = client.chat
    importlib.import_module("promptflow.tracing._integrations._openai_injector").inject_openai_api()


def _no_telemetry() -> ModuleType:
    """Make a stand-in for promptflow's telemetry handler, whose import connects to Azure Monitor and starts threads."""
    module = ModuleType(_TELEMETRY)
    for name in ("PromptFlowSDKLogHandler", "get_appinsights_log_handler", "get_promptflow_sdk_log_handler"):
        setattr(module, name, logging.NullHandler)
    return module


class _StandIn(ModuleType):
    """A module whose every attribute is a class that can be derived from, used as a decorator, and does nothing."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        nothing = {"__init__": lambda self, *_, **__: None, "__call__": lambda self, *_, **__: None}
        setattr(self, name, type(name, (), nothing))
        return getattr(self, name)  # type: ignore[no-any-return]


class _StandInFinder(MetaPathFinder, Loader):
    """Finds stand-ins in place of the parts of promptflow that no run uses."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if any(fullname == unused or fullname.startswith(f"{unused}.") for unused in _UNUSED):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: attributes come into being when they are asked for."""


@contextlib.contextmanager
def _no_new_threads() -> Iterator[None]:
    """Keep imports from starting threads: promptflow starts one for telemetry, and a server that forks has none."""
    start = threading.Thread.start
    threading.Thread.start = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
