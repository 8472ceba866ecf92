"""Labels of whole patches, out of a table that names patches or a file of polygons."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import LabelError
from geoseg.patches.cutting import patch_name
from geoseg.patches.job import Job
from geoseg.patches.labelcells import Cells
from geoseg.patches.presence import UNKNOWN
from geoseg.patches.settings import TileSettings
from geoseg.raster.cover.footprints import outlines
from geoseg.raster.legend import Legend

if TYPE_CHECKING:
    from geoseg.raster.vector import Features

_TEXTS = (".csv", ".tsv", ".txt")
_NAME = re.compile(r"(.+)_r([0-9]{1,9})_c([0-9]{1,9})")
# Share of a patch that rounding may cost: coordinates are numbers, and bend when reprojected.
_TOLERANCE = 1e-6
_LONGEST_LINE = 1 << 20


def lay_label_table(
    jobs: Sequence[Job],
    source: str,
    legend: Legend | None,
    settings: TileSettings,
    say: Callable[[str], None],
) -> Legend:
    """Give the patches of all jobs the labels of a table; fills their tables' `presence`.

    Parameters
    ----------
    jobs
        Scenes with patches laid over them.
    source
        A CSV file that names patches (``patch``, or ``scene``, ``row`` and ``col``), or a vector
        file. An index of patches of this size, as `geoseg tile` writes, is taken by its names too;
        any other by its areas: a patch holds a class where polygons that name it cover more than
        ``settings.present`` of the patch; it does not where what other polygons leave over is not
        more; else nobody knows. A patch of which nothing is known has no label.
    legend
        The classes, if they are known beforehand.
    settings
        What was asked for.
    say
        Told which patches of the table are not there.

    Returns
    -------
    The legend given, or one of the classes found.

    Raises
    ------
    LabelError
        The table cannot be read, or means nothing, or no patch of the set.
    VectorError
        The polygons cannot be read or brought to a scene.
    """
    places = _Places(jobs)
    if Path(source).suffix.casefold() in _TEXTS:
        with _csv_rows(source) as (header, rows):
            cells = Cells(header, source=source, column=settings.label_field, legend=legend)
            named = _Named(places, cells, header, source)
            for where, row in rows:
                named.add(row, where)
        return named.lay(say)
    # Imported here: it brings GDAL's vector side, which takes a second.
    from geoseg.raster.vector import Purpose, read_features  # noqa: PLC0415

    purpose = Purpose(
        name="a label table",
        hint="a label table is a CSV file that names patches, or a file of polygons",
    )
    features = read_features(source, purpose=purpose, fields=True)
    header = list(features.columns)
    cells = Cells(header, source=source, column=settings.label_field, legend=legend)
    texts = [[_text(value) for value in values] for values in features.columns.values()]
    rows = (
        (f"{source}: feature {number}", list(row))
        for number, row in zip(features.numbers.tolist(), zip(*texts, strict=True), strict=True)
    )
    if not _is_index_of(places, features, settings.size):
        return _lay_areas(jobs, features, cells, rows, settings)
    named = _Named(places, cells, header, source)
    for where, row in rows:
        named.add(row, where)
    return named.lay(say)


# -- by name --------------------------------------------------------------------------------------


class _Places:
    """Finds patches."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self._by_name = {
            job.name: (
                number,
                {row: i for i, row in enumerate(job.table.rows)},
                {col: i for i, col in enumerate(job.table.cols)},
            )
            for number, job in enumerate(jobs)
        }

    def find(self, scene: str, row: int, col: int) -> tuple[int, int] | None:
        """Return the number of the job, and the place in its table, of a patch's first pixel."""
        found = self._by_name.get(scene) or self._by_name.get(Path(scene).stem)
        if found is None or row not in found[1] or col not in found[2]:
            return None
        number, rows, cols = found
        return number, rows[row] * len(cols) + cols[col]

    def find_name(self, name: str) -> tuple[int, int] | None:
        """As `find`, by the name of a patch."""
        match = _NAME.fullmatch(name)
        return None if match is None else self.find(match[1], int(match[2]), int(match[3]))

    def example(self) -> str:
        """Name of the first patch."""
        job = self.jobs[0]
        return patch_name(job.name, job.table.rows[0], job.table.cols[0])


