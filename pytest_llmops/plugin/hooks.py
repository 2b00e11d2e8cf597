"""Entry point of the plugin: every hook, each of which decides and delegates.

It is imported in every pytest session of every environment that has the plugin, so it imports nothing but the
standard library and pytest; all else is imported inside the functions that need it.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmops.plugin.keys import COLLECTED, PROBLEMS, RUNTIME

if TYPE_CHECKING:
    from pytest_llmops.records.gate import CellResult


def pytest_addoption(parser: pytest.Parser) -> None:
    from pytest_llmops.plugin.settings import add_options

    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    import os

    from pytest_llmops.ado.environment import is_on
    from pytest_llmops.plugin.reading import read_settings
    from pytest_llmops.plugin.results import Results
    from pytest_llmops.plugin.runtime import Runtime
    from pytest_llmops.plugin.slicing import with_slice

    config.addinivalue_line("markers", "llmops(experiment): run the test once for each cell of an experiment.yaml")
    settings = with_slice(read_settings(config, os.environ), os.environ)
    if settings["plan"]:
        from pytest_llmops.plugin.planning import Planner

        runtime: Runtime = Planner(config, settings)
        config.pluginmanager.register(runtime, "llmops-plan")
    else:
        runtime = Runtime(config, settings)
    config.stash[RUNTIME] = runtime
    runtime.heed_sigterm()
    if not hasattr(config, "workerinput"):
        results = Results(config, runtime)
        config.pluginmanager.register(results, "llmops-results")
        if config.getoption("xmlpath", None):
            from pytest_llmops.plugin.junit import JUnitFile

            config.pluginmanager.register(JUnitFile(config, results), "llmops-junit")
        if config.getoption("htmlpath", None):
            from pytest_llmops.plugin.html import HtmlPage

            config.pluginmanager.register(HtmlPage(config, results), "llmops-html")
        if is_on(settings["ado"], os.environ):
            from pytest_llmops.plugin.pipelines import Pipelines

            config.pluginmanager.register(Pipelines(config, results), "llmops-pipelines")


def pytest_unconfigure(config: pytest.Config) -> None:
    if runtime := config.stash.get(RUNTIME, None):
        runtime.stop()
        runtime.clean_up()


def pytest_report_header(config: pytest.Config) -> str:
    return config.stash[RUNTIME].header()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name != "experiment.yaml":
        return None
    from pytest_llmops.plugin.collect import ExperimentFile

    return ExperimentFile.from_parent(parent, path=file_path)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("llmops")
    if mark is None or "llmops_cell" not in metafunc.fixturenames:
        return
    from pytest_llmops.plugin.collect import parametrize

    parametrize(metafunc, mark)


@pytest.fixture
def llmops_cell(request: pytest.FixtureRequest) -> CellResult:
    """One cell of the experiment that the mark ``llmops`` names: its run and its evaluations, finished."""
    return request.config.stash[RUNTIME].cell_result(request.param)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, pytest.CollectReport]:
    report: pytest.CollectReport = yield
    if (problems := collector.stash.get(PROBLEMS, None)) is not None:
        report.llmops_configuration_error = problems  # type: ignore[attr-defined]
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, Any, Any]:
    runtime = config.stash[RUNTIME]
    runtime.inventory.note_marked(items)
    result = yield
    runtime.note_work(items)
    if others := runtime.inventory.select(items):
        config.hook.pytest_deselected(items=others)
    return result


def pytest_collection_finish(session: pytest.Session) -> None:
    runtime = session.config.stash[RUNTIME]
    results = session.config.pluginmanager.get_plugin("llmops-results")
    if results is not None and not session.testsfailed and (unmatched := runtime.inventory.unmatched_thresholds()):
        pytest.exit(results.refuse_thresholds(unmatched), returncode=pytest.ExitCode.USAGE_ERROR)
    runtime.start(session.items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        from pytest_llmops.records.encoding import dumps

        runtime = session.config.stash[RUNTIME]
        session.config.workeroutput[COLLECTED] = dumps(runtime.collected())
        if not session.shouldstop and not session.shouldfail:
            runtime.finish()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    item.config.stash[RUNTIME].wait_for(item)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    if report.when == "call" and (gate := getattr(item, "gate", None)) is not None:
        from pytest_llmops.plugin.results import attach_gate

        attach_gate(report, gate)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    runtime = node.config.stash[RUNTIME]
    node.workerinput["llmops_store"] = runtime.share_store()
    node.workerinput["llmops_session"] = runtime.name
    node.workerinput["llmops_llm_limit"] = runtime.llm_limit()
    node.workerinput["llmops_begun"] = runtime.begun
