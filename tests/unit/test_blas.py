"""The BLAS that compiled programs may call: how it is chosen and found, and what is said where it is not."""

import _ctypes
import ctypes
import pathlib
import shutil
import sys
import types

import pytest

from ailand_gt4py.core.errors import RunError
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.lowering.columns.translation import ColumnTranslator
from ailand_gt4py.lowering.cpu import blas


def fake_wheel(monkeypatch: pytest.MonkeyPatch, directory: pathlib.Path) -> None:
    wheel = types.ModuleType("scipy_openblas32")
    wheel.get_lib_dir = lambda: str(directory)
    monkeypatch.setitem(sys.modules, "scipy_openblas32", wheel)


def load_error(name: str = "openblas") -> str:
    """The message with which a load fails; one line."""
    with pytest.raises(RunError) as caught:
        blas.load(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


EXPECTED = "expected 'builtin', 'openblas' or a library with the CBLAS interface"


def test_this_packages_kernels_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(blas.VARIABLE, raising=False)
    assert blas.chosen() == blas.BUILTIN
    monkeypatch.setenv(blas.VARIABLE, "")
    assert blas.chosen() == blas.BUILTIN
    monkeypatch.setenv(blas.VARIABLE, "libmkl_rt.so.2")
    assert blas.chosen() == "libmkl_rt.so.2"
    assert blas.load(blas.BUILTIN) is None


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy_openblas32", None)
    assert load_error() == "BLAS 'openblas': found no package 'scipy-openblas32', expected it to be installed"


def test_a_wheel_without_its_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    fake_wheel(monkeypatch, tmp_path)
    expected = f"BLAS 'openblas': found no libscipy_openblas in {tmp_path}, expected one from 'scipy-openblas32'"
    assert load_error() == expected


def test_a_damaged_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    fake_wheel(monkeypatch, tmp_path)
    (tmp_path / "libscipy_openblas.so").write_bytes(b"no library")
    message = load_error()
    assert message.startswith(f"BLAS 'openblas' cannot be loaded, {EXPECTED}: ")
    assert str(tmp_path) in message


@pytest.mark.parametrize("name", ["nowhere/libnothing.so", "libnothing_of_this_name.so.1", "MKL"])
def test_a_name_that_the_loader_does_not_know_is_named(name: str) -> None:
    assert load_error(name).startswith(f"BLAS '{name}' cannot be loaded, {EXPECTED}: ")


@pytest.mark.skipif(not hasattr(_ctypes, "__file__"), reason="this Python has no shared library of its own to copy")
def test_a_library_without_the_functions_is_named(tmp_path: pathlib.Path) -> None:
    library = shutil.copy(_ctypes.__file__, tmp_path / "libsomething.so")
    expected = f"BLAS '{library}': found no cblas_sgemm and cblas_dgemm in {library}, {EXPECTED}"
    assert load_error(str(library)) == expected


def test_one_thread_for_each_call() -> None:
    """The programs share their blocks among threads of their own."""
    prefix = blas.load("openblas")
    assert prefix is not None
    library = ctypes.CDLL(str(blas.openblas()))
    number = getattr(library, prefix + "openblas_get_num_threads")
    getattr(library, prefix + "openblas_set_num_threads")(2)
    try:
        assert number() == 2, "the library cannot count, or was built without threads"
    finally:
        blas.load("openblas")
    assert number() == 1


def test_a_library_can_be_given_by_its_path() -> None:
    by_name = blas.load("openblas")
    assert by_name is not None
    assert blas.load(str(blas.openblas())) == by_name


def test_the_functions_are_global_symbols_of_the_process() -> None:
    """Compiled programs look them up there, not in the wheel's directory."""
    prefix = blas.load("openblas")
    assert prefix is not None
    everything = ctypes.CDLL(None)
    declared = blas.declaration(prefix)
    for function in ("cblas_sgemm", "cblas_dgemm"):
        assert hasattr(everything, prefix + function)
        assert f"void {prefix}{function}(" in declared


def translator() -> ColumnTranslator:
    return backends.dace_backend(False, ("table",)).executor.translation.step


def test_the_choice_is_part_of_a_programs_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """GT4Py finds compiled programs by the translator's value: a program with a BLAS is not one without."""
    monkeypatch.delenv(blas.VARIABLE, raising=False)
    builtin = translator()
    monkeypatch.setenv(blas.VARIABLE, "openblas")
    openblas = translator()
    assert (builtin.node.blas_prefix, openblas.node.blas_prefix) == (None, "scipy_")
    assert builtin != openblas
    assert repr(builtin) != repr(openblas)
    assert builtin.node.digest == openblas.node.digest
    monkeypatch.delenv(blas.VARIABLE)
    assert translator() == builtin


def test_a_bad_choice_is_an_error_when_the_backend_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(blas.VARIABLE, "nowhere/libnothing.so")
    with pytest.raises(RunError, match="BLAS 'nowhere/libnothing.so' cannot be loaded"):
        backends.dace_backend(False, ("table",))
