"""The model file: one self-describing netCDF-4 file per model.

Layout, format version 1 (everything in the root group, so that ``xarray.open_dataset`` shows all of it):

* global attributes ``Conventions``, ``title``, ``comment``, ``format``, ``format_version``,
  ``architecture``, ``step_seconds``, ``normalised_space`` (0 or 1), ``provenance_<key>`` and ``checksum``;
* for each group of variables (dimensions ``static``, ``forcing``, ``state``, ``diagnostics``, in the network's order)
  the coordinate ``<group>`` with the names, and ``<group>_<attribute>`` for what is known of them: the columns
  of `schema`. NaN stands for an unknown statistic, infinity for no bound;
* of a point-wise network also the attributes ``point_wise`` and ``boundings``, in JSON, with what `PointWise` and
  `Bounding` of `processing` say; of one that is tied to its columns ``node_latitude``, ``node_longitude`` (dimension
  ``node``) and ``node_trainable`` (``node``, ``node_number``);
* where it is known how the state of the training columns varies, ``state_changes`` (``state_lag``,
  ``prognostic_state``) and ``state_anomalies`` (``prognostic_state``): `Variability` of `processing`;
* each parameter ``<block>.<layer>.<kind>`` as the array ``<block>_<layer>_<kind>``, whose attribute
  ``parameter_name`` holds the full name, in the type of the model (float32 or float64), bit for bit.

``checksum`` is the SHA-256 of the model's contents (`schema.checksum`), not of the file's bytes: it survives a rewrite
by other netCDF tools, and breaks when a name, a statistic or a weight changes. Nothing in the file is ever executed.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.resources
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import netCDF4
import numpy as np

from ailand_gt4py.core.errors import InputError, RunError, reason
from ailand_gt4py.core.files import whole_file
from ailand_gt4py.core.matrices import for_products
from ailand_gt4py.core.trial import require_data, try_netcdf
from ailand_gt4py.weights import architectures, schema
from ailand_gt4py.weights.model import Model, Normalisation, Variable
from ailand_gt4py.weights.processing import Bounding, Nodes, PointWise, Variability
from ailand_gt4py.weights.typical_step import check_step

#: Name of the model that ships in this package.
DEFAULT_MODEL = "default_model.nc"

_PROVENANCE_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}", re.ASCII)
_LAYER_MEANING = {
    "weight": "weights, (outputs, inputs)",
    "bias": "bias, added after the weights",
    "gain": "scale after the layer normalisation",
    "offset": "shift after the layer normalisation and its scale",
    "weight_out": "weights of the second linear layer, (outputs, inputs)",
    "bias_out": "bias of the second linear layer, added after its weights",
}
Arrays = TypeVar("Arrays", Nodes, Variability)
#: Attribute -> name, dimensions and meaning of the array that holds it.
Described: TypeAlias = Mapping[str, tuple[str, tuple[str, ...], str]]
_NODES: Described = {
    "latitudes": ("node_latitude", ("node",), "latitude of each column that the network is tied to, degrees north"),
    "longitudes": ("node_longitude", ("node",), "longitude of each column that the network is tied to, degrees east"),
    "trainable": ("node_trainable", ("node", "node_number"), "trained numbers of each column"),
}


_VARIABILITY: Described = {
    "changes": (
        "state_changes",
        ("state_lag", "prognostic_state"),
        "root mean square of the changes over 1, 2, 4, ... steps, in the variables' units",
    ),
    "anomalies": (
        "state_anomalies",
        ("prognostic_state",),
        "standard deviation about each column's day-of-year climatology, in the variables' units",
    ),
}


def write_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file, completely or not at all; an existing file of that name is replaced.

    Raises:
        InputError: a path that cannot be written, or a text of the model that cannot be stored.
        RunError: writing failed (disk full).
    """
    target = Path(path)
    _check_texts(model)
    with _encoded(model) as composed:
        if target.is_dir():
            raise InputError(f"{target}: cannot be written: found a directory, expected a file name")
        with whole_file(target, "writing the model file") as temporary:
            shutil.copyfile(composed, temporary)


