"""Write problems.jsonl and gold.jsonl beside this file: 40 arithmetic word problems and their answers.

Always the same output: the seed is fixed, and the answers are computed here, not taken from any model.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

SEED = 20
PER_TEMPLATE = 4
NAMES = ("Amira", "Ben", "Chloe", "Daniel", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas")
Problem = tuple[str, float]


def visitors(rng: random.Random) -> Problem:
    """a + b."""
    place = rng.choice(("museum", "zoo", "library", "swimming pool"))
    first, second = rng.randint(120, 480), rng.randint(120, 480)
    text = f"The {place} had {first} visitors on Saturday and {second} on Sunday. How many visitors came that weekend?"
    return text, first + second


def seats(rng: random.Random) -> Problem:
    """a - b."""
    vehicle, total = rng.choice((("bus", 58), ("train", 340), ("plane", 186), ("ferry", 420)))
    taken = rng.randint(total // 4, total - 5)
    return f"A {vehicle} has {total} seats and {taken} of them are taken. How many seats are free?", total - taken


def crates(rng: random.Random) -> Problem:
    """a * b."""
    box, item = rng.choice((("crate", "bottles"), ("carton", "eggs"), ("tray", "seedlings"), ("pallet", "bags")))
    boxes, each = rng.randint(6, 35), rng.choice((12, 18, 20, 24, 30))
    return f"Each {box} holds {each} {item}. How many {item} are there in {boxes} {box}s?", boxes * each


def shares(rng: random.Random) -> Problem:
    """a / b."""
    items, people, person = rng.choice(
        (("stickers", "children", "child"), ("leaflets", "volunteers", "volunteer"), ("tulips", "vases", "vase"))
    )
    count, each = rng.randint(4, 15), rng.randint(6, 24)
    text = (
        f"{count * each} {items} are divided equally among {count} {people}. How many {items} are there per {person}?"
    )
    return text, each


def savings(rng: random.Random) -> Problem:
    """a + b * c."""
    name, start = rng.choice(NAMES), rng.randint(20, 150)
    weekly, weeks = rng.randint(5, 30), rng.randint(3, 12)
    text = (
        f"{name} has {start} euros and saves {weekly} euros a week. "
        f"How many euros does {name} have after {weeks} weeks?"
    )
    return text, start + weekly * weeks


def change(rng: random.Random) -> Problem:
    """a - b * c."""
    item = rng.choice(("tickets", "notebooks", "sandwiches", "postcards"))
    name, count, price = rng.choice(NAMES), rng.randint(2, 6), rng.randint(2, 8)
    text = f"{name} buys {count} {item} for {price} euros each and pays with a 50 euro note. How much change is given?"
    return text, 50 - count * price


def two_groups(rng: random.Random) -> Problem:
    """(a + b) / c."""
    teams, size = rng.randint(4, 9), rng.randint(4, 8)
    girls = teams * size // 2 - rng.randint(1, 3)
    boys = teams * size - girls
    return f"{girls} girls and {boys} boys form {teams} equal teams. How many children are in each team?", size


def leftovers(rng: random.Random) -> Problem:
    """a - b - c."""
    total, morning, afternoon = rng.randint(120, 260), rng.randint(30, 55), rng.randint(20, 50)
    goods = rng.choice(("loaves", "rolls", "muffins", "pretzels"))
    text = (
        f"A bakery made {total} {goods}. It sold {morning} in the morning and {afternoon} in the afternoon. "
        f"How many {goods} are left?"
    )
    return text, total - morning - afternoon


def groceries(rng: random.Random) -> Problem:
    """a * b with a decimal price."""
    unit, item = rng.choice((("kilo", "apples"), ("kilo", "rice"), ("metre", "fabric"), ("litre", "paint")))
    amount, cents = rng.randint(3, 9), rng.choice((125, 150, 240, 275, 360))
    return f"A {unit} of {item} costs {cents / 100:.2f} euros. What do {amount} {unit}s cost?", amount * cents / 100


def discount(rng: random.Random) -> Problem:
    """a - a * p / 100."""
    item, price = rng.choice((("jacket", 80), ("lamp", 60), ("backpack", 40), ("tent", 120)))
    percent = rng.choice((10, 15, 20, 25))
    text = f"A {item} costs {price} euros. In the sale it is {percent} percent cheaper. What is the sale price?"
    return text, price - price * percent // 100


TEMPLATES: tuple[Callable[[random.Random], Problem], ...] = (
    visitors,
    seats,
    crates,
    shares,
    savings,
    change,
    two_groups,
    leftovers,
    groceries,
    discount,
)


def distinct_problems(rng: random.Random) -> list[Problem]:
    """Draw as many different problems from each template, in random order."""
    problems: dict[str, float] = {}
    for wanted, template in enumerate(TEMPLATES, start=1):
        while len(problems) < wanted * PER_TEMPLATE:
            text, answer = template(rng)
            problems[text] = answer
    drawn = list(problems.items())
    rng.shuffle(drawn)
    return drawn


def write_lines(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Generate both files."""
    folder = Path(__file__).parent
    rng = random.Random(SEED)  # noqa: S311 - repeatable on purpose, and nothing here is secret
    problems = [(f"m{n:02}", *problem) for n, problem in enumerate(distinct_problems(rng), start=1)]
    write_lines(folder / "problems.jsonl", ({"id": key, "problem": text} for key, text, _ in problems))
    write_lines(folder / "gold.jsonl", ({"id": key, "answer": answer} for key, _, answer in problems))


if __name__ == "__main__":
    main()
