"""Which commit a session tested, by what was checked out at its times."""

from __future__ import annotations

import pytest

from pytest_llmops.baselines import changed_commit, evaluated_commit

X, Y = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("seen", "tested", "moved"),
    [
        ([X], X, None),
        ([X, X], X, None),
        ([X, Y], X, f"from {X[:12]} to {Y[:12]}"),
        ([X, Y, X], X, f"from {X[:12]} to {Y[:12]}"),
        ([X, f"{X}-dirty"], f"{X}-dirty", None),
        ([f"{X}-dirty", X], f"{X}-dirty", None),
        ([f"{X}-dirty", Y], f"{X}-dirty", f"from {X[:12]} to {Y[:12]}"),
        ([""], "", None),
        (["", X], "", f"from none to {X[:12]}"),
        ([X, ""], X, f"from {X[:12]} to none"),
    ],
)
def test_the_first_commit_is_what_was_tested(seen: list[str], tested: str, moved: str | None) -> None:
    assert evaluated_commit(seen) == tested
    said = [] if moved is None else [f"the checked-out commit changed during the session, {moved}; run it again"]
    assert list(changed_commit(seen)) == said
