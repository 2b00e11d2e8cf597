"""Whether a flow may be registered or deployed: by an open gate, decided on the flow and the data that are here.

What is let through all the same, because somebody said so, is on record with it: who, why, and what stood against it.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmops import __version__
from pytest_llmops.azure.variables import variable
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.matrix import all_variants, candidate_variant, cell_of
from pytest_llmops.plan import demands_on
from pytest_llmops.records.deployment import FLOW_DIGEST
from pytest_llmops.records.experiment import RUN, Experiment, Flow, VariantRules
from pytest_llmops.records.gate import Cell
from pytest_llmops.records.report import Subject
from pytest_llmops.records.run import Variant
from pytest_llmops.reports.gate import FILE, GateFile, Line
from pytest_llmops.reports.gate_check import GateCheck, narrowing
from pytest_llmops.reports.gate_words import why
from pytest_llmops.reports.text import one_line
from pytest_llmops.reports.verdicts import figure
from pytest_llmops.spec.suggest import suggest
from pytest_llmops.subjects import subject_of
from pytest_llmops.versions import flow_digest

VERDICT = "llmops_verdict"
OPEN, OVERRIDDEN = "open", "overridden"
OVERRIDE = "llmops_override"
"""Tag of a model that its gate did not let through: why it is there all the same."""
_METRICS = 5
_KEY, _VALUE = 100, 256
"""Characters of a tag's name and value. Runs may have 100 and 1000, other resources of Azure 512 and 256; of models,
https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity says nothing."""
_NOT_IN_KEYS = re.compile(r"[^\w.-]+")
_SHOWN = 12  # digits of a digest
_AGAIN = "run the evaluation again"
_UNKNOWN = Subject(flow="", digest="", data="", criteria="")
_CHECKED_HERE = ("variants", "regated")
"""Settings that limit what an open gate says; what is decided by digests and variant needs no such limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Somebody's word that a flow goes on although its gate does not let it through."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The answer. A flow is let through where nothing stands against it, or somebody overrode what does.

    ``digest`` stands for the flow's files in the variant, empty where they can't be read. ``closed`` says why the gate
    is closed to it, ``foreign`` why the decision is on something else than what is here: another flow, data or
    environment. ``lines`` are the gates that the variant was judged by.
    """

    experiment: Experiment
    variant: Variant
    digest: str
    check: GateCheck
    closed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    override: Override | None = None
    lines: tuple[Line, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """All that stands against it."""
        return (*self.closed, *self.foreign)

    @property
    def overridden(self) -> bool:
        """Whether it is let through on somebody's word alone."""
        return bool(self.reasons) and self.override is not None

    @property
    def is_open(self) -> bool:
        """Whether the flow may be registered and deployed."""
        return bool(self.digest) and (not self.reasons or self.overridden)


def admit(
    check: GateCheck,
    experiment: Experiment,
    variant: Variant,
    *,
    env: str | None = None,
    override: Override | None = None,
) -> Admission:
    """Decide whether a variant of an experiment's flow may go on, by a checked gate and the files as they are now.

    ``env`` is the environment that it goes on to. The experiment has to be loaded with the overlay that ``overlay_of``
    gives.
    """
    digest = flow_digest(experiment.flow, variant)
    closed, foreign = list(_closed(check)), list[str]()
    lines: tuple[Line, ...] = ()
    if not digest:
        foreign.append(f"the files of flow '{experiment.flow.name}' can't be read; check them")
    elif check.file is not None:
        path = _recorded_path(check.file, experiment)
        foreign += _foreign(check.file, path, experiment, env)
        lines = tuple(_of_variant(check.file, path, experiment, variant))
        if check.is_open and path:
            closed += _not_passed(check.file, path, experiment, variant)
            closed += _candidates_not_passed(check.file, path, experiment)
    return Admission(
        experiment=experiment,
        variant=variant,
        digest=digest,
        check=check,
        closed=tuple(closed),
        foreign=tuple(foreign),
        override=override,
        lines=lines,
    )


