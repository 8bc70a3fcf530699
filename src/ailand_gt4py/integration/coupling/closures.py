"""The coupling closures on the arrays of a land component (see `ailand_gt4py.stencils.physics.surface`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.types import Values
from ailand_gt4py.ecland import surface_tables as tables
from ailand_gt4py.ecland.snow import MIDDLE_DENSITY
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.lowering.calls.operator_call import OperatorCall, RepeatedCall
from ailand_gt4py.stencils.physics.surface import CLOSURE_NAMES, closure_program
from ailand_gt4py.stencils.physics.surface_tiles import Surface
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import units_of

#: Height above the ground, m, of the temperature, humidity and wind that ecLand and the emulator are forced with.
REFERENCE_HEIGHT = 10.0

#: Argument of the operator -> variable of the model; the catalogue has the units that it takes.
_VARIABLES: dict[str, str] = {
    "lake": "clim_clake",
    "town": "clim_cu",
    "high_cover": "clim_cvh",
    "low_cover": "clim_cvl",
    "high_density": "clim_veg_covh",
    "low_density": "clim_veg_covl",
    "high_roughness": "clim_veg_z0mh",
    "low_roughness": "clim_veg_z0ml",
    "field_capacity": "clim_theta_cap",
    "wilting_point": "clim_theta_pwp",
    "air_temperature": "met_tair",
    "humidity": "met_qair",
    "pressure": "met_psurf",
    "eastward_wind": "met_wind_e",
    "northward_wind": "met_wind_n",
    "longwave_down": "met_lwdown",
    "soil_water": "swvl1",
    "soil_temperature": "stl1",
    "snow_cover": "snowc",
    "snow_water": "sd",
    "snow_albedo": "asn",
    "snow_density": "rsn",
    "skin_temperature": "skt",
    "sensible_heat": "sshf",
    "latent_heat": "slhf",
}

#: Value of an argument where the model lacks its variable. The others are needed by a closure or it is not given.
_SUBSTITUTES: dict[str, float] = {
    "lake": 0.0,
    "town": 0.0,
    "snow_albedo": tables.MIDDLE_SNOW_ALBEDO,
    "background_albedo": -1.0,  # a climatology that is not known
    "snow_density": MIDDLE_DENSITY,
}

_HIGH_TYPE, _LOW_TYPE = "clim_tvh", "clim_tvl"
_SOIL = "soil under the vegetation"
#: Arguments looked up by type of vegetation.
_BY_TYPE: dict[str, tuple[str, Values]] = {
    "high_roughness_ratio": (_HIGH_TYPE, tables.ROUGHNESS_RATIO),
    "high_albedo": (_HIGH_TYPE, tables.VEGETATION_ALBEDO),
    "forest_snow_albedo": (_HIGH_TYPE, tables.FOREST_SNOW_ALBEDO),
    "low_roughness_ratio": (_LOW_TYPE, tables.ROUGHNESS_RATIO),
    "low_albedo": (_LOW_TYPE, tables.VEGETATION_ALBEDO),
    "wet_soil_albedo": (_SOIL, tables.SATURATED_SOIL_ALBEDO),
}

_COVERS = ("high_cover", "low_cover", "high_density", "low_density", "snow_cover")
_SURFACE = (*_COVERS, "soil_water", "soil_temperature")
_EMISSIVITY = (*_SURFACE, "field_capacity", "wilting_point")
_WIND = ("eastward_wind", "northward_wind")
_ROUGHNESS = (*_COVERS, "soil_temperature", "high_roughness", "low_roughness", "snow_water", *_WIND)
_AIR = ("air_temperature", "humidity", "pressure")
_STRESS = (*_ROUGHNESS, *_AIR, "skin_temperature", "sensible_heat", "latent_heat")
#: Arguments without which a closure cannot be given. Types of vegetation are needed by all.
_NEEDED: dict[str, tuple[str, ...]] = {
    "surface_albedo": _SURFACE,
    "surface_longwave_emissivity": _EMISSIVITY,
    "surface_upwelling_longwave_flux_in_air": (*_EMISSIVITY, "longwave_down", "skin_temperature"),
    "water_evapotranspiration_flux": (*_COVERS, "soil_temperature", "latent_heat"),
    "surface_roughness_length_for_momentum": _ROUGHNESS,
    "surface_roughness_length_for_heat": _ROUGHNESS,
    "surface_downward_eastward_stress": _STRESS,
    "surface_downward_northward_stress": _STRESS,
}


class SurfaceClosures:
    """Albedo, emissivity, long-wave radiation, evaporation, roughness and stress of land columns.

    Args:
        backend: ``embedded``, ``dace_cpu``, ``dace_gpu``, or a GT4Py backend, beside which the formulas run by embedded
            execution: they are needed once in a window, and as much text takes other backends minutes to compile.
        dtype: of the model's arrays, float32 or float64; the closures are computed in float64.
        reference_height: of the forcing's temperature, humidity and wind above the ground, m.
        background_albedo: (n_land,) climatology of the albedo without snow for diffuse radiation, on the device; None:
            from the types of vegetation.

    Attributes:
        outputs: names of what the model's variables suffice for. missing_outputs: name -> why it cannot be given.
    """

    def __init__(
        self,
        model: Model,
        n_land: int,
        backend: Any = "embedded",
        dtype: Any = np.float32,
        *,
        reference_height: float = REFERENCE_HEIGHT,
        background_albedo: Any = None,
    ) -> None:
        self._dtype, self._n_land = np.dtype(dtype), int(n_land)
        if self._dtype not in (np.float32, np.float64):
            raise InputError(f"type of the closures: found {self._dtype}, expected float32 or float64")
        if not 0.0 < reference_height < np.inf:
            raise InputError(f"reference height: found {reference_height} m, expected more than 0 m")
        self._device = backends.device_of(backend)
        self._xp = xp = arrays.array_module(self._device)
        self._groups = {name: getattr(model, name) for name in ("static", "forcing", "state", "diagnostics")}
        self._sources, problems = _sources(self._groups)
        self.missing_outputs: dict[str, str] = {}
        for output, arguments in _NEEDED.items():
            for variable in (*(_VARIABLES[argument] for argument in arguments), _HIGH_TYPE, _LOW_TYPE):
                if variable in problems:
                    self.missing_outputs.setdefault(output, problems[variable])
        self.outputs = tuple(name for name in _NEEDED if name not in self.missing_outputs)
        self._inputs = {name: xp.zeros(self._n_land) for name in Surface._fields}
        for name, value in (*_SUBSTITUTES.items(), ("reference_height", reference_height)):
            self._inputs[name][...] = value
        if background_albedo is not None:
            given = arrays.as_array(background_albedo, self._device, "background albedo")
            arrays.check(given, "background albedo", (self._n_land,), self._dtype)
            self._inputs["background_albedo"][...] = given
        self._results = {name: xp.zeros(self._n_land) for name in CLOSURE_NAMES}
        self._tables = {name: xp.asarray(table) for name, (_, table) in _BY_TYPE.items()}
        fields = {name: arrays.wrap(array, (Column,), name) for name, array in (self._inputs | self._results).items()}
        operator = OperatorCall(closure_program(), backends.for_columns(backend), "the coupling closures")
        self._call = RepeatedCall(operator, fields, {}, (), {})

    def __call__(self, static: Any, forcing: Any, state: Any, diagnostics: Any) -> dict[str, arrays.Array]:
        """Name -> (n_land,) float64 of each of ``outputs``, the same arrays in every call, NaN where an input is.

        Inputs are (n_land, n_features); forcing and stress are of the window, all else of its end.
        """
        results = {name: self._results[name] for name in self.outputs}
        if not results or not self._n_land:
            return results
        xp = self._xp
        given = {"static": static, "forcing": forcing, "state": state, "diagnostics": diagnostics}
        for name, group in self._groups.items():
            given[name] = arrays.as_array(given[name], self._device, name)
            arrays.check(given[name], name, (self._n_land, len(group)), self._dtype)
        values = {name: given[group][:, position] for name, (group, position, _) in self._sources.items()}
        for name, variable in _VARIABLES.items():
            if variable in values:
                xp.multiply(values[variable], self._sources[variable][2], out=self._inputs[name])
        types = {
            name: xp.clip(xp.rint(xp.nan_to_num(values[name])), 0, tables.N_TYPES - 1).astype(np.int32)
            for name in (_HIGH_TYPE, _LOW_TYPE)
        }
        # A column without low vegetation has the soil under its high vegetation; without either, that of a desert.
        types[_SOIL] = xp.where(types[_LOW_TYPE] > 0, types[_LOW_TYPE], types[_HIGH_TYPE])
        for name, (kind, _) in _BY_TYPE.items():
            self._inputs[name][...] = self._tables[name][types[kind]]
        self._call([])
        return results


def _sources(groups: Mapping[str, Sequence[Variable]]) -> tuple[dict[str, tuple[str, int, float]], dict[str, str]]:
    """Variable -> its array, its position there, and the factor that brings it to the closures' units, or why not."""
    known = {one.name: (kind, k, one.units) for kind, group in groups.items() for k, one in enumerate(group)}
    sources, problems = {}, {}
    for name, units in units_of(*_VARIABLES.values(), _HIGH_TYPE, _LOW_TYPE).items():
        kind, position, found = known.get(name, ("", 0, ""))
        if not kind:
            problems[name] = f"the model has no variable '{name}'"
        elif found == units or (found, units) == ("%", "1"):
            sources[name] = kind, position, 1.0 if found == units else 0.01
        else:
            problems[name] = f"the model has '{name}' in '{found}', expected '{units}'"
    return sources, problems
