"""Arithmetic of an endpoint's traffic: shares of its deployments in whole percent, which add up to 100, or to 0.

Azure takes no other sums, so a share below 100 needs somebody who takes the rest. Where there is nobody, as with the
first deployment of an endpoint, the new deployment gets everything at its first step.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pytest_llmops.records.deployment import Traffic

ALL = 100


def first_share(current: Traffic, new: str, percent: int, prior: str = "") -> Traffic:
    """Return the traffic in which one deployment has ``percent``, whatever it had before.

    The rest goes to ``prior`` where it is named; otherwise to the others that have traffic, in the proportions that
    they have it in. Without others, the deployment gets everything, or, with 0 percent, nobody gets anything.

    Raises:
        ValueError: for a share that is none, or a deployment that is to share with itself.
    """
    if not 0 <= percent <= ALL:
        raise ValueError(f"{percent} is no share in percent")
    if prior == new:
        raise ValueError(f"{new} can't share its traffic with itself")
    others = {prior: ALL} if prior else {name: share for name, share in current.items() if name != new and share > 0}
    if not others:
        return {new: ALL} if percent else {}
    return _without_none({**_in_proportion(others, ALL - percent), new: percent})


def steps(current: Traffic, new: str, percents: Sequence[int], prior: str = "") -> list[Traffic]:
    """Return the traffic after each step that gives a deployment more than it has; steps that change nothing are out.

    All steps start from the traffic before the first one, so that rounding does not add up.
    """
    found: list[Traffic] = []
    before, held = _without_none(current), current.get(new, 0)
    for percent in (percent for percent in percents if percent > held):
        after = first_share(current, new, percent, prior)
        if after != before:
            found.append(after)
        before = after
    return found


def restored(before: Traffic, present: Collection[str]) -> Traffic:
    """Return the traffic that was, as far as its deployments are still there.

    The shares of those that are gone go to the others in proportion. Where all are gone, nobody gets anything.
    """
    left = {name: share for name, share in before.items() if share > 0 and name in present}
    return _without_none(_in_proportion(left, ALL)) if left else {}


def given_back(current: Traffic, name: str, before: Traffic, present: Collection[str]) -> Traffic:
    """Return the traffic in which one deployment has none any more, and those before it have theirs.

    Others that have traffic now, and had none before it, keep what they have: somebody gave it to them since. What
    nobody of those before can take goes to them.
    """
    earlier = restored(before, present)
    since = {each: share for each, share in current.items() if share > 0 and each != name and not before.get(each)}
    if not since:
        return earlier
    if not earlier:
        return _in_proportion(since, ALL)
    return {**since, **_without_none(_in_proportion(earlier, ALL - sum(since.values())))}


def in_words(traffic: Traffic) -> str:
    """Say who has which share, the largest first: ``blue 90 %, green 10 %``."""
    by_share = sorted(_without_none(traffic).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {share} %" for name, share in by_share) or "no traffic"


def _in_proportion(shares: Traffic, total: int) -> Traffic:
    """Divide a total in the proportions of positive shares, by largest remainders; ties go to the larger share."""
    whole = sum(shares.values())
    parts = {name: divmod(share * total, whole) for name, share in shares.items()}
    result = {name: quotient for name, (quotient, _) in parts.items()}
    missing = total - sum(result.values())
    by_remainder = sorted(parts, key=lambda name: (-parts[name][1], -shares[name], name))
    return result | {name: result[name] + 1 for name in by_remainder[:missing]}


def _without_none(traffic: Traffic) -> Traffic:
    return {name: share for name, share in traffic.items() if share > 0}
