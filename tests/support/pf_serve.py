"""``pf flow serve`` as it is, on a flow whose LLM answers come from a cassette: nothing but the model is missing.

Run as a script, it is the server's process: it makes the flow's connections, and has LLM calls replayed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_CONFIGURATION = "telemetry:\n  enabled: false\ntrace:\n  destination: none\n"
_PATIENCE = 60.0


@contextmanager
def pf_serve(flow: Path, cassette: Path, connections: Sequence[str] = (), *, wait: bool = True) -> Iterator[str]:
    """Serve a flow folder while the block lasts, and give its scoring URL; at once, without ``wait``."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="pf-serve-", ignore_cleanup_errors=True) as home:
        (Path(home) / "pf.yaml").write_text(_CONFIGURATION, encoding="utf-8")
        environment = {
            **os.environ,
            "PF_HOME_DIRECTORY": home,
            "PF_TRACING_SKIP_LOCAL_SETUP": "true",
            "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
            "PYTHON_KEYRING_BACKEND": "fixed_keyring.FixedKeyring",
            "PYTHONPATH": str(Path(__file__).parent),
        }
        command = [sys.executable, __file__, str(flow), str(port), str(cassette), *connections]
        log = Path(home) / "log.txt"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, cwd=home, start_new_session=True
            )
            try:
                if wait:
                    _wait_until_healthy(port, process, log)
                yield f"http://127.0.0.1:{port}/score"
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_until_healthy(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    # The opener that urlopen keeps would go by the proxy of whatever test used it first.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), direct.open(f"http://127.0.0.1:{port}/health", timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError(f"pf flow serve did not start:\n{log.read_text(encoding='utf-8')}")


def main(flow: str, port: str, cassette: str, *connections: str) -> None:
    """Serve a flow."""
    from promptflow._cli._pf.entry import main as pf
    from promptflow.client import PFClient
    from promptflow.entities import OpenAIConnection

    from pytest_llmops import cassettes
    from pytest_llmops.records.run import LLM

    for name in connections:
        connection = OpenAIConnection(name=name, api_key="none", base_url="http://llm.invalid/v1")
        PFClient().connections.create_or_update(connection)
    cassettes.install(LLM(mode="replay", cassette=Path(cassette)))
    serve = ["pf", "flow", "serve", "--source", flow, "--port", port, "--host", "127.0.0.1", "--skip-open-browser"]
    sys.argv = serve
    pf()


if __name__ == "__main__":
    main(*sys.argv[1:])
