"""The command ``ailand-icon4py-run``."""

from __future__ import annotations

import functools
import sys

from ailand_gt4py.cli.status import execute
from ailand_gt4py.core.errors import RunError
from ailand_gt4py.integration.hosts.icon4py.options import RunOptions


def run(options: RunOptions) -> None:
    """Make the run."""
    try:
        import grid_generator  # noqa: F401
        import icon4py.model.driver  # noqa: F401
    except ImportError as error:
        raise RunError(
            f"ICON4Py: '{error.name}' is not installed, expected the extra 'icon4py' on Python 3.12 or newer "
            "(pip install 'ailand_gt4py[icon4py]')"
        ) from error
    from ailand_gt4py.integration.hosts.icon4py import coupled_run

    coupled_run.run(options, sys.stdout)


main = functools.partial(execute, RunOptions, run)
