"""One model on one device: the step that everything else calls."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any, Literal

import gt4py.next as gtx
import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import N_MOMENTS, Axes, Moment, field_dimensions
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.emulator.arrays import EmulatorArrays
from ailand_gt4py.emulator.derivatives.derivatives import Derivatives
from ailand_gt4py.emulator.derivatives.jacobian import block_of
from ailand_gt4py.emulator.derivatives.linearisation import (
    CHANGES,
    GRADIENTS,
    INPUTS,
    RESULT_CHANGES,
    RESULT_GRADIENTS,
    Setting,
)
from ailand_gt4py.emulator.operands import StepOperands, feature_extent, network_shape, step_operands
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.lowering.calls.program_call import ProgramCall
from ailand_gt4py.lowering.gpu.device_code import Products
from ailand_gt4py.stencils.network.step import ProgramDescription, describe_static_part, describe_step, make_program
from ailand_gt4py.weights.model import Model

Precision = Literal["float32", "float64", "tf32", "bf16"]
_DTYPES: dict[str, type] = {"float32": np.float32, "float64": np.float64, "tf32": np.float32, "bf16": np.float32}
_NAMES = (*INPUTS, "new state", "diagnostics")
#: Of a precision that rounds the operands of matrix products; all else is float32.
_PRODUCTS: dict[str, Products] = {"tf32": "tf32", "bf16": "bf16"}


@dataclasses.dataclass(frozen=True)
class PreparedStatic:
    """Static inputs of one emulator with all that depends on them alone; see `Emulator.prepare_static`.

    Attributes:
        emulator: the one that made it and takes it.
        values: a copy of the static inputs (n_columns, n_static).
        part: what the step reads in their place: of ``two_branch`` the static branch's result, else the copy.
    """

    emulator: Emulator
    values: arrays.Array
    part: arrays.Array


class Emulator:
    """An aiLand model for a fixed number of columns on one device.

    Weights go to the device once, when the emulator is made; the program is compiled at its first step, or by
    `compile`. A step then allocates only its results, and not even those where the caller gives them. The fields
    between its layers belong to the emulator, so one emulator must not step in two threads at once. A step on the very
    array objects of the step before, results included, skips all checks; the emulator holds on to them until another.

    Args:
        model: what to run.
        n_columns: number of columns of every call, at least 1.
        backend: ``embedded`` (NumPy, no compilation, slow), ``dace_cpu``, ``dace_gpu``, or a GT4Py backend.
        precision: ``float32`` or ``float64``, of all arrays in and out and of the arithmetic. On ``dace_gpu`` also
            ``tf32`` and ``bf16``: float32 arrays and sums, but the factors of matrix products rounded to TF32 (11
            significant bits) or bfloat16 (8 bits), which a GPU multiplies many times faster.

    Attributes:
        model, n_columns, precision: as given.
        device: ``cpu`` or ``cuda``: where arrays must be.
        dtype: NumPy type of all arrays.

    Raises:
        InputError: an unknown backend or precision, or fewer columns than one.
        RunError: the backend's device or library cannot be had.
    """

    def __init__(
        self, model: Model, n_columns: int, backend: Any = "dace_cpu", precision: Precision = "float32"
    ) -> None:
        of_gpu = backend == "dace_gpu"
        if precision not in _DTYPES or (precision in _PRODUCTS and not of_gpu):
            expected = ", ".join(name for name in _DTYPES if of_gpu or name not in _PRODUCTS)
            note = f"; {' and '.join(_PRODUCTS)} are modes of dace_gpu" if precision in _PRODUCTS else ""
            where = f" on '{backend if isinstance(backend, str) else backend.name}'" if note else ""
            raise InputError(f"precision: found '{precision}'{where}, expected one of {expected}{note}")
        if n_columns < 1:
            raise InputError(f"number of columns: found {n_columns}, expected at least 1")
        self.model = model
        self.n_columns = int(n_columns)
        self.precision = precision
        self.device = backends.device_of(backend)
        self.dtype = np.dtype(_DTYPES[precision])
        self._xp = arrays.array_module(self.device)
        self._operands = step_operands(model, self.dtype, self.device)
        self._given_backend = backend
        self._backend_name = backend if isinstance(backend, str) else str(backend.name)
        self._compiled_here = isinstance(backend, str) and backend != "embedded"
        if backend != "embedded":
            self._check_extents()
        shape = network_shape(model)
        self._network = f"the {model.architecture} network"
        self._step = self._program_call(describe_step(shape, _DTYPES[precision]), self._network, self._operands)
        of_static = describe_static_part(shape, _DTYPES[precision])
        self._static_part = (
            None
            if of_static is None
            else self._program_call(of_static, f"the static part of {self._network}", self._operands)
        )
        self._n_part = 0 if of_static is None else feature_extent(model, of_static.caller_fields["static_part"])
        self._kept: PreparedStatic | None = None
        self._last: tuple[Any, ...] = ()
        sizes = model.sizes
        extents = (sizes.static, sizes.forcing, sizes.state, sizes.state, sizes.diagnostics)
        shapes = {name: (self.n_columns, extent) for name, extent in zip(_NAMES, extents, strict=True)}
        shapes |= {f"{kind}_{name.replace(' ', '_')}": shapes[name] for kind in "dg" for name in _NAMES}
        self._arrays = EmulatorArrays(self.device, self.dtype, shapes)
        is_embedded = self._backend_name == "embedded"
        setting = Setting(
            model, self.n_columns, self.dtype, self.device, self._operands, self._derivative_call, is_embedded
        )
        self._derivatives = Derivatives(setting, shapes, self._backend_name in ("embedded", "dace_cpu"))

    def allocate(self, n_features: int) -> arrays.Array:
        """An uninitialised array (n_columns, n_features) of the emulator's type on its device."""
        return self._xp.empty((self.n_columns, n_features), dtype=self.dtype)

    def prepare_static(self, static: Any) -> PreparedStatic:
        """Compute what depends on the static inputs alone, once for all steps that are given the result.

        `step` takes the result in the place of the static inputs. It holds a copy of them: where they change, prepare
        them again. Without it, `step` compares the static inputs of every call with the last ones, or, on a GPU,
        computes anew what depends on them.

        Args:
            static: (n_columns, n_static) as for `step`.

        Raises:
            InputError: an array of another shape, type or device.
            RunError: the program cannot be compiled.
        """
        values = self.allocate(self.model.sizes.static)
        values[...] = self._arrays.checked(static, "static")
        if self._static_part is None:
            return PreparedStatic(self, values, values)
        prepared = PreparedStatic(self, values, self.allocate(self._n_part))
        self._static_part((prepared.values, prepared.part))
        return prepared

    def step(
        self, static: Any, forcing: Any, state: Any, *, out: tuple[Any, Any] | None = None
    ) -> tuple[arrays.Array, arrays.Array]:
        """One step of the emulator: (static, forcing over [t, t + step), state at t) -> state and diagnostics.

        Args:
            static, forcing, state: (n_columns, n_features) in the model's order and units, of the emulator's type, on
                its device, in any memory layout; NumPy, CuPy, or anything with ``__cuda_array_interface__`` or DLPack.
                They are read where they are and not changed. ``static`` may be the result of `prepare_static`.
            out: arrays for the results, of the shapes below; they must not share memory with the inputs.

        Returns:
            State at t + step (n_columns, n_state) and diagnostics (n_columns, n_diagnostics), in the model's order
            and units, on the device. On a GPU the work is on CuPy's current stream and may not be finished when this
            returns; after a first step, a step with ``out`` can be captured in a CUDA graph.

        Raises:
            InputError: an array of another shape, type or device, or a result that shares memory with an input, or
                static inputs that another emulator prepared.
            RunError: the program cannot be compiled.
        """
        given = (static, forcing, state, *(out or ()))
        if self._is_repeated(given):
            if not isinstance(static, PreparedStatic):
                self._part_of(static)  # the same memory, perhaps with other values
            if self._step.again():
                return given[3], given[4]
        self._last = ()
        inputs = self._checked_inputs(static, forcing, state)
        new_state, diagnostics = self._arrays.results(out, inputs, ("new state", "diagnostics"))
        part = static.part if isinstance(static, PreparedStatic) else self._part_of(inputs["static"])
        self._step((part, inputs["forcing"], inputs["state"], new_state, diagnostics))
        if len(given) == 5 and all(isinstance(array, (self._xp.ndarray, PreparedStatic)) for array in given):
            self._last = given
        return new_state, diagnostics

    def tangent_linear(
        self,
        static: Any,
        forcing: Any,
        state: Any,
        d_static: Any = None,
        d_forcing: Any = None,
        d_state: Any = None,
        *,
        out: tuple[Any, Any] | None = None,
    ) -> tuple[arrays.Array, arrays.Array]:
        """What a step's results change by, to first order, for changes of its inputs.

        The exact derivative of `step`, bounds included, by a program that is compiled at its first use, or by
        `compile`. `ailand_gt4py.stencils.network.tangent_linear` says what holds at the kinks of activations and at
        bounds.

        Args:
            static, forcing, state: as for `step`: where the derivative is taken.
            d_static, d_forcing, d_state: changes of these, of the same shapes and units; None: no change.
            out: arrays for the results; they must not share memory with the inputs.

        Returns:
            Changes of the state at t + step (n_columns, n_state) and of the diagnostics (n_columns, n_diagnostics), in
            model units; NaN in columns where the step itself is not finite. On a GPU as for `step`.

        Raises:
            InputError, RunError: as for `step`.
        """
        inputs = self._checked_inputs(static, forcing, state)
        inputs |= self._arrays.given(CHANGES, (d_static, d_forcing, d_state))
        results = self._arrays.results(out, inputs, RESULT_CHANGES)
        self._derivatives.tangent_linear(inputs, results)
        return results[0], results[1]

    def tangent_linear_of_states(
        self, static: Any, forcing: Any, state: Any, d_states: Any, *, out: tuple[Any, Any] | None = None
    ) -> tuple[arrays.Array, arrays.Array]:
        """`tangent_linear` for many changes of each column's state at once; static inputs and forcing do not change.

        All changes of a column share its forward values, and skip what a ReLU switched off; on a GPU one after another.
        The program is compiled at its first use, or by `compile`, and serves any number of changes; the first call with
        another number takes the seconds that GT4Py needs to find it again.

        Args:
            static, forcing, state: as for `step`: where the derivative is taken.
            d_states: changes of the state (n_columns, n_directions, n_state), at least one for each column.
            out: arrays for the results; they must not share memory with the inputs.

        Returns:
            Changes of the state at t + step (n_columns, n_directions, n_state) and of the diagnostics (n_columns,
            n_directions, n_diagnostics), as of `tangent_linear`.

        Raises:
            InputError, RunError: as for `step`.
        """
        inputs = self._checked_inputs(static, forcing, state)
        n_directions = self._arrays.n_directions(d_states, "d_states")
        n_state, n_diagnostics = self.model.sizes[-2:]
        sizes = {"d_states": n_state, "d_new_states": n_state, "d_diagnostics": n_diagnostics}
        shapes = {name: (self.n_columns, n_directions, size) for name, size in sizes.items()}
        of_states = self._arrays.with_shapes(shapes)
        given = of_states.given(("d_states",), (d_states,), may_lack=False)
        results = of_states.results(out, inputs | given, ("d_new_states", "d_diagnostics"))
        self._derivatives.of_states(n_directions)(list(inputs.values()), given["d_states"], results)
        return results[0], results[1]

    def adjoint(
        self,
        static: Any,
        forcing: Any,
        state: Any,
        g_new_state: Any = None,
        g_diagnostics: Any = None,
        *,
        out: tuple[Any, Any, Any] | None = None,
    ) -> tuple[arrays.Array, arrays.Array, arrays.Array]:
        """The gradient of a number with respect to a step's inputs, for its gradient with respect to the results.

        The exact transpose of `tangent_linear`, at kinks and bounds as well: for any changes d and gradients g of a
        column, the sum of g_new_state * d_new_state and g_diagnostics * d_diagnostics is that of g_static * d_static,
        g_forcing * d_forcing and g_state * d_state. The program is compiled at its first use, or by `compile`.

        Args:
            static, forcing, state: as for `step`: where the derivative is taken.
            g_new_state, g_diagnostics: the gradient with respect to the results (n_columns, n_features), per model
                unit; None: zero.
            out: arrays for the results; they must not share memory with the inputs.

        Returns:
            The gradient with respect to static inputs, forcing and state, (n_columns, n_features) each, per model unit;
            NaN in columns where the step itself is not finite. On a GPU as for `step`.

        Raises:
            InputError, RunError: as for `step`.
        """
        inputs = self._checked_inputs(static, forcing, state)
        inputs |= self._arrays.given(RESULT_GRADIENTS, (g_new_state, g_diagnostics))
        results = self._arrays.results(out, inputs, GRADIENTS)
        self._derivatives.adjoint(inputs, results)
        return results[0], results[1], results[2]

    def jacobian(
        self,
        static: Any,
        forcing: Any,
        state: Any,
        outputs: Sequence[str] | None = None,
        inputs: Sequence[str] | None = None,
        *,
        out: Any = None,
    ) -> arrays.Array:
        """The derivatives of a step's results with respect to its inputs, in every column.

        Many of its rows or columns are made at once, whichever takes less arithmetic, by a program that is compiled at
        its first use, or by `compile`; on a GPU one after another by `adjoint` or `tangent_linear`.

        Args:
            static, forcing, state: as for `step`: where the derivatives are taken.
            outputs, inputs: names of results and inputs to which it is restricted, in the order wanted; None: all.
            out: an array for the result; it must not share memory with the inputs.

        Returns:
            (n_columns, n_outputs, n_inputs) in model units: outputs (state, diagnostics), inputs (static, forcing,
            state), in the model's order where no names are given; NaN in columns where the step itself is not finite.
            `ailand_gt4py.emulator.derivatives.jacobian.labelled` gives it names and units. On a GPU as for `step`.

        Raises:
            InputError: names that the model lacks; else as for `step`.
            RunError: as for `step`.
        """
        block = block_of(self.model, outputs, inputs)
        given = self._checked_inputs(static, forcing, state)
        shape = (self.n_columns, len(block.outputs), len(block.inputs))
        of_block = self._arrays.with_shapes({"jacobian": shape})
        (jacobian,) = of_block.results(None if out is None else (out,), given, ("jacobian",))
        self._derivatives.jacobian(block)(list(given.values()), jacobian)
        return jacobian

    def _checked_inputs(self, static: Any, forcing: Any, state: Any) -> dict[str, arrays.Array]:
        """The arrays of a step's inputs.

        Raises:
            InputError: one that `step` does not take.
        """
        if isinstance(static, PreparedStatic):
            if static.emulator is not self:
                raise InputError("static: found inputs that another emulator prepared, expected this emulator's own")
            static = static.values
        return self._arrays.given(INPUTS, (static, forcing, state), may_lack=False)

    def _is_repeated(self, given: tuple[Any, ...]) -> bool:
        """Whether these are the very objects of the last step, which have been checked and whose memory is bound.

        The emulator holds on to them meanwhile, so none of them can have been freed and its identity given away.
        """
        last = self._last
        return len(last) == len(given) == 5 and all(map(operator.is_, last, given))

    def compile(
        self,
        tangent_linear: bool = False,
        adjoint: bool = False,
        jacobian: bool = False,
        tangent_linear_of_states: bool = False,
    ) -> None:
        """Compile the programs now, by a step on zeros; without effect if they are compiled.

        Args:
            tangent_linear, adjoint, tangent_linear_of_states: those of the methods of these names, too.
            jacobian: those of Jacobians that have rows of the state and of diagnostics, both ways.
        """
        zeros = [self._xp.zeros(self._arrays.shapes[name], dtype=self.dtype) for name in INPUTS]
        if not all(call.is_compiled for call in (self._step, self._static_part) if call is not None):
            self.step(self.prepare_static(zeros[0]), *zeros[1:])
        if tangent_linear and not self._derivatives.tangent_linear.is_compiled:
            self.tangent_linear(*zeros)
        if adjoint and not self._derivatives.adjoint.is_compiled:
            self.adjoint(*zeros)
        if jacobian:
            self._derivatives.compile_jacobian(zeros)
        if tangent_linear_of_states and not self._derivatives.of_states(1).is_compiled:
            static, forcing, state = zeros
            self.tangent_linear_of_states(static, forcing, state, state[:, None])

    def _part_of(self, static: arrays.Array) -> arrays.Array:
        """What the step reads in the place of the static inputs; on the CPU kept as long as their values stay."""
        if self._static_part is None:
            return static
        if self._kept is None:
            self._kept = self.prepare_static(static)
        elif self.device == "cuda" or not np.array_equal(self._kept.values, static):
            # The comparison of values on a GPU would make the host wait for the device.
            self._kept.values[...] = static
            self._static_part((self._kept.values, self._kept.part))
        return self._kept.part

    def _derivative_call(
        self, description: ProgramDescription, what: str, operands: StepOperands, n_columns: int
    ) -> ProgramCall:
        return self._program_call(description, f"{what} of {self._network}", operands, n_columns)

    def _program_call(
        self, description: ProgramDescription, what: str, operands: StepOperands, n_columns: int | None = None
    ) -> ProgramCall:
        """A program of the model with its operands, and with buffers for so many columns (None: all)."""
        program = make_program(description)
        backend = backends.make_backend(
            self._given_backend,
            operands.complete_tables,
            operands.broadcast_tables,
            _PRODUCTS.get(self.precision, "full"),
        )
        fields = [operands.by_name[name] for name in description.operands]
        fields += [
            self._buffer(name, axes, operands, n_columns or self.n_columns)
            for name, axes in description.buffers.items()
        ]
        return ProgramCall(
            program if backend is None else program.with_backend(backend),
            description.caller_fields,
            fields,
            operands.offset_provider,
            f"{what} for {self._backend_name} in {self.precision}",
            self._compiled_here,
        )

    def _buffer(self, name: str, axes: Axes, operands: StepOperands, n_columns: int) -> gtx.Field:
        """An intermediate field of a program.

        Programs compiled here keep these values in rooms of their own and write none of them: there they are fields
        without memory.
        """
        dimensions = field_dimensions(axes)
        extents = {**operands.extents, Moment: N_MOMENTS}
        shape = (n_columns, *(extents.get(axis) or feature_extent(self.model, axis) for axis in dimensions[1:]))
        if self._compiled_here:
            array = self._xp.broadcast_to(self._xp.zeros(1, dtype=self.dtype), shape)
        else:
            array = self._xp.zeros(shape, dtype=self.dtype)
        return arrays.wrap(array, dimensions, name)

    def _check_extents(self) -> None:
        """GT4Py's DaCe lowering drops dimensions of size one and then fails to index them."""
        extents = {name: size for name, size in self.model.sizes._asdict().items() if name != "diagnostics"}
        outputs = {
            f"{block}.{count - 1}.bias"
            for block, count in network_shape(self.model).depths
            if block in ("prognostic", "diagnostic")
        }
        extents |= {
            f"layer '{name.removesuffix('.bias')}'": len(array)
            for name, array in self.model.parameters.items()
            if name.endswith(".bias") and name not in outputs
        }
        for name, extent in extents.items():
            if extent < 2:
                raise InputError(f"{name}: found {extent} feature, expected at least 2 on a compiled backend")
