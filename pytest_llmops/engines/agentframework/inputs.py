"""How mapped inputs become the one message that a workflow's start executor takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter
from typing import Any

from pytest_llmops.engines.agentframework.forms import Form, form_of, said
from pytest_llmops.engines.agentframework.hints import alternatives
from pytest_llmops.errors import RunError
from pytest_llmops.spec.suggest import listing


def choose_form(kinds: Iterable[Any], start: str, names: Collection[str], columns: Collection[str]) -> Form:
    """Choose the form of message to be made of the inputs that are mapped: the one that says most of them.

    Objects whose fields they are come before a single value, and that before an object of any fields. ``start`` is the
    name of the executor that takes one of ``kinds``, and ``columns`` of the data need no mapping.

    Raises:
        RunError: where it takes nothing that they fit.
    """
    parts = [part for kind in kinds for part in alternatives(kind)]
    forms = sorted(filter(None, map(form_of, parts)), key=attrgetter("rank", "said"))
    misfits = [form.misfit(names, columns) for form in forms]
    if None in misfits:
        return forms[misfits.index(None)]
    if not forms:
        taken = " or ".join(sorted(map(said, parts))) or "nothing"
        why = "which no row can be made into; have it take a dataclass, a pydantic model, dict or str"
    elif len(forms) == 1:
        taken, why = forms[0].said, str(misfits[0])
    else:
        taken = " or ".join(form.said for form in forms)
        why = f"and the mapping gives {listing(names)}; map what one of them needs"
    raise RunError(f"start executor '{start}' takes {taken}, {why}")
