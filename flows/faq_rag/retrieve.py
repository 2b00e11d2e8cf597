from functools import cache
from pathlib import Path
from typing import TypedDict

import bm25s
from promptflow.core import tool

PAGES = Path(__file__).parent / "pages"


class Passage(TypedDict):
    """One paragraph of a policy page. ``page`` is the name of the page's file, without its ending."""

    page: str
    title: str
    text: str


@tool
def retrieve(question: str, top_k: int = 1) -> list[Passage]:
    """Give the passages that match a question best, best first (BM25, ties in the order of the pages)."""
    passages, index = _library()
    words = _words([question])[0]
    if not words:
        return []
    scores = index.get_scores(words)
    best = sorted(range(len(passages)), key=lambda at: (-scores[at], at))[:top_k]
    return [passages[at] for at in best if scores[at] > 0]


@cache
def _library() -> tuple[list[Passage], bm25s.BM25]:
    passages = [passage for path in sorted(PAGES.glob("*.md")) for passage in _passages(path)]
    index = bm25s.BM25()
    # The title is searched as well: a paragraph rarely repeats what its page is about.
    index.index(_words([f"{passage['title']} {passage['text']}" for passage in passages]), show_progress=False)
    return passages, index


def _passages(path: Path) -> list[Passage]:
    title, *paragraphs = path.read_text(encoding="utf-8").strip().split("\n\n")
    return [Passage(page=path.stem, title=title.lstrip("# "), text=text) for text in paragraphs]


def _words(texts: list[str]) -> list[list[str]]:
    return bm25s.tokenize(texts, stopwords="en_plus", return_ids=False, show_progress=False)
