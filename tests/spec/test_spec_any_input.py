"""Whatever the files hold, the answer is an experiment or a list of mistakes, never another exception."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_case import EXPERIMENT, MAIN, ROWS, Case

from pytest_llmops.errors import ConfigurationError, Problem

KEYS = sorted({"name", "flow", "datasets", "evaluators", "connections", "runtime", "llmops", "source", "mappings",
               "reference", "key", "thresholds", "variants", "strategy", "overrides", "gate", "min", "severity",
               "connection_type", "secrets", "score", "rows", "main", "inputs", "outputs", "nodes", "type",
               "node_variants", "slices", "by", "baseline", "prices", "scores", "margin", "must_pass", "repeat",
               "reduce", "quarantine", "cluster", "score.f1", "id", "text", "entry", "default_variant_id",
               "${data.text}", "run.rows"})  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.text(max_size=9), st.sampled_from(KEYS)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(write: Callable[[Case], None], env: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        case = Case(Path(folder))
        write(case)
        mistakes = mistakes_of(case, env)

    assert all(mistake.file and mistake.what for mistake in mistakes)
    assert all(len(str(mistake).splitlines()) == 1 for mistake in mistakes)


def mistakes_of(case: Case, env: str | None) -> Sequence[Problem]:
    try:
        case.load(env=env, live=True, strict=True)
    except ConfigurationError as error:
        return error.problems
    return ()


@QUICK
@given(st.text())
def test_any_text_as_experiment(text: str) -> None:
    check(lambda case: case.write("experiment.yaml", text))


@QUICK
@given(VALUES)
def test_any_value_as_experiment(value: object) -> None:
    check(lambda case: case.write("experiment.yaml", yaml.safe_dump(value, allow_unicode=True)))


@settings(QUICK, max_examples=50)
@given(st.data())
def test_an_experiment_with_one_value_replaced(data: st.DataObject) -> None:
    document = yaml.safe_load(EXPERIMENT)
    target = document
    while isinstance(target, (dict, list)) and target:
        keys = list(target) if isinstance(target, dict) else range(len(target))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(target[key], (dict, list)) or data.draw(st.booleans()):
            target[key] = data.draw(VALUES)
            break
        target = target[key]
    check(lambda case: case.write("experiment.yaml", yaml.safe_dump(document, allow_unicode=True)))


@QUICK
@given(VALUES)
def test_any_overlay(value: object) -> None:
    check(lambda case: case.write("experiment.dev.yaml", yaml.safe_dump(value, allow_unicode=True)), env="dev")


@QUICK
@given(VALUES)
def test_any_settings(value: object) -> None:
    check(lambda case: case.append(yaml.safe_dump({"llmops": value}, allow_unicode=True)))


@pytest.mark.parametrize("path", ["flows/main/flow.dag.yaml", "environment/env.yaml"])
@QUICK
@given(value=VALUES)
def test_any_value_in_other_yaml_files(path: str, value: object) -> None:
    check(lambda case: case.write(path, yaml.safe_dump(value, allow_unicode=True)))


@pytest.mark.parametrize("path", [".env", "data/rows.jsonl", "data/gold.jsonl", "flows/main/flow.dag.yaml"])
@QUICK
@given(text=st.text(st.characters(codec="utf-8")), at=st.integers(0, len(MAIN)))
def test_any_text_within_other_files(path: str, text: str, at: int) -> None:
    before = {"data/rows.jsonl": ROWS, "data/gold.jsonl": ROWS, ".env": 'a={"api_key": "x"}\nB=1\n'}.get(path, MAIN)
    check(lambda case: case.write(path, before[:at] + text + before[at:]))


@QUICK
@given(text=st.text(st.characters(codec="utf-8")), at=st.integers(0, 60))
def test_any_text_within_an_entry(text: str, at: int) -> None:
    before = "class A:\n    def __init__(self, k=1): ...\n    def __call__(self, text): ...\n"

    def write(case: Case) -> None:
        case.edit("experiment.yaml", "flow: main", "flow: module:A")
        case.write("module.py", before[:at] + text + before[at:])

    check(write)
