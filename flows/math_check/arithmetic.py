"""Compute arithmetic from text that nobody vouches for: parsed and walked, never executed."""

import ast
import math
import operator
from collections.abc import Callable

MAX_LENGTH = 200
MAX_EXPONENT = 8
MAX_MAGNITUDE = 1e12

BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


class NotArithmetic(ValueError):
    """The text is no expression of numbers, parentheses and ``+ - * / // **``, or it leaves the bounds."""


def compute(text: str) -> float:
    """Compute an arithmetic expression.

    Raises:
        NotArithmetic: where the text holds anything else, divides by zero, or goes beyond the bounds above.
    """
    if len(text) > MAX_LENGTH:
        raise NotArithmetic(f"longer than {MAX_LENGTH} characters")
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise NotArithmetic(str(error)) from error
    try:
        return _value(expression)
    except ZeroDivisionError as error:
        raise NotArithmetic(str(error)) from error


def _value(node: ast.expr) -> float:
    match node:
        # bool is an int to Python, but True is no number of an expression.
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
            return UNARY[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return _bounded(_combine(type(op), _value(left), _value(right)))
    raise NotArithmetic(f"{ast.unparse(node)!r} is not arithmetic")


def _combine(op: type[ast.operator], left: float, right: float) -> float:
    # Checked before the power is taken: 9 ** 9 ** 9 would never come back.
    if op is ast.Pow and abs(right) > MAX_EXPONENT:
        raise NotArithmetic(f"exponent {right:g} is beyond {MAX_EXPONENT}")
    return BINARY[op](left, right)


def _bounded(number: float) -> float:
    if isinstance(number, complex) or not math.isfinite(number) or abs(number) > MAX_MAGNITUDE:
        raise NotArithmetic(f"a value is beyond {MAX_MAGNITUDE:g}")
    return number
