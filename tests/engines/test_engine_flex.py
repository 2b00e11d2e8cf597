"""Flex functions and classes on the local engine."""

from __future__ import annotations

from collections.abc import Callable

from pytest_llmops.records.run import RunResult, Variant

Run = Callable[..., RunResult]

ANSWERS = [{"answer": "a", "gold": "a"}, {"answer": "boom", "gold": "a"}, {"answer": "b", "gold": "a"}]


def test_function_with_typed_inputs_and_dataclass_output(run: Run) -> None:
    data = [{"number": "2"}, {"number": -1}, {"number": "x"}]
    result = run("flex", data=data, column_mapping={"suffix": "${data.number}"})
    assert [row.output for row in result.rows] == [{"number": 4, "text": "4 apples2"}, None, None]
    assert [row.error for row in result.rows] == [
        None,
        "Execution failure in 'double': (ValueError) too small",
        "The input for flow is incorrect. The value for flow input 'number' does not match the expected type 'int'. "
        "Please change flow input type or adjust the input value in your input data.",
    ]


def test_default_wins_over_the_data_unless_it_is_mapped(run: Run) -> None:
    data = [{"number": 1, "suffix": "?"}]
    assert run("flex", data=data).rows[0].output == {"number": 2, "text": "2 apples"}


def test_async_function_and_generator(run: Run) -> None:
    assert run("flex/triple.flex.yaml", data=[{"number": 2}]).rows[0].output == {"output": 6}
    assert run("flex/fail_later.flex.yaml", data=[{"number": 2}]).rows[0].error == "'later'"
    assert run("flex/in_parts.flex.yaml", data=[{"number": 2}]).rows[0].output == {"output": "ab2"}


def test_class_with_metrics_takes_init_from_the_variant_else_the_sample(run: Run) -> None:
    from_sample = run("flex_class", data=ANSWERS)
    assert [row.output for row in from_sample.rows] == [{"score": 11}, None, {"score": 10}]
    assert from_sample.rows[1].error == "Execution failure in 'Judge.__call__': (RuntimeError) boom"
    assert from_sample.metrics == {"mean": 10.5, "n": 2, "bonus": 10}
    assert from_sample.aggregation_error is None
    assert run("flex_class", data=ANSWERS, variant=Variant(init={"bonus": 1})).metrics["mean"] == 1.5


def test_class_that_can_not_be_made(run: Run) -> None:
    result = run("flex_class", data=ANSWERS, variant=Variant(init={"nope": 1}))
    assert (result.status, result.error) == (
        "Failed",
        "Failed to initialize flow entry with '{'nope': 1}', "
        "ex:'Judge.__init__() got an unexpected keyword argument 'nope'.",
    )


def test_aggregate_that_fails_is_an_error_and_not_silence(run: Run) -> None:
    result = run("flex_class/broken_metrics.flex.yaml", data=[{"answer": "a"}])
    assert (result.status, result.metrics) == ("Completed", {})
    assert result.aggregation_error == (
        "Execution failure in '__aggregate__': (TypeError) unsupported operand type(s) for +: 'int' and 'str'"
    )


def test_aggregate_that_returns_no_dict(run: Run) -> None:
    result = run("flex_class/no_dict.flex.yaml", data=[{"answer": "a"}])
    assert (result.metrics, result.aggregation_error) == ({}, "'__aggregate__' returned int, not a dict of metrics")


def test_aggregate_sees_nothing_that_lines_left_in_the_instance(run: Run) -> None:
    assert run("flex_class/stateful.flex.yaml", data=ANSWERS).metrics == {"seen": 0, "n": 3}


def test_unknown_key_in_the_definition(run: Run) -> None:
    result = run("flex/unknown_key.flex.yaml", data=[{"number": 1}])
    assert result.error == "unknown_key.flex.yaml: {'foo': ['Unknown field.']}"


def test_node_variants_are_refused(run: Run) -> None:
    assert run("flex", data=[{"number": 1}], variant=Variant(nodes={"a": "b"})).error == (
        "flow 'flex' has no nodes, so no variants or overrides of nodes either"
    )
