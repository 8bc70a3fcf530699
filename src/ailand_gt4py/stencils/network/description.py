"""What a program consists of, put together statement by statement."""

import dataclasses
from collections.abc import Hashable

import gt4py.next as gtx

from ailand_gt4py.core.dimensions import Axes
from ailand_gt4py.stencils.instances import FieldOperator, Statement, Type
from ailand_gt4py.stencils.network.shapes import NetworkShape


@dataclasses.dataclass
class Statements:
    """The statements of a program and what they need.

    Methods append statements, and give the names of what these write.

    Attributes:
        name: of the program, unique for the network's shape.
        caller_fields: name -> feature dimension of the fields that a caller brings: inputs, then results.
        statements: in order.
        operands: name -> type of what the model gives: ``scaling_*``, ``finishing_*``, ``operands_<block>_<layer>``.
        buffers: name -> feature dimension of the intermediate fields, each over all columns; direction and feature of
            those that have several directions for each column. Of caller's fields likewise.
    """

    name: str
    shape: NetworkShape
    dtype: type
    caller_fields: dict[str, Axes]
    statements: list[Statement] = dataclasses.field(default_factory=list)
    operands: dict[str, Type] = dataclasses.field(default_factory=dict)
    buffers: dict[str, Axes] = dataclasses.field(default_factory=dict)

    @property
    def content(self) -> tuple[Hashable, ...]:
        """All that tells the program from others; operators have names of their own."""
        statements = tuple((one.operator.__name__, one.arguments, one.out) for one in self.statements)
        fields = tuple(tuple(some.items()) for some in (self.caller_fields, self.buffers))
        return self.name, self.dtype, statements, *fields, tuple(self.operands)

    def append(self, operator: FieldOperator, arguments: tuple[str, ...], out: str, axes: Axes) -> str:
        """Append a statement; what it writes is a buffer unless it is a field of the caller."""
        self.statements.append(Statement(operator, arguments, out))
        if out not in self.caller_fields:
            self.buffers[out] = axes
        return out

    def operand(self, name: str, kind: Type) -> str:
        """What the model gives and the program takes; gives its name."""
        self.operands[name] = kind
        return name

    def features(self, names: tuple[str, ...]) -> tuple[gtx.Dimension, ...]:
        """The feature dimensions of buffers."""
        return tuple(self.feature(name) for name in names)

    def feature(self, name: str) -> gtx.Dimension:
        """The feature dimension of a buffer."""
        axes = self.buffers[name]
        return axes[-1] if isinstance(axes, tuple) else axes
