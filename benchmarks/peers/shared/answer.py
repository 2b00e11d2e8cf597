"""The work that every peer does for each row."""


def answer(question: str) -> str:
    return question.upper()
