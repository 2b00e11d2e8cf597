"""What a journal of one run offers, and one for runs that the ledger has no part in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from pytest_llmops.records.run import Line, Outcome, Reads, RunResult

if TYPE_CHECKING:
    from typing_extensions import Self


class RunJournal(Protocol):
    """A context manager: leaving it frees what is still claimed."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def finished(self) -> RunResult | None:
        """Return the whole run where it is known. Blocks while somebody else executes the very same run."""

    def take(self, lines: Sequence[Line]) -> tuple[Mapping[int, Outcome], Sequence[int]]:
        """Return the outcomes that are known, by line number, and the lines that are now the caller's to execute.

        Lines in neither are being executed by somebody else: ask again for them after one's own are done, which gives
        up what was taken before. Blocks as long as that is true of all of them. Ask for all lines of the run first:
        the second of two identical lines is another sample than the first.
        """

    def keep(self, outcomes: Sequence[Outcome], reads: Reads) -> None:
        """Keep outcomes of lines that were taken. ``reads`` is what the flow has read by now.

        One that is reused itself, from where it was made, is as old as it says. Failed lines are not kept: the next one
        who wants them executes them again.
        """

    def conclude(self, result: RunResult, reads: Reads) -> Reads:
        """Keep the run as a whole, if every line completed and nothing was amiss. ``reads`` as for ``keep``.

        Returns all that was read for its outcomes, by whomever they were found out.
        """


class BlankJournal:
    """A journal that knows nothing and keeps nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def finished(self) -> RunResult | None:
        """Return None: nothing is known."""
        return None

    def take(self, lines: Sequence[Line]) -> tuple[Mapping[int, Outcome], Sequence[int]]:
        """Give every line to the caller."""
        return {}, [number for number, _ in lines]

    def keep(self, outcomes: Sequence[Outcome], reads: Reads) -> None:
        """Keep nothing."""

    def conclude(self, result: RunResult, reads: Reads) -> Reads:
        """Keep nothing, so that what was read now is all that was read."""
        return reads
