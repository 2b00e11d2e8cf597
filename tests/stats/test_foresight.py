"""What a gate can tell is foreseen by the same sums that will decide."""

from __future__ import annotations

import pytest
from scored import threshold

from pytest_llmops.stats.foresight import foresee
from pytest_llmops.stats.measuring import Measurement

KNOWN = Measurement(value=0.85, n=40, scores={0: 1.0})


def test_a_point_rule_on_a_known_value() -> None:
    (seen,) = foresee(threshold(">= 0.8"), 10, KNOWN)
    assert seen.failing == pytest.approx(0.18, abs=0.005)  # facts: true p = .85 fails 18 % at n = 10
    assert seen.drop == pytest.approx(0.85 - 0.62, abs=0.02)
    assert (seen.demand, seen.inconclusive) == (">= 0.8", None)


def test_a_rule_on_a_rate_that_should_be_low_is_the_mirror_image() -> None:
    (high,) = foresee(threshold(">= 0.8"), 40, Measurement(value=0.9, n=40, scores={0: 1.0}))
    (low,) = foresee(threshold("<= 0.2", better="lower"), 40, Measurement(value=0.1, n=40, scores={0: 1.0}))
    assert low.failing == pytest.approx(high.failing)
    assert low.drop == pytest.approx(high.drop)


def test_an_unknown_value_says_where_the_rule_is_steady() -> None:
    (seen,) = foresee(threshold(">= 0.8"), 40)
    assert (seen.drop, seen.failing) == (None, None)
    assert seen.steady == pytest.approx(0.88, abs=0.005)
    (low,) = foresee(threshold("<= 0.2", better="lower"), 40)
    assert low.steady == pytest.approx(1 - 0.88, abs=0.005)


def test_a_margin_notices_less_with_fewer_rows() -> None:
    (few,) = foresee(threshold(margin=0.05), 10)
    (many,) = foresee(threshold(margin=0.05), 400)
    assert few.inconclusive is not None
    assert many.inconclusive is not None
    assert few.drop is not None
    assert many.drop is not None
    assert few.inconclusive > 0.9
    assert many.inconclusive < 0.5
    assert few.drop > many.drop


def test_nothing_is_said_of_what_is_not_a_share() -> None:
    assert list(foresee(threshold("<= 3", "run.latency_p95"), 40)) == []
    assert list(foresee(threshold(">= 0.5", by="lang"), 40)) == []
    (macro,) = foresee(threshold(">= 0.5", margin=0.05), 40, Measurement(value=0.6, n=40))
    assert (macro.drop, macro.failing, macro.steady) == (None, None, None)
    (scale,) = foresee(threshold(">= 3.5"), 40, Measurement(value=4.0, n=40, scores={0: 4.0}))
    assert (scale.drop, scale.failing) == (None, None)


def test_a_confidence_rule_may_leave_it_open() -> None:
    (plain,) = foresee(threshold(">= 0.8"), 40, KNOWN)
    (bound,) = foresee(threshold(">= 0.8", confidence=0.95), 40, KNOWN)
    assert bound.failing == plain.failing
    assert bound.inconclusive is not None
    assert bound.inconclusive > 0.5
    assert plain.inconclusive is None
