"""The catalogue of variables: each quantity once, complete, and looked up by all who name one."""

import dataclasses
import math
import typing

import numpy as np
import pydantic
import pytest
import xarray as xr

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.ecland.soil_tables import SOILS
from ailand_gt4py.evaluation.fields import UNITS
from ailand_gt4py.evaluation.ranges import CHECKS
from ailand_gt4py.integration.outputs import PREDICTED, catalogued, predicted
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.derive import ALTERNATIVES, DERIVATIONS
from ailand_gt4py.io.first_guess import FIRST_GUESSES
from ailand_gt4py.io.units import conversion
from ailand_gt4py.weights.variables import CATALOGUE, DEFAULT, Specification, cf_attributes, choose, of_kind


@pytest.mark.parametrize("name", CATALOGUE)
def test_entry_is_complete(name: str) -> None:
    entry = CATALOGUE[name]
    assert (entry.name, bool(entry.long_name)) == (name, True)
    conversion(entry.units, entry.units, name)  # a unit that files may have
    low, high = entry.valid_range
    assert low < high
    assert entry.lower_bound < entry.upper_bound
    assert set(cf_attributes(entry)) >= {"long_name", "units"}


def test_types_of_an_entry_are_as_declared() -> None:
    hints = typing.get_type_hints(Specification)
    for entry in CATALOGUE.values():
        pydantic.TypeAdapter(Specification).validate_python(dataclasses.asdict(entry), strict=False)
        assert entry.time_meaning in typing.get_args(hints["time_meaning"])
        assert entry.method in typing.get_args(hints["method"])


def test_meaning_in_time_by_kind() -> None:
    assert {entry.time_meaning for entry in of_kind("static").values()} == {"static"}
    assert {entry.time_meaning for entry in of_kind("state").values()} == {"window start"}
    # What operators give at the end of a window, and what towers observe as a mean over it.
    assert {entry.time_meaning for entry in of_kind("observable").values()} == {"window end", "window mean"}


def test_default_choice_is_that_of_the_entries() -> None:
    assert choose() == DEFAULT
    assert "smlt" not in {entry.name for entry in DEFAULT.diagnostics}
    assert [entry.name for entry in choose(diagnostics=["smlt"]).diagnostics] == ["smlt"]


def test_a_diagnostic_is_known_to_ranges_budgets_and_component_by_its_entry_alone() -> None:
    checked = {check.needs[0] for check in CHECKS}
    for name, entry in {**of_kind("state"), **of_kind("diagnostic")}.items():
        assert UNITS[name] == entry.units
        assert (name in checked) == any(map(math.isfinite, entry.valid_range))
    given = {entry.component_name: entry for entry in PREDICTED}
    assert {entry.name for entry in PREDICTED} == {name for name, entry in CATALOGUE.items() if entry.component_name}
    upward = given["surface_upward_latent_heat_flux"]
    assert upward.component_factor == -1.0
    assert predicted(upward)["standard_name"] == "surface_upward_latent_heat_flux"
    assert predicted(upward)["long_name"] == "latent heat flux, positive upward"
    assert catalogued("surface_albedo", "closure")["standard_name"] == "surface_albedo"


def test_what_is_derived_and_guessed_is_in_the_catalogue() -> None:
    for derivation in (*DERIVATIONS.values(), *ALTERNATIVES.values(), *FIRST_GUESSES.values()):
        assert {derivation.name, *derivation.needs} <= set(CATALOGUE)


def test_no_model_takes_an_ingredient() -> None:
    assert "met_dewpoint" in of_kind("ingredient")
    with pytest.raises(InputError, match="'met_dewpoint' is unknown"):
        choose(forcing=["met_tair", "met_dewpoint"])


def test_bounds_of_soil_water_are_those_of_soils() -> None:
    largest = max(soil.saturation for soil in SOILS.values())
    assert {CATALOGUE[f"swvl{layer}"].valid_range for layer in (1, 2, 3, 4)} == {(0.0, largest)}


def test_files_answer_to_aliases(tmp_path) -> None:
    path = tmp_path / "columns.nc"
    field = (("x",), np.array([100.0, 200.0]), {"units": "m"})
    xr.Dataset({"surface_altitude": field}, {"time": ("time", [0.0])}).to_netcdf(path)
    with ColumnFile(path) as file:
        assert file.find("clim_orog") == "surface_altitude"
        assert file.find("clim_sdor") is None
