"""Whether gold rows stand beside the right rows of a run: prompt flow joins the two by position alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice

from pytest_llmops.records.labels import as_label
from pytest_llmops.spec.data import Table
from pytest_llmops.spec.findings import Reporter
from pytest_llmops.spec.positions import KeyPath
from pytest_llmops.spec.suggest import count, short, suggest

_LINE_NUMBER = "line_number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Gold rows and the rows of a run. ``path`` is the gold dataset's; only the first ``max_rows`` rows matter."""

    path: KeyPath
    gold: Table
    run: Table
    key: str | None
    max_rows: int | None

    def check(self, report: Reporter) -> None:
        """Compare the number of rows, and the values of the key column. An empty file is reported elsewhere."""
        limit = math.inf if self.max_rows is None else self.max_rows
        if not (self.gold.rows and self.run.rows):
            return
        if min(self.gold.rows, limit) != min(self.run.rows, limit):
            what = f"{self.gold.file} has {count(self.gold.rows)}, but {self.run.file} has {count(self.run.rows)}"
            report.error((*self.path, "source"), what, "give each row of the run one gold row, in the same order")
        elif self.key is not None:
            self._check_keys(self.key, (*self.path, "key"), report)

    def _check_keys(self, key: str, path: KeyPath, report: Reporter) -> None:
        for table in (self.gold, self.run):
            if key not in table.kept:
                report.error(path, f"{table.file} has no column {key!r}", suggest(key, table.columns, "its columns"))
                return
        pairs = islice(zip(self.gold.kept[key], self.run.kept[key], strict=False), self.max_rows)
        for number, (ours, theirs) in enumerate(pairs, start=1):
            if ours != theirs:
                what = f"in row {number}, {self.gold.file} has {short(ours)}, but {self.run.file} has {short(theirs)}"
                report.error(path, what, "put the gold rows in the order of the run's rows")
                return
        self._check_names(key, path, report)

    def _check_names(self, key: str, path: KeyPath, report: Reporter) -> None:
        """Report the first row whose key is missing, or is another row's too: a key names one row."""
        seen: dict[str, int] = {}
        for number, value in enumerate(islice(self.gold.kept[key], self.max_rows), start=1):
            label = as_label(value)
            first = seen.setdefault(label, number)
            if not label:
                what = f"row {number} of {self.gold.file} has no {key!r}"
            elif first != number:
                what = f"key {short(label)} stands in rows {first} and {number} of {self.gold.file}"
            else:
                continue
            report.error(path, what, "give each row a key of its own")
            return


def check_line_numbers(table: Table, path: KeyPath, report: Reporter) -> None:
    """Point out a column that makes prompt flow join rows by its values instead of by position.

    Where gates need to know which row is which, that is an error.
    """
    if _LINE_NUMBER in table.columns:
        what = f"{table.file} has a column {_LINE_NUMBER!r}, by which prompt flow joins rows instead of by position"
        say = report.error if table.kept else report.doubt
        say((*path, "source"), what, "rename the column")