class _Named:
    """Rows of a table that names patches."""

    def __init__(
        self,
        places: _Places,
        cells: Cells,
        header: Sequence[str],
        source: str,
    ) -> None:
        self._places, self._cells, self._source = places, cells, source
        self._columns = {name.strip().casefold(): i for i, name in enumerate(header)}
        if not ("patch" in self._columns or {"scene", "row", "col"} <= self._columns.keys()):
            raise LabelError(
                f"{source} says not which patches it means: give it a column 'patch' with names "
                f"such as {places.example()}, or 'scene', 'row' and 'col'"
            )
        # What each patch is told: the number of a row's cells; −1 nothing.
        self._told = [np.full(len(job.table), -1, np.int64) for job in places.jobs]
        self._first: dict[tuple[int, int], str] = {}
        self._missing = 0
        self._examples: list[str] = []

    def add(self, row: Sequence[str], where: str) -> None:
        """Take in a row."""
        number = self._cells.add(row, where)
        if self._cells.says_nothing(number):
            return
        name, place = self._find(row, where)
        if place is None:
            self._missing += 1
            if len(self._examples) < 3:
                self._examples.append(name)
            return
        told, first = self._told[place[0]], self._first.setdefault(place, where)
        if told[place[1]] >= 0:
            raise LabelError(
                f"{where}: the patch {name} comes a second time (first in {first}): keep one"
            )
        told[place[1]] = number

    def _find(self, row: Sequence[str], where: str) -> tuple[str, tuple[int, int] | None]:
        if "patch" in self._columns:
            name = row[self._columns["patch"]].strip()
            return name, self._places.find_name(name)
        scene, *corner = (row[self._columns[key]].strip() for key in ("scene", "row", "col"))
        if not all(re.fullmatch(r"[0-9]{1,9}", text) for text in corner):
            raise LabelError(
                f"{where}: row {corner[0][:20]!r} and col {corner[1][:20]!r} are no pixel: give "
                "whole numbers from 0"
            )
        first, left = map(int, corner)
        return patch_name(scene, first, left), self._places.find(scene, first, left)

    def lay(self, say: Callable[[str], None]) -> Legend:
        """Give the patches their labels."""
        legend, states = self._cells.resolve()
        if not any((told >= 0).any() for told in self._told):
            first = f" (its first is {self._examples[0]!r})" if self._examples else ""
            raise LabelError(
                f"{self._source} names no patch of this set{first}: names are such as "
                f"{self._places.example()}; check --size, --stride and the scenes' names"
            )
        if self._missing:
            more = ", …" if self._missing > len(self._examples) else ""
            names = ", ".join(self._examples) + more
            say(
                f"{Path(self._source).name} names {self._missing:,} "
                f"{'patch that is' if self._missing == 1 else 'patches that are'} not in this set: "
                f"{names}"
            )
        for job, told in zip(self._places.jobs, self._told, strict=True):
            presence = np.full((len(told), len(legend)), UNKNOWN, np.uint8)
            presence[told >= 0] = states[told[told >= 0]]
            job.table.set_presence(presence, np.zeros(len(told), bool))
        return legend


@contextmanager
def _csv_rows(source: str) -> Iterator[tuple[list[str], Iterator[tuple[str, list[str]]]]]:
    """Header of a CSV file, and its rows, each with where it is; read as they are asked for."""
    try:
        with Path(source).open("rb") as raw:
            mark = raw.read(2)
        # Excel's "Unicode text" is UTF-16, its "CSV UTF-8" has a mark in front.
        encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        with Path(source).open(encoding=encoding, newline="") as file:
            yield _rows_of(file, source)
    except FileNotFoundError:
        raise LabelError(f"{source}: no such file; check the path") from None
    except OSError as error:
        raise LabelError(f"{source} cannot be read: {error.strerror or error}") from None
    except UnicodeError:
        raise LabelError(f"{source} is not UTF-8 text: save it as CSV UTF-8") from None
    except csv.Error as error:
        raise LabelError(f"{source} is no CSV file: {error}") from None


