# mypy: ignore-errors
"""As its documentation has it: a task for ``inspect eval``, here with a solver that asks no model."""

from answer import answer
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import exact
from inspect_ai.solver import solver


@solver
def upper():
    async def solve(state, generate):
        state.output.completion = answer(state.input_text)
        return state

    return solve


@task
def rows():
    dataset = json_dataset("rows.jsonl", FieldSpec(input="question", target="expected"))
    return Task(dataset=dataset, solver=upper(), scorer=exact())
