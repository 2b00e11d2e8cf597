"""Where the sample request of a deployment may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops.deployment.sample import check_sample
from pytest_llmops.records.deployment import Release
from pytest_llmops.records.experiment import Flow, Port
from pytest_llmops.spec.findings import Findings
from pytest_llmops.spec.resolve import Paths

FLOW = Flow(name="ner", kind="dag", file=Path("f"), folder=Path(), inputs={"text": Port(name="text")})
RELEASE = Release(
    env="dev",
    kind="managed",
    endpoint="ner-dev",
    file="configs/deployment_config.json",
    keys={"sample": ("azure_managed_endpoint.0.TEST_FILE_PATH", 9)},
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return a use case in a repository, beside a file outside of it."""
    base = tmp_path / "repository" / "evals" / "ner"
    for folder in (base, tmp_path / "repository", tmp_path):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sample.json").write_text('{"text": "one"}', encoding="utf-8")
    return Paths(base=base, root=tmp_path / "repository")


def errors(file: Path, paths: Paths) -> list[str]:
    findings = Findings()
    check_sample(file, FLOW, paths, findings, named=RELEASE)
    return [str(problem) for problem in findings.errors]


def outside(file: Path) -> str:
    return (
        "configs/deployment_config.json:9: azure_managed_endpoint.0.TEST_FILE_PATH: "
        f"{file} is outside of the repository, and would be sent to the endpoint; name a file of the repository"
    )


def test_a_sample_lies_in_the_repository(paths: Paths) -> None:
    assert errors(paths.base / "sample.json", paths) == []
    assert errors(paths.root / "sample.json", paths) == []
    other = paths.root.parent / "sample.json"
    assert errors(other, paths) == [outside(other)]
    assert errors(Path("/etc/passwd"), paths) == [outside(Path("/etc/passwd"))]


def test_a_link_to_a_file_outside_is_one_outside(paths: Paths) -> None:
    link = paths.base / "link.json"
    link.symlink_to(paths.root.parent / "sample.json")
    assert errors(link, paths) == [outside(link)]


def test_the_repository_is_all_of_it_wherever_the_command_is_run(paths: Paths) -> None:
    here = Paths(base=paths.base, root=paths.base)
    file = paths.root / "sample.json"
    assert errors(file, here) == [outside(file)]
    (paths.root / ".git").mkdir()
    assert errors(file, here) == []
    assert errors(file, Paths(base=paths.base, root=paths.root.parent / "elsewhere")) == []