def read_model(path: str | os.PathLike[str] | None = None) -> Model:
    """Read a model file and verify it.

    Args:
        path: the file; None: the default model in the package.

    Raises:
        InputError: a missing, truncated or corrupt file, an unknown format, missing contents or wrong shapes, a
            checksum that does not match the contents, or a network whose results are not finite (`typical_step`).
    """
    model, stored = _read(path)
    actual = schema.checksum(model)
    if stored != actual:
        raise InputError(
            f"model file '{_label(path)}': attribute 'checksum': found {_shown(stored)}, expected '{actual}' for the "
            "contents read; the file was changed or damaged after it was written"
        )
    try:
        check_step(model)
    except InputError as error:
        raise InputError(f"model file '{_label(path)}': {error}") from error
    return model


def stored_checksum(path: str | os.PathLike[str]) -> str:
    """The checksum that a model file carries, whether or not it fits the contents, which are not read."""
    with _opened(path, whole=False) as dataset:
        return _text(_attributes(dataset), "checksum")


def _check_texts(model: Model) -> None:
    """Refuse what netCDF cannot hold: texts with NUL or half a surrogate pair, keys that are no attribute names."""
    keys = ("name", *schema.TEXT_COLUMNS)
    texts = {f"{key} of variable '{one.name}'": schema.row(one)[key] for one in model.variables for key in keys}
    texts |= {f"provenance '{key}'": text for key, text in model.provenance.items()}
    for what, text in texts.items():
        if not isinstance(text, str) or "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError(f"{_one_line(what)}: found {_shown(text)}, expected text without NUL or lone surrogates")
    for key in model.provenance:
        if not _PROVENANCE_KEY.fullmatch(key):
            raise InputError(
                f"provenance key {_shown(key)} is not usable; expected a letter, then up to 99 letters, digits or '_'"
            )


@contextlib.contextmanager
def _encoded(model: Model) -> Iterator[Path]:
    """The model file, which netCDF writes to a scratch directory.

    Its errors do not say why writing failed, and a full disk may leave it in disorder; ordinary file calls have
    neither fault.
    """
    with tempfile.TemporaryDirectory(prefix="ailand_model_") as directory:
        scratch = Path(directory, "model.nc")
        try:
            with netCDF4.Dataset(scratch, mode="w", format="NETCDF4") as dataset:
                _encode_model(dataset, model)
        except (OSError, RuntimeError) as error:
            raise RunError(
                f"composing the model file in the scratch directory '{tempfile.gettempdir()}' failed: "
                f"{_one_line(error)}; expected room for it there (TMPDIR names another directory)"
            ) from error
        yield scratch


def _encode_model(dataset: netCDF4.Dataset, model: Model) -> None:
    space = (
        "Inputs and outputs are normalised numbers: no statistics are known, nothing is in physical units."
        if model.normalised_space
        else "The network sees (value - shift) / scale of each variable; method and statistics are in the tables."
    )
    attributes = {
        "Conventions": "CF-1.11",
        "title": f"aiLand land-surface emulator, network '{model.architecture}'",
        "comment": space,
        "format": schema.FORMAT_NAME,
        "architecture": model.architecture,
        "checksum": schema.checksum(model),
        **(schema.point_wise_texts(model) if model.point_wise is not None else {}),
        **{f"provenance_{key}": text for key, text in model.provenance.items()},
    }
    for key, text in attributes.items():
        dataset.setncattr_string(key, text)
    dataset.setncattr("format_version", np.int32(schema.FORMAT_VERSION))
    dataset.setncattr("step_seconds", np.float64(model.step_seconds))
    dataset.setncattr("normalised_space", np.int32(model.normalised_space))
    for group in schema.GROUPS:
        rows = [schema.row(variable) for variable in getattr(model, group)]
        # A group without variables gets netCDF's dimension of length 0, which is an unlimited one.
        dataset.createDimension(group, len(rows))
        for key, meaning in {"name": f"names of the {group} variables, in order", **schema.COLUMNS}.items():
            values = np.array([one[key] for one in rows], dtype=np.float64 if key in schema.NUMBER_COLUMNS else object)
            _add(dataset, _column(group, key), values, (group,), long_name=meaning)
    for name, array in model.parameters.items():
        _encode_parameter(dataset, model, name, array)
    for arrays, described in ((model.nodes, _NODES), (model.variability, _VARIABILITY)):
        for key, (name, dimensions, meaning) in described.items() if arrays is not None else ():
            values = np.asarray(getattr(arrays, key))
            _create_dimensions(dataset, dimensions, values.shape)
            _add(dataset, name, values, dimensions, long_name=meaning)


