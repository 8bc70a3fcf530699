"""One model on one device: the step that everything else calls."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import gt4py.next as gtx
import numpy as np

from ailand_gt4py import arrays
from ailand_gt4py.dimensions import Column, DiagnosticFeature, ForcingFeature, StateFeature, StaticFeature
from ailand_gt4py.errors import InputError, RunError
from ailand_gt4py.lowering import backends, compilation
from ailand_gt4py.parameters import network_shape, step_operands
from ailand_gt4py.stencils.step import CALLER_FIELDS, describe_step, step_program
from ailand_gt4py.weights.model import Model

Precision = Literal["float32", "float64"]
_DTYPES: dict[str, type] = {"float32": np.float32, "float64": np.float64}

logger = logging.getLogger(__name__)


class Emulator:
    """An aiLand model for a fixed number of columns on one device.

    Weights go to the device once, when the emulator is made; the program is compiled at its first step, or by
    `compile`. A step then allocates only its results, and not even those where the caller gives them. The fields
    between its layers belong to the emulator, so one emulator must not step in two threads at once.

    Args:
        model: what to run.
        n_columns: number of columns of every call, at least 1.
        backend: ``embedded`` (NumPy, no compilation, slow), ``dace_cpu``, ``dace_gpu``, or a GT4Py backend.
        precision: of all arrays in and out and of the arithmetic.

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
        if precision not in _DTYPES:
            raise InputError(f"precision: found '{precision}', expected one of {', '.join(_DTYPES)}")
        if n_columns < 1:
            raise InputError(f"number of columns: found {n_columns}, expected at least 1")
        self.model = model
        self.n_columns = int(n_columns)
        self.precision = precision
        self.device = backends.device_of(backend)
        self.dtype = np.dtype(_DTYPES[precision])
        self._xp = arrays.array_module(self.device)
        # Threads of a GPU read neighbouring columns, a core of the CPU the features of one column.
        self._order: Literal["C", "F"] = "C" if self.device == "cpu" else "F"
        self._operands = step_operands(model, self.dtype, self.device)
        self._backend = backends.make_backend(
            backend, self._operands.complete_tables, self._operands.broadcast_tables
        )
        self._lowered_here = isinstance(backend, str) and self._backend is not None
        shape = network_shape(model)
        program = step_program(shape, _DTYPES[precision])
        self._program = program if self._backend is None else program.with_backend(self._backend)
        description = describe_step(shape, _DTYPES[precision])
        self._fixed_arguments = [self._operands.by_name[name] for name in description.operands]
        self._fixed_arguments += [self._buffer(name, feature) for name, feature in description.buffers.items()]
        self._backend_name = backend if isinstance(backend, str) else str(backend.name)
        self._compiled = self._backend is None
        if self._backend is not None:
            self._check_extents()
        sizes = model.sizes
        self._shapes = {
            "static": (self.n_columns, sizes.static),
            "forcing": (self.n_columns, sizes.forcing),
            "state": (self.n_columns, sizes.state),
            "new state": (self.n_columns, sizes.state),
            "diagnostics": (self.n_columns, sizes.diagnostics),
        }

    def allocate(self, n_features: int) -> arrays.Array:
        """An uninitialised array (n_columns, n_features) of the emulator's type on its device."""
        return self._xp.empty((self.n_columns, n_features), dtype=self.dtype, order=self._order)

    def step(
        self, static: Any, forcing: Any, state: Any, *, out: tuple[Any, Any] | None = None
    ) -> tuple[arrays.Array, arrays.Array]:
        """One step of the emulator: (static, forcing over [t, t + step), state at t) -> state and diagnostics.

        Args:
            static, forcing, state: (n_columns, n_features) in the model's order and units, of the emulator's type, on
                its device, in any memory layout; NumPy, CuPy, or anything with ``__cuda_array_interface__`` or DLPack.
                They are read where they are and not changed.
            out: arrays for the results, of the shapes below; they must not share memory with the inputs.

        Returns:
            State at t + step (n_columns, n_state) and diagnostics (n_columns, n_diagnostics), in the model's order
            and units, on the device. On a GPU the work may not be finished when this returns.

        Raises:
            InputError: an array of another shape, type or device, or a result that shares memory with an input.
            RunError: the program cannot be compiled.
        """
        inputs = {
            name: self._checked(value, name)
            for name, value in (("static", static), ("forcing", forcing), ("state", state))
        }
        if out is None:
            out = (self.allocate(len(self.model.state)), self.allocate(len(self.model.diagnostics)))
        results = {
            name: self._checked(value, name) for name, value in zip(("new state", "diagnostics"), out, strict=True)
        }
        for result_name, result in results.items():
            for name, array in inputs.items():
                if self._xp.may_share_memory(result, array):
                    raise InputError(
                        f"{result_name}: found memory shared with the input '{name}', expected memory of its own"
                    )
        fields = [
            arrays.wrap(array, (Column, feature), name)
            for (name, array), feature in zip((inputs | results).items(), CALLER_FIELDS.values(), strict=True)
        ]
        with self._compilation():
            self._program(*fields, *self._fixed_arguments, offset_provider=self._operands.offset_provider)
        return results["new state"], results["diagnostics"]

    def compile(self) -> None:
        """Compile the program now, by a step on zeros; without effect if it is compiled."""
        if not self._compiled:
            zeros = {name: self._xp.zeros(shape, dtype=self.dtype) for name, shape in self._shapes.items()}
            self.step(zeros["static"], zeros["forcing"], zeros["state"])

    def _buffer(self, name: str, feature: gtx.Dimension) -> gtx.Field:
        """An intermediate field of the step.

        The compiled program on the CPU keeps these values in the cache and writes none of them: there they are fields
        without memory of their own.
        """
        sizes = self.model.sizes
        extents = {
            StaticFeature: sizes.static,
            ForcingFeature: sizes.forcing,
            StateFeature: sizes.state,
            DiagnosticFeature: sizes.diagnostics,
        }
        if feature in extents:
            extent = extents[feature]
        else:
            block, layer = name.removeprefix("units_").split("_")
            extent = len(self.model.parameters[f"{block}.{layer}.bias"])
        shape = (self.n_columns, extent)
        if self._lowered_here and self.device == "cpu":
            array = np.broadcast_to(np.zeros(1, dtype=self.dtype), shape)
        else:
            array = self._xp.zeros(shape, dtype=self.dtype, order=self._order)
        return arrays.wrap(array, (Column, feature), name)

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

    def _checked(self, value: Any, name: str) -> arrays.Array:
        array = arrays.as_array(value, self.device, name)
        arrays.check(array, name, self._shapes[name], self.dtype)
        return array

    @contextlib.contextmanager
    def _compilation(self) -> Iterator[None]:
        """Around the call that may compile: says so, and reports failure in one line."""
        if self._backend is None:
            with warnings.catch_warnings():
                # GT4Py remarks on every call that this is slow; here it was asked for.
                warnings.simplefilter("ignore", category=UserWarning)
                yield
            return
        if self._compiled:
            yield
            return
        logger.info(
            "preparing the %s network for %s in %s: compiled at its first use, then kept",
            self.model.architecture,
            self._backend_name,
            self.precision,
        )
        start = time.perf_counter()
        try:
            with compilation.in_this_process():
                yield
        except (InputError, RunError):
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            # A build's output is headed by "Compiler failure:"; what went wrong is said further down.
            causes = [line.strip() for line in lines if "error" in line.lower()] if lines[0].endswith(":") else []
            reason = " ".join([lines[0], *causes[:1]])
            raise RunError(
                f"the {self.model.architecture} network cannot be compiled: {type(error).__name__}: {reason}"
            ) from error
        self._compiled = True
        logger.info("ready after %.1f s", time.perf_counter() - start)
