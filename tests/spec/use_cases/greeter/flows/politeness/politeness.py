def judge(greeting: str, name: str = "guest"):
    return {"polite": greeting.startswith("Good ") and name in greeting}
