"""What is not public in ICON4Py 0.4.1 and is used all the same: here, and nowhere else.

* `processes`: its physics driver runs processes in order but does not say which it has. The land comes behind those
  that are there, and takes the rain of the microphysics among them.
* `short_cuts`: compiling a dynamical core takes tens of minutes on two cores. Two things shorten that where the driver
  runs on the CPU: static fields are computed by embedded execution but for four that it cannot do (factories of static
  fields have one backend for all of them, and do not give their providers away), and the dynamical core's programs are
  compiled only for the values of their flags that the run needs (it asks for all of them).

All else goes by public interfaces; `recorder` looks on as a physics process that is off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from icon4py.model.atmosphere.dycore import solve_nonhydro, velocity_advection
from icon4py.model.atmosphere.subgrid_scale_physics.physics_driver.physics_driver import PhysicsProcess
from icon4py.model.common import model_backends, model_options
from icon4py.model.common.metrics import metrics_attributes
from icon4py.model.driver import driver_utils
from icon4py.model.driver.driver import Icon4pyDriver

#: Static fields that embedded execution cannot compute.
COMPILED_STATIC_FIELDS = (
    metrics_attributes.WGTFAC_C,
    metrics_attributes.EXNER_EXFAC,
    metrics_attributes.DDQZ_Z_HALF,
    metrics_attributes.PG_EXDIST_DSL,
)


def processes(icon: Icon4pyDriver) -> list[PhysicsProcess]:
    """Those of a driver's physics, in order."""
    return [] if icon.granules.physics is None else list(icon.granules.physics._processes)


@contextlib.contextmanager
def short_cuts(substeps: int) -> Iterator[None]:
    """While this holds, ICON4Py compiles less; see the module's text."""
    setup, create = model_options.setup_program, driver_utils.create_static_field_factories
    # Of a run without tracer advection, with fourth-order divergence damping.
    flags = {
        "apply_2nd_order_divergence_damping": [False],
        "apply_4th_order_divergence_damping": [True],
        "prepare_advection": [False],
        "lprep_adv": [False],
    }
    if substeps == 1:
        flags |= {"at_first_substep": [True], "at_last_substep": [True]}

    def setup_needed(*, variants: dict[str, list[Any]] | None = None, **arguments: Any) -> Callable[..., None]:
        kept = {name: flags.get(name, values) for name, values in (variants or {}).items()}
        return setup(variants=kept, **arguments)

    def create_embedded(*, backend: Any, **arguments: Any) -> Any:
        compiling = model_options.customize_backend(program=None, backend=model_backends.BACKENDS["gtfn_cpu"])
        factories = create(backend=None, **arguments)
        providers = factories.metrics._providers
        for name in COMPILED_STATIC_FIELDS:
            providers[name] = _OnBackend(providers[name], compiling)
        return factories

    with (
        mock.patch.object(solve_nonhydro, "setup_program", setup_needed),
        mock.patch.object(velocity_advection, "setup_program", setup_needed),
        mock.patch.object(driver_utils, "create_static_field_factories", create_embedded),
    ):
        yield


class _OnBackend:
    """A provider of a static field that computes on a backend of its own."""

    def __init__(self, provider: Any, backend: Any) -> None:
        self._provider, self._backend = provider, backend

    def __call__(self, **arguments: Any) -> Any:
        return self._provider(**{**arguments, "backend": self._backend})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)
