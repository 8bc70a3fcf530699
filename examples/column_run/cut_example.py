"""Cut the example of `ailand-column-run` out of the project's ecLand runs.

    python cut_example.py ecland_synth_6h_holdout.nc [ecland_columns.nc]

The source is the hold-out file of this project's ecLand runs on synthetic weather, so nothing in the example was
trained on. It is not part of the repository; the file made from it, ``ecland_columns.nc``, is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr

from ailand_gt4py.io.derive import DERIVATIONS, sentences
from ailand_gt4py.weights.variables import cf_attributes, of_kind

#: Label of the column in the source (coordinate x) -> why it is in the example.
COLUMNS = {
    475: "temperate oceanic, western Germany",
    132: "temperate continental with a snow season, Ukraine",
    660: "boreal, half the year under snow, Karelia",
    187: "hot semi-arid, Botswana",
    56: "tropical wet, between Sumatra and Borneo",
}

#: First and last label: all three years, so that a day-of-year climatology of other years can be had.
FIRST, LAST = "2020-01-01T00:00", "2022-12-31T18:00"

#: What the default model reads, predicts and is compared with, and what tells the reader where the columns are.
STATIC = (
    "region",
    "climate",
    "clim_clake",
    "clim_ctype",
    "clim_cu",
    "clim_cvh",
    "clim_cvl",
    "clim_tvh",
    "clim_tvl",
    "clim_sotype",
    "clim_geopot",
    "clim_sdor",
    "clim_theta_cap",
    "clim_theta_pwp",
    "clim_theta_sat",
    "clim_veg_covh",
    "clim_veg_covl",
    "clim_veg_z0mh",
    "clim_veg_z0ml",
    "clim_veg_rsminh",
    "clim_veg_rsminl",
)
STATE = (
    "swvl1",
    "swvl2",
    "swvl3",
    "stl1",
    "stl2",
    "stl3",
    "snowc",
    "sd",
    "rsn",
    "tsn",
    "asn",
    "swvl4",
    "stl4",
    "src",
)
DIAGNOSTICS = ("t2m", "d2m", "skt", "sshf", "slhf", "ssr", "str", "e", "sro", "ssro")
#: What it reads and the runs' files lack, since the type of soil tells it; so that the file alone is the whole input.
DERIVED = ("clim_log_ksat", "clim_connectivity")
FORCING = (
    "met_ctpf",
    "met_lwdown",
    "met_psurf",
    "met_qair",
    "met_rainf",
    "met_snowf",
    "met_swdown",
    "met_tair",
    "met_wind_e",
    "met_wind_n",
    "lai_hv",
    "lai_lv",
)


def cut(source: xr.Dataset) -> xr.Dataset:
    """The example's columns, times and variables, attributes kept.

    Args:
        source: the hold-out file, times decoded.

    Returns:
        The example; provenance is in its global attributes.
    """
    example = source[[*STATIC, *STATE, *DIAGNOSTICS, *FORCING]].sel(x=list(COLUMNS), time=slice(FIRST, LAST))
    types = {"clim_sotype": example["clim_sotype"].values}
    for name in DERIVED:
        values = DERIVATIONS[name].function(types, "source").astype(np.float32)
        example[name] = ("x", values, cf_attributes(of_kind("static")[name]))
    example.attrs = {
        "Conventions": "CF-1.10",
        "title": "ecLand on five columns, three years: forcing and reference for ailand-column-run",
        "institution": source.attrs["institution"],
        "source": source.attrs["source"],
        "comment": source.attrs["comment"],
        "time_convention": source.attrs["time_convention"],
        "references": source.attrs["references"],
        "history": f"{source.attrs['history']}; cut by examples/column_run/cut_example.py from the hold-out columns "
        f"(seen neither in training nor in validation): "
        + "; ".join(f"x = {label}: {reason}" for label, reason in COLUMNS.items())
        + ". "
        + " ".join(sentences((DERIVATIONS[name] for name in DERIVED), "Not in the runs' files")),
        "license": "Apache-2.0",
    }
    for name in example.variables:
        variable = example[name]
        # Text is stored with the length of each string; the source's compression and chunks do not suit the part.
        variable.encoding = {} if variable.dtype.kind in "UO" else {"zlib": True, "complevel": 9, "shuffle": True}
        if variable.dtype == np.float32:
            variable.encoding |= {"_FillValue": np.float32(np.nan)}
    example["time"].encoding |= {"units": "hours since 2020-01-01", "calendar": "standard", "dtype": "int32"}
    return example


def main() -> None:
    """Read the command line, write the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="hold-out file of the project's ecLand runs")
    parser.add_argument("output", type=Path, nargs="?", default=Path(__file__).with_name("ecland_columns.nc"))
    options = parser.parse_args()
    with xr.open_dataset(options.source) as source:
        cut(source).to_netcdf(options.output, engine="netcdf4", format="NETCDF4")
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
