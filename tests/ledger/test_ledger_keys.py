"""One ingredient is changed at a time: what can change a result makes a miss that is explained, all else a hit."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledger_case import Engine, write_request

import pytest_llmops.ledger.context as context_module
from pytest_llmops.ledger import Ledger
from pytest_llmops.ledger.packages import installed_packages
from pytest_llmops.records.cloud import Compute
from pytest_llmops.records.experiment import Connection, Flow
from pytest_llmops.records.run import LLM, Reads, RunRequest, Variant

Change = Callable[[RunRequest, Path], RunRequest]
Ledgers = Callable[..., Ledger]

CONNECTION = Connection(name="llm", type="open_ai", values={"base_url": "http://a"}, secrets={"api_key": "s-1"})


def full_request(root: Path) -> RunRequest:
    """Ask for a run that has every ingredient."""
    return write_request(
        root,
        variant=Variant(
            nodes={"answer": "short"},
            overrides={"answer.temperature": 0, "answer.max_tokens": "64"},
            init={"model": {"name": "m", "api_key": "s-1"}, "keywords": ["a"], "tokenizer": "gpt2"},
        ),
        environment_variables={
            "STYLE": "plain",
            "SERVICE_API_KEY": "s-1",
            "MAX_TOKENS": "64",
            "SORT_KEY": "a",
            "URL": "${llm.base_url}",
        },
        connections=(CONNECTION,),
        llm=LLM(mode="replay", cassette=root / "cassettes/shout.json", recording="session 1"),
        run_outputs=[{"line_number": 0, "loud": "A"}],
        run_inputs=[{"word": "a"}],
        max_rows=3,
    )


def written(name: str, text: str) -> Change:
    """Change a file."""

    def change(request: RunRequest, root: Path) -> RunRequest:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
        return request

    return change


def removed(name: str) -> Change:
    """Remove a file."""

    def change(request: RunRequest, root: Path) -> RunRequest:
        (root / name).unlink()
        return request

    return change


def asked(**fields: Any) -> Change:
    """Ask for something else."""
    return lambda request, root: replace(request, **fields)


def varied(**fields: Any) -> Change:
    """Ask for another variant."""
    return lambda request, root: replace(request, variant=replace(request.variant, **fields))


def connected(**fields: Any) -> Change:
    """Have another connection."""
    return asked(connections=(replace(CONNECTION, **fields),))


INIT = {"model": {"name": "m", "api_key": "s-1"}, "keywords": ["a"], "tokenizer": "gpt2"}
OVERRIDES = {"answer.temperature": 0, "answer.max_tokens": "64"}
VARIABLES = {"STYLE": "plain", "SERVICE_API_KEY": "s-1", "MAX_TOKENS": "64", "SORT_KEY": "a", "URL": "${llm.base_url}"}
LLM_REPLAY = {"mode": "replay", "recording": "session 1"}

COMPUTE = Compute(workspace="/ws-a")

MISSES: dict[str, tuple[Change, str]] = {
    "flow file": (written("flows/shout/prompt.jinja2", "Whisper {{word}}"), "flow file prompt.jinja2 changed"),
    "file of the same size": (
        written("flows/shout/prompt.jinja2", "shout {{word}}"),
        "flow file prompt.jinja2 changed",
    ),
    "file in a folder": (written("flows/shout/lib/shout.py", ""), "flow file lib/shout.py changed"),
    "new file": (written("flows/shout/new.py", ""), "flow file new.py is new"),
    "removed file": (removed("flows/shout/lib/shout.py"), "flow file lib/shout.py is gone"),
    "hidden file": (written("flows/shout/.env", "A=1"), "flow file .env is new"),
    "included file": (written("flows/shared/tone.txt", "soft"), "flow file ../shared/tone.txt changed"),
    "included folder": (written("flows/shared/lists/stop.txt", "a"), "flow file ../shared/lists/stop.txt changed"),
    "file in an included folder": (written("flows/shared/lists/b.txt", ""), "flow file ../shared/lists/b.txt is new"),
    "node variant": (varied(nodes={"answer": "long"}), "variant of node answer: short -> long"),
    "override": (varied(overrides={**OVERRIDES, "answer.temperature": 0.7}), "override answer.temperature changed"),
    "override's type": (
        varied(overrides={**OVERRIDES, "answer.temperature": 0.0}),
        "override answer.temperature changed",
    ),
    "override named like a secret": (
        varied(overrides={**OVERRIDES, "answer.max_tokens": "65"}),
        "override answer.max_tokens changed",
    ),
    "new override": (varied(overrides={**OVERRIDES, "answer.top_p": 1}), "override answer.top_p is new"),
    "init value": (varied(init={**INIT, "model": {"name": "n", "api_key": "s-1"}}), "init value model changed"),
    "init list named like a secret": (varied(init={**INIT, "keywords": ["b"]}), "init value keywords changed"),
    "init value named like a secret": (varied(init={**INIT, "tokenizer": "gpt4"}), "init value tokenizer changed"),
    "init value that may be a secret": (
        varied(init={**INIT, "model": {"name": "m", "api_key": "s-2"}}),
        "init value model changed",
    ),
    "variable with a key to sort by": (
        asked(environment_variables={**VARIABLES, "SORT_KEY": "b"}),
        "variable SORT_KEY changed",
    ),
    "removed init value": (varied(init={"model": INIT["model"], "keywords": ["a"]}), "init value tokenizer is gone"),
    "variable": (asked(environment_variables={**VARIABLES, "STYLE": "grand"}), "variable STYLE changed"),
    "variable named like a secret": (
        asked(environment_variables={**VARIABLES, "MAX_TOKENS": "65"}),
        "variable MAX_TOKENS changed",
    ),
    "reference": (asked(environment_variables={**VARIABLES, "URL": "${llm.api_base}"}), "variable URL changed"),
    "connection's value": (connected(values={"base_url": "http://b"}), "connection llm changed"),
    "connection's type": (connected(type="azure_open_ai"), "connection llm changed"),
    "names of secrets": (connected(secrets={"api_key": "s-1", "token": "t"}), "connection llm changed"),
    "connection's name": (connected(name="other"), "connection other is new"),
    "llm mode": (asked(llm=LLM(mode="live")), "mode replay -> live"),
    "cassette": (written("cassettes/shout.json", "{ }"), "cassette changed"),
    "no cassette": (removed("cassettes/shout.json"), "cassette is gone"),
    "data": (
        written("data/words.jsonl", '{"word": "a"}\n{"word": "B"}\n{"word": "c"}\n{"word": "d"}\n'),
        "data: 2 of 4 rows are new, 1 is gone",
    ),
    "order of rows": (
        written("data/words.jsonl", '{"word": "b"}\n{"word": "a"}\n{"word": "c"}\n'),
        "data: the order of the rows changed",
    ),
    "constant": (asked(column_mapping={"word": "${data.word}", "tone": "x"}), "mapping of tone is new"),
    "mapping": (asked(column_mapping={"word": "${data.other}"}), "mapping of word changed"),
    "parent's outputs": (asked(run_outputs=[{"line_number": 0, "loud": "B"}]), "outputs of the evaluated run changed"),
    "parent's inputs": (asked(run_inputs=[{"word": "b"}]), "inputs of the evaluated run changed"),
    "fewer rows": (asked(max_rows=2), "--llmops-max-rows changed"),
    "repeat": (asked(repeat=1), "another repeat"),
    "another compute than this machine": (asked(compute=COMPUTE), "run elsewhere"),
}
ELSEWHERE: dict[str, tuple[Compute | None, str]] = {
    "workspace": (replace(COMPUTE, workspace="/ws-b"), "workspace: /ws-a -> /ws-b"),
    "runtime": (replace(COMPUTE, runtime="mine"), "runtime: automatic -> mine"),
    "size": (replace(COMPUTE, instance_type="Standard_NC24"), "instance type: none -> Standard_NC24"),
    "this machine": (None, "run elsewhere"),
}


def touched(request: RunRequest, root: Path) -> RunRequest:
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    return request


def moved(request: RunRequest, root: Path) -> RunRequest:
    other = root.parent / "deeper/other checkout"
    shutil.copytree(root, other)
    return full_request(other)


def reordered(request: RunRequest, root: Path) -> RunRequest:
    return replace(
        request,
        environment_variables={name: VARIABLES[name] for name in reversed(VARIABLES)},
        variant=replace(request.variant, init={name: INIT[name] for name in reversed(INIT)}),
        run_outputs=[{"loud": "A", "line_number": 0}],
    )


HITS: dict[str, Change] = {
    "nothing": lambda request, root: request,
    "time stamps": touched,
    "place of the checkout": moved,
    "order of keys": reordered,
    "concurrency": asked(concurrency=1),
    "timeout": asked(line_timeout=1.0),
    "name of the variant": varied(id="other", is_default=False),
    "name of the recording": lambda request, root: replace(request, llm=replace(request.llm, recording="session 2")),
    "retries": lambda request, root: replace(request, llm=replace(request.llm, retries=1)),
    "secret of a connection": connected(secrets={"api_key": "s-2"}),
    "secret variable": asked(environment_variables={**VARIABLES, "SERVICE_API_KEY": "s-2"}),
    "byte code": written("flows/shout/__pycache__/shout.cpython-311.pyc", "x"),
    "traces of prompt flow": written("flows/shout/.promptflow/flow.tools.json", "{}"),
    "file beside the flow": written("flows/shared/helper.py", "LEVEL = 2"),
}


@pytest.mark.parametrize("name", MISSES)
def test_an_ingredient_that_changes_makes_a_miss(name: str, open_ledger: Ledgers, tmp_path: Path) -> None:
    change, reason = MISSES[name]
    request = full_request(tmp_path / "repo")
    Engine(open_ledger()).run(request)
    changed = change(request, tmp_path / "repo")
    explanation = open_ledger().explain(changed)
    assert not explanation.reused
    assert reason in explanation.reasons
    assert open_ledger().journal(changed).finished() is None


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_a_run_in_the_cloud_ran_on_is_an_ingredient(name: str, open_ledger: Ledgers, tmp_path: Path) -> None:
    compute, reason = ELSEWHERE[name]
    request = replace(full_request(tmp_path / "repo"), compute=COMPUTE)
    Engine(open_ledger()).run(request)
    assert open_ledger().explain(request).reused
    changed = replace(request, compute=compute)
    assert open_ledger().explain(changed).reasons == (reason,)
    assert open_ledger().journal(changed).finished() is None


@pytest.mark.parametrize("name", HITS)
def test_what_changes_no_result_makes_a_hit(name: str, open_ledger: Ledgers, tmp_path: Path) -> None:
    request = full_request(tmp_path / "repo")
    first = Engine(open_ledger()).run(request)
    changed = HITS[name](request, tmp_path / "repo")
    assert open_ledger().explain(changed).reused
    engine = Engine(open_ledger())
    assert [row.output for row in engine.run(changed).rows] == [row.output for row in first.rows]
    assert engine.executed == []


SAME_LINES = {"order of rows", "parent's outputs", "parent's inputs", "fewer rows", "constant", "mapping"}
"""Changes of the run as a whole: lines whose inputs are the same as before keep their outcomes."""


@pytest.mark.parametrize("name", MISSES)
def test_lines_are_reused_only_if_nothing_of_their_own_changed(name: str, open_ledger: Ledgers, tmp_path: Path) -> None:
    request = full_request(tmp_path / "repo")
    Engine(open_ledger()).run(request)
    changed = MISSES[name][0](request, tmp_path / "repo")
    engine = Engine(open_ledger())
    engine.run(changed)
    executed = [inputs["word"] for inputs in engine.executed]
    assert executed == ([] if name in SAME_LINES else ["B"] if name == "data" else ["a", "b", "c"])


def test_no_secret_is_in_the_ledger(open_ledger: Ledgers, tmp_path: Path) -> None:
    secret = "sk-5ecret"
    request = replace(
        full_request(tmp_path / "repo"),
        connections=(replace(CONNECTION, secrets={"api_key": secret}),),
        environment_variables={"SERVICE_API_KEY": secret},
        variant=Variant(init={"model": {"api_key": secret}}),
    )
    ledger = open_ledger()
    Engine(ledger).run(request)
    ledger.close()
    assert b"sk-5ecret" not in b"".join(
        path.read_bytes() for path in (tmp_path / ".llmops").rglob("*") if path.is_file()
    )


def test_python_versions_and_packages_are_ingredients(
    open_ledger: Ledgers, request_of: Callable[..., RunRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site-packages/openai-3.53.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    request = request_of()
    Engine(open_ledger()).run(request)
    (tmp_path / "site-packages/openai-3.53.0.dist-info").rename(tmp_path / "site-packages/openai-3.54.0.dist-info")
    assert open_ledger().explain(request).reasons == ("package openai 3.53.0 -> 3.54.0",)
    (tmp_path / "site-packages/openai-3.54.0.dist-info").rename(tmp_path / "site-packages/openai-3.53.0.dist-info")
    assert open_ledger().explain(request).reused
    monkeypatch.setattr(platform, "python_version", lambda: "3.9.0")
    reasons = open_ledger().explain(request).reasons
    assert reasons == (f"python {'.'.join(map(str, sys.version_info[:3]))} -> 3.9.0",)
    monkeypatch.undo()
    monkeypatch.setattr(context_module, "__version__", "9.9")
    assert "pytest-llmops" in open_ledger().explain(request).reasons[-1]


def test_only_installed_packages_are_ingredients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is on the import path of ``python -m pytest``, and not on that of ``pytest``."""
    for name in ("repo/own.egg-info", "lib/site-packages/Foo_Bar-1.0.dist-info", "lib/dist-packages/old.egg-info"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repo")
    libraries = [f"{tmp_path}/lib/site-packages/", f"{tmp_path}/lib/dist-packages", f"{tmp_path}/nowhere/site-packages"]
    assert installed_packages(["", f"{tmp_path}/repo", *libraries]) == {"foo-bar": "1.0", "old": ""}


@pytest.mark.parametrize("kind", ["callable", "prompty"])
def test_other_kinds_depend_on_their_file_and_on_what_they_read(
    kind: Any, open_ledger: Ledgers, tmp_path: Path
) -> None:
    file = tmp_path / "repo/shout.py"
    request = write_request(
        tmp_path / "repo", flow=Flow(name="shout", kind=kind, file=file, folder=file.parent, entry="shout:shout")
    )
    file.write_text("1", encoding="utf-8")
    Engine(open_ledger()).run(request)
    (tmp_path / "repo/unrelated.csv").write_text("1", encoding="utf-8")
    assert open_ledger().explain(request).reused
    file.write_text("2", encoding="utf-8")
    assert open_ledger().explain(request).reasons == ("flow file shout.py changed",)


def test_a_flow_that_is_edited_while_it_runs_is_not_kept(
    open_ledger: Ledgers, request_of: Callable[..., RunRequest]
) -> None:
    request = request_of()
    prompt = request.flow.folder / "prompt.jinja2"

    def answer(inputs: Any) -> dict[str, str]:
        if inputs["word"] == "b":
            prompt.write_text("edited", encoding="utf-8")
        return {"loud": inputs["word"]}

    ledger = open_ledger()
    Engine(ledger, answer).run(request)
    assert [trouble.partition(".db: ")[2] for trouble in ledger.troubles] == [
        "files of flow 'shout' changed while it ran (prompt.jinja2), "
        "so what it gave since is not kept; if it writes them, have it write elsewhere",
    ]
    for text in ("edited", "Shout {{word}}"):
        prompt.write_text(text, encoding="utf-8")
        engine = Engine(open_ledger())
        engine.run(request)
        assert [inputs["word"] for inputs in engine.executed] == (["a", "b", "c"] if text == "edited" else ["b", "c"])


def test_a_flow_that_writes_into_its_folder_is_told_of(
    open_ledger: Ledgers, request_of: Callable[..., RunRequest]
) -> None:
    request = request_of()

    def answer(inputs: Any) -> dict[str, str]:
        for name in "1234":
            (request.flow.folder / f"debug{name}.log").touch()
        return {"loud": inputs["word"]}

    ledger = open_ledger()
    Engine(ledger, answer).run(request)
    (trouble,) = ledger.troubles
    assert "changed while it ran (debug1.log, debug2.log, debug3.log and 1 more), so" in trouble


def test_reads_are_ingredients(open_ledger: Ledgers, request_of: Callable[..., RunRequest], tmp_path: Path) -> None:
    request = request_of()
    helper = tmp_path / "repo/flows/shared/helper.py"
    from pytest_llmops.ledger import digest_of

    reads = Reads(files={"../shared/helper.py": digest_of(str(helper)), "../shared/local.py": None})
    Engine(open_ledger(), reads=reads).run(request)
    assert open_ledger().explain(request).reused
    text = helper.read_text(encoding="utf-8")
    helper.write_text("LEVEL = 3", encoding="utf-8")
    assert open_ledger().explain(request).reasons == ("read file ../shared/helper.py changed",)
    helper.write_text(text, encoding="utf-8")
    helper.with_name("local.py").touch()
    assert open_ledger().explain(request).reasons == ("read file ../shared/local.py changed",)
    engine = Engine(open_ledger())
    engine.run(request)
    assert len(engine.executed) == 3
