"""Text for the terminal: which gates noticed that a flow was broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.sensitivity import Effect, Sensitivity, Trial, is_guard
from pytest_llmops.reports.console import block, fit, join
from pytest_llmops.reports.text import one_line

_INDENT = "  "
_LABEL = 60
_RULE = 30
_LIMIT = 1000
_EFFECTS: dict[Effect, str] = {
    "noticed": "noticed",
    "missed": "not noticed",
    "same": "same outputs",
    "crashed": "crashed",
    "unrecorded": "not recorded",
    "untested": "not tested",
}


def sensitivity_lines(result: Sensitivity) -> list[str]:
    """Say what was broken, what each gate made of it, and which gates noticed nothing, those first."""
    lines = [one_line(f"{result.experiment}: which gates notice that the flow is broken?"), ""]
    lines += [f"  {text}" for trial in result.trials for text in _trial(trial)]
    ran = [trial for trial in result.trials if not trial.skipped]
    if ran and result.before:
        lines += ["", *(_INDENT + line if line else "" for line in _table(result, ran))]
    return [*lines, "", *_errors(result), *_cost(result), *_conclusions(result)]


def _trial(trial: Trial) -> Iterator[str]:
    yield one_line(f"{trial.name}: {f'not run: {trial.skipped}' if trial.skipped else trial.said}", _LIMIT)


def _table(result: Sensitivity, trials: Sequence[Trial]) -> Iterator[str]:
    """Show the gates of each cell under its name. There is a line for each gate: there are few mutants."""
    gates = _ordered(result)
    for number, cell in enumerate(dict.fromkeys(gate.cell for gate in result.before)):
        yield from ["", one_line(cell, _LIMIT)] if number else [one_line(cell, _LIMIT)]
        those = [gate for gate in gates if gate.cell == cell]
        labels = join(
            [
                block(["gate", *(one_line(gate.name, _LABEL) for gate in those)], right=False),
                block(["rule", *(one_line(gate.rule, _RULE) for gate in those)], right=False),
            ]
        )
        columns = [["(none)", *(f"{_value(gate)} {gate.verdict}".lstrip() for gate in those)]]
        columns += [[trial.name, *(_cell(trial, gate) for gate in those)] for trial in trials]
        for part in fit([block(column, right=False) for column in columns], len(_INDENT) + len(labels[0])):
            yield from (_INDENT + line.rstrip() for line in join([labels, *part]))


def _cell(trial: Trial, gate: GateResult) -> str:
    effect = trial.effects[gate.item]
    if effect in ("unrecorded", "crashed"):
        return _EFFECTS[effect]
    after = trial.gates[gate.item]
    verdict = f" {after.verdict}" if effect == "noticed" else ""
    return f"{_value(after)}{verdict}, {_EFFECTS[effect]}".lstrip(", ")


def _value(gate: GateResult) -> str:
    return "" if gate.value is None else f"{gate.value:.4g}"


def _errors(result: Sensitivity) -> Iterator[str]:
    """Say why a mutant crashed, or a gate that noticed is an ERROR, which may be to the credit of something else."""
    for trial in result.trials:
        for effect in ("crashed", "noticed"):
            those = (gate for item, gate in trial.gates.items() if trial.effects[item] == effect)
            if (reason := next((gate.reason for gate in those if gate.verdict == "ERROR"), None)) is not None:
                yield one_line(f"{trial.name}: {'crashed' if effect == 'crashed' else 'ERROR'}: {reason}", _LIMIT)


def _cost(result: Sensitivity) -> Iterator[str]:
    missing = [trial.name for trial in result.trials if trial.unrecorded]
    if missing:
        price = f"about {result.llm_calls * len(missing)} LLM calls and {result.tokens * len(missing)} tokens"
        each = f" in all, {result.llm_calls} and {result.tokens} for each" if len(missing) > 1 else ""
        yield one_line(f"not recorded: {', '.join(missing)}; they take {price}{each}", _LIMIT)
        yield "record their answers with --llm auto; later runs replay them"


def _conclusions(result: Sensitivity) -> Iterator[str]:
    """Say for each gate how much it noticed, those that noticed nothing first."""
    for gate in _ordered(result):
        noticed, ran = result.count(gate, "noticed"), result.count(gate, "noticed", "missed")
        yield one_line(f"{gate.item}: {_conclusion(result, gate, noticed, ran)}", _LIMIT)


def _conclusion(result: Sensitivity, gate: GateResult, noticed: int, ran: int) -> str:
    limit = "" if is_guard(gate) else " (not required: " + ("it does not block)" if not gate.blocking else "a limit)")
    if gate.verdict != "PASS":
        why = f": {gate.reason}" if gate.reason else ""
        return f"not tested, it is {gate.verdict} before anything is broken{limit}{why}"
    if not result.tested(gate):
        return f"not tested, {_untested(result, gate)}{limit}"
    text = f"noticed {noticed} of {ran}{limit}"
    return text if noticed or limit else f"{text}: nothing shows that it protects anything"


def _untested(result: Sensitivity, gate: GateResult) -> str:
    if result.count(gate, "crashed"):
        return "no mutant changed an output without a crash, which closes any gate"
    return "no mutant that ran changed an output" if result.count(gate, "same") else "no mutant ran"


def _ordered(result: Sensitivity) -> list[GateResult]:
    return sorted(result.before, key=lambda gate: (gate not in result.blind, result.count(gate, "noticed") > 0))
