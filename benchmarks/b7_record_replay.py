"""B7: record and replay against vcrpy: 1,000 chat calls of the OpenAI client under 16 threads.

A server on loopback stands for the API. Each contestant runs in processes of its own, so that its patches, its imports
and its memory are its alone. Needs vcrpy (``pip install vcrpy``), and is left out without.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Settings, ratio
from benchmarks.stub import Server

CALLS = 1_000
THREADS = 16
BEFORE_KILL = 25
ENDLESS = 100_000
EXAMPLES = "Label the job titles in the sentence. Example: 'She met a cook.' -> cook. " * 8
Session = Callable[[str, Path], AbstractContextManager[None]]


@contextmanager
def ours(mode: str, cassette: Path) -> Iterator[None]:
    """Treat LLM calls with this package."""
    from pytest_llmops import cassettes
    from pytest_llmops.records.run import LLM

    recorder = cassettes.install(LLM(mode="record" if mode == "record" else "replay", cassette=cassette))
    yield
    recorder.close()


def vcrpy(serializer: str, body_matcher: str) -> Session:
    """Treat LLM calls with vcrpy, set up to do the same: matched by body, repeats allowed, no credentials stored."""

    @contextmanager
    def session(mode: str, cassette: Path) -> Iterator[None]:
        # By name, as type checkers would ask for the types of a package that only this file needs.
        vcr = importlib.import_module("vcr")
        recorder = vcr.VCR(
            record_mode="new_episodes" if mode == "record" else "none",
            match_on=["method", "path", "query", body_matcher],
            filter_headers=["authorization", "api-key"],
            serializer=serializer,
        )
        with recorder.use_cassette(str(cassette), allow_playback_repeats=True):
            yield

    return session


SESSIONS: dict[str, Session] = {"ours": ours, "vcrpy": vcrpy("yaml", "body"), "vcrpy tuned": vcrpy("json", "raw_body")}


def play(name: str, mode: str, calls: int, cassette: Path, url: str) -> None:
    """Run one phase of one contestant in this process, and print what came of it as JSON."""
    import openai

    client = openai.OpenAI(base_url=url, api_key="sk-benchmark-0123456789")

    def ask(text: str) -> str:
        messages: Any = [{"role": "system", "content": EXAMPLES}, {"role": "user", "content": text}]
        answer = client.chat.completions.create(model="m", messages=messages, temperature=0)
        return str(answer.choices[0].message.content)

    def right(number: int) -> bool:
        try:
            answer = ask(f"sentence {number}")
        except Exception:
            return False
        if calls == ENDLESS:
            print(number, flush=True)
        return answer == f"answer to sentence {number}"

    started = time.perf_counter()
    with SESSIONS[name](mode, cassette):
        opened = time.perf_counter()
        with ThreadPoolExecutor(1 if calls == ENDLESS else THREADS) as threads:
            failures = calls - sum(threads.map(right, range(calls)))
        done = time.perf_counter()
        miss, error = 0.0, ""
        if mode == "replay":
            try:
                ask("sentence nobody recorded")
            except Exception as missed:
                miss, error = time.perf_counter() - done, f"{type(missed).__name__}: {missed}"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = {"open": opened - started, "calls": done - opened, "miss": miss}
    print(json.dumps({**times, "failures": failures, "error": error, "memory": memory}))


def phase(name: str, mode: str, calls: int, cassette: Path, url: str) -> dict[str, Any]:
    """Run one phase in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.b7_record_replay", name, mode, str(calls), str(cassette), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def kept_after_kill(name: str, cassette: Path, url: str) -> int:
    """Kill a recording after some answers, and count those that a replay then finds."""
    command = [sys.executable, "-m", "benchmarks.b7_record_replay", name, "record", str(ENDLESS), str(cassette), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(BEFORE_KILL):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    return BEFORE_KILL - int(phase(name, "replay", BEFORE_KILL, cassette, url)["failures"])


def report(rows: dict[str, dict[str, Any]]) -> None:
    """Print a line per contestant, times as multiples of ours."""
    base = rows["ours"]
    print(
        f"{CALLS} chat calls, {THREADS} threads; ours = 1.0 (open {base['open']:.3f} s, replay {base['calls']:.2f} s,"
    )
    print(f"record {base['record']:.2f} s, miss {base['miss'] * 1e3:.0f} ms, file {base['size'] / 1024:.0f} KiB)\n")
    print(f"{'':<12}{'open':>8}{'replay':>8}{'record':>8}{'miss':>8}{'file':>8}{'MiB':>6}{'failed':>8}{'kept':>10}")
    for name, row in rows.items():
        ratios = "".join(f"{row[key] / base[key]:>8.1f}" for key in ("open", "calls", "record", "miss", "size"))
        failed = row["failures"] + row["record_failures"]
        print(f"{name:<12}{ratios}{row['memory']:>6.0f}{failed:>8}{row['kept']:>5} of {BEFORE_KILL}")
    print("\nWhat a miss raises:")
    for name, row in rows.items():
        first, *more = row["error"].splitlines()
        print(f"  {name}: {first} ({len(more)} more lines)")


def measure(folder: Path, settings: Settings) -> Sequence[Figure]:
    """Record, replay and kill each contestant, print the whole comparison, and return its main figures."""
    if importlib.util.find_spec("vcr") is None:
        return (Figure(name="record and replay", against="vcrpy", result="not measured: vcrpy is not installed"),)
    calls, url = (100 if settings.quick else CALLS), Server().url
    rows = {}
    for position, name in enumerate(SESSIONS):
        cassette = folder / f"{position}.json"
        recorded = phase(name, "record", calls, cassette, url)
        rows[name] = phase(name, "replay", calls, cassette, url) | {
            "record": recorded["open"] + recorded["calls"],
            "record_failures": recorded["failures"],
            "size": cassette.stat().st_size,
            "kept": kept_after_kill(name, folder / f"{position}-killed.json", url),
        }
    report(rows)
    return [figure for name in SESSIONS if name != "ours" for figure in _figures(rows["ours"], name, rows[name])]


def _figures(ours: dict[str, Any], name: str, theirs: dict[str, Any]) -> Iterator[Figure]:
    for what, key in (("replay", "calls"), ("record", "record")):
        yield ratio(f"{what} of {CALLS:,} calls", name, [ours[key]], [theirs[key]])


if __name__ == "__main__":
    play(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
