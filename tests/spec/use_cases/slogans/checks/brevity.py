def score(slogan: str, limit: int, **further: str) -> dict[str, object]:
    return {"short": len(slogan) <= limit, **further}
