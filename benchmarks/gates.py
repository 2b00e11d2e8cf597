"""Simulate gates on flows that are unchanged, and on flows that got worse: how often is each kind of gate wrong?

    python -m benchmarks.gates [--quick]

Writes the tables of ``docs/explanation/gates.md``. A row passes with a chance of its own, from a Beta distribution;
baseline and candidate run every row once, so a flow that did not change flips rows too. All gates see the same draws.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pytest_llmops.records.gate import Verdict
from pytest_llmops.stats.noninferiority import compare_pairs, noninferior

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "gates.md"
BEGIN, END = "<!-- figures: python -m benchmarks.gates -->", "<!-- end of figures -->"
ROWS = (5, 10, 20, 40, 100, 400)
DRAWS, QUICK_DRAWS, BATCH = 20_000, 1_000, 1_000
SEED = 20_250_401
BETA = (0.55, 0.1)
MEAN = BETA[0] / sum(BETA)
FLIPPING = 2 * BETA[0] * BETA[1] / (sum(BETA) * (sum(BETA) + 1))
"""Share of rows that flip between two runs of one flow: the mean of 2 p (1 - p)."""
DROP = 0.1
VERDICTS: tuple[Verdict, ...] = ("PASS", "INCONCLUSIVE", "FAIL")
ERRORS: tuple[tuple[str, float, Verdict], ...] = (
    ("An unchanged flow is failed, times of 100", 0.0, "FAIL"),
    (f"A flow that is {100 * DROP:.0f} points worse is passed, times of 100", DROP, "PASS"),
)
MARGIN = 0.05
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a baseline and a candidate did on the same rows, in numbers of rows."""

    n: int
    passed: int
    worse: int
    better: int

    @property
    def baseline(self) -> float:
        """The metric of the baseline: the share of rows that passed."""
        return self.passed / self.n

    @property
    def candidate(self) -> float:
        """The metric of the candidate."""
        return (self.passed - self.worse + self.better) / self.n


def margin_gate(outcome: Outcome) -> Verdict:
    """Decide as ``max_drop: 0.05`` does, where the outputs are not word for word those of the baseline."""
    return _margin_verdict(outcome.n, outcome.worse, outcome.better)


def point_threshold(outcome: Outcome) -> Verdict:
    """Compare the metric with a number that is 0.05 below what the baseline truly scores."""
    return "PASS" if outcome.candidate >= MEAN - MARGIN else "FAIL"


def mlflow_rule(outcome: Outcome) -> Verdict:
    """Decide as ``mlflow.models.MetricThreshold(min_absolute_change=...)``, which must be above 0, for the tiniest."""
    return "PASS" if outcome.candidate >= outcome.baseline + TINY else "FAIL"


def mlflow_rule_with_ties(outcome: Outcome) -> Verdict:
    """Decide likewise, but let a candidate pass that is just as good: more than mlflow allows."""
    return "PASS" if outcome.candidate >= outcome.baseline else "FAIL"


GATES: Mapping[str, Callable[[Outcome], Verdict]] = {
    "`max_drop: 0.05`": margin_gate,
    "point threshold": point_threshold,
    "mlflow's rule": mlflow_rule,
    "the same, ties pass": mlflow_rule_with_ties,
}


@cache
def _margin_verdict(n: int, worse: int, better: int) -> Verdict:
    equal = n - worse - better
    candidate, baseline = [0] * worse + [1] * (better + equal), [1] * worse + [0] * better + [1] * equal
    pairs = compare_pairs(candidate, baseline, better="higher")
    return noninferior(pairs, MARGIN, better="higher", p_value=pairs.p_value, same_outputs=False)[0]


def outcomes(n: int, draws: int, drop: float) -> Iterator[Outcome]:
    """Draw rows, and run them by the baseline and by a candidate whose true share is lower by ``drop``."""
    rng = np.random.default_rng([SEED, n])
    for begin in range(0, draws, BATCH):
        size = (min(BATCH, draws - begin), n)
        chance = rng.beta(*BETA, size=size)
        baseline = rng.random(size) < chance
        candidate = rng.random(size) < chance * (1 - drop / MEAN)
        worse = np.count_nonzero(baseline & ~candidate, axis=1)
        better = np.count_nonzero(candidate & ~baseline, axis=1)
        passed = np.count_nonzero(baseline, axis=1)
        counts = np.stack([passed, worse, better], axis=1).tolist()
        yield from (Outcome(n, *row) for row in counts)


def measure(n: int, draws: int, drop: float) -> dict[str, Counter[Verdict]]:
    """Count the verdicts of each gate."""
    counts: dict[str, Counter[Verdict]] = {name: Counter() for name in GATES}
    for outcome in outcomes(n, draws, drop):
        for name, gate in GATES.items():
            counts[name][gate(outcome)] += 1
    return counts


def tables(draws: int) -> Iterator[str]:
    """Yield the lines of both tables."""
    for title, drop, wrong in ERRORS:
        yield f"**{title}** ({draws:,} draws for each n, seed {SEED}):"
        yield ""
        ours, *others = GATES
        yield f"| n | {ours} | {' | '.join(others)} | {ours}: {' / '.join(VERDICTS)} |"
        yield "| ---: " * (len(GATES) + 2) + "|"
        for n in ROWS:
            counts = measure(n, draws, drop)
            errors = [_percent(count[wrong], draws) for count in counts.values()]
            verdicts = " / ".join(_percent(counts[ours][name], draws) for name in VERDICTS)
            yield f"| {n} | {' | '.join(errors)} | {verdicts} |"
        yield ""


def write(lines: list[str], page: Path = PAGE) -> None:
    """Replace what stands between the markers of the page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page.name} has no markers for the figures")
    page.write_text("\n".join([before + BEGIN, "", *lines, END + after]), encoding="utf-8")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gates", description="Simulate gates.")
    parser.add_argument("--quick", action="store_true", help="a small trial; the documentation stays as it is")
    quick = parser.parse_args().quick
    lines = list(tables(QUICK_DRAWS if quick else DRAWS))
    print(*lines, f"true share {MEAN:.3f}, {FLIPPING:.3f} of rows flip by chance", sep="\n")
    if not quick:
        write(lines)


def _percent(count: int, draws: int) -> str:
    share = 100 * count / draws
    return f"{share:.1f}" if 0 < share < 10 or 90 < share < 100 else f"{share:.0f}"


if __name__ == "__main__":
    main()
