class Judge:
    def __init__(self, bonus: int = 0):
        self.bonus = bonus

    def __call__(self, answer: str, gold: str):
        if answer == "boom":
            raise RuntimeError("boom")
        return {"score": int(answer == gold) + self.bonus}

    def __aggregate__(self, results: list):
        scores = [result.score for result in results]
        return {"mean": sum(scores) / len(scores), "n": len(scores), "bonus": self.bonus}


class BrokenMetrics:
    def __init__(self):
        pass

    def __call__(self, answer: str):
        return answer

    def __aggregate__(self, results: list):
        return {"mean": sum(results)}


class NoDict(BrokenMetrics):
    def __call__(self, answer: str):
        return answer

    def __aggregate__(self, results: list):
        return len(results)


class Stateful:
    def __init__(self):
        self.seen = 0

    def __call__(self, answer: str):
        self.seen += 1
        return {"answer": answer}

    def __aggregate__(self, results: list):
        return {"seen": self.seen, "n": len(results)}
