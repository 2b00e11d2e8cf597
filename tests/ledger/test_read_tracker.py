"""What a real process is seen to read."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pytest_llmops.engines.territory import Territory
from pytest_llmops.ledger.files import digest_of

Track = Callable[..., dict[str, dict[str, str | None]]]

PROGRAM = """
import json, os, sys
from pathlib import Path
from pytest_llmops.engines.reads import ReadTracker

folder = Path(sys.argv[1])
environment = dict(os.environ)
tracker = ReadTracker(folder, in_context={in_context}, environment=environment, ignored=[folder / "../scratch"])
sys.path[:0] = [str(folder), str(folder.parent / "shared")]
os.chdir(folder)
tracker.start()
tracker.new()
found = {{"files": {{}}, "variables": {{}}}}
def look():
    reads = tracker.new()
    found["files"].update(reads.files)
    found["variables"].update(reads.variables)
{flow}
look()
print(json.dumps(found))
"""


@pytest.fixture
def track(tmp_path: Path) -> Track:
    """Give a function that executes code in a flow's folder, and returns what it was seen to read."""
    for name in ("flow", "shared/pages", "scratch"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "flow/prompt.txt").write_text("x", encoding="utf-8")
    (tmp_path / "shared/helper.py").write_text("LEVEL = 1\ndef later():\n    import lazy\n", encoding="utf-8")
    (tmp_path / "shared/lazy.py").write_text("", encoding="utf-8")
    (tmp_path / "shared/words.txt").write_text("a", encoding="utf-8")
    (tmp_path / "scratch/own.txt").write_text("", encoding="utf-8")
    root = Path(__file__).parents[2]

    def execute(flow: str, *, in_context: bool = True, **environment: str) -> dict[str, dict[str, str | None]]:
        script = f"import sys; sys.path.insert(0, {str(root)!r})\n" + PROGRAM.format(flow=flow, in_context=in_context)
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "flow")],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], **environment},
        )
        assert done.returncode == 0, done.stderr
        reads: dict[str, dict[str, str | None]] = json.loads(done.stdout)
        return reads

    return execute


def there(reads: dict[str, dict[str, str | None]]) -> dict[str, str | None]:
    """Files that were read and are there."""
    return {name: found for name, found in reads["files"].items() if found is not None}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_module_outside_the_folder_is_read_when_it_is_imported(track: Track, tmp_path: Path) -> None:
    helper, lazy = (digest_of(str(tmp_path / f"shared/{name}.py")) for name in ("helper", "lazy"))
    first = "import helper"
    assert there(track(first)) == {"../shared/helper.py": helper}
    assert there(track(f"{first}; helper.later()")) == {"../shared/helper.py": helper, "../shared/lazy.py": lazy}


def test_a_module_is_read_as_byte_code_too(track: Track, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(tmp_path / "shared")], check=True)
    assert list(there(track("import helper"))) == ["../shared/helper.py"]


def test_a_module_that_is_not_there_may_appear(track: Track, tmp_path: Path) -> None:
    code = "try:\n    import local_settings\nexcept ImportError:\n    pass\n"
    (tmp_path / "flow/tool.py").write_text(code, encoding="utf-8")
    files = track("import tool")["files"]
    assert files["../shared/local_settings.py"] is None
    assert files["../shared/local_settings"] is None


def test_a_module_may_appear_that_comes_before_another(track: Track, tmp_path: Path) -> None:
    (tmp_path / "shared/prompts").mkdir()
    (tmp_path / "shared/prompts/__init__.py").touch()
    (tmp_path / "shared/prompts/long.py").touch()
    (tmp_path / "later").mkdir()
    (tmp_path / "later/tail.py").touch()
    reads = track("sys.path.append(str(folder.parent / 'later'))\nimport prompts.long, tail")
    absent = {name for name, found in reads["files"].items() if found is None and not name.endswith(".so")}
    assert {name for name in absent if name.startswith(("../shared/", "../later/"))} == {
        *("../shared/prompts/long", "../shared/tail", "../shared/tail.py", "../later/tail"),
    }
    assert reads["variables"] == {"PYTHONPATH": None}


def test_modules_of_the_folder_alone_do_not_depend_on_the_import_path(track: Track, tmp_path: Path) -> None:
    (tmp_path / "flow/tool.py").touch()
    assert track("import tool") == {"files": {}, "variables": {}}


def test_machine_code_is_read_when_it_is_imported(track: Track, tmp_path: Path) -> None:
    compiled = importlib.util.find_spec("markupsafe._speedups")
    if compiled is None or compiled.origin is None:
        pytest.skip("no extension module is installed")
    library = Path(shutil.copy(compiled.origin, tmp_path / "shared"))
    code = "import _speedups"
    assert there(track(code)) == {f"../shared/{library.name}": digest_of(str(library))}


