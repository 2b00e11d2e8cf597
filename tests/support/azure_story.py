"""Stories of deployments on the emulator, with all that the commands print and the emulator logs.

Run it to read them: ``python tests/support/azure_story.py`` in the root of the repository.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from azure_blob import Azurite
from azure_control_plane import add_compute
from azure_emulator import Emulator, quiet
from azure_release import BLOCK, Project, llmops
from azure_tls import Authority
from azure_web import add_web
from release_case import PATH

KUBERNETES = """
llmops:
  deployment:
    prod: {kind: kubernetes, endpoint: greeter-prod, compute: aks1, cpu: 500m, memory: 1Gi, traffic: [10, 100]}
"""
WEB_APP = """
llmops:
  deployment:
    prod: {kind: webapp, endpoint: greeter-prod, registry: imagesreg, registry_resource_group: rg-images,
           resource_group: rg-web, plan: plan-web, sku: S1, identity: id-web, traffic: [10, 100], timeout: 1m}
"""
FAULTS = (
    ("quota", "PUT", "deployments/", "quota", 0, 1),
    ("the operation fails", "PUT", "deployments/", "lro-failed", 0, 1),
    ("the container crashes", "PUT", "deployments/", "unhealthy", 0, 1),
    ("one answer 500 to each request", "PUT", "greeter-prod", "server-error", 0, 1),
    ("nothing but answers 500 to the new deployment", "PUT", "deployments/", "server-error", 0, 99),
    ("the connection breaks after each request", "PUT", "greeter-prod", "drop-answer", 0, 1),
    ("throttling", "*", "greeter-prod", "throttled", 0, 1),
    ("traffic is refused at the first step", "PUT", "onlineEndpoints/greeter-prod$", "quota", 0, 1),
    ("moving the traffic fails at the second step", "PUT", "onlineEndpoints/greeter-prod$", "lro-failed", 1, 1),
    ("the login ends at the second step", "PUT", "onlineEndpoints/greeter-prod$", "forbidden", 1, 1),
)
"""What goes wrong, at which requests, how, and after and for how many of them."""
_WRITES = re.compile(r"(PUT|PATCH|DELETE|POST|traffic) (?!.*(blob\.core|/listKeys|settings/list|strings/list) )")
_ASKED = re.compile(r"POST (\S+)/score ")
_MANY = 5
Served = Callable[[Mapping[str, Any]], Any]


class Teller:
    """Tells what commands print, and what the emulator logs meanwhile."""

    def __init__(self, project: Project, traffic: Callable[[], Mapping[str, float] | None] | None = None) -> None:
        self.project = project
        self._read_traffic = traffic or self._of_endpoint

    def tell(self, title: str, command: str, *options: str) -> None:
        """Run a command and tell about it."""
        start, before, said = len(self.project.emulator.log), self._traffic(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = llmops(command, *options)
        told = [f"\n## {title}\n", f"$ llmops {command} evals/greeter --env prod {' '.join(options)}".rstrip()]
        told += said.getvalue().splitlines()
        told += [f"[exit code {code}; traffic before: {before}; after: {self._traffic()}]", "", "The emulator's log:"]
        log = self.project.emulator.log[start:]
        told += [f"  {line}" for line in _shortened(line for line in log if _WRITES.match(line))]
        sys.stdout.writelines(f"{line}\n" for line in told)

    def _traffic(self) -> str:
        found = self._read_traffic()
        if found is None:
            return "no endpoint"
        return ", ".join(f"{name or 'nothing'} {share}" for name, share in sorted(found.items())) or "none"

    def _of_endpoint(self) -> Mapping[str, float] | None:
        there = "onlineEndpoints/greeter-prod" in self.project.emulator.state.resources
        return self.project.traffic if there else None


def _shortened(lines: Iterable[str]) -> Iterator[str]:
    """Count what was asked of deployments, where that goes on for long."""
    for asked, group in groupby(lines, key=lambda line: bool(_ASKED.match(line))):
        same = list(group)
        if not asked or len(same) < _MANY:
            yield from same
        else:
            yield from (f"{line} ({count} times)" for line, count in sorted(Counter(same).items()))


@contextmanager
def project_on_emulator(folder: Path, block: str = BLOCK) -> Iterator[Project]:
    """Start the emulator, and make a use case the working directory."""
    folder.mkdir(exist_ok=True)
    authority = Authority(folder)
    azurite = Azurite(authority)
    emulator = Emulator(authority, azurite, quiet(folder))
    with pytest.MonkeyPatch.context() as patch, emulator.started():
        for name, value in emulator.environ.items():
            patch.setenv(name, value)
        project = Project(folder / "case", emulator, block).entered(patch)
        project.evaluate()
        try:
            yield project
        finally:
            azurite.stop()


def tell_releases(teller: Teller) -> None:
    """Tell of releases that go well."""
    project = teller.project
    teller.tell("What a first deployment would do", "deploy", "--dry-run")
    teller.tell("A first deployment", "deploy")
    teller.tell("The same once more", "deploy")
    project.change("Hello, dear")
    teller.tell("What a second deployment would do", "deploy", "--dry-run")
    teller.tell("A second deployment at 0 %", "deploy", "--no-traffic")
    teller.tell("Its traffic: 10/90, then 100", "traffic")
    teller.tell("What is there", "endpoint list")
    teller.tell("Back to the first one", "rollback")


def tell_faults(teller: Teller) -> None:
    """Tell of all that goes wrong."""
    project, emulator = teller.project, teller.project.emulator
    teller.tell("A first deployment", "deploy")
    for number, (title, method, pattern, how, after, times) in enumerate(FAULTS):
        project.change(f"Dear {number}")
        emulator.fail(method, pattern, how, after=after, times=times)
        teller.tell(f"A fault: {title}", "deploy")
        emulator.mend()
    project.change("Dear me")
    project.replace("timeout: 1m", "timeout: 2s")
    emulator.state.seconds = 30.0
    teller.tell("A fault: the deployment is not there in time", "deploy")
    emulator.state.seconds = 0.02
    project.replace("timeout: 2s", "timeout: 1m")

    def wrong(share: int) -> Served:
        return lambda body: {"text": None} if share in project.traffic.values() and is_new() else {"text": "Dear"}

    def is_new() -> bool:
        return before != set(project.traffic)

    for share in (10, 100):
        before = set(project.traffic)
        project.change(f"Dear at {share}")
        emulator.serve(wrong(share))
        teller.tell(f"A fault: at {share} %, the answer is wrong", "deploy")
    before = set(project.traffic)
    project.change("Dear at last")
    emulator.serve(wrong(10))
    emulator.fail("PUT", "onlineEndpoints/greeter-prod$", "quota", after=1)
    teller.tell("A fault: at 10 %, the answer is wrong, and the traffic is not put back at first", "deploy")
    for number, name in ((signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")):
        project.change(f"Dear {name}")
        emulator.serve(_interrupting(project, number))
        teller.tell(f"{name} at 10 %", "deploy")


def _interrupting(project: Project, number: signal.Signals) -> Served:
    """Serve a flow that gets this process a signal once, when traffic is shared."""
    sent: list[int] = []

    def answer(body: Mapping[str, Any]) -> Any:
        if 10 in project.traffic.values() and not sent:
            sent.append(number)
            os.kill(os.getpid(), number)
        return {"text": "Dear"}

    return answer


def tell_choice(teller: Teller) -> None:
    """Tell how two deployments are compared, and the better one gets the traffic."""
    project = teller.project
    rows = "".join(json.dumps({"name": f"Ann {number}"}) + "\n" for number in range(60))
    (project.root / PATH).with_name("names.jsonl").write_text(rows, encoding="utf-8")
    names: list[str] = []
    for greeting, good in (("Hello", lambda number: number % 2), ("Dear", lambda number: True)):
        project.emulator.serve(lambda body: {"text": f"Dear {body['name']}"})
        project.change(greeting)
        known = set(project.deployments) if names else set()
        with redirect_stdout(io.StringIO()):
            llmops("deploy", *(["--no-traffic"] if names else []))
        names += sorted(set(project.deployments) - known)
        project.emulator.serve(_polite(good), "greeter-prod", names[-1])
    teller.tell("Which of two deployments should serve?", "ab", *names)
    teller.tell("The better one takes the traffic", "ab", *names, "--promote")
    teller.tell("The worse one gets none", "ab", *reversed(names), "--promote")


def _polite(is_good: Callable[[int], object]) -> Served:
    def answer(body: Mapping[str, Any]) -> Any:
        number = int(body["name"].rpartition(" ")[2])
        return {"text": f"{'Dear' if is_good(number) else 'Hey'} {body['name']}"}

    return answer


def tell_elsewhere(teller: Teller) -> None:
    """Tell of two deployments to something else than a managed endpoint."""
    teller.tell("A first deployment", "deploy")
    teller.project.change("Hello, dear")
    teller.tell("What a second deployment would do", "deploy", "--dry-run")
    teller.tell("A second deployment", "deploy")
    teller.tell("Back to the first one", "rollback")


def main() -> None:
    """Tell the stories on standard output."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for title, tell in (("Releases", tell_releases), ("Faults", tell_faults), ("A/B", tell_choice)):
            _part(title)
            with project_on_emulator(folder / title[0]) as project:
                tell(Teller(project))
        _part("Kubernetes")
        with project_on_emulator(folder / "kubernetes", KUBERNETES) as project:
            add_compute(project.emulator.state, "aks1")
            tell_elsewhere(Teller(project))
        _part("Web app")
        with project_on_emulator(folder / "web", WEB_APP) as project:
            web = add_web(project.emulator)
            web.served = lambda deployment, body: {"text": f"Dear {body['name']}"}
            tell_elsewhere(
                Teller(project, lambda: web.traffic("greeter-prod") if "greeter-prod" in web.spots else None)
            )
        os.chdir(home)


def _part(title: str) -> None:
    sys.stdout.write(f"\n# {title}\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
