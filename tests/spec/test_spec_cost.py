"""What reading an experiment costs: no flow is imported, and pydantic only when a file is read."""

from __future__ import annotations

import json
import subprocess
import sys

from spec_case import Case

SCRIPT = """
import json, sys
from pathlib import Path
from pytest_llmops.spec import load_experiment
before = sorted(name for name in sys.modules if "." not in name)
load_experiment(Path(sys.argv[1]), root=Path(sys.argv[2]))
after = sorted(name for name in sys.modules if "." not in name)
print(json.dumps([before, after]))
"""


def test_modules_that_are_imported(case: Case) -> None:
    case.write("flows/main/tidy.py", "raise SystemExit('imported')")
    command = [sys.executable, "-c", SCRIPT, str(case.folder / "experiment.yaml"), str(case.root)]
    before, after = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    assert not {"pydantic", "yaml", "promptflow", "pandas"} & set(before)
    assert {"pydantic", "yaml"} <= set(after)
    assert not {"promptflow", "pandas", "openai", "httpx", "tidy"} & set(after)
