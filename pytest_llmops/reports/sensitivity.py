"""Text for the terminal: which gates noticed that a flow was broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_llmops.records.gate import GateResult
from pytest_llmops.records.sensitivity import Effect, Sensitivity, Trial, is_guard
from pytest_llmops.reports.text import one_line

_LABEL = 60
_LIMIT = 1000
_EFFECTS: dict[Effect, str] = {
    "noticed": "noticed",
    "missed": "not noticed",
    "same": "same outputs",
    "unrecorded": "not recorded",
    "untested": "not tested",
}


def sensitivity_lines(result: Sensitivity) -> list[str]:
    """Say what was broken, what each gate made of it, and which gates noticed nothing, those first."""
    lines = [one_line(f"{result.experiment}: which gates notice that the flow is broken?"), ""]
    lines += [f"  {text}" for trial in result.trials for text in _trial(trial)]
    ran = [trial for trial in result.trials if not trial.skipped]
    if ran and result.before:
        lines += ["", *_table(result, ran)]
    return [*lines, "", *_errors(result), *_cost(result), *_conclusions(result)]


def _trial(trial: Trial) -> Iterator[str]:
    yield one_line(f"{trial.name}: {f'not run: {trial.skipped}' if trial.skipped else trial.said}", _LIMIT)


def _table(result: Sensitivity, trials: Sequence[Trial]) -> Iterator[str]:
    gates = _ordered(result)
    table = [["mutant", *(one_line(gate.item, _LABEL) for gate in gates)]]
    table.append(["(none)", *(f"{_value(gate)} {gate.verdict}" for gate in gates)])
    table += [[trial.name, *(_cell(trial, gate) for gate in gates)] for trial in trials]
    # A line for each gate: there are few mutants, and names of gates are long.
    turned = list(zip(*table, strict=True))
    widths = [max(map(len, column)) for column in zip(*turned, strict=True)]
    for row in turned:
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _cell(trial: Trial, gate: GateResult) -> str:
    effect = trial.effects[gate.item]
    if effect == "unrecorded":
        return _EFFECTS[effect]
    after = trial.gates[gate.item]
    verdict = f" {after.verdict}" if effect == "noticed" else ""
    return f"{_value(after)}{verdict}, {_EFFECTS[effect]}".lstrip(", ")


def _value(gate: GateResult) -> str:
    return "" if gate.value is None else f"{gate.value:.4g}"


def _errors(result: Sensitivity) -> Iterator[str]:
    """Say why a gate that noticed is an ERROR: a service that was down is not to the credit of the gate."""
    for trial in result.trials:
        noticed = (gate for item, gate in trial.gates.items() if trial.effects[item] == "noticed")
        if (reason := next((gate.reason for gate in noticed if gate.verdict == "ERROR"), None)) is not None:
            yield one_line(f"{trial.name}: ERROR: {reason}", _LIMIT)


def _cost(result: Sensitivity) -> Iterator[str]:
    missing = [trial.name for trial in result.trials if trial.unrecorded]
    if missing:
        price = f"{result.llm_calls} LLM calls and {result.tokens} tokens"
        yield one_line(f"not recorded: {', '.join(missing)}; each of them takes about {price}", _LIMIT)
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
        why = "no mutant that ran changed an output" if result.count(gate, "same") else "no mutant ran"
        return f"not tested, {why}{limit}"
    text = f"noticed {noticed} of {ran}{limit}"
    return text if noticed or limit else f"{text}: nothing shows that it protects anything"


def _ordered(result: Sensitivity) -> list[GateResult]:
    return sorted(result.before, key=lambda gate: (gate not in result.blind, result.count(gate, "noticed") > 0))
