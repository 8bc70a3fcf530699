"""Small files of the layouts of satellites' brightness temperatures, for tests."""

from __future__ import annotations

import netCDF4
import numpy as np
from examples.satellite.make_smap import write_half_orbit

EPOCH = np.datetime64("2000-01-01T11:58:55.816")
#: WGS 84 and the global EASE-Grid 2.0, written down here once more: Brodzik et al. 2012.
_RADIUS, _E = 6378.137, 0.081819190843
_K0 = np.cos(np.deg2rad(30.0)) / np.sqrt(1.0 - (_E * 0.5) ** 2)
_LATITUDES = np.linspace(-89.0, 89.0, 20_001)


def ease_y(latitude):
    """km north of the equator."""
    sine = np.sin(np.deg2rad(latitude))
    q = (1 - _E**2) * (sine / (1 - _E**2 * sine**2) - np.log((1 - _E * sine) / (1 + _E * sine)) / (2 * _E))
    return _RADIUS * q / (2 * _K0)


def latitude_of(y):
    """Of km north of the equator, degrees."""
    return np.interp(y, ease_y(_LATITUDES), _LATITUDES)


def cells_of(latitude, longitude, spacing=36.03222):
    """Row, latitude and longitude of the cells that locations (degrees) lie in."""
    width = np.rad2deg(spacing / (_RADIUS * _K0))
    row = np.floor((7314.54083 - ease_y(np.asarray(latitude))) / spacing)
    column = np.floor((np.asarray(longitude) + 180.0) / width)
    return row, latitude_of(7314.54083 - (row + 0.5) * spacing), (column + 0.5) * width - 180.0


def seconds_of(times):
    """Since J2000."""
    return (np.asarray(times, dtype="datetime64[ms]") - EPOCH) / np.timedelta64(1, "s")


def write_smap(path, row, latitude, longitude, times, tbh, tbv, group="Global_Projection", mode="w", **changes):
    """SMAP L1C_TB: a look fore, and the same aft 3 minutes later; ``changes``: name in the file -> values."""
    n = len(latitude)
    fields = {"cell_lat": latitude, "cell_lon": longitude, "cell_row": row}
    for look, later in (("fore", 0.0), ("aft", 180.0)):
        for letter, values in (("h", tbh), ("v", tbv)):
            fields[f"cell_tb_{letter}_{look}"] = values
            fields[f"cell_tb_error_{letter}_{look}"] = np.full(n, 1.2)
            fields[f"cell_tb_qual_flag_{letter}_{look}"] = np.zeros(n, dtype=np.uint16)
        fields[f"cell_tb_time_seconds_{look}"] = seconds_of(times) + later
        fields[f"cell_boresight_incidence_{look}"] = np.full(n, 40.02)
    fields |= changes
    write_half_orbit(path, {name: values for name, values in fields.items() if values is not None}, group, mode)
    return path


def write_smos(path, latitude, longitude, times, tbh, tbv, angles=(375, 400, 425), **changes):
    """SMOS L3TB: axes (n_lat,), (n_lon,), fields (n_lat, n_lon); each class is 10 K warmer than that before."""
    with netCDF4.Dataset(path, "w") as file:
        for name, axis in (("lat", latitude), ("lon", longitude)):
            file.createDimension(name, len(axis))
            file.createVariable(name, "f4", (name,))[:] = axis
        since = np.asarray(times, dtype="datetime64[us]") - np.datetime64("2000-01-01")
        days = since // np.timedelta64(1, "D")
        rest = (since - days * np.timedelta64(1, "D")).astype(np.int64)
        shape = np.asarray(tbh).shape
        for k, angle in enumerate(angles):
            fields = {
                "BT_H": (np.asarray(tbh) + 10.0 * k, "i2", -32768, 0.0061037018951994385, 200.0, "K"),
                "BT_V": (np.asarray(tbv) + 10.0 * k, "i2", -32768, 0.0061037018951994385, 200.0, "K"),
                "Pixel_Radiometric_Accuracy_H": (np.full(shape, 2.5), "i2", -32768, 7.629627368999298e-4, 25.0, "K"),
                "Pixel_Radiometric_Accuracy_V": (np.full(shape, 2.5), "i2", -32768, 7.629627368999298e-4, 25.0, "K"),
                "Incidence_Angle": (np.full(shape, angle / 10.0), "i2", -32768, 0.0013733329264198346, 45.0, "deg"),
                "Nb_RFI_Flags": (np.zeros(shape), "i2", -32768, 1.0, 0.0, "NA"),
                "Days": (days, "i4", -2147483647, 1.0, 0.0, "days"),
                "UTC_Seconds": (rest // 1_000_000, "i4", -2147483647, 1.0, 0.0, "s"),
                "UTC_Microseconds": (rest % 1_000_000, "i4", -2147483647, 1.0, 0.0, "10-6s"),
            }
            for name, (values, kind, fill, scale, offset, units) in fields.items():
                variable = file.createVariable(f"{name}_{angle:03d}", kind, ("lat", "lon"), fill_value=fill)
                variable.setncatts(
                    {"units": units} | ({"scale_factor": scale, "add_offset": offset} if scale != 1.0 else {})
                )
                variable[:] = changes.get(f"{name}_{angle:03d}", values)
    return path
