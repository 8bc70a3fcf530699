"""The programs of one emulator: where and in which precision they run, and what they hold for it."""

from __future__ import annotations

import functools
import operator
from typing import Any, Literal, TypeAlias

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import N_MOMENTS, Axes, Column, Moment, field_dimensions
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.differentiated import InterpretedCall, StepDerivative, with_constants
from ailand_gt4py.emulator.operands import Operands, feature_extent, step_operands
from ailand_gt4py.lowering.calls import backends, compilation
from ailand_gt4py.lowering.calls.operator_call import OperatorCall, RepeatedCall, shared
from ailand_gt4py.lowering.columns.differentiate import Derivative
from ailand_gt4py.lowering.gpu.device_code import Products
from ailand_gt4py.stencils.network.step import ProgramDescription, make_program
from ailand_gt4py.weights.model import Model, require_model

#: A name of `backends.BACKEND_NAMES` or a GT4Py backend.
Backend: TypeAlias = Any
Precision = Literal["float32", "float64", "tf32", "bf16"]
_DTYPES: dict[str, type] = {"float32": np.float32, "float64": np.float64, "tf32": np.float32, "bf16": np.float32}
#: Of a precision that rounds the factors of matrix products; all else is float32.
_PRODUCTS: dict[str, Products] = {"tf32": "tf32", "bf16": "bf16"}
#: The backends that have these.
_MODES = {"tf32": "dace_gpu", "bf16": "dace_gpu and dace_cpu"}
#: How the names of operands that are weights of layers begin (`stencils.network.step`).
LAYERS = ("operands",)


def precisions_of(backend: Backend) -> tuple[str, ...]:
    """The precisions that a backend has."""
    return tuple(name for name in _DTYPES if name not in _MODES or str(backend) in _MODES[name].split())


def positive(number: Any, name: str) -> int:
    """A whole number of at least 1; `InputError` for another."""
    try:
        whole = 0 if isinstance(number, bool) else operator.index(number)
    except TypeError:
        whole = 0
    if whole < 1:
        raise InputError(f"{name}: found {number!r}, expected a whole number of at least 1")
    return whole


