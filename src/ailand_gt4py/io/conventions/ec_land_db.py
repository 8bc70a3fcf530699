"""ec-land-db: the layout whose names this package uses, and its public store."""

from __future__ import annotations

import dataclasses

import xarray as xr

from ailand_gt4py.io.conventions import CONVENTIONS, Convention

#: The store writes ``-`` for the standard deviations of orography; the same fields are in metres in ecLand's
#: documentation and in its other files.
LAYOUT = CONVENTIONS.add(
    Convention("ec-land-db's layout", None, units={"clim_sdor": ("-", "m"), "clim_sdfor": ("-", "m")})
)


def is_public_store(dataset: xr.Dataset) -> bool:
    """Whether attributes are ec-land-db's public store's, and no cell_methods say otherwise."""
    moisture = [variable.attrs for name, variable in dataset.variables.items() if str(name).lower() == "swvl1"]
    return (
        len(moisture) == 1
        and str(dataset.attrs.get("SOURCE", "")).strip() == "ECMWF"
        and "from grib files" in str(dataset.attrs.get("CONVERTED", ""))
        and "GRIB_paramId" in moisture[0]
        and "cell_methods" not in moisture[0]
    )


STORE = CONVENTIONS.add(
    dataclasses.replace(
        LAYOUT,
        name="ec-land-db's public store",
        recognises=is_public_store,
        time_labels=(
            "Time labels: recognised as ec-land-db's public store, whose meteorological forcing at label t is the mean "
            "over [t - 1 h, t + 5 h) and whose states are means of the hourly values from t to t + 5 h; the model "
            "takes forcing as the mean over [t, t + {window}) and states as values at t. Used as they are, without "
            "shift."
        ),
    )
)
