"""What gates noticed of a flow that was broken on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pytest_llmops.records.experiment import RUN
from pytest_llmops.records.gate import GateResult

Effect = Literal["noticed", "missed", "same", "crashed", "unrecorded", "untested"]
"""What a mutant did to a gate.

``noticed``: the gate passed before and does not pass now. ``missed``: it still passes, though outputs changed. The
others say nothing of the gate: ``same``, no output of its cell changed; ``crashed``, the mutant's flow or an evaluation
of it failed, which closes the gate whatever the rule; ``unrecorded``, the mutant asked the model what no cassette
holds; ``untested``, it did not pass before.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One mutant and what became of the gates, by item name. ``said`` says what was changed.

    Where ``skipped`` says why, nothing was run and there are no gates.
    """

    mutation: str
    name: str
    said: str = ""
    skipped: str = ""
    gates: Mapping[str, GateResult] = field(default_factory=dict)
    effects: Mapping[str, Effect] = field(default_factory=dict)

    @property
    def unrecorded(self) -> bool:
        """Whether answers of the model were missing."""
        return "unrecorded" in self.effects.values()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """The gates of an experiment as they are (``before``), and all trials.

    ``llm_calls`` and ``tokens`` are what the unbroken flow takes with its evaluations: about what a mutant takes.
    """

    experiment: str
    before: tuple[GateResult, ...]
    trials: tuple[Trial, ...]
    llm_calls: int = 0
    tokens: int = 0

    def count(self, gate: GateResult, *effects: Effect) -> int:
        """Count the trials that had one of these effects on a gate."""
        return sum(trial.effects.get(gate.item) in effects for trial in self.trials)

    def tested(self, gate: GateResult) -> bool:
        """Whether any mutant could show what the gate notices."""
        return self.count(gate, "noticed", "missed") > 0

    @property
    def blind(self) -> tuple[GateResult, ...]:
        """Gates that could block a deployment for bad quality, and were not seen to notice anything.

        Limits on the run itself, such as its tokens, guard against other things than mutations bring about.
        """
        return tuple(gate for gate in self.before if is_guard(gate) and not self.count(gate, "noticed"))


def is_guard(gate: GateResult) -> bool:
    """Tell whether a gate is expected to notice that a flow became worse."""
    return gate.blocking and not gate.name.startswith(f"{RUN}.")
