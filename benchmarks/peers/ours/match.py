"""Compares an answer with gold, row by row and over all rows."""


def match(answer: str, expected: str) -> dict[str, float]:
    return {"correct": float(answer == expected)}


def aggregate(rows: list[dict[str, float]]) -> dict[str, float]:
    return {"accuracy": sum(row["correct"] for row in rows) / len(rows)}
