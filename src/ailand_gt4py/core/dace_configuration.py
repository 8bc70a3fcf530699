"""DaCe without the configuration files of others, and without what it shows in notebooks.

DaCe looks for ``.dace.conf`` in the working directory first, at its import and again in every thread, and hands what is
there to a shell when it compiles: a directory of somebody's data could run commands. Imported in a notebook, it asks a
server for the scripts that draw its graphs, and puts megabytes of them into the output of the cell.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import io
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

_NAME = ".dace.conf"
#: The second is what DaCe takes for the user's own where the user has no home.
_IN_WORKING_DIRECTORY = (_NAME, f"~/{_NAME}")


def _own_file() -> str:
    """The configuration that is the user's own, whether it exists or not."""
    try:
        path = pathlib.Path(os.environ.get("DACE_CONFIG") or pathlib.Path.home() / _NAME)
    except RuntimeError:  # the user has no home
        return os.devnull
    return str(path.absolute())


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads ``dace.config``, which reads the configuration meanwhile."""

    def exec_module(self, module: Any) -> None:
        is_file = os.path.isfile
        os.path.isfile = lambda path: path not in _IN_WORKING_DIRECTORY and is_file(path)
        try:
            super().exec_module(module)
        finally:
            os.path.isfile = is_file
        # What each further thread looks for.
        module._ConfigData.default_filename = property(lambda _: _own_file(), lambda _, __: None)
        # Put on Python's path; '$HOME/...' as it stands, in the working directory, where HOME is not set.
        modules = module.Config.get("external_transformations_path")
        if modules and not pathlib.Path(os.path.expandvars(modules)).expanduser().is_absolute():
            module.Config.set("external_transformations_path", value=None)


class _SilentLoader(importlib.machinery.SourceFileLoader):
    """Loads ``dace.jupyter`` as outside of a notebook; ``dace.jupyter.enable()`` still shows its scripts."""

    def exec_module(self, module: Any) -> None:
        module.get_ipython = lambda: None
        super().exec_module(module)
        del module.get_ipython


_LOADERS: dict[str, type[importlib.machinery.SourceFileLoader]] = {
    "dace.config": _Loader,
    "dace.jupyter": _SilentLoader,
}


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _LOADERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _LOADERS[fullname](fullname, spec.loader.path)
        return spec


def ignore_working_directory() -> None:
    """Have DaCe, when it is imported, read no configuration of the working directory.

    A user without a name and ``HOME`` gets one that holds nothing, without which GT4Py cannot be imported.
    """
    sys.meta_path.insert(0, _Finder())
    try:
        pathlib.Path.home()
    except RuntimeError:
        os.environ["HOME"] = os.devnull


@contextlib.contextmanager
def defaults() -> Iterator[None]:
    """DaCe's defaults and variables ``DACE_*`` of the environment; no configuration file, whoever imported DaCe.

    Of its defaults one is changed: it would look through Python's stack for where each part of a program is made, which
    takes longer than to make it.
    """
    import dace

    with dace.config.temporary_config():
        dace.Config.load(file=io.StringIO())
        dace.Config.set("compiler", "lineinfo", value="none")
        yield
