"""A small land model in physical units, and hosts of it with made-up weather."""

import dataclasses
from typing import Any

import numpy as np
from random_models import random_parameters

import ailand_gt4py
from ailand_gt4py.emulator.emulator import Emulator
from ailand_gt4py.emulator.forcing import derived_forcing
from ailand_gt4py.weights.model import Model, Normalisation
from ailand_gt4py.weights.variables import CATALOGUE

START = np.datetime64("2020-06-01T00:00", "ns")
HOUR = np.timedelta64(3_600_000_000_000, "ns")
PRESCRIBED = {"lai_hv": 2.0, "lai_lv": 1.0, "met_ctpf": 0.3, "albedo_background": 0.17}
#: Forcing: mean and amplitude of the made-up weather.
WEATHER = {
    "met_tair": (288.0, 8.0),
    "met_qair": (8e-3, 2e-3),
    "met_psurf": (98_000.0, 800.0),
    "met_wind_e": (3.0, 2.0),
    "met_wind_n": (1.0, 2.0),
    "met_swdown": (300.0, 250.0),
    "met_lwdown": (330.0, 30.0),
    "met_rainf": (3e-5, 3e-5),
    "met_snowf": (0.0, 0.0),
}


def small_model(seed: int = 3) -> Model:
    """The default model's variables with a small random network."""
    model = ailand_gt4py.read_model()
    parameters = random_parameters("simple", model.sizes, np.random.default_rng(seed), width=6, depth=2)
    return dataclasses.replace(model, architecture="simple", parameters=parameters, provenance={"data": "random"})


#: Of the previous window in `previous_window_model`: given at every step, prescribed, and computed from time and
#: location.
PREVIOUS = ("met_tair", "met_swdown", "met_rainf", "lai_hv", "time_of_day_cos")


def previous_window_model(seed: int = 3) -> Model:
    """`small_model` with inputs of the previous window, among the others, and the logarithm of humidity."""
    model = small_model(seed)
    names = [variable.name for variable in model.forcing]
    added = [
        dataclasses.replace(model.forcing[names.index(name)], name=f"{name}_before", derived=f"before:{name}")
        for name in PREVIOUS
        if f"{name}_before" not in names
    ]
    humidity = dataclasses.replace(
        model.forcing[names.index("met_qair")],
        normalisation=Normalisation("log", mean=-5.0, std=0.8, minimum=1e-6),
    )
    own = tuple(humidity if variable.name == "met_qair" else variable for variable in model.forcing)
    # One comes first: before the variable that it is of.
    forcing = (*added[:1], *own, *added[1:])
    sizes = model.sizes._replace(forcing=len(forcing))
    parameters = random_parameters("simple", sizes, np.random.default_rng(seed), width=6, depth=2)
    return dataclasses.replace(model, forcing=forcing, parameters=parameters)


