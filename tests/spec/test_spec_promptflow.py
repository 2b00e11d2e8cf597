"""What is read of flows without prompt flow, against what prompt flow itself makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_llmops.spec import find_flow

USE_CASES = Path(__file__).parent / "use_cases"
SCRIPT = """
import json, os, sys
from pathlib import Path
from promptflow.executor.flow_executor import FlowExecutor

aoai = {"type": "AzureOpenAIConnection", "module": "promptflow.connections", "secret_keys": ["api_key"],
        "value": {"api_key": "k", "api_base": "https://example.openai.azure.com", "api_version": "2023-07-01-preview"}}
found = {}
for path in sys.argv[1:]:
    file = Path(path)
    os.chdir(file.parent)
    init = {"init_kwargs": {"service": {}}} if "greet" in file.parts else {}
    executor = FlowExecutor.create(file, {"aoai": aoai}, working_dir=file.parent, **init)
    found[path] = {
        name: [str(getattr(definition.type, "value", definition.type)), definition.default is None]
        for name, definition in executor.get_inputs_definition().items()
    }
print(json.dumps(found))
"""


@pytest.mark.slow
def test_inputs_are_those_that_prompt_flow_finds(tmp_path: Path) -> None:
    flows = [
        *USE_CASES.glob("order_numbers/flows/*/flow.dag.yaml"),
        *USE_CASES.glob("greeter/flows/*/flow.flex.yaml"),
        USE_CASES / "slogans/flows/slogan/slogan.prompty",
    ]
    quiet = {
        "PF_LOGGING_LEVEL": "CRITICAL",
        "PF_HOME_DIRECTORY": str(tmp_path),
        "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-c", SCRIPT, *map(str, flows)]
    process = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **quiet})
    theirs = json.loads(process.stdout.splitlines()[-1])

    for file in flows:
        folder = file if file.suffix == ".prompty" else file.parent
        ours = find_flow(str(folder), base=USE_CASES, root=USE_CASES).inputs
        assert {name: [port.type, port.required] for name, port in ours.items()} == theirs[str(file)]
