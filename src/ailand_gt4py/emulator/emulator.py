"""One model on one device: its step, which everything else calls, and the derivatives of the step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.turns import Turn, in_turn
from ailand_gt4py.emulator.arrays import ArrayLike, EmulatorArrays
from ailand_gt4py.emulator.derivatives.calls import (
    ADJOINTS,
    INPUTS,
    RESULT_ADJOINTS,
    RESULT_TANGENTS,
    TANGENTS,
    Derivatives,
    Mode,
)
from ailand_gt4py.emulator.derivatives.jacobian import Block, block_of
from ailand_gt4py.emulator.labels import check_columns, is_labelled, labelled_like
from ailand_gt4py.emulator.operands import feature_extent
from ailand_gt4py.emulator.programs import Backend, Programs
from ailand_gt4py.emulator.programs import Precision as Precision
from ailand_gt4py.stencils.network.step import describe_static_part, describe_step
from ailand_gt4py.weights.model import Model

_RESULTS = ("new state", "diagnostics")
#: Sets of arrays whose next step may skip the checks: two, for a state that goes to and fro between two arrays.
_MOST_REPEATS = 2


class _Repeat(NamedTuple):
    """Inputs and results of a step, and, from the second one on them on, the call on them."""

    static: ArrayLike
    forcing: ArrayLike
    state: ArrayLike
    new_state: ArrayLike
    diagnostics: ArrayLike
    again: Callable[[], bool] | None


@dataclasses.dataclass(frozen=True)
class PreparedStatic:
    """Static inputs of one emulator, with everything that depends on them alone; see `Emulator.prepare_static`.

    Attributes:
        emulator: the emulator that made it, the only one that accepts it.
        values: a copy of the static inputs (n_columns, n_static).
        part: what the step reads instead: for ``two_branch`` the result of the static branch, otherwise the copy.
    """

    emulator: Emulator
    values: arrays.Array
    part: arrays.Array


class Emulator:
    """An aiLand model for a fixed number of columns on one device.

    Weights are copied to the device once, when the emulator is made. The program is compiled at its first step, or by
    `compile`. A step allocates only its results, and nothing if the caller provides them (``out``). From the third step
    on exactly the same arrays, results included, only their location and layout are checked; this also works for two
    alternating sets of arrays. The emulator keeps references to both sets until others follow. The fields between its
    layers belong to the emulator, so two concurrent threads need two emulators; using one from both is a `RunError`. A
    copy, or an unpickled emulator in another process, is a new emulator of the same model.

    Args:
        model: the model to run.
        n_columns: number of columns in every call, at least 1.
        backend: ``embedded`` (NumPy, no compilation, slow), ``dace_cpu``, ``dace_gpu``, or a GT4Py backend.
        precision: ``float32`` or ``float64``, for all input and output arrays and the arithmetic. Also ``tf32`` (on
            ``dace_gpu``) and ``bf16`` (on ``dace_gpu`` and ``dace_cpu``): arrays and sums are float32, but the factors
            of the layers' matrix products are rounded to TF32 (11 significant bits) or bfloat16 (8 bits), which
            multiplies several times faster. On the CPU, ``bf16`` needs AVX512-BF16 and uses the matrix unit (AMX), if
            there is one, with different last bits; weights take half the memory; derivatives are those of the float32
            network.

    Attributes:
        model, n_columns, precision: as given.
        device: ``cpu`` or ``cuda``, where arrays must be.
        dtype: NumPy type of all arrays.

    Raises:
        InputError: an unknown backend or precision, or a number of columns that is not a whole number of at least 1.
        RunError: the backend's device or library is not available.
    """

    def __init__(
        self, model: Model, n_columns: int, backend: Backend = "dace_cpu", precision: Precision = "float32"
    ) -> None:
        programs = Programs(model, n_columns, backend, precision)
        self.model, self.precision, self.backend = model, precision, backend
        self.turn = Turn("emulator")
        self.n_columns, self.device, self.dtype = programs.n_columns, programs.device, programs.dtype
        self._xp = arrays.array_module(self.device)
        self._step = programs.call(describe_step(programs.shape, programs.scalar))
        of_static = describe_static_part(programs.shape, programs.scalar)
        self._static_part = None if of_static is None else programs.call(of_static, "the static part of ")
        self._n_part = 0 if of_static is None else feature_extent(model, of_static.caller_fields["static_part"])
        self._kept: PreparedStatic | None = None
        #: Of the last steps with ``out``, the newest last.
        self._repeats: list[_Repeat] = []
        extents = (*model.sizes[:3], *model.sizes[2:])
        shapes = {name: (self.n_columns, extent) for name, extent in zip((*INPUTS, *_RESULTS), extents, strict=True)}
        shapes |= {f"{kind}_{name.replace(' ', '_')}": shape for kind in "dg" for name, shape in shapes.items()}
        groups = (model.static, model.forcing, model.state, model.state, model.diagnostics)
        variables = dict(zip((*INPUTS, *_RESULTS), groups, strict=True))
        self._arrays = EmulatorArrays(self.device, self.dtype, shapes, variables)
        self._derivatives = Derivatives(programs)

    def __reduce__(self) -> tuple[type[Emulator], tuple[Any, ...]]:
        return type(self), (self.model, self.n_columns, self.backend, self.precision)

    def allocate(self, n_features: int) -> arrays.Array:
        """An uninitialised array (n_columns, n_features) of the emulator's dtype, on its device."""
        return self._xp.empty((self.n_columns, n_features), dtype=self.dtype)

    @in_turn
    def prepare_static(self, static: ArrayLike) -> PreparedStatic:
        """Compute everything that depends on the static inputs alone, once for all steps that use the result.

        `step` takes the result in place of the static inputs. It holds a copy of them: if they change, prepare them
        again. Without it, `step` compares the static inputs of every call with the previous ones or, on a GPU,
        recomputes what depends on them.

        Args:
            static: (n_columns, n_static) as for `step`.

        Raises:
            InputError: an array of the wrong shape, type or device.
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
        self, static: ArrayLike, forcing: ArrayLike, state: ArrayLike, *, out: tuple[ArrayLike, ArrayLike] | None = None
    ) -> tuple[arrays.Array, arrays.Array]:
        """One step: (static, forcing over [t, t + step), state at t) -> state at t + step and diagnostics.

        Args:
            static, forcing, state: (n_columns, n_features) in the model's order and units, of the emulator's dtype and
                on its device, in any memory layout; NumPy, CuPy, or anything with ``__cuda_array_interface__`` or
                DLPack. They are read in place and not changed. ``static`` may be the result of `prepare_static`. A
                DataArray is matched by name: its dimensions are columns and ``variable``, in any order; if
                ``variable`` has labels, they are the model's names in any order, and its coordinate ``units`` is the
                model's; labels of columns are those of the other inputs in their order.
            out: arrays for the results, of the shapes below; they must not share memory with each other or with an
                input.

        Returns:
            State at t + step (n_columns, n_state) and diagnostics (n_columns, n_diagnostics), in the model's order
            and units, on the device; DataArrays if ``state`` is one and ``out`` is None. On a GPU the work is
            queued on CuPy's current stream and may not be finished on return; after a first step, a step with ``out``
            can be captured in a CUDA graph.

        Raises:
            InputError: an array of the wrong shape, type or device, or with masked elements; an array for results that
                is read-only or shares memory with itself or another; static inputs prepared by another emulator.
            RunError: the program cannot be compiled, or another thread is using this emulator.
        """
        release = self.turn.take()
        try:
            known = None if out is None else self._known(static, forcing, state, out)
            if known is not None and known.again is not None:
                if self._static_part is not None and not isinstance(static, PreparedStatic):
                    self._part_of(self._arrays.checked(static, "static"))  # perhaps with other values
                if known.again():
                    return known.new_state, known.diagnostics
            return self._checked_step(static, forcing, state, out, known)
        finally:
            release()

    @in_turn
    def tangent_linear(
        self,
        static: ArrayLike,
        forcing: ArrayLike,
        state: ArrayLike,
        d_static: ArrayLike = None,
        d_forcing: ArrayLike = None,
        d_state: ArrayLike = None,
        *,
        out: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> tuple[arrays.Array, arrays.Array]:
        """The tangent-linear of `step`: tangents of its results for tangents of its inputs.

        The exact derivative, bounds included, by a program compiled at its first use or by `compile`.
        `ailand_gt4py.lowering.columns.derivative_rules` defines it at kinks of activations and at bounds.

        Args:
            static, forcing, state: where the derivative is taken, as for `step`.
            d_static, d_forcing, d_state: tangents, of the same shapes and units; None: zero.
            out: arrays for the results; they must not share memory with the inputs.

        Returns:
            Tangents of the state at t + step (n_columns, n_state) and of the diagnostics (n_columns, n_diagnostics), in
            model units; NaN in columns where the step itself is not finite. On a GPU as for `step`.

        Raises:
            InputError, RunError: as for `step`.
        """
        inputs = self._checked_inputs(static, forcing, state)
        inputs |= self._arrays.given(TANGENTS, (d_static, d_forcing, d_state))
        results = self._arrays.results(out, inputs, RESULT_TANGENTS)
        self._derivatives.tangent_linear(inputs, results)
        return results[0], results[1]

    @in_turn
    def tangent_linear_of_states(
        self,
        static: ArrayLike,
        forcing: ArrayLike,
        state: ArrayLike,
        d_states: ArrayLike,
        *,
        out: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> tuple[arrays.Array, arrays.Array]:
        """`tangent_linear` for many tangents of each column's state at once; static inputs and forcing are fixed.

        All tangents of a column share its forward values and skip units that a ReLU switched off; on a GPU they are
        computed one after another. The program is compiled at its first use or by `compile`, and serves any number of
        tangents; the first call with another number takes GT4Py some seconds to look it up.

        Args:
            static, forcing, state: where the derivative is taken, as for `step`.
            d_states: tangents of the state (n_columns, n_directions, n_state), with at least one direction.
            out: arrays for the results; they must not share memory with the inputs.

        Returns:
            Tangents of the state at t + step (n_columns, n_directions, n_state) and of the diagnostics (n_columns,
            n_directions, n_diagnostics), as for `tangent_linear`.

        Raises:
            InputError, RunError: as for `step`.
        """
        inputs = self._checked_inputs(static, forcing, state)
        shape = tuple(arrays.as_array(d_states, self.device, "d_states").shape)
        if len(shape) != 3 or shape[1] == 0:
            raise InputError(
                f"d_states: found the shape {shape}, expected (n_columns, n_directions, n_features) "
                "with at least one direction"
            )
        n_state, n_diagnostics = self.model.sizes[-2:]
        sizes = {"d_states": n_state, "d_new_states": n_state, "d_diagnostics": n_diagnostics}
        shapes = {name: (self.n_columns, shape[1], size) for name, size in sizes.items()}
        of_states = EmulatorArrays(self.device, self.dtype, shapes)
        d_states = of_states.checked(d_states, "d_states")
        results = of_states.results(out, inputs | {"d_states": d_states}, ("d_new_states", "d_diagnostics"))
        self._derivatives.of_states(shape[1])(list(inputs.values()), d_states, *results)
        return results[0], results[1]

    @in_turn
    def adjoint(
        self,
        static: ArrayLike,
        forcing: ArrayLike,
        state: ArrayLike,
        g_new_state: ArrayLike = None,
        g_diagnostics: ArrayLike = None,
        *,
        out: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    ) -> tuple[arrays.Array, arrays.Array, arrays.Array]:
        """The adjoint of `step`: adjoints of its inputs for adjoints of its results.

        The exact transpose of `tangent_linear`, at kinks and bounds as well: for any tangents d and adjoints g of a
        column, the sum of g_new_state * d_new_state and g_diagnostics * d_diagnostics is that of g_static * d_static,
        g_forcing * d_forcing and g_state * d_state. The program is compiled at its first use or by `compile`.

        Args:
            static, forcing, state: where the derivative is taken, as for `step`.
            g_new_state, g_diagnostics: adjoints of the results (n_columns, n_features), per model unit; None: zero.
            out: arrays for the results; they must not share memory with the inputs.

        Returns:
            Adjoints of static inputs, forcing and state, (n_columns, n_features) each, per model unit; NaN in columns
            where the step itself is not finite. On a GPU as for `step`.

        Raises:
            InputError, RunError: as for `step`.
        """
        inputs = self._checked_inputs(static, forcing, state)
        inputs |= self._arrays.given(RESULT_ADJOINTS, (g_new_state, g_diagnostics))
        results = self._arrays.results(out, inputs, ADJOINTS)
        self._derivatives.adjoint(inputs, results)
        return results[0], results[1], results[2]

    @in_turn
    def jacobian(
        self,
        static: ArrayLike,
        forcing: ArrayLike,
        state: ArrayLike,
        outputs: Sequence[str] | None = None,
        inputs: Sequence[str] | None = None,
        *,
        out: ArrayLike = None,
    ) -> arrays.Array:
        """The derivatives of a step's results with respect to its inputs, in every column.

        Computed by rows or by columns, whichever takes less arithmetic, many at once, by a program compiled at its
        first use or by `compile`; on a GPU one after another by `adjoint` or `tangent_linear`.

        Args:
            static, forcing, state: where the derivatives are taken, as for `step`.
            outputs, inputs: names of the rows and columns wanted, in order; None: all.
            out: an array for the result; it must not share memory with the inputs.

        Returns:
            (n_columns, n_outputs, n_inputs) in model units: outputs (state, diagnostics), inputs (static, forcing,
            state), in the order of the names or of the model; NaN in columns where the step itself is not finite.
            `ailand_gt4py.labelled` adds names and units. On a GPU as for `step`.

        Raises:
            InputError: names unknown to the model; otherwise as for `step`.
            RunError: as for `step`.
        """
        block = block_of(self.model, outputs, inputs)
        given = self._checked_inputs(static, forcing, state)
        shape = (self.n_columns, len(block.outputs), len(block.inputs))
        of_block = EmulatorArrays(self.device, self.dtype, {"jacobian": shape})
        (jacobian,) = of_block.results(None if out is None else (out,), given, ("jacobian",))
        self._derivatives.jacobian(block)(list(given.values()), jacobian)
        return jacobian

    def _known(
        self, static: ArrayLike, forcing: ArrayLike, state: ArrayLike, out: tuple[ArrayLike, ArrayLike]
    ) -> _Repeat | None:
        """What is kept of a step on these very arrays; they are held there, so that no other has their identity."""
        for one in self._repeats:
            if (
                state is one.state
                and forcing is one.forcing
                and static is one.static
                and len(out) == 2
                and out[0] is one.new_state
                and out[1] is one.diagnostics
            ):
                return one
        return None

    def _checked_step(
        self,
        static: ArrayLike,
        forcing: ArrayLike,
        state: ArrayLike,
        out: tuple[ArrayLike, ArrayLike] | None,
        known: _Repeat | None,
    ) -> tuple[arrays.Array, arrays.Array]:
        """A step on arrays that are looked at first; ``known`` is what is kept of one on the very same."""
        self._repeats = [one for one in self._repeats if one is not known]
        inputs = self._checked_inputs(static, forcing, state)
        new_state, diagnostics = self._arrays.results(out, inputs, _RESULTS)
        part = static.part if isinstance(static, PreparedStatic) else self._part_of(inputs["static"])
        buffers = (part, inputs["forcing"], inputs["state"], new_state, diagnostics)
        self._step(buffers)
        if out is not None:
            given = (static, forcing, state, *out)
            # Of other types, NumPy's masked arrays above all, more can change than where and of which shape they are.
            if all(type(array) in (self._xp.ndarray, PreparedStatic) for array in given):
                # To look at them costs more than a step, and pays where they come again.
                again = None if known is None else self._step.repeated(buffers)
                self._repeats = [*self._repeats, _Repeat(*given, again)][-_MOST_REPEATS:]
        if out is None and is_labelled(state):
            new_state = labelled_like(state, new_state, self.model.state, "new_state")
            diagnostics = labelled_like(state, diagnostics, self.model.diagnostics, "diagnostics")
        return new_state, diagnostics

    def _checked_inputs(self, static: ArrayLike, forcing: ArrayLike, state: ArrayLike) -> dict[str, arrays.Array]:
        """The arrays of a step's inputs, if it takes them."""
        if isinstance(static, PreparedStatic):
            if static.emulator is not self:
                raise InputError("static: found inputs that another emulator prepared, expected this emulator's own")
            static = static.values
        given = dict(zip(INPUTS, (static, forcing, state), strict=True))
        check_columns(given)
        return {name: self._arrays.checked(value, name) for name, value in given.items()}

    @in_turn
    def compile(
        self,
        tangent_linear: bool = False,
        adjoint: bool = False,
        jacobian: bool = False,
        tangent_linear_of_states: bool = False,
    ) -> None:
        """Compile the programs now, by calling each on zeros; no effect on programs already compiled.

        Args:
            tangent_linear, adjoint, tangent_linear_of_states: also compile the programs of these methods.
            jacobian: also compile Jacobians with rows of the state and of diagnostics, in both modes.
        """
        zeros = [self._xp.zeros(self._arrays.shapes[name], dtype=self.dtype) for name in INPUTS]
        if not all(call.is_compiled for call in (self._step, self._static_part) if call is not None):
            self.step(self.prepare_static(zeros[0]), *zeros[1:])
        if tangent_linear:
            self.tangent_linear(*zeros)
        if adjoint:
            self.adjoint(*zeros)
        if jacobian:
            # A program does not depend on which rows and columns of a group of results there are.
            n_state, n_diagnostics = self.model.sizes[-2:]
            block = Block((n_state - 1, n_state + n_diagnostics - 1), (0,))
            for mode in get_args(Mode):
                found = self._xp.empty((self.n_columns, 2, 1), dtype=self.dtype)
                self._derivatives.jacobian(block, mode)(zeros, found)
        if tangent_linear_of_states:
            static, forcing, state = zeros
            self.tangent_linear_of_states(static, forcing, state, state[:, None])

    def _part_of(self, static: arrays.Array) -> arrays.Array:
        """What the step reads instead of the static inputs; on the CPU kept as long as their values stay."""
        if self._static_part is None:
            return static
        if self._kept is None:
            self._kept = self.prepare_static(static)
        elif self.device == "cuda" or not np.array_equal(self._kept.values, static):
            # The comparison of values on a GPU would make the host wait for the device.
            self._kept.values[...] = static
            self._static_part((self._kept.values, self._kept.part))
        return self._kept.part
