"""Use cases laid out as Microsoft's LLMOps template lays them out work with their files unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from openai_server import serving

USE_CASES = Path(__file__).parents[1] / "spec" / "use_cases"
ENDPOINT = "https://example.openai.azure.com/"


def bring(pytester: pytest.Pytester, name: str) -> Path:
    """Copy a use case of the template's layout into the project."""
    (pytester.path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return Path(shutil.copytree(USE_CASES / name, pytester.path / name))


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


@pytest.mark.slow
def test_a_class_flow_with_init_json_and_environment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(pytester, "greeter")
    monkeypatch.setenv("GREETER_STYLE", "hearty")
    result = run(pytester, "greeter", "-v")
    result.stdout.fnmatch_lines(
        [
            "greeter/experiment.yaml::run[[]greet-guests-default] PASSED*",
            "greeter/experiment.yaml::politeness[[]greet-guests-default] PASSED*",
        ]
    )


@pytest.mark.slow
def test_variants_gold_and_the_overlay_for_pull_requests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_case = bring(pytester, "order_numbers")
    experiment = use_case / "experiment.yaml"
    unchanged = experiment.read_text(encoding="utf-8")
    with serving() as server:
        # Only the recording needs another endpoint: what is recorded does not depend on it.
        experiment.write_text(unchanged.replace(ENDPOINT, server.url.removesuffix("/v1")), encoding="utf-8")
        monkeypatch.setenv("AOAI_API_KEY", "none")
        run(pytester, "order_numbers", "--llmops-llm", "record")
    experiment.write_text(unchanged, encoding="utf-8")

    result = run(pytester, "order_numbers", "-v")
    result.stdout.fnmatch_lines(
        [
            "order_numbers/experiment.yaml::run[[]standard-messages-plain] PASSED*",
            "order_numbers/experiment.yaml::matcher[[]standard-messages-plain] PASSED*",
            "order_numbers/experiment.yaml::run[[]standard-messages-examples] PASSED*",
            "order_numbers/experiment.yaml::matcher[[]standard-messages-examples] PASSED*",
        ]
    )
    assert result.ret == pytest.ExitCode.OK

    overlaid = run(pytester, "order_numbers", "-v", "--llmops-env", "pr")
    overlaid.assert_outcomes(passed=2)
    overlaid.stdout.fnmatch_lines(["order_numbers/experiment.yaml::run[[]standard-messages_pr-plain] PASSED*"])
