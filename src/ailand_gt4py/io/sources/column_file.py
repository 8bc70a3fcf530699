"""Column files as a source. Static fields may be repeated in time, and what follows from others may be missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ailand_gt4py.core.errors import InputError
from ailand_gt4py.core.times import step_of
from ailand_gt4py.core.types import Values
from ailand_gt4py.emulator.forcing import ForcingAssembler
from ailand_gt4py.io import time_axis, time_labels
from ailand_gt4py.io.blocks import BlockReader
from ailand_gt4py.io.column_file import ColumnFile
from ailand_gt4py.io.field_reader import FieldReader, gaps_of, require_present
from ailand_gt4py.io.fields import COLUMN, TIME
from ailand_gt4py.io.grids import Grid
from ailand_gt4py.io.masked import missing_columns
from ailand_gt4py.io.quality import Inspector, impossible, perhaps_radians
from ailand_gt4py.io.sources import ColumnSource, Request
from ailand_gt4py.io.sunlight import SunLimit
from ailand_gt4py.io.whole_files import columns
from ailand_gt4py.weights.model import Variable
from ailand_gt4py.weights.nodes import is_of_node, node_inputs
from ailand_gt4py.weights.variables import CATALOGUE

#: Of a file with one time only, where its own step is asked for.
ANY_STEP_SECONDS = 21_600.0


def columns_grid(x: Values, latitude: Values, longitude: Values) -> Grid:
    """That of columns along ``x`` with these labels and locations, (n_columns,) each."""
    return Grid({COLUMN: len(x)}, columns(x, latitude, longitude), np.arange(len(x)))


class ColumnFileSource(ColumnSource):
    """A netCDF file or zarr store of columns; see `ColumnSource`."""

    def __init__(self, path: Path, request: Request, file: ColumnFile | None = None) -> None:
        self._file = file or ColumnFile(path)
        self._reference: BlockReader | None = None
        self._reference_names: tuple[str, ...] = ()
        self._roots: list[str] = []
        self._earlier: list[tuple[str, int]] = []
        try:
            try:
                self._prepare(request)
                if request.problems and self._leave_out_missing(request):
                    request.problems.clear()
                    self._prepare(request)
            except InputError:
                if not self._leave_out_missing(request):
                    raise
                self._prepare(request)
        except BaseException:
            self._file.close()
            raise

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """What no other kind recognises is prepared as columns."""
        return True

    def _prepare(self, request: Request) -> None:
        file, model = self._file, request.model
        self.path, self.model, self._block_bytes = file.path, model, request.reading.block_bytes
        of_nodes = [one.name for one in model.static if is_of_node(one.name)]
        gaps = gaps_of(file, request)
        require_present(file, model, request.with_state, gaps, of_nodes)
        self.labels, self.calendar = file.times(), file.calendar
        self.step = step_of(model.step_seconds)
        if request.own_step:
            self.step = self.labels[1] - self.labels[0] if len(self.labels) > 1 else step_of(ANY_STEP_SECONDS)
        first, count = time_axis.select(
            self.labels, self.step, request.start, request.end, str(file.path), self.calendar
        )
        self._first, self.times = first, self.labels[first : first + count]
        self.x = file.labels()
        part = request.reading.columns
        self.first_column = 0 if part is None else part.first
        self._inspector = inspector = Inspector(
            self.x, self.step / np.timedelta64(1, "s"), calendar=self.calendar, problems=request.problems,
            first=self.first_column, n_all=None if part is None else part.n_all,
        )  # fmt: skip
        self._reader = reader = FieldReader(file, self.labels, self.step, first, count, inspector, gaps)
        self.latitude = reader.coordinate("lat", -90.0, 90.0)
        self.longitude = reader.coordinate("lon", -180.0, 360.0)
        climate = file.texts("climate")
        self.climate = np.full(self.n_columns, "") if climate is None else climate
        known = node_inputs(model, self.latitude, self.longitude)
        self.static = reader.fields(model.static, is_static=True, known=known)
        self.initial_state = reader.fields(model.state, is_static=False) if request.with_state else None
        self.lacking = tuple(name for name in request.may_lack if file.find(name) is None)
        given = [one for one in model.forcing if not one.derived]
        wanted = ForcingAssembler(model.forcing).n_before if request.with_state else 0
        #: Windows before the first one that are read with them.
        self._n_earlier = earlier = time_axis.steps_before(self.labels, first, wanted, self.step)
        self._forcing = BlockReader(
            file,
            [reader.source(one.name, one.units) for one in given],
            first - earlier,
            earlier + count,
            block_bytes=request.reading.block_bytes,
            inspector=dataclasses.replace(
                inspector, sunlight=SunLimit(self.latitude, self.longitude, self.step, self.calendar)
            ),
            variables=given,
            times=self.labels[first - earlier : first + count],
            n_unchecked=earlier,
        )
        if not self._forcing.spool_bytes:
            self._forcing.read(
                earlier, earlier + 1
            )  # what is read is kept for the first step; what is masked shows here
        self.grid = file.grid or columns_grid(self.x, self.latitude, self.longitude)
        self.history = self._sentences()

    @property
    def kept(self) -> Values | None:
        return self._file.kept

    def _leave_out_missing(self, request: Request) -> bool:
        """Whether there are columns without values beside others, which are left out."""
        if not hasattr(self, "_first"):  # something else was wrong before
            return False
        missing, notes = missing_columns(self._file, request, self._first, self._first + len(self.times) - 1)
        if not missing.any() or missing.all():
            return False
        all_columns = self._file.labels(), self._location("lat"), self._location("lon")
        self._file.grid = (self._file.grid or columns_grid(*all_columns)).part(np.flatnonzero(~missing))
        self._file.keep(np.flatnonzero(~missing))
        self._file.notes += notes
        return True

    def _location(self, name: str) -> Values:
        """Latitude or longitude of all columns, degrees, missing where it is missing."""
        source = self._file.source(name, CATALOGUE[name].units, is_timed=False)
        if source is None:
            return np.full(self._file.n_columns, np.nan)
        return source.conversion.apply(self._file.field(source.own_name).astype(np.float64))

    def _sentences(self) -> list[str]:
        given = [variable for variable in self.model.forcing if not variable.derived]
        states = [variable for variable in self.model.state if not variable.is_previous]
        lines = [
            *self._file.notes,
            *self._radians(),
            *self._reader.sentences(),
            *time_labels.sentences(self._file.dataset[TIME], self.labels, self._file.what(TIME)),
            *time_axis.label_sentences(self._file, given, states, self.step),
        ]
        if self._forcing.spool_bytes:
            lines.append(
                f"Forcing is stored with long stretches of time together; it is copied once to a temporary file of "
                f"{self._forcing.spool_bytes / 2**30:.3g} GiB in time order."
            )
        return list(dict.fromkeys(lines))

    def _radians(self) -> list[str]:
        """A sentence on locations that may be in radians."""
        largest = perhaps_radians(self.latitude, self.longitude)
        if largest is None:
            return []
        return [
            f"All columns are within {largest[0]:.3g} degrees of the equator and {largest[1]:.3g} of Greenwich; these "
            "may be radians."
        ]

    @property
    def remarks(self) -> list[str]:
        return self._inspector.remarks

    def forcing(self, first: int, last: int) -> Values:
        return self._forcing.read(self._n_earlier + first, self._n_earlier + last)

    def earlier_forcing(self) -> Values:
        """Those windows before the first, without one between them, of which all can be."""
        values = self._forcing.read(0, self._n_earlier)
        given = [one for one in self.model.forcing if not one.derived]
        is_wrong = [impossible(one, values[..., k]).any(axis=1) for k, one in enumerate(given)]
        with_wrong = np.flatnonzero(np.any(is_wrong, axis=0))
        return values[with_wrong[-1] + 1 :] if with_wrong.size else values

    def reference(self, names: Sequence[str], first: int, last: int) -> Values:
        if self._reference is None or self._reference_names != tuple(names):
            self._close_reference()
            known = self._known()
            unknown = [name for name in names if name not in known]
            if unknown:
                raise InputError(
                    f"reference variable '{unknown[0]}' is neither of the model nor of the catalogue of variables"
                )
            self._earlier = [self._before(known, name) for name in names]
            roots = list(dict.fromkeys(root for root, _ in self._earlier))
            missing = [name for name in roots if self._file.find(name) is None]
            if missing:
                raise InputError(f"{self.path}: reference variables missing: {', '.join(missing)}")
            sources = [self._reader.source(name, known[name].units) for name in roots]
            self._reference = BlockReader(
                self._file, sources, self._first, len(self.times), block_bytes=self._block_bytes
            )
            self._roots, self._reference_names = roots, tuple(names)
        begin = max(first - max((steps for _, steps in self._earlier), default=0), 0)
        values = self._reference.read(begin, last)
        if begin == first and self._roots == list(names):
            return values
        labels = np.arange(first, last)
        columns = (
            values[np.maximum(labels - steps, 0) - begin, :, self._roots.index(root)] for root, steps in self._earlier
        )
        return np.stack(list(columns), axis=-1)

    def _known(self) -> dict[str, Variable]:
        """What can be a reference: of the model, or else as the catalogue has it."""
        own = (*self.model.forcing, *self.model.state, *self.model.diagnostics)
        return {name: entry.variable() for name, entry in CATALOGUE.items()} | {one.name: one for one in own}

    def lacks(self, name: str) -> bool:
        own_name = self._file.find(self._before(self._known(), name)[0])
        return own_name is None or set(self._file.array(own_name).dims) != {TIME, COLUMN}

    def field(self, name: str, units: str) -> Values | None:
        source = self._file.source(name, units, is_timed=False)
        if source is None:
            return None
        return source.conversion.apply(self._file.field(source.own_name, self._first).astype(np.float64))

    def texts(self, name: str) -> Values | None:
        return self._file.texts(name)

    def _before(self, known: Mapping[str, Variable], name: str) -> tuple[str, int]:
        """Of what a variable that the file lacks is the earlier value, and how many steps earlier; before the first
        label it is as at that."""
        steps = 0
        while known[name].is_previous and self._file.find(name) is None:
            name, steps = known[name].previous_of, steps + 1
        return name, steps

    def _close_reference(self) -> None:
        if self._reference is not None:
            self._reference.close()
            self._reference = None

    def close(self) -> None:
        self._forcing.close()
        self._close_reference()
        self._file.close()