def _rows_of(file: IO[str], source: str) -> tuple[list[str], Iterator[tuple[str, list[str]]]]:
    first = file.readline(_LONGEST_LINE)
    delimiter = max(",;\t", key=first.count)
    file.seek(0)
    reader = csv.reader(_lines(file), delimiter=delimiter, skipinitialspace=True)
    header = next(reader, [])
    if not any(name.strip() for name in header):
        raise LabelError(f"{source} is empty: its first line names the columns")

    def rows() -> Iterator[tuple[str, list[str]]]:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            where = f"{source}: line {reader.line_num}"
            if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
                raise LabelError(
                    f"{where}: has {len(row)} cells, and the first line {len(header)}: put several "
                    "classes in double quotes, or ';' between them"
                )
            if len(row) < len(header):
                yield where, row + [""] * (len(header) - len(row))
            else:
                yield where, row

    return header, rows()


def _lines(file: IO[str]) -> Iterator[str]:
    """Lines of a file, of which none is read that is longer than any of a table."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise csv.Error("a line is too long for a table")
        yield line


# -- by area --------------------------------------------------------------------------------------


def _is_index_of(places: _Places, features: Features, size: int) -> bool:
    """Whether features are patches of this set: neighbours that overlap must not be mixed up."""
    columns = {name.casefold(): values for name, values in features.columns.items()}
    if "patch" not in columns or "size" not in columns:
        return False
    return any(
        _text(side) == str(size) and places.find_name(_text(name)) is not None
        for name, side in zip(columns["patch"], columns["size"], strict=True)
    )


def _lay_areas(
    jobs: Sequence[Job],
    features: Features,
    cells: Cells,
    rows: Iterator[tuple[str, Sequence[str]]],
    settings: TileSettings,
) -> Legend:
    """Give patches the labels of the polygons that cover them."""
    from geoseg.raster.cover.areas import Coverage  # noqa: PLC0415 - brings GEOS

    told = np.empty(len(features.shapes), np.int64)
    for place, (where, row) in enumerate(rows):
        number = cells.add(row, where)
        told[place] = -1 if cells.says_nothing(number) else number
    legend, states = cells.resolve()
    speaks = told >= 0
    said = states[told[speaks]]
    # Covered at all; by what names each class; by what names it or may do so.
    groups = np.concatenate([np.ones((len(said), 1), bool), said == 1, said != 0], axis=1)
    classes = len(legend)
    covered_any = False
    for job in jobs:
        grid, table = job.scene.grid, job.table
        coverage = Coverage(features.on_grid(grid)[speaks], groups)
        windows = table.windows(job.window)
        patch_area = abs(float(grid.transform.determinant)) * table.pixels
        across = len(table.cols)
        presence = np.zeros((len(table), classes), np.uint8)
        covered = np.zeros(len(table))
        for start in range(0, len(table), across):
            row_of = slice(start, start + across)
            shares = coverage.areas(outlines(grid, windows[row_of], grid.crs)) / patch_area
            least = settings.present + _TOLERANCE
            # What no polygon covers may be of any class.
            possible = shares[:, 1 + classes :] + (1 - shares[:, :1])
            presence[row_of][possible > least] = UNKNOWN
            presence[row_of][shares[:, 1 : 1 + classes] > least] = 1
            covered[row_of] = shares[:, 0]
        presence[covered <= _TOLERANCE] = UNKNOWN
        covered_any = covered_any or bool((covered > _TOLERANCE).any())
        table.set_presence(presence, covered < settings.min_labelled - _TOLERANCE)
    if not covered_any:
        raise LabelError(
            f"{features.source}: no polygon lies on the scenes: check that they overlap"
        )
    return legend


def _text(value: Any) -> str:
    """Attribute as a person would type it; nothing where it is empty."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
