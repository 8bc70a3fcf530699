"""Field operators for dimensions and types, and programs of them, written out as the Python that GT4Py reads.

A factory's inner function stands for many operators: one for each layer and precision. GT4Py identifies an operator in
a program by its function's name in the source, and calls to other operators by theirs; an offset must go by its tag;
and it takes no scalars from closures. `field_operators` therefore rewrites the function's syntax tree: the
function gets its instance's name, a captured operator or offset goes by its own name, a captured NumPy scalar becomes
a literal of its type.
"""

import ast
import functools
import hashlib
import inspect
import linecache
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import gt4py.next as gtx
import numpy as np
from gt4py.next.ffront.fbuiltins import BuiltInFunction

from ailand_gt4py.lowering.calls import front_end

FieldOperator = Any
Type = Any
#: What GT4Py makes an operator of.
Function = Callable[..., Any]


class Statement(NamedTuple):
    """``operator(*arguments, out=out)``, by the names of a program's arguments; several of ``out`` for a tuple."""

    operator: FieldOperator
    arguments: tuple[str, ...]
    out: str | tuple[str, ...]


class _Substitution(ast.NodeTransformer):
    """Replaces the captured names of a function, as described in the module's docstring."""

    def __init__(self, captured: dict[str, Any]) -> None:
        self.captured = captured
        self.namespace: dict[str, Any] = {}

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self.captured:
            return node
        value = self.captured[node.id]
        if isinstance(value, np.floating):
            name = value.dtype.name
            self.namespace[name] = value.dtype.type
            # GT4Py takes a literal's digits as a string, which loses nothing.
            return ast.parse(f'{name}("{value!s}")', mode="eval").body
        if isinstance(value, gtx.FieldOffset):
            name = value.value
        elif isinstance(value, gtx.Dimension):
            name = node.id
        else:
            name = _own_name(value)
        self.namespace[name] = value
        return ast.copy_location(ast.Name(name, node.ctx), node)


def define(name: str, source: str, namespace: dict[str, Any], origin: str) -> Function:
    """The function ``name`` that ``source`` defines, which GT4Py can read.

    GT4Py reads a function's source through linecache, by file name. The name made here contains a digest of the source:
    operators of two networks may have one name and different sources, and neither may read the other's.

    Args:
        namespace: what the source's global names mean; the function is added to it.
        origin: path of the module that the source stems from, shown in GT4Py's messages.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    filename = f"{origin}:{name}:{digest}"
    # An entry without a time stamp is never dropped.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), namespace)
    return namespace[name]


def field_operators(factory: Callable[..., Function]) -> Callable[..., FieldOperator]:
    """Decorator: a factory of functions becomes one of field operators, the same for the same arguments.

    An operator's name is the factory's, which is unique among those that meet in one program, and its arguments':
    dimensions, types, words, numbers and functions of GT4Py's, and tuples of these, all given by position.
    """

    @functools.cache
    @functools.wraps(factory)
    def instance(*arguments: Any) -> FieldOperator:
        return _instance("_".join([factory.__name__, *map(_part_of_name, arguments)]), factory(*arguments))

    return instance


def written(
    arguments: Mapping[str, Type], result: Type, expression: str, called: Iterable[FieldOperator] = ()
) -> Function:
    """A function for `field_operators` whose number of arguments varies.

    Args:
        expression: what it returns, in GT4Py's language.
        called: the operators that the expression calls by their names.
    """
    source = f"def written({', '.join(arguments)}):\n    return {expression}\n"
    namespace: dict[str, Any] = {operator.__name__: operator for operator in called}
    function = define("written", source, namespace | {"float32": np.float32, "float64": np.float64}, __file__)
    function.__annotations__ = {**arguments, "return": result}
    return function


def write_program(name: str, types: Mapping[str, Type], statements: Iterable[Statement], origin: str) -> Any:
    """A GT4Py program.

    Args:
        types: of its arguments by name, in order.
        origin: as for `define`.
    """
    source = f"def {name}({', '.join(types)}):\n"
    namespace = {}
    for operator, arguments, out in statements:
        namespace[operator.__name__] = operator
        result = out if isinstance(out, str) else f"({', '.join(out)})"
        source += f"    {operator.__name__}({', '.join(arguments)}, out={result})\n"
    program = define(name, source, namespace, origin)
    program.__annotations__ = dict(types)
    with front_end.plain():
        return gtx.program(program)


def _instance(name: str, function: Function) -> FieldOperator:
    """A field operator of this name."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.name = name
    definition.decorator_list = []
    definition.returns = None
    for argument in definition.args.args:
        argument.annotation = None
    substitution = _Substitution(dict(inspect.getclosurevars(function).nonlocals))
    source = ast.unparse(ast.fix_missing_locations(substitution.visit(definition))) + "\n"
    namespace = {**function.__globals__, **substitution.namespace}
    instance = define(name, source, namespace, function.__code__.co_filename)
    instance.__annotations__ = dict(function.__annotations__)
    with front_end.plain():
        return gtx.field_operator(instance)


def _part_of_name(argument: Any) -> str:
    if isinstance(argument, tuple):
        return "_".join([str(len(argument)), *map(_part_of_name, argument)])
    if isinstance(argument, float):
        return repr(argument).replace("-", "m").replace(".", "p").replace("+", "")
    if isinstance(argument, str):
        return argument
    return str(argument.value if isinstance(argument, gtx.Dimension) else _own_name(argument))


def _own_name(captured: Any) -> str:
    """Of an operator, a type, or a function of GT4Py's language."""
    return captured.name.rpartition(".")[2] if isinstance(captured, BuiltInFunction) else str(captured.__name__)
