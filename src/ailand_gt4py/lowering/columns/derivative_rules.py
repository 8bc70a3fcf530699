"""The derivative of every operation of the column language, and expressions of derivatives put together.

This table is all that differentiation knows of operations. At kinks it has one convention: where the arguments of
``max`` and ``min`` are equal, the derivative is that of the first one; that of ``abs`` at 0 is 1, that of ``floor`` 0
everywhere. So the derivative of ReLU, ``max(0, x)``, is 0 at 0, that of LeakyReLU its slope there, as in PyTorch; that
of a value on a bound is the bound's: 0, or the derivative of the variable that is the bound. (PyTorch's ``clamp`` has 1
where a bound is touched.)

A derivative is written by the operation's result where it can be: then what the operation is applied to need not be
kept.
"""

from __future__ import annotations

from collections.abc import Callable

from ailand_gt4py.lowering.columns.column_program import Expression, Number, Operation, RefusedError

ZERO, ONE = Number(0.0), Number(1.0)
#: Arguments and result -> the derivative by each argument; None where there is none.
Rule = Callable[[tuple[Expression, ...], Expression], tuple[Expression | None, ...]]


def partial_derivatives(operation: Operation, result: Expression) -> tuple[Expression | None, ...]:
    """The derivative of an operation by each of its arguments; None where it does not depend on one.

    Args:
        result: what the operation gives, as it can be read.

    Raises:
        RefusedError: the operation has no derivative.
    """
    if operation.name not in RULES:
        raise RefusedError(f"the operation '{operation.name}' has no derivative")
    return RULES[operation.name](operation.arguments, result)


def arguments_as_read(operation: Operation, result: Expression) -> tuple[Expression, ...]:
    """The arguments of an operation as they can be read: of a reciprocal, by its result, without another root."""
    match operation:
        case Operation("/", (Number(1.0), _)):
            return (ONE, Operation("/", (ONE, result)))
    return operation.arguments


def _quotient(arguments: tuple[Expression, ...], result: Expression) -> tuple[Expression | None, ...]:
    dividend, divisor = arguments
    reciprocal = result if dividend == ONE else divide(ONE, divisor)
    return reciprocal, negate(multiply(result, reciprocal))


def _max(arguments: tuple[Expression, ...], result: Expression) -> tuple[Expression | None, ...]:
    first, second = arguments
    is_on = Operation(">", (result, ZERO))
    if first in (ZERO, Number(0)):
        return None, select(is_on, ONE, ZERO)
    match first:
        # The larger of a value and of a part of it has the value's sign.
        case Operation("*", (Number(part), value)) if value == second and 0 < part < 1:
            return None, select(is_on, ONE, Number(part))
    is_first = Operation(">=", (first, second))
    return select(is_first, ONE, ZERO), select(is_first, ZERO, ONE)


def _min(arguments: tuple[Expression, ...], result: Expression) -> tuple[Expression | None, ...]:
    is_first = Operation("<=", arguments)
    return select(is_first, ONE, ZERO), select(is_first, ZERO, ONE)


def _power(arguments: tuple[Expression, ...], result: Expression) -> tuple[Expression | None, ...]:
    base, exponent = arguments
    of_base = multiply(exponent, Operation("pow", (base, subtract(exponent, ONE))))
    return of_base, multiply(result, Operation("log", (base,)))


def _of_arccosine(x: Expression) -> Expression:
    return divide(Number(-1.0), Operation("sqrt", (subtract(ONE, multiply(x, x)),)))


RULES: dict[str, Rule] = {
    "+": lambda arguments, result: (ONE, ONE),
    "-": lambda arguments, result: (ONE, Number(-1.0)),
    "*": lambda arguments, result: (arguments[1], arguments[0]),
    "/": _quotient,
    "neg": lambda arguments, result: (Number(-1.0),),
    "select": lambda arguments, result: (None, select(arguments[0], ONE, ZERO), select(arguments[0], ZERO, ONE)),
    "max": _max,
    "min": _min,
    "abs": lambda arguments, result: (select(Operation(">=", (arguments[0], ZERO)), ONE, Number(-1.0)),),
    "sqrt": lambda arguments, result: (divide(Number(0.5), result),),
    "exp": lambda arguments, result: (result,),
    "log": lambda arguments, result: (divide(ONE, arguments[0]),),
    "tanh": lambda arguments, result: (subtract(ONE, multiply(result, result)),),
    "sinh": lambda arguments, result: (Operation("cosh", arguments),),
    "cosh": lambda arguments, result: (Operation("sinh", arguments),),
    "asinh": lambda arguments, result: (divide(ONE, Operation("cosh", (result,))),),
    "atanh": lambda arguments, result: (divide(ONE, subtract(ONE, multiply(arguments[0], arguments[0]))),),
    "sin": lambda arguments, result: (Operation("cos", arguments),),
    "cos": lambda arguments, result: (negate(Operation("sin", arguments)),),
    "acos": lambda arguments, result: (_of_arccosine(*arguments),),
    "atan": lambda arguments, result: (divide(ONE, Operation("+", (ONE, multiply(arguments[0], arguments[0])))),),
    "pow": _power,
    "floor": lambda arguments, result: (None,),
} | {name: lambda arguments, result: (None, None) for name in (">", ">=", "<", "<=", "==", "!=")}


# --- expressions put together, with what is plain left out ---


def add(first: Expression, second: Expression) -> Expression:
    """first + second."""
    if ZERO in (first, second):
        return second if first == ZERO else first
    if first == second:
        return multiply(Number(2.0), first)
    match first, second:
        case Operation("select", (condition, a, b)), Operation("select", (other, c, d)) if condition == other:
            if ZERO in (a, b, c, d):
                return select(condition, add(a, c), add(b, d))
        case _, Operation("neg", (value,)):
            return Operation("-", (first, value))
    return Operation("+", (first, second))


def subtract(first: Expression, second: Expression) -> Expression:
    """first - second."""
    if isinstance(first, Number) and isinstance(second, Number):
        return Number(first.value - second.value)
    return Operation("-", (first, second))


def negate(value: Expression) -> Expression:
    """- value."""
    match value:
        case Number(number):
            return Number(-number)
        case Operation("neg", (inner,)):
            return inner
    return Operation("neg", (value,))


def divide(first: Expression, second: Expression) -> Expression:
    """first / second."""
    match second:
        case Number(1.0):
            return first
        case Operation("/", (Number(1.0), divisor)):
            return multiply(first, divisor)
    return Operation("/", (first, second))


def select(condition: Expression, if_true: Expression, if_false: Expression) -> Expression:
    """The one or the other."""
    return if_true if if_true == if_false else Operation("select", (condition, if_true, if_false))


def multiply(factor: Expression, value: Expression) -> Expression:
    """factor * value. A product with 1 or 0 is chosen, not computed: products may then leave out what is zero."""
    if ONE in (factor, value):
        return value if factor == ONE else factor
    if Number(-1.0) in (factor, value):
        return negate(value if factor == Number(-1.0) else factor)
    if ZERO in (factor, value):
        return ZERO
    for one, other in ((factor, value), (value, factor)):
        match one:
            case Operation("select", (condition, a, b)) if ZERO in (a, b):
                return select(condition, multiply(a, other), multiply(b, other))
    return Operation("*", (factor, value))
