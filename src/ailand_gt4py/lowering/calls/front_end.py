"""From Python to GT4Py's IR, by the front end's own steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gt4py.next import backend
from gt4py.next.ffront import func_to_foast, func_to_past, past_process_args, past_to_itir
from gt4py.next.ffront.past_passes import linters

from ailand_gt4py.lowering.calls import compilation

#: GT4Py keeps what each step gives, for definitions that come again, under a digest of the definition and of all that
#: it calls: ours come once, and the digests take longer than the steps.
TRANSFORMS = backend.Transforms(
    func_to_foast=func_to_foast.adapted_func_to_foast_factory(cached=False),
    func_to_past=func_to_past.adapted_func_to_past_factory(cached=False),
    past_lint=linters.adapted_linter_factory(cached=False),
    field_view_prog_args_transform=past_process_args.transform_program_args_factory(cached=False),
    past_to_itir=past_to_itir.past_to_gtir_factory(cached=False),
)


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Operators and programs without a backend go through `TRANSFORMS`, those that are defined inside above all."""
    with compilation.temporarily(vars(backend), DEFAULT_TRANSFORMS=TRANSFORMS):
        yield
