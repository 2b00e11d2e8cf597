"""Make the pictures of the report page in ``docs/images``, from the sample use cases.

    python -m benchmarks.screenshots

Look at them before they are committed. Needs playwright, and a Chromium on the path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, FloatRect, Page, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
PROMPT = Path("flows/sentiment_classify/sentiment.prompty")
# Examples that docs/how-to/judge-a-prompt-change.md deletes: lines from 1, both included.
WORSE, UNSURE = (24, 33), (39, 53)
_MARGIN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A part of a page. ``view`` is the rest of its address; ``selectors`` name what has to be seen from top to end.

    Without them it is the top of the page, ``height`` pixels of it.
    """

    name: str
    session: str
    view: str = ""
    width: int = 1280
    height: int = 900
    theme: Literal["light", "dark"] = "light"
    selectors: tuple[str, ...] = ()


_SENTIMENT = "cell=evals/sentiment/experiment.yaml::sentiment-comments-default"
_FAQ = "cell=evals/faq_rag/experiment.yaml::faq_rag-questions-retrieve.top_k=1&with=retrieve.top_k=3"
PICTURES = (
    Picture(name="overview", session="samples", height=1080),
    Picture(name="closed", session="closed", height=940, theme="dark"),
    Picture(name="heat-map", session="samples", selectors=("section:has(> .head > #heatmap)",)),
    Picture(name="compared", session="worse", view=_SENTIMENT, width=1360, height=836),
    Picture(
        name="diff",
        session="samples",
        view=f"{_FAQ}&gate=answer.fact_rate&q=When+does+the+Lindholm&row=36",
        width=1360,
        selectors=(".rows-scroll",),
    ),
    Picture(name="trend", session="kept", view="view=trend", selectors=("section:has(> .trends)",)),
)


def main() -> None:
    """Run the sessions, and take every picture."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as name, _browser() as browser:
        project = Path(name)
        _run_sessions(project)
        for picture in PICTURES:
            file = IMAGES / f"{picture.name}.png"
            file.write_bytes(_taken(browser, picture, project))
            print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1000} kB")


def _run_sessions(project: Path) -> None:
    """Run all sample use cases, with an open and a closed gate, and a change of a prompt with its history."""
    for folder in ("flows", "datasets", "evals"):
        shutil.copytree(ROOT / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    _run(project, "samples", "evals")
    _run(project, "closed", "evals", "--llmops-threshold", "matcher.f1=>= 0.65")
    kept = (project / PROMPT).read_text(encoding="utf-8").splitlines(keepends=True)
    for session, (first, last) in (("worse", WORSE), ("unsure", UNSURE)):
        changed = [*kept[: first - 1], *kept[last:]]
        (project / PROMPT).write_text("".join(changed), encoding="utf-8")
        _run(project, session, "evals/sentiment")
    (project / PROMPT).write_text("".join(kept), encoding="utf-8")
    _run(project, "kept", "evals/sentiment", "--llmops-history", "reports")


def _run(project: Path, session: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", *arguments, "--llmops-report-dir", f"reports/{session}"]
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "LLMOPS", "TF_BUILD"))
    }
    done = subprocess.run(command, cwd=project, env=environ, check=False, capture_output=True, text=True)
    if not (project / "reports" / session / "index.html").is_file():
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


@contextmanager
def _browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def _taken(browser: Browser, picture: Picture, project: Path) -> bytes:
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height}, color_scheme=picture.theme
    )
    page = context.new_page()
    page.goto(f"{(project / 'reports' / picture.session / 'index.html').as_uri()}#{picture.view}")
    page.wait_for_function("document.querySelector('main')?.innerText.length > 100")
    page.mouse.move(0, 0)
    clip = _around(page, picture.selectors) if picture.selectors else None
    return page.screenshot(full_page=clip is not None, clip=clip)


def _around(page: Page, selectors: tuple[str, ...]) -> FloatRect:
    """Return what the elements take up together, with a margin, in pixels of the whole page."""
    page.evaluate("scrollTo(0, 0)")
    boxes = [box for selector in selectors if (box := page.locator(selector).first.bounding_box())]
    left, top = (max(0, min(box[side] for box in boxes) - _MARGIN) for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes) + _MARGIN
    bottom = max(box["y"] + box["height"] for box in boxes) + _MARGIN
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


if __name__ == "__main__":
    main()