class Programs:
    """Makes the calls of one emulator's programs; arguments and errors as of `ailand_gt4py.emulator.emulator.Emulator`.

    Attributes:
        device, dtype: of all arrays. scalar: the type of their elements.
        operands, shape: of the step. is_embedded: by GT4Py's NumPy execution.
        has_directions: whether its backend's code can have several directions for each column.
    """

    def __init__(self, model: Model, n_columns: int, backend: Backend, precision: Precision) -> None:
        require_model(model)
        self._backend_name = backend if isinstance(backend, str) else str(getattr(backend, "name", backend))
        expected = precisions_of(backend)
        if precision not in expected:
            note = "".join(f"; {name} is a mode of {where}" for name, where in _MODES.items() if name == precision)
            where = f" on '{self._backend_name}'" if note else ""
            raise InputError(f"precision: found '{precision}'{where}, expected one of {', '.join(expected)}{note}")
        self.model, self.n_columns, self.precision = model, positive(n_columns, "number of columns"), precision
        self.device = backends.device_of(backend)
        self.scalar = _DTYPES[precision]
        self.dtype = np.dtype(self.scalar)
        # On the CPU the weights of layers, too, are in bfloat16.
        self._are_packed = precision == "bf16" and self.device == "cpu"
        self.operands = step_operands(model, self.dtype, self.device, self._are_packed)
        self.shape = self.operands.shape
        self.is_embedded = backend == "embedded"
        self.has_directions = self._backend_name in ("embedded", "dace_cpu")
        self._backend = backend
        self._compiled_here = isinstance(backend, str) and not self.is_embedded
        # A caller's backend may be any; a program for a GPU remembers its caller's stream.
        self._is_shared = isinstance(backend, str) and self.device == "cpu"
        self._xp = arrays.array_module(self.device)
        if not self.is_embedded:
            self._check_extents()

    def call(
        self,
        description: ProgramDescription,
        what: str = "",
        operands: Operands | None = None,
        n_columns: int | None = None,
        derivative: Derivative | None = None,
    ) -> RepeatedCall:
        """The call of a program, or of its derivative, whose constants are among its operands then.

        Args:
            what: the program is of the network, for messages: "the static part of "; empty: the network itself.
            operands: what it takes; None: those of the step. n_columns: of every call; None: all.
        """
        operands, products = operands or self.operands, _PRODUCTS.get(self.precision, "full")
        title = f"{what}the {self.model.architecture} network for {self._backend_name} in {self.precision}"

        def make() -> OperatorCall:
            tables = operands.complete_tables, operands.broadcast_tables
            backend = backends.make_backend(self._backend, *tables, products, LAYERS)
            if derivative is not None:
                backend = backends.differentiating(backend, derivative)
            return OperatorCall(make_program(description), backend, title)

        shapes = self.shapes(description, operands, n_columns)
        constant = {name: operands.by_name[name] for name in description.operands}
        for name, axes in description.buffers.items():
            constant[name] = self._buffer(name, axes, shapes[name])
        varying = {name: field_dimensions(axes) for name, axes in description.caller_fields.items()}
        if self._is_shared:
            made_with = () if self.is_embedded else compilation.made_with()
            key = description.content, operands.table_types, derivative, products, *made_with
            call, provider = shared(key, operands.offset_provider, make)
        else:
            call, provider = make(), operands.offset_provider
        if self.is_embedded:  # it reads the tables, whose sizes are the model's
            provider = operands.offset_provider
        return RepeatedCall(call, constant, varying, (), provider, self._compiled_here)

    @functools.cached_property
    def of_derivatives(self) -> Programs:
        """Those that derivatives are made with: of a network in bfloat16 on the CPU the same in float32."""
        if not self._are_packed:
            return self
        return Programs(self.model, self.n_columns, self._backend, "float32")

    def derivative(
        self, described: StepDerivative, what: str, operands: Operands | None = None, n_columns: int | None = None
    ) -> RepeatedCall | InterpretedCall:
        """The call of a program's derivative; arguments and errors as of `call`."""
        operands = operands or self.operands
        shapes = self.shapes(described.step, operands, n_columns)
        if self.is_embedded:
            return InterpretedCall(described, operands, shapes)
        step, operands = with_constants(described, operands, shapes)
        return self.call(step, what, operands, n_columns, described.derivative)

    def _buffer(self, name: str, axes: Axes, shape: tuple[int, ...]) -> gtx.Field:
        """An intermediate field; without memory for programs compiled here, which keep these values in their own."""
        if self._compiled_here:
            array = self._xp.broadcast_to(self._xp.zeros(1, dtype=self.dtype), shape)
        else:
            array = self._xp.zeros(shape, dtype=self.dtype)
        return arrays.wrap(array, field_dimensions(axes), name)

    def shapes(
        self, description: ProgramDescription, operands: Operands, n_columns: int | None = None
    ) -> dict[str, tuple[int, ...]]:
        """Of all fields of a program; None: for all columns."""
        extents = {**operands.extents, Column: n_columns or self.n_columns, Moment: N_MOMENTS}
        return {
            name: tuple(extents.get(axis) or feature_extent(self.model, axis) for axis in field_dimensions(axes))
            for name, axes in (description.caller_fields | description.buffers).items()
        }

    def _check_extents(self) -> None:
        """GT4Py's DaCe lowering drops dimensions of size one and then fails to index them."""
        extents = {name: size for name, size in self.model.sizes._asdict().items() if name != "diagnostics"}
        for layer, units in self.shape.hidden_units.items():
            extents[f"layer '{layer}'"] = feature_extent(self.model, units)
        for name, extent in extents.items():
            if extent < 2:
                raise InputError(f"{name}: found {extent} feature, expected at least 2 on a compiled backend")
