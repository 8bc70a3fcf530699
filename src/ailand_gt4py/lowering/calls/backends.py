"""From a backend's name to a GT4Py backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import gt4py.next as gtx
from gt4py.next import config
from gt4py.next.otf import stages
from gt4py.next.otf.compilation import cache
from gt4py.next.otf.definitions import CompilableProgramDef
from gt4py.next.program_processors.runners.dace import make_dace_backend
from gt4py.next.program_processors.runners.dace.transformations import GT4PyAutoOptHook

from ailand_gt4py.core import arrays
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.lowering.calls import compilation, front_end, toolchain
from ailand_gt4py.lowering.calls.kept import KeptCompiler, Translations
from ailand_gt4py.lowering.calls.maps import DeviceMaps, SequentialMaps
from ailand_gt4py.lowering.columns.differentiate import Derivative
from ailand_gt4py.lowering.columns.translation import ColumnTranslator
from ailand_gt4py.lowering.cpu import blas
from ailand_gt4py.lowering.cpu.blocks import ColumnBlocks
from ailand_gt4py.lowering.gpu import cublas
from ailand_gt4py.lowering.gpu.device_code import Products
from ailand_gt4py.lowering.gpu.device_columns import DeviceColumns

#: ``embedded``: GT4Py's NumPy execution, no compilation, slow: the reference. ``dace_cpu``, ``dace_gpu``: compiled,
#: dense layers as GEMM.
BACKEND_NAMES = ("embedded", "dace_cpu", "dace_gpu")

#: What a compiler defines for processors that multiply bfloat16.
_HAS_BFLOAT16 = "__AVX512BF16__"

#: Backends of `for_columns` on the CPU, by name and what programs are made with.
_FOR_COLUMNS: dict[tuple[str, ...], gtx.backend.Backend] = {}


def device_of(backend: Any) -> arrays.Device:
    """Where the arrays of a backend live.

    Args:
        backend: a name of `BACKEND_NAMES` or a GT4Py backend.

    Raises:
        InputError: neither of the two.
    """
    if backend in BACKEND_NAMES:
        return "cuda" if backend == "dace_gpu" else "cpu"
    device_type = getattr(getattr(backend, "allocator", None), "__gt_device_type__", None)
    if device_type is None:
        found = f"'{backend}'" if isinstance(backend, str) else type(backend).__name__
        raise InputError(f"backend: found {found}, expected one of {', '.join(BACKEND_NAMES)} or a GT4Py backend")
    return "cpu" if device_type.name == "CPU" else "cuda"


def make_backend(
    backend: Any,
    complete_tables: Sequence[str] = (),
    broadcast_tables: Sequence[str] = (),
    products: Products = "full",
    layers: Sequence[str] = (),
) -> gtx.backend.Backend | None:
    """The GT4Py backend for a name; None for embedded execution.

    Args:
        backend: a name of `BACKEND_NAMES`, or a GT4Py backend, which is used as it is.
        complete_tables: names of the offsets whose connectivity is complete; reductions over them become GEMM on the
            ``dace_*`` backends.
        broadcast_tables: names of the offsets whose connectivity points to elements that are all alike.
        products: how matrix products are computed; ``tf32`` on ``dace_gpu`` only.
        layers: how the names of the weights of the network's layers begin, whose products these are; all other products
            are ``full``. In ``bf16`` on ``dace_cpu`` these weights come packed (`core.matrices.packed`).

    Raises:
        InputError: an unknown name, or ``bf16`` on a processor, or with a compiler, that has no instructions for it.
        RunError: no BLAS, no CuPy, no CUDA device or no cuBLAS.
    """
    on_gpu = device_of(backend) == "cuda"
    if backend == "embedded":
        return None
    if not isinstance(backend, str):
        return backend
    if on_gpu:
        arrays.array_module("cuda")
        cublas.load()
    elif products == "bf16":
        require_bfloat16()
    return dace_backend(on_gpu, complete_tables, broadcast_tables, products, layers)


def require_bfloat16() -> None:
    """Refuse products in bfloat16 on a CPU that has none, or with a compiler that does not know of them.

    Raises:
        InputError: so it is.
    """
    if not toolchain.defines(_HAS_BFLOAT16):
        raise InputError(
            "precision: found 'bf16' on 'dace_cpu', expected float32 or float64: bf16 takes a processor with "
            f"AVX512-BF16, and the C++ compiler, with its flags, tells of none (it does not define {_HAS_BFLOAT16})"
        )


def dace_backend(
    on_gpu: bool,
    complete_tables: Sequence[str],
    broadcast_tables: Sequence[str] = (),
    products: Products = "full",
    layers: Sequence[str] = (),
) -> gtx.backend.Backend:
    """`column_backend`, or for other programs (no complete table) GT4Py's DaCe backend with maps as we want them.

    Needs no device, so CUDA can be compiled where none is.
    """
    if complete_tables:
        return column_backend(on_gpu, complete_tables, broadcast_tables, products, layers)
    hook = DeviceMaps() if on_gpu else SequentialMaps()
    return _plain_backend(on_gpu, {GT4PyAutoOptHook.TopLevelDataFlowPost: hook})


def column_backend(
    on_gpu: bool,
    complete_tables: Sequence[str] = (),
    broadcast_tables: Sequence[str] = (),
    products: Products = "full",
    layers: Sequence[str] = (),
) -> gtx.backend.Backend:
    """GT4Py's DaCe backend for programs over columns, which become one node of DaCe's graph (`translation`).

    Args: as for `make_backend`.
    """
    plain = _plain_backend(on_gpu, {})
    executor: Any = plain.executor
    rounded = tuple(sorted(layers)) if products != "full" else ()
    translator = ColumnTranslator(
        **_arguments_of(executor.translation.step),
        node=DeviceColumns(products, rounded) if on_gpu else ColumnBlocks(blas.load(blas.chosen()), rounded),
        complete_tables=tuple(sorted(complete_tables)),
        broadcast_tables=tuple(sorted(broadcast_tables)),
    )
    translation = dataclasses.replace(
        executor.translation, step=translator, input_fingerprinter=stages.compilable_program_fingerprinter
    )
    executor = dataclasses.replace(executor, translation=translation)
    return dataclasses.replace(plain, executor=executor)


def for_columns(backend: Any) -> gtx.backend.Backend | None:
    """`make_backend` for a program over columns that reads through no table: on the ``dace_*`` backends one node."""
    plain = make_backend(backend)
    if plain is None or not isinstance(backend, str):
        return plain
    if device_of(backend) == "cuda":
        return column_backend(True)
    # One for all: callers know a program again by its backend.
    key = backend, *compilation.made_with()
    if key not in _FOR_COLUMNS:
        _FOR_COLUMNS[key] = column_backend(False)
    return _FOR_COLUMNS[key]


def is_for_columns(backend: gtx.backend.Backend) -> bool:
    """Whether a DaCe backend is one of `column_backend`."""
    return isinstance(
        getattr(getattr(getattr(backend, "executor", None), "translation", None), "step", None), ColumnTranslator
    )


def differentiating(backend: Any, derivative: Derivative) -> gtx.backend.Backend:
    """A backend for programs over columns that runs a derivative of them instead.

    Raises:
        InputError: another backend.
    """
    if not is_for_columns(backend):
        found = getattr(backend, "name", type(backend).__name__)
        raise InputError(f"backend: found '{found}', expected one of {', '.join(BACKEND_NAMES)} for derivatives")
    executor = backend.executor
    step = dataclasses.replace(executor.translation.step, derivative=derivative)
    translation = dataclasses.replace(executor.translation, step=step)
    return dataclasses.replace(backend, executor=dataclasses.replace(executor, translation=translation))


def _arguments_of(step: Any) -> dict[str, Any]:
    """What one of GT4Py's steps was made with."""
    return {field.name: getattr(step, field.name) for field in dataclasses.fields(step) if field.init}


