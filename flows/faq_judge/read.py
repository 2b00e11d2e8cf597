from typing import TypedDict

from promptflow.core import tool

VERDICTS = {"yes": 1, "no": 0}


class Verdict(TypedDict):
    """Of one answer, 0 or 1 each: the judge gave a verdict, what it was, and whether a person said the same.

    ``accepted`` is None without a verdict, ``agrees`` also where nobody labelled this very answer.
    """

    covered: int
    accepted: int | None
    agrees: int | None


@tool
def read(completion: str, answer: str, human_label: str, labelled_answer: str) -> Verdict:
    """Read the judge's verdict, and compare it with the label that a person gave to the same answer."""
    accepted = VERDICTS.get(completion.strip(" .").lower())
    # Labels were given to recorded answers: to another answer of another variant they say nothing.
    label = VERDICTS.get(human_label) if answer == labelled_answer else None
    agrees = None if accepted is None or label is None else int(accepted == label)
    return Verdict(covered=int(accepted is not None), accepted=accepted, agrees=agrees)
