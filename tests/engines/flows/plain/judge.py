class Judge:
    def __init__(self, bonus: int = 0):
        self.bonus = bonus

    def __call__(self, answer: str, gold: str):
        return {"score": int(answer == gold) + self.bonus}

    async def __aggregate__(self, rows):
        return {"mean": sum(row["score"] for row in rows) / len(rows)}


class Odd:
    def __call__(self, answer: str):
        return answer

    def __aggregate__(self, rows):
        return "high"


class Silent:
    def __init__(self):
        raise ValueError("not today")