def overlay_of(check: GateCheck, env: str | None) -> str | None:
    """Return the overlay that a decision which holds for an environment was made with: that of it, or none."""
    decided = check.file.settings.get("env") if check.file else None
    return decided if decided == env else None


def find_variant(experiment: Experiment, name: str | None) -> Variant:
    """Return the variant of an id, or the default one.

    Raises:
        LLMOpsError: where there is none.
    """
    return variant_of(experiment.flow, experiment.variants, name)


def variant_of(flow: Flow, rules: VariantRules, name: str | None) -> Variant:
    """Do what ``find_variant`` does, where no more of the experiment is known."""
    variants = {variant.id: variant for variant in all_variants(flow, rules)}
    found = next((v for v in variants.values() if v.is_default), None) if name is None else variants.get(name)
    if found is None:
        what = "no default variant" if name is None else f"no variant {name!r}"
        raise LLMOpsError(f"--variant: there is {what}; {suggest(name or '', variants, 'there are')}")
    return found


def read_override(reason: str | None, environ: Mapping[str, str]) -> Override | None:
    """Take somebody's word; None where nothing is given.

    Raises:
        LLMOpsError: without a reason.
    """
    if reason is None:
        return None
    if not reason.strip():
        raise LLMOpsError("--override-gate: it is empty; give the reason, which is kept with what is let through")
    by = variable(environ, "RELEASE_DEPLOYMENT_REQUESTEDFOR", "BUILD_REQUESTEDFOR") or _user()
    return Override(by=one_line(by, _VALUE), reason=one_line(reason, _VALUE))


def tags_of(admission: Admission) -> dict[str, str]:
    """Describe in tags what is let through: of which files, by which gate with which metrics, or on whose word."""
    file, variant = admission.check.file, admission.variant
    tags = {
        FLOW_DIGEST: admission.digest,
        VERDICT: OVERRIDDEN if admission.overridden else OPEN,
        "llmops_variant": variant.id,
        "llmops_gate": file.created if file else "",
        "llmops_commit": (file.commit or "") if file else "",
        "llmops_build": (file.build or "") if file else "",
        "llmops_version": __version__,
    }
    if admission.overridden and admission.override is not None:
        tags[OVERRIDE] = admission.override.reason
        tags[f"{OVERRIDE}_by"] = admission.override.by
        tags[f"{OVERRIDE}_against"] = "; ".join(admission.reasons)
    measured = [line for line in admission.lines if line.rule and line.value is not None][:_METRICS]
    metrics = {_metric_key(line): f"{figure(line.value, line.rule)} (required {line.rule})" for line in measured}
    return {name[:_KEY]: one_line(value, _VALUE) for name, value in (tags | metrics).items() if value}


def approval_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Pick the tags that say how something was let through: by its gate, or for somebody's reason."""
    return {name: tags[name] for name in (VERDICT, OVERRIDE) if name in tags}


def _closed(check: GateCheck) -> Iterator[str]:
    """Yield what is wrong with the decision, and what closed the gate where that is what it says."""
    yield from (f"the gate is closed: {problem}" for problem in check.problems)
    if check.file is not None and check.file.state == "closed":
        yield f"the gate is closed: {why(GateCheck(file=check.file))}"


def _foreign(file: GateFile, path: str, experiment: Experiment, env: str | None) -> Iterator[str]:
    """Yield why a decision is not on the experiment as it is here."""
    if not path:
        known = ", ".join(dict.fromkeys(line.experiment for line in file.gates)) or "none"
        yield f"{FILE} has no decision on {experiment.file.name} of '{experiment.name}'; it has: {known}"
        return
    if (decided := file.settings.get("env")) not in (None, env):
        todo = f"evaluate with --llmops-env {env}, or without an overlay" if env else f"name it with --env {decided}"
        yield f"the gate was decided with the overlay of environment '{decided}', this is {_environment(env)}; {todo}"
        return
    now, then = subject_of(experiment), file.subjects.get(path, _UNKNOWN)
    flow = f"flow '{experiment.flow.name}'"
    if file.settings.get("backend") == "endpoint":
        yield f"the gate was decided on what an endpoint answered, not on the files of {flow}; evaluate these"
    else:
        yield from _changed(flow, "which files of it were evaluated is not known", then.digest, now.digest)
    yield from _changed("the data", "which rows were evaluated is not known", then.data, now.data)
    what, unknown = "what it is judged by (thresholds, gate policy, evaluators)", "what that was is not known"
    yield from _changed(what, unknown, then.criteria, now.criteria)


