"""Compiled programs as they are kept in a directory: verified before they are used, and made anew if need be.

DaCe and GT4Py take what they find for what they wrote. A library that is cut short ends the process by a signal when it
is loaded, and one with other bits in it computes other numbers. Here every file of a program that is used has its
checksum beside it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import pickle
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

from gt4py._core import file_utils, filecache
from gt4py.next import config, fingerprinting
from gt4py.next.otf.compilation import cache
from gt4py.next.program_processors.runners.dace.workflow.compilation import DaCeCompilationArtifact, DaCeCompiler

from ailand_gt4py.core import dace_configuration
from ailand_gt4py.core.errors import AilandError, RunError
from ailand_gt4py.lowering.calls import compilation, directories, toolchain

#: In the folder of a program, in the format of ``sha256sum``; written last.
_CHECKSUMS = "SHA256SUMS"
_LOCK = ".ailand.lock"


class Translations(filecache.FileCache):
    """GT4Py's cache of translated programs, in pickles: each begins with the checksum of the rest.

    Args:
        place: where programs are kept.
    """

    def __init__(self, place: pathlib.Path) -> None:
        super().__init__(place / "translations")

    def __getitem__(self, key: Any) -> Any:
        for path in self._paths(key):
            kept = directories.content(path) or b""
            checksum, pickled = kept[:32], kept[32:]
            if hashlib.sha256(pickled).digest() == checksum:
                with contextlib.suppress(Exception):  # of another version of what it holds
                    return pickle.loads(pickled)
        raise KeyError(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        *_, path = self._paths(key)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        pickled = pickle.dumps(value, protocol=5)
        file_utils.atomic_write_bytes(path, hashlib.sha256(pickled).digest() + pickled)

    def _paths(self, key: Any) -> Iterator[pathlib.Path]:
        path = self._get_path(key)
        for place in directories.places(self.path.parent):
            yield place / path.relative_to(self.path.parent)


class KeptArtifact(DaCeCompilationArtifact):
    """A compiled program whose library this process loads as often as it is asked to."""

    def load(self) -> Any:
        """The program, ready to be called."""
        with _LOADING:
            is_loaded = self.library_path in _LOADED
            _LOADED.add(self.library_path)
        if not is_loaded:
            return super().load()
        # A library is loaded once under a name. DaCe would make a copy beside it, half of which another process might
        # see, and which stays.
        folder = self.library_path.parent
        where = folder if directories.is_writable(folder) else None
        with tempfile.TemporaryDirectory(prefix=".loading-", dir=where, ignore_cleanup_errors=True) as directory:
            for path in (self.library_path, _stub(self.library_path)):
                shutil.copyfile(path, pathlib.Path(directory) / path.name)
            copy = pathlib.Path(directory) / self.library_path.name
            return dataclasses.replace(self, library_path=copy).load()


_LOADING = threading.Lock()
_LOADED: set[pathlib.Path] = set()


class KeptCompiler(DaCeCompiler):
    """GT4Py's compilation of a program, whose result is verified when it is used again.

    Flags are those of `toolchain.variables`, which are part of the key of compiled programs.
    """

    def __post_init__(self) -> None:
        with self._tools():
            super().__post_init__()

    def __call__(self, program: Any) -> KeptArtifact:
        """The compiled program.

        Raises:
            InputError: others can write where it is kept.
            RunError: its folder cannot be written to.
        """
        folder = None
        with compilation.kept_programs(), self._tools():
            for place in directories.places(pathlib.Path(config.BUILD_CACHE_DIR)):
                with compilation.temporarily(vars(config), BUILD_CACHE_DIR=place):
                    try:
                        folder = self._folder(program)
                    except OSError:
                        if directories.is_writable(place):
                            raise
                        continue  # it is not there, and cannot be made
                    library = _kept_library(folder)
                    if library is None and directories.is_writable(folder):
                        library = self._made(program, folder, place)
                    if library is not None:
                        return self._artifact(program, library)
        raise RunError(f"{folder}: is not whole and cannot be written to, expected a writable directory; remove it")

    @contextlib.contextmanager
    def _tools(self) -> Iterator[None]:
        variables = toolchain.variables(self.cmake_build_type)
        with dace_configuration.defaults(), compilation.temporarily(os.environ, **variables):
            yield

    def _folder(self, program: Any) -> pathlib.Path:
        context = fingerprinting.strict_fingerprinter(self.dace_config_nondefaults)
        return directories.check_owner(cache.get_cache_folder(program, self.cache_lifetime, context))

    def _made(self, program: Any, folder: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
        with _locked(folder):
            if (library := _kept_library(folder)) is not None:  # made by another process meanwhile
                return library
            with compilation.build_tools(place) as build_cache:
                had_cache = build_cache.exists()
                directories.made(build_cache)
                _clear(folder)
                try:
                    library = super().__call__(program).library_path
                except Exception as error:
                    if not had_cache or isinstance(error, (AilandError, OSError)):
                        raise
                    shutil.rmtree(build_cache)  # what is kept there may be damaged
                    directories.made(build_cache)
                    _clear(folder)
                    library = super().__call__(program).library_path
            file_utils.atomic_write_text(folder / _CHECKSUMS, _checksums(folder, library))
            return library

    def _artifact(self, program: Any, library: pathlib.Path) -> KeptArtifact:
        return KeptArtifact(
            library_path=library,
            sdfg_json=json.dumps(program.program_source.source_code),
            binding_source_code=program.binding_source.source_code,
            bind_func_name=self.bind_func_name,
            device_type=self.device_type,
        )


def _stub(library: pathlib.Path) -> pathlib.Path:
    """DaCe's library that loads the other one."""
    return library.with_name(f"libdacestub_{library.name.removeprefix('lib')}")


def _checksums(folder: pathlib.Path, library: pathlib.Path) -> str:
    """Of the files of a program that are loaded; FileNotFoundError where one is missing."""
    text = ""
    for path in (library, _stub(library)):
        if (kept := directories.content(path)) is None:
            raise FileNotFoundError(path)
        text += f"{hashlib.sha256(kept).hexdigest()}  {os.path.relpath(path, folder)}\n"
    return text


def _kept_library(folder: pathlib.Path) -> pathlib.Path | None:
    """The library in the folder of a program, if it is as it was when it was compiled."""
    kept = (directories.content(folder / _CHECKSUMS) or b"").decode(errors="replace").replace("\0", "?")
    library = folder / kept.partition("\n")[0].partition("  ")[2]
    try:
        return library if kept == _checksums(folder, library) else None
    except FileNotFoundError:
        return None


def _clear(folder: pathlib.Path) -> None:
    """Remove everything but the locks."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.suffix != ".lock":
            path.unlink()


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
    """One process at a time makes what is in a folder."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks; GT4Py has another kind there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
