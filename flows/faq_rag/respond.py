from typing import TypedDict

from promptflow.core import tool


class Response(TypedDict):
    """The answer, and the pages that it rests on, best match first."""

    answer: str
    sources: list[str]


@tool
def respond(completion: str, passages: list) -> Response:
    """Put the answer together with the pages of the passages it was written from."""
    return Response(answer=completion.strip(), sources=list(dict.fromkeys(passage["page"] for passage in passages)))