class Host:
    """Weather on a grid: smooth in space, different at every step, the same for the same seed.

    Args:
        shape: of the horizontal grid. dtype: of the fields. halo: points around a grid of two dimensions.
        order: of the memory of fields of two dimensions.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any = np.float64, halo: int = 0, order: Any = "C") -> None:
        self.shape, self.dtype, self.halo, self.order = shape, dtype, halo, order
        rng = np.random.default_rng(11)
        self.phase = rng.uniform(0.0, 6.28, size=shape)
        self.latitude = rng.uniform(-60.0, 60.0, size=shape)
        self.longitude = rng.uniform(-180.0, 180.0, size=shape)

    def field(self, values: Any) -> np.ndarray:
        """Values in the host's memory; points of the halo are NaN."""
        values = np.broadcast_to(np.asarray(values, dtype=np.float64), self.shape)
        storage = np.full(tuple(n + 2 * self.halo for n in self.shape), np.nan, dtype=self.dtype, order=self.order)
        inner = storage[tuple(slice(self.halo, self.halo + n) for n in self.shape)]
        inner[...] = values
        return storage if self.halo else inner

    def weather(self, time: np.datetime64) -> dict[str, np.ndarray]:
        hours = float((time - START) / HOUR)
        return {
            name: self.field(mean + amplitude * np.sin(self.phase + 0.3 * hours * (k + 1)))
            for k, (name, (mean, amplitude)) in enumerate(WEATHER.items())
        }

    def surface(self, model: Model) -> dict[str, Any]:
        """Static inputs and initial state: what training saw in the middle, a little different at each point."""

        def middle(variable: Any) -> np.ndarray:
            low, high = variable.training_minimum, variable.training_maximum
            values = low + (high - low) * (0.5 + 0.2 * np.sin(self.phase))
            return self.field(np.rint(values) if CATALOGUE[variable.name].is_class else values)

        return {
            "static": {variable.name: middle(variable) for variable in model.static},
            "initial_state": {variable.name: middle(variable) for variable in model.state},
        }

    def component(self, model: Model, mask: np.ndarray, **options: Any) -> Any:
        """A `LandComponent` on this grid."""
        from ailand_gt4py.integration.component import LandComponent

        land_mask = np.zeros(tuple(n + 2 * self.halo for n in self.shape), dtype=bool)
        land_mask[tuple(slice(self.halo, self.halo + n) for n in self.shape)] = mask
        defaults = {
            "backend": "embedded",
            "precision": "float64",
            "start": START,
            "host_step": HOUR,
            "prescribed": PRESCRIBED,
        }
        return LandComponent(
            model,
            land_mask=land_mask,
            latitude=self.field(self.latitude),
            longitude=self.field(self.longitude),
            **self.surface(model),
            **(defaults | options),
        )


def expected_windows(
    model: Model, host: Host, mask: np.ndarray, n_windows: int, prescribed: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """State and diagnostics after some windows of six hours, by the emulator alone on means taken by NumPy.

    Before the first window all was as in it, but for what follows from time and location.

    Args:
        prescribed: of each window: name -> number; None: `PRESCRIBED` in all.
    """
    emulator = Emulator(model, int(mask.sum()), backend="embedded", precision="float64")

    def columns(values: dict[str, np.ndarray], variables: Any) -> np.ndarray:
        return np.stack([values[variable.name][mask] for variable in variables], axis=1)

    surface = host.surface(model)
    static, state = columns(surface["static"], model.static), columns(surface["initial_state"], model.state)
    diagnostics = np.empty(0)
    previous = {one.name: one.derived.removeprefix("before:") for one in model.forcing if "before:" in one.derived}
    derived = [one.name for one in model.forcing if one.derived and one.name not in previous]
    before: dict[str, np.ndarray] = {}
    for window in range(n_windows):
        times = [START + (window * 6 + k) * HOUR for k in range(6)]
        weather = [host.weather(time) for time in times]
        mean = {name: np.mean([fields[name][mask] for fields in weather], axis=0) for name in weather[0]}
        fixed = PRESCRIBED if prescribed is None else prescribed[window]
        mean |= {name: np.full(mask.sum(), value) for name, value in fixed.items()}
        angles = np.empty((mask.sum(), len(derived)))
        derived_forcing(host.latitude[mask], host.longitude[mask], times[0], 21600.0, derived, angles)
        mean |= dict(zip(derived, angles.T, strict=True))
        if not before:
            earlier = np.empty_like(angles)
            derived_forcing(host.latitude[mask], host.longitude[mask], times[0] - 6 * HOUR, 21600.0, derived, earlier)
            before = mean | dict(zip(derived, earlier.T, strict=True))
        mean |= {name: before[of] for name, of in previous.items()}
        forcing = np.stack([mean[variable.name] for variable in model.forcing], axis=1)
        state, diagnostics = emulator.step(static, forcing, state)
        before = mean
    return state, diagnostics
