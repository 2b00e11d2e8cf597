from promptflow.core import tool


@tool
def choose(text: str, strict: bool) -> str:
    if "invoice" in text:
        return "billing"
    if strict:
        raise ValueError(f"no queue for {text!r}\nsecond line")
    return "support"
