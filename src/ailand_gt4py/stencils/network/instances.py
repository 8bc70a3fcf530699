"""Field operators that are instantiated for dimensions and types, each under a name of its own.

A factory's inner function stands for many operators: one for each layer and precision. GT4Py identifies an operator in
a program by its function's name in the source, and calls to other operators by theirs; an offset must go by its tag;
and it takes no numbers from closures. `named_field_operator` therefore rewrites the function's syntax tree: the
function gets its instance's name, a captured operator or offset goes by its own name, a captured NumPy number becomes
a literal of its type.
"""

import ast
import hashlib
import inspect
import linecache
import textwrap
from collections.abc import Callable
from typing import Any

import gt4py.next as gtx
import numpy as np

FieldOperator = Any


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
            name = value.__name__
        self.namespace[name] = value
        return ast.copy_location(ast.Name(name, node.ctx), node)


def define(name: str, source: str, namespace: dict[str, Any], origin: str) -> Callable[..., Any]:
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


def named_field_operator(prefix: str, dtype: type) -> Callable[[Callable[..., Any]], FieldOperator]:
    """Decorator: as ``gtx.field_operator``, for one instance of a function that captures its dimensions and type.

    Args:
        prefix: a Python identifier, unique among the operators that meet in one program.
        dtype: the instance's type, added to the name: GT4Py keeps what it has parsed by name and source.
    """
    name = f"{prefix}_{dtype.__name__}"

    def decorate(function: Callable[..., Any]) -> FieldOperator:
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
        written = define(name, source, namespace, function.__code__.co_filename)
        written.__annotations__ = dict(function.__annotations__)
        return gtx.field_operator(written)

    return decorate
