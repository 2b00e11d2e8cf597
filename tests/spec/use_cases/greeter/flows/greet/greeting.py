import os


class Greeter:
    def __init__(self, service: dict, limit: int = 80):
        self.service = service
        self.limit = limit

    def __call__(self, name: str, hour: int = 12) -> str:
        part = "morning" if int(hour) < 12 else "evening"
        style = os.environ.get("GREETER_STYLE", "plain")
        return f"Good {part}, {name} ({style})."[: self.limit]