def _by_types(program: CompilableProgramDef) -> str:
    """What a translation is known by: of the tables their types, not what is in them.

    GT4Py asks for all of it, as the sizes of temporary fields may follow from tables. The programs here have none: they
    read the caller's arrays through the tables. Every host's grid would else be translated for anew, for ten seconds.
    """
    arguments: Any = dataclasses.replace(program.args, offset_provider=program.args.offset_provider_type)
    return stages.compilable_program_fingerprinter(dataclasses.replace(program, args=arguments))


def _plain_backend(on_gpu: bool, hooks: dict[GT4PyAutoOptHook, Any]) -> gtx.backend.Backend:
    with compilation.kept_programs():  # GT4Py's backends remember where
        plain = make_dace_backend(
            gpu=on_gpu,
            auto_optimize=True,
            async_sdfg_call=on_gpu,
            # Fields come in the caller's layout, whatever its strides.
            unstructured_horizontal_has_unit_stride=False,
            optimization_args={"optimization_hooks": hooks},
            # `arrays.wrap` makes domains that start at 0.
            use_zero_origin=True,
            # Reads the clock twice a call.
            use_metrics=False,
        )
        executor: Any = plain.executor
        translations = Translations(cache.get_cache_base_path(config.BUILD_CACHE_LIFETIME))
        executor = dataclasses.replace(
            executor,
            translation=dataclasses.replace(executor.translation, cache=translations, input_fingerprinter=_by_types),
            compilation=KeptCompiler(**_arguments_of(executor.compilation)),
        )
        return dataclasses.replace(plain, executor=executor, transforms=front_end.TRANSFORMS)
