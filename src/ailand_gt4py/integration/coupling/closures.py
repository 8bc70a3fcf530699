"""The coupling closures on the arrays of a land component (see `ailand_gt4py.stencils.physics.surface`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ailand_gt4py.core import arrays
from ailand_gt4py.core.dimensions import Column
from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland import surface_tables as tables
from ailand_gt4py.ecland.snow import MIDDLE_DENSITY
from ailand_gt4py.integration.properties import catalogued
from ailand_gt4py.lowering.calls import backends
from ailand_gt4py.lowering.calls.operator_call import OperatorCall, RepeatedCall
from ailand_gt4py.stencils.physics.surface import CLOSURE_NAMES, closure_program
from ailand_gt4py.stencils.physics.surface_tiles import Surface
from ailand_gt4py.weights.model import Model, Variable
from ailand_gt4py.weights.variables import units_of

#: Height above the ground, m, of the temperature, humidity and wind that ecLand and the emulator are forced with.
REFERENCE_HEIGHT = 10.0
#: Marks a climatology that is not known.
_UNKNOWN = -1.0

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
    "background_albedo": _UNKNOWN,
    "snow_density": MIDDLE_DENSITY,
}

#: Arguments looked up by type of vegetation: high vegetation, low vegetation.
_BY_HIGH_TYPE = {
    "high_roughness_ratio": tables.ROUGHNESS_RATIO,
    "high_albedo": tables.VEGETATION_ALBEDO,
    "forest_snow_albedo": tables.FOREST_SNOW_ALBEDO,
}
_BY_LOW_TYPE = {"low_roughness_ratio": tables.ROUGHNESS_RATIO, "low_albedo": tables.VEGETATION_ALBEDO}
_HIGH_TYPE, _LOW_TYPE = "clim_tvh", "clim_tvl"

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
        model: its variables are known by name; those it lacks decide what can be given.
        n_land: number of columns, may be 0.
        backend: ``embedded``, ``dace_cpu``, ``dace_gpu``, or a GT4Py backend, beside which the formulas run by embedded
            execution: they are needed once in a window, and as much text takes other backends minutes to compile.
        dtype: of the model's arrays, float32 or float64; the closures are computed in float64.
        reference_height: of the forcing's temperature, humidity and wind above the ground, m.
        background_albedo: (n_land,) climatology of the albedo without snow for diffuse radiation, on the device; None:
            from the types of vegetation. It may be written to between calls.

    Attributes:
        outputs: what is given, in order. missing_outputs: name -> why it cannot be given.

    Raises:
        InputError: another type, a height that is not positive, or a climatology of another shape,
            type or device.
        RunError: the device cannot be had.
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
        self._dtype = np.dtype(dtype)
        if self._dtype not in (np.float32, np.float64):
            raise InputError(f"type of the closures: found {self._dtype}, expected float32 or float64")
        if not 0.0 < reference_height < np.inf:
            raise InputError(f"reference height: found {reference_height} m, expected more than 0 m")
        self._device = backends.device_of(backend)
        self._xp = arrays.array_module(self._device)
        self._n_land = int(n_land)
        self._groups = {name: getattr(model, name) for name in ("static", "forcing", "state", "diagnostics")}
        self._positions = _positions(self._groups)
        reasons = {name: self._reason(needed) for name, needed in _NEEDED.items()}
        self.missing_outputs = {name: reason for name, reason in reasons.items() if reason}
        self.outputs = tuple(catalogued(name, "closure") for name in _NEEDED if name not in self.missing_outputs)
        self._inputs = {name: self._xp.zeros(self._n_land, dtype=np.float64) for name in Surface._fields}
        for name, value in (*_SUBSTITUTES.items(), ("reference_height", reference_height)):
            self._inputs[name][...] = value
        self._background_albedo: arrays.Array = None
        if background_albedo is not None:
            given = arrays.as_array(background_albedo, self._device, "background albedo")
            arrays.check(given, "background albedo", (self._n_land,), self._dtype)
            self._background_albedo = given
        self._results = {name: self._xp.zeros(self._n_land, dtype=np.float64) for name in CLOSURE_NAMES}
        self._tables = {
            name: self._xp.asarray(table) for name, table in (*_BY_HIGH_TYPE.items(), *_BY_LOW_TYPE.items())
        }
        self._soil_table = self._xp.asarray(tables.SATURATED_SOIL_ALBEDO)
        self._call = self._program_call(backend) if self._n_land else None

    def _program_call(self, backend: Any) -> RepeatedCall:
        """The program on this object's own arrays."""
        compiled = isinstance(backend, str) and backend != "embedded"
        of_columns = backends.column_backend(self._device == "cuda") if compiled else None
        fields = {name: arrays.wrap(array, (Column,), name) for name, array in (self._inputs | self._results).items()}
        return RepeatedCall(OperatorCall(closure_program(), of_columns, "the coupling closures"), fields, {}, (), {})

    def __call__(self, static: Any, forcing: Any, state: Any, diagnostics: Any) -> dict[str, arrays.Array]:
        """The closures for the model's inputs and results.

        Args:
            static, forcing, state, diagnostics: (n_land, n_features) in the model's order and units, on the device, of
                the closures' type: forcing as means over the window, state and diagnostics at its end.

        Returns:
            Name -> (n_land,) float64, for each of ``outputs``: the same arrays in every call. Stress stands for the
            window, the rest for its end. Where an input is NaN, so is what depends on it.

        Raises:
            InputError: an array of another shape, type or device.
        """
        results = {output.name: self._results[output.name] for output in self.outputs}
        if not results or self._call is None:
            return results
        given = {"static": static, "forcing": forcing, "state": state, "diagnostics": diagnostics}
        for name, group in self._groups.items():
            given[name] = arrays.as_array(given[name], self._device, name)
            arrays.check(given[name], name, (self._n_land, len(group)), self._dtype)
        for name, variable in _VARIABLES.items():
            if variable in self._positions:
                kind, position, factor = self._positions[variable]
                self._xp.multiply(given[kind][:, position], factor, out=self._inputs[name])
        if self._background_albedo is not None:
            self._inputs["background_albedo"][...] = self._background_albedo
        self._look_up(given)
        self._call([])
        return results

    def _look_up(self, given: Mapping[str, arrays.Array]) -> None:
        """Values by type of vegetation, into own buffers."""
        types = []
        for variable in (_HIGH_TYPE, _LOW_TYPE):
            group, position, _ = self._positions[variable]
            rounded = self._xp.rint(self._xp.nan_to_num(given[group][:, position]))
            types.append(self._xp.clip(rounded, 0, tables.N_TYPES - 1).astype(np.int32))
        high, low = types
        for names, numbers in ((_BY_HIGH_TYPE, high), (_BY_LOW_TYPE, low)):
            for name in names:
                self._inputs[name][...] = self._tables[name][numbers]
        # A column without low vegetation has the soil under its high vegetation; without either, that of a desert.
        self._inputs["wet_soil_albedo"][...] = self._soil_table[self._xp.where(low > 0, low, high)]

    def _reason(self, needed: Sequence[str]) -> str:
        """Why a closure cannot be given; empty where it can."""
        known = {variable.name: variable for group in self._groups.values() for variable in group}
        wanted = [*(_VARIABLES[argument] for argument in needed), _HIGH_TYPE, _LOW_TYPE]
        for name, units in units_of(*wanted).items():
            if name not in known:
                return f"the model has no variable '{name}'"
            if name not in self._positions:
                return f"the model has '{name}' in '{known[name].units}', expected '{units}'"
        return ""


def _positions(groups: Mapping[str, Sequence[Variable]]) -> dict[str, tuple[str, int, float]]:
    """Variable -> its array, its position there, and the factor that brings it to the closures' units."""
    units = units_of(*_VARIABLES.values(), _HIGH_TYPE, _LOW_TYPE)
    result = {}
    for kind, group in groups.items():
        for position, variable in enumerate(group):
            if variable.units == units.get(variable.name):
                result[variable.name] = (kind, position, 1.0)
            elif variable.name in units and (variable.units, units[variable.name]) == ("%", "1"):
                result[variable.name] = (kind, position, 0.01)
    return result