@pytest.mark.parametrize(
    "code",
    [
        "open('../shared/words.txt').close()",
        "Path('../shared/words.txt').read_text()",
        "os.close(os.open('../shared/words.txt', os.O_RDONLY))",
        "open(b'../shared/words.txt', 'rb').close()",
        "open(folder / '../shared/words.txt', 'r+').close()",
        "from threading import Thread as T; t = T(target=open, args=['../shared/words.txt']); t.start(); t.join()",
        "os.chdir('../shared'); open('words.txt').close(); os.chdir('/')",
    ],
)
def test_a_file_is_read_in_whatever_way(code: str, track: Track) -> None:
    assert track(code)["files"] == {"../shared/words.txt": sha("a")}


def test_a_file_that_is_not_there_may_appear(track: Track) -> None:
    missing = "try: open('../shared/missing.txt')\nexcept OSError: pass"
    assert track(missing)["files"] == {"../shared/missing.txt": None}


def test_the_listing_of_a_folder_is_read(track: Track, tmp_path: Path) -> None:
    code = "list(Path('../shared/pages').glob('*.md'))"
    before = track(code)["files"]
    assert list(before) == ["../shared/pages"]
    (tmp_path / "shared/pages/new.md").touch()
    assert track(code)["files"] != before


def test_what_installed_packages_do_is_not_the_flows_reading(track: Track) -> None:
    code = "import importlib.metadata, decimal, subprocess, yaml, jinja2\nlist(importlib.metadata.entry_points())"
    assert {name for name in track(code)["files"] if not name.endswith("entry_points.txt")} == set()


def test_what_is_known_otherwise_is_not_read(track: Track) -> None:
    code = "\n".join(
        [
            "open('prompt.txt').close()",
            "os.listdir('.')",
            "open('../scratch/own.txt').close()",
            "open('../shared/made.txt', 'w').close()",
            "open('../shared/made.txt').close()",
            "open('../shared/half.txt', 'a').close()",
            "os.rename('../shared/half.txt', '../shared/whole.txt')",
            "open('../shared/whole.txt').close()",
            "open('/etc/hostname').close() if os.path.exists('/etc/hostname') else None",
            "with tracker.paused(): open('../shared/words.txt').close()",
        ]
    )
    assert track(code) == {"files": {}, "variables": {}}


def test_files_of_the_folder_are_read_where_the_context_does_not_have_them(track: Track, tmp_path: Path) -> None:
    (tmp_path / "flow/.runs").mkdir()
    assert track("open('prompt.txt').close()", in_context=False)["files"] == {"prompt.txt": sha("x")}
    assert list(track("os.makedirs('.runs', exist_ok=True); os.listdir('.runs')")["files"]) == [".runs"]


def test_a_file_that_changes_between_two_reads_is_no_base_for_results(track: Track) -> None:
    code = """
open('../shared/words.txt').close()
look()
subprocess = __import__('subprocess')
subprocess.run([sys.executable, '-c', "open('../shared/words.txt', 'w').write('changed')"])
open('../shared/words.txt').close()
"""
    assert track(code)["files"] == {"../shared/words.txt": "unreadable"}


def test_a_file_that_changes_after_it_was_read_is_no_base_for_results(track: Track, tmp_path: Path) -> None:
    change = "subprocess.run([sys.executable, '-c', \"open('../shared/helper.py', 'w').write('LEVEL = 2')\"])"
    assert there(track(f"import subprocess, helper; {change}")) == {"../shared/helper.py": "unreadable"}


def test_a_file_that_is_read_and_then_written(track: Track) -> None:
    """What it held is what the flow depends on, so without knowing that there is no reuse."""
    write = "open('../shared/{0}', 'w').write('b'); open('../shared/{0}').close()"
    read = "open('../shared/words.txt').close(); "
    assert track(read + write.format("words.txt"))["files"] == {"../shared/words.txt": "unreadable"}
    miss = "try: open('../shared/cache')\nexcept OSError: "
    assert track(miss + write.format("cache"))["files"] == {"../shared/cache": None}
    assert track("open('../shared/pages/log', 'a+').close()")["files"] == {"../shared/pages/log": None}


def test_folders_that_the_flow_makes_are_its_own(track: Track) -> None:
    code = """
import tempfile
with tempfile.TemporaryDirectory() as made:
    (Path(made) / 'x').mkdir()
    subprocess = __import__('subprocess')
    subprocess.run([sys.executable, '-c', "import sys; open(sys.argv[1] + '/x/made.txt', 'w').write('x')", made])
    os.listdir(made); open(f'{made}/x/made.txt').close()
    os.symlink(folder.parent / 'shared/words.txt', f'{made}/link'); open(f'{made}/link').close()
with tempfile.TemporaryFile() as file: file.write(b'x')
with tempfile.NamedTemporaryFile() as file: open(file.name).close()
"""
    assert track(code)["files"] == {"../shared/words.txt": sha("a")}


@pytest.mark.parametrize("form", ["'../shared/kb.db'", "'file:../shared/kb.db?mode=ro', uri=True"])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_is_read(form: str, mode: str, track: Track, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shared/kb.db")) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE facts (name)")
    content = digest_of(str(tmp_path / "shared/kb.db"))
    code = f"import sqlite3; base = sqlite3.connect({form}); base.execute('SELECT * FROM facts').fetchall()"
    expected = {"../shared/kb.db": content, "../shared/kb.db-wal": None}
    assert track(code)["files"] == expected
    assert track("import sqlite3; sqlite3.connect(':memory:')")["files"] == {}