def _environment(name: str | None) -> str:
    return f"for '{name}'" if name else "for no environment"


def _changed(what: str, unknown: str, then: str, now: str) -> Iterator[str]:
    if not now:
        yield f"{what} can't be read; check the files"
    elif not then:
        yield f"{what}: {unknown}; {_AGAIN}"
    elif then != now:
        yield f"{what} changed after the gate was decided (it was {then[:_SHOWN]}, it is {now[:_SHOWN]}); {_AGAIN}"


def _not_passed(file: GateFile, path: str, experiment: Experiment, variant: Variant) -> Iterator[str]:
    """Yield why an open gate is closed to this variant: it was measured in part, not at all, or not found good."""
    limits = {name: value for name, value in narrowing(file).items() if name not in _CHECKED_HERE}
    if limits:
        shown = ", ".join(f"{name} {value}" for name, value in limits.items())
        yield f"the gate was decided on less than the files ask for ({shown}); evaluate without these limits"
    if not (reasons := list(_against(file, path, experiment, variant))):
        return
    yield from reasons
    variants = all_variants(experiment.flow, experiment.variants)
    if passed := [v.id for v in variants if not any(_against(file, path, experiment, v))]:
        yield f"variants that passed: {', '.join(passed)}; name one with --variant, or make it the flow's default"


def _candidates_not_passed(file: GateFile, path: str, experiment: Experiment) -> Iterator[str]:
    """Yield what an open gate lacks of the candidates that have to pass: a session may have left them out."""
    for candidate in experiment.candidates:
        if candidate.required:
            yield from _against(file, path, experiment, candidate_variant(candidate))


def _against(file: GateFile, path: str, experiment: Experiment, variant: Variant) -> Iterator[str]:
    lines = list(_of_variant(file, path, experiment, variant))
    decided = {line.item for line in lines}
    who = f"candidate '{variant.id}' has to pass, and" if variant.is_candidate else f"variant '{variant.id}'"
    for cell in _cells(experiment, path, variant):
        missing = [d.name for d in demands_on(experiment, cell) if f"{d.name}[{cell.id}]" not in decided]
        if RUN in missing:
            yield f"{who} was not evaluated on dataset '{cell.dataset}'"
        elif missing:
            yield f"{who} has no verdict on {', '.join(missing)} on dataset '{cell.dataset}'"
    for line in lines:
        if line.bars:
            yield f"{who} did not pass: {line.reason}"


def _of_variant(file: GateFile, path: str, experiment: Experiment, variant: Variant) -> Iterator[Line]:
    ends = tuple(f"[{cell.id}]" for cell in _cells(experiment, path, variant))
    yield from (line for line in file.gates if line.experiment == path and line.item.endswith(ends))


def _cells(experiment: Experiment, path: str, variant: Variant) -> Sequence[Cell]:
    return [cell_of(experiment, path, dataset.name, variant) for dataset in experiment.datasets]


def _recorded_path(file: GateFile, experiment: Experiment) -> str:
    """Return the name that a decision has for an experiment, which is the end of its file's path; empty without one."""
    parts = experiment.file.parts
    names = {line.experiment: tuple(p for p in line.experiment.split("/") if p != "..") for line in file.gates}
    found = [name for name, ends in names.items() if parts[-len(ends) :] == ends]
    return max(found, key=len, default="")


def _metric_key(line: Line) -> str:
    return _NOT_IN_KEYS.sub("_", line.item).strip("_")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # of a container, whose user may have no name
        return "unknown"