def _add(dataset: netCDF4.Dataset, name: str, values: np.ndarray, dimensions: Sequence[str], **texts: str) -> None:
    kind = str if values.dtype == object else values.dtype.newbyteorder("=")
    variable = dataset.createVariable(name, kind, dimensions)
    for key, text in texts.items():
        variable.setncattr_string(key, text)
    if values.size:
        variable[...] = values


def _column(group: str, key: str) -> str:
    """Name of the array that holds one column of a group's table; the names themselves are the coordinate."""
    return group if key == "name" else f"{group}_{key}"


def _encode_parameter(dataset: netCDF4.Dataset, model: Model, name: str, array: np.ndarray) -> None:
    block, layer, kind = name.split(".")
    of_model = _point_wise_dimensions if model.architecture == architectures.POINT_WISE else _dimensions
    dimensions = of_model(model, block, int(layer), kind)
    _create_dimensions(dataset, dimensions, array.shape)
    meaning = f"block '{block}', layer {layer}: {_LAYER_MEANING[kind]}"
    _add(dataset, name.replace(".", "_"), array, dimensions, parameter_name=name, long_name=meaning)


def _create_dimensions(dataset: netCDF4.Dataset, dimensions: Sequence[str], shape: Sequence[int]) -> None:
    for dimension, size in zip(dimensions, shape, strict=True):
        if dimension not in dataset.dimensions:
            dataset.createDimension(dimension, size)


def _dimensions(model: Model, block: str, layer: int, kind: str) -> list[str]:
    """Of a parameter's array: heads have the dimensions of the variables, hidden layers ``<block>_<layer>``."""
    definition = architectures.find(model.architecture).blocks[block]

    def last(name: str) -> int:
        return architectures.layer_count(model.parameters, name) - 1

    is_head = bool(definition.output) and layer == last(block)
    dimensions = [definition.output if is_head else f"{block}_{layer}"]
    if kind == "weight":
        sources = (*definition.of_variables, *(f"{source}_{last(source)}" for source in definition.of_blocks))
        dimensions.append(f"{block}_{layer - 1}" if layer else "_".join(sources))
    return dimensions


def _point_wise_dimensions(model: Model, block: str, layer: int, kind: str) -> list[str]:
    """Of a parameter's array: the encoder's width is ``encoder_0``, which blocks and decoder take."""
    channels, hidden = "encoder_0", f"processor_{layer}"
    match block, kind:
        case "encoder", _:
            dimensions = [channels, "static_forcing_state"]
        case "decoder", ("gain" | "offset"):
            dimensions = [channels]
        case "decoder", _:
            dimensions = ["results", channels]
        case _:
            dimensions = [channels, hidden] if kind.endswith("_out") else [hidden, channels]
    return dimensions if kind.startswith("weight") else dimensions[:1]


def _label(path: str | os.PathLike[str] | None) -> str:
    return f"{DEFAULT_MODEL} of the package" if path is None else os.fspath(path)