def test_what_cannot_be_copied_with_the_flow_goes_by_its_absolute_path(tmp_path: Path) -> None:
    territory = Territory(tmp_path / "repo/flow")
    assert territory.name(str(tmp_path / "data/words.txt")) == "../../data/words.txt"
    assert territory.name("/usr/share/zoneinfo/Europe/Paris") == "/usr/share/zoneinfo/Europe/Paris"


def test_checkouts_in_system_folders_are_the_users(tmp_path: Path) -> None:
    here, memory, etc = (Territory(Path(folder)) for folder in (tmp_path, "/dev/shm/repo/flow", "/etc/repo/flow"))
    assert memory.is_users("/dev/shm/repo/lib/helper.py")
    assert memory.is_source("/dev/shm/repo/lib/helper.py")
    assert not memory.is_users("/dev/null")
    assert here.is_users("/dev/shm/data.json")
    assert not here.is_users("/etc/hosts")
    assert etc.is_users("/etc/repo/lib/helper.py")


def test_variables_are_read_one_by_one(track: Track) -> None:
    code = "os.environ.get('A'); os.getenv('B', 'x'); 'C' in os.environ; os.environ['D']; os.environ.get('API_KEY')"
    reads = track(code, A="1", D="4", API_KEY="secret", MAX_TOKENS="5")
    assert reads["variables"] == {"A": sha("1"), "B": None, "C": None, "D": sha("4")}


def test_variables_that_the_flow_sets_are_its_own(track: Track) -> None:
    code = "os.environ['A'] = '2'; os.environ.update(B='3'); os.environ['A'] + os.environ['B']; del os.environ['A']"
    assert track(code, A="1")["variables"] == {}
    assert track("os.environ.setdefault('A', '2')", A="1")["variables"] == {"A": sha("1")}


def test_variables_are_read_as_bytes_too(track: Track) -> None:
    code = "os.environb.get(b'A'); os.getenvb(b'B'); os.environb[b'C'] = b'1'; os.environ['C']"
    assert track(code, A="1")["variables"] == {"A": sha("1"), "B": None}


def test_what_the_flow_itself_asks_for_is_no_noise(track: Track, tmp_path: Path) -> None:
    names = ["USER", "PF_MODEL", "LLMOPS_ENV2", "PYTEST_X", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "API_KEY"]
    code = f"import os\n[os.environ.get(name) for name in {names}]\nos.getenv('HOME')"
    (tmp_path / "flow/tool.py").write_text(code, encoding="utf-8")
    by_library = f"exec(compile({code!r}, json.__file__, 'exec')); look(); assert not found['variables']"
    values = dict.fromkeys([*names, "HOME"], "1")
    assert track(f"{by_library}; import tool", **values)["variables"] == {
        name: sha("1") for name in ("USER", "PF_MODEL", "LLMOPS_ENV2", "PYTEST_X", "HOME")
    }


def test_settings_of_terminals_and_networks_are_noise(track: Track) -> None:
    code = "[os.environ.get(name) for name in ('TERM', 'NO_COLOR', 'PATH', 'https_proxy', 'PYTEST_X', 'LLMOPS_X')]"
    assert track(code)["variables"] == {}


WALKS = [
    "dict(os.environ)",
    "os.environ.copy()",
    "{**os.environ}",
    "os.environ | {}",
    "{} | os.environ",
    "list(os.environ)",
    "list(os.environ.items())",
    "list(os.environ.values())",
    "{}.update(os.environ)",
]


@pytest.mark.parametrize("walk", WALKS)
def test_a_flow_that_goes_through_all_variables_depends_on_them(walk: str, track: Track, tmp_path: Path) -> None:
    (tmp_path / "flow/tool.py").write_text(f"import os\ndef walk():\n    {walk}\n", encoding="utf-8")
    assert track("import tool; tool.walk()", A="1")["variables"]["A"] == sha("1")


@pytest.mark.parametrize("walk", WALKS)
def test_a_library_that_goes_through_all_variables_does_not(walk: str, track: Track, tmp_path: Path) -> None:
    code = f"""
exec(compile({walk!r}, {os.__file__!r}, 'exec'))
exec(compile("[os.environ[name] for name in os.environ if name == 'B']", {os.__file__!r}, 'exec'))
"""
    assert track(code, A="1", B="2")["variables"] == {"B": sha("2")}


def test_child_processes_see_the_environment(track: Track) -> None:
    code = """
import subprocess
os.environ['NEW'] = 'x'
shown = subprocess.run([sys.executable, '-c', 'import os; print(os.environ["A"] + os.environ["NEW"])'],
                       capture_output=True, text=True).stdout
assert shown == '1x\\n'
"""
    assert track(code, A="1")["variables"] == {}
