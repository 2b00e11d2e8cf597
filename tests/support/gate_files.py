"""Files with a decision: sound ones, and such as could be found in their place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from report_samples import metric_gate, report, run_gate

from pytest_llmops.records.report import BUILD, COMMIT, Report
from pytest_llmops.reports.gate import document

SHA = "0123456789abcdef0123456789abcdef01234567"
RUN_ITEM = "run[ner_extract-general-terse]"
ITEM = "matcher.exact_match_rate[ner_extract-general-terse]"
PASSED = replace(report(run_gate(), metric_gate()), versions={COMMIT: SHA, BUILD: "77"})
"""A session of run 77 that passed."""


def write(made: Report, **changes: Any) -> Path:
    """Write the decision into the folder ``reports``, with other values for some of its keys."""
    path = Path("reports/gate.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document(made) | changes), encoding="utf-8")
    return path


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def _altered(draw: st.DrawFn) -> Any:
    """A sound decision with some values replaced, anywhere in it."""
    values = json.loads(json.dumps(document(PASSED)))
    for _ in range(draw(st.integers(0, 3))):
        where = draw(st.sampled_from([values, *values["gates"]])) if isinstance(values.get("gates"), list) else values
        if not isinstance(where, dict) or not where:
            break
        key = draw(st.sampled_from(sorted(where)))
        known = st.sampled_from(["open", "closed", "PASS", "FAIL", "ERROR", "INCONCLUSIVE", True, False, [], {}, 1])
        where[key] = draw(known | _JSON)
    return values


CONTENTS: st.SearchStrategy[bytes] = st.binary() | (_JSON | _altered()).map(lambda value: json.dumps(value).encode())
"""Whatever may be in a file, sound decisions now and then."""