def _shown(value: object) -> str:
    """A value in a message: one line, not long."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str] | None, *, whole: bool) -> Iterator[netCDF4.Dataset]:
    """A model file that a trial has read, the whole of it or some; what it lacks or holds is said with its name."""
    label = _label(path)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_default()) if path is None else Path(path).absolute()
        try:
            size = require_data(file)
        except FileNotFoundError as error:
            raise InputError(f"model file '{label}' does not exist") from error
        except (OSError, ValueError) as error:
            raise InputError(
                f"model file '{label}' cannot be read: {reason(error)}; expected a netCDF-4 file"
            ) from error
        try:
            if path is not None:
                try_netcdf(file, whole=whole)
            with netCDF4.Dataset(file) as dataset:
                dataset.set_auto_maskandscale(False)
                yield dataset
        except InputError as error:
            raise InputError(f"model file '{label}': {_one_line(error)}") from error
        except Exception as error:  # the library raises anything on a damaged file
            raise InputError(
                f"model file '{label}' is not readable: found {size} bytes that netCDF refuses "
                f"({_one_line(error)}), expected a complete netCDF-4 model file"
            ) from error


def _default() -> contextlib.AbstractContextManager[Path]:
    """The default model as a file, whatever the package is installed as."""
    resource = importlib.resources.files("ailand_gt4py.weights").joinpath(DEFAULT_MODEL)
    if not resource.is_file():
        raise InputError(
            f"the default model '{DEFAULT_MODEL}' is missing in this installation of ailand_gt4py; "
            "expected it in the package, give a model file or reinstall the package"
        )
    return importlib.resources.as_file(resource)


def _read(path: str | os.PathLike[str] | None) -> tuple[Model, str]:
    """The model and the checksum stored with it, which is not yet compared."""
    with _opened(path, whole=True) as dataset:
        return _decode(dataset)


def _attributes(dataset: netCDF4.Dataset) -> dict[str, Any]:
    """The attributes of a file that is a model file."""
    attributes = {key: dataset.getncattr(key) for key in dataset.ncattrs()}
    found = attributes.get("format")
    if not isinstance(found, str) or found != schema.FORMAT_NAME:
        raise InputError(
            f"is netCDF, but no model file: attribute 'format': found {_shown(found)}, expected "
            f"'{schema.FORMAT_NAME}', as 'ailand train' and 'ailand model import' write it"
        )
    return attributes


def _text(attributes: Mapping[str, Any], key: str) -> str:
    value = attributes.get(key)
    if not isinstance(value, str):
        raise InputError(f"attribute '{key}': found {_shown(value)}, expected text")
    return value


def _decode(dataset: netCDF4.Dataset) -> tuple[Model, str]:
    attributes = _attributes(dataset)
    text = functools.partial(_text, attributes)

    def number(key: str) -> float:
        value = attributes.get(key)
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise InputError(f"attribute '{key}': found {_shown(value)}, expected a number")
        return float(value)

    if number("format_version") != schema.FORMAT_VERSION:
        raise InputError(
            f"attribute 'format_version': found {number('format_version'):g}, expected {schema.FORMAT_VERSION}; "
            "the file comes from another version of ailand_gt4py"
        )
    architecture = text("architecture")
    architectures.find(architecture)
    if number("normalised_space") not in (0.0, 1.0):
        raise InputError(f"attribute 'normalised_space': found {number('normalised_space'):g}, expected 0 or 1")
    groups: dict[str, Any] = {group: _decode_group(dataset, group) for group in schema.GROUPS}
    if architecture == architectures.POINT_WISE:
        groups |= _decode_point_wise(text("point_wise"), text("boundings"))
        groups["nodes"] = _decode_arrays(dataset, Nodes, _NODES)
    groups["variability"] = _decode_arrays(dataset, Variability, _VARIABILITY)
    prefix = "provenance_"
    model = Model(
        architecture=architecture,
        parameters=_decode_parameters(dataset),
        step_seconds=number("step_seconds"),
        normalised_space=bool(number("normalised_space")),
        provenance={key.removeprefix(prefix): text(key) for key in sorted(attributes) if key.startswith(prefix)},
        **groups,
    )
    return model, text("checksum")


def _decode_point_wise(network: str, boundings: str) -> dict[str, Any]:
    """What the attributes of a point-wise network say, as attributes of `Model`."""

    def decoded(name: str, text: str, kind: type) -> list[Any]:
        try:
            found = json.loads(text)
            parts = found if isinstance(found, list) else [found]
            return [kind(**{key: _as_tuple(value) for key, value in dict(one).items()}) for one in parts]
        except (TypeError, ValueError) as error:
            raise InputError(f"attribute '{name}': {_one_line(error)}; expected JSON of {kind.__name__}") from error

    networks = decoded("point_wise", network, PointWise)
    if len(networks) != 1:
        raise InputError(f"attribute 'point_wise': found {len(networks)} networks, expected 1")
    return {"point_wise": networks[0], "boundings": tuple(decoded("boundings", boundings, Bounding))}


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _decode_arrays(dataset: netCDF4.Dataset, kind: Callable[..., Arrays], described: Described) -> Arrays | None:
    """What stands in arrays of its own, of a network that has it: `Nodes` or `Variability`."""
    found: dict[str, np.ndarray] = {}
    for key, (name, dimensions, _) in described.items():
        variable = dataset.variables.get(name)
        if variable is None and not found:
            return None
        if variable is None or variable.dimensions != dimensions or getattr(_type_of(variable), "kind", "") != "f":
            raise InputError(f"array '{name}': expected floating-point numbers over {dimensions}")
        found[key] = np.asarray(variable[...])
    return kind(**found)


def _decode_group(dataset: netCDF4.Dataset, group: str) -> tuple[Variable, ...]:
    """The variables of one group, in order."""

    def column(key: str) -> list[Any]:
        name, kind = _column(group, key), float if key in schema.NUMBER_COLUMNS else str
        variable = dataset.variables.get(name)
        if variable is None and key in schema.LATER_COLUMNS:
            return [""] * dataset.dimensions[group].size
        if variable is None:
            raise InputError(f"array '{name}': found nothing, expected one {kind.__name__} per {group} variable")
        expected: object = str if kind is str else np.dtype(np.float64)
        if variable.dimensions != (group,) or _type_of(variable) != expected:
            raise InputError(
                f"array '{name}': found {_type_of(variable)} over {variable.dimensions}, expected {kind.__name__} "
                f"over ('{group}',)"
            )
        return [kind(value) for value in variable[:]] if variable.size else []

    columns = {key: column(key) for key in ("name", *schema.COLUMNS)}
    variables = []
    for values in zip(*columns.values(), strict=True):
        found: dict[str, Any] = dict(zip(columns, values, strict=True))
        try:
            statistics = {key: found.pop(key) for key in schema.STATISTICS}
            normalisation = Normalisation(found.pop("normalisation"), **statistics)
            found["processing"] = schema.processing_of(found["processing"])
        except InputError as error:
            raise InputError(f"variable '{found['name']}': {error}") from error
        variables.append(Variable(**found, normalisation=normalisation))
    return tuple(variables)


def _type_of(variable: netCDF4.Variable) -> object:
    """The type of an array's values; the name of a type that the file defines, such as one of variable length."""
    kind = variable.datatype
    if variable.dtype is str or isinstance(kind, np.dtype):
        return variable.dtype
    return f"the type '{kind.name}' ({type(kind).__name__})"


def _decode_parameters(dataset: netCDF4.Dataset) -> dict[str, np.ndarray]:
    """All arrays that carry a parameter's name, in this machine's byte order; matrices as emulators use them."""
    parameters: dict[str, np.ndarray] = {}
    for key, variable in dataset.variables.items():
        if "parameter_name" not in variable.ncattrs():
            continue
        name = variable.getncattr("parameter_name")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z_]+\.[0-9]{1,4}\.[a-z_]+", name) or name in parameters:
            raise InputError(f"array '{key}': parameter_name: found {_shown(name)}, expected '<block>.<layer>.<kind>'")
        kind = _type_of(variable)
        if not isinstance(kind, np.dtype) or kind.kind != "f":
            raise InputError(f"parameter '{name}' is of type {kind}, expected float32 or float64")
        array = np.asarray(variable[...]) if variable.size else np.zeros(variable.shape, variable.dtype)
        native = array.dtype.newbyteorder("=")
        is_matrix = array.ndim == 2
        parameters[name] = for_products(array, native) if is_matrix else np.ascontiguousarray(array, native)
    return parameters
