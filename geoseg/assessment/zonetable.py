"""How much ground of each class lies in each zone: pixels by the part of them that lies within."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.classids import ClassIds, Ground
from geoseg.assessment.coverage.table import cell_text, free_name
from geoseg.errors import VectorError
from geoseg.raster.cover.ellipsoid import RowAreas
from geoseg.raster.cover.zones import Zones, whole_areas
from geoseg.raster.legend import NODATA
from geoseg.raster.legend.palette import of_hex
from geoseg.raster.legend.style import category_qml
from geoseg.raster.polygons.files.beside import Beside
from geoseg.raster.scene import Scene
from geoseg.raster.strips import Strip, read_strips
from geoseg.raster.vector import Features, Purpose, crs_of, read_features
from geoseg.raster.window import Window

LAYER = "zones"
"""What the layer of zones is called."""
PURPOSE = Purpose(name="the area by zone", hint="zones are a file of polygons")
"""For the words of errors."""
AtRow = Callable[[int, Callable[[], dict[str, NDArray[Any]]]], None]
"""Called where zones are measured down to a row, with what says what they hold so far."""
_RESERVED = ("fid", "geom", "geometry", "ogc_fid")


@dataclass(frozen=True, kw_only=True)
class ZoneAmount:
    """What one zone holds."""

    name: str
    """The zone."""
    amounts: Mapping[str, float]
    """Hectares by class (pixels, where they have no place on Earth); those that it has."""
    nodata_share: float
    """Percent of the zone without data; NaN of a zone without area."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ZoneFile:
    """Zones as they were read."""

    features: Features
    """The polygons and their attributes."""
    names: list[Any]
    """(zones,) what each is called."""
    on_grid: NDArray[Any]
    """(zones,) the polygons in the raster's coordinate system."""

    @classmethod
    def read(cls, source: str, scene: Scene, field: str | None) -> ZoneFile:
        """Read zones, named by an attribute or else by their places in the file, from 1.

        Raises
        ------
        VectorError
            They cannot be read, have no such attribute, or have no place on the raster.
        """
        features = read_features(source, purpose=PURPOSE, fields=True)
        if field is None:
            names: list[Any] = [int(number) for number in features.numbers]
        elif field in features.columns:
            cells = features.columns[field].tolist()
            names = ["" if v is None else cell_text(v) for v in cells]
        else:
            there = ", ".join(features.columns) or "none"
            raise VectorError(f"{source} has no attribute {field!r}; there are {there}")
        return cls(features=features, names=names, on_grid=features.on_grid(scene.grid))


@dataclass(frozen=True, kw_only=True, eq=False)
class ZoneTable:
    """What all zones hold."""

    layer: Beside
    """The zones with what they hold, to be written."""
    zones: tuple[ZoneAmount, ...]
    """The same, zone by zone."""
    notes: tuple[str, ...]
    """What a person should know, in words."""


def measure_zones(
    scene: Scene,
    ids: ClassIds,
    ground: Ground,
    given: ZoneFile,
    *,
    workers: int,
    progress: Callable[[int], None] | None = None,
    again: tuple[int, Mapping[str, NDArray[Any]]] | None = None,
    at_row: AtRow | None = None,
) -> ZoneTable:
    """Measure how much of each wanted class every zone holds; zones may overlap.

    It goes on from `again`, a row and what `at_row` was told there by an earlier run.

    Raises
    ------
    RasterReadError
        The raster cannot be read to its end.
    VectorError
        All zones lie off the raster.
    LabelError
        A pixel is no class id.
    """
    zones = Zones(given.on_grid, scene.grid)
    held = _Held(len(zones))
    window = zones.window
    if window is not None and again is not None:
        held.take_up(again[1])
        stop = window.row_stop
        window = replace(window, row=again[0], height=stop - again[0]) if again[0] < stop else None
    if window is not None:
        _add_all(scene, ids, ground, zones, window, held, workers, progress, at_row)
    elif at_row is not None and again is not None:
        at_row(again[0], held.arrays)
    held.sort()
    if not held.counts.any():
        raise VectorError(
            f"{given.features.source} does not overlap {scene.name} ({scene.grid.describe()})"
        )
    nodata = _without_data(held, _sizes(ground, given.features, zones, held.areas.sum(axis=1)))
    sums = {one: held.sums(one, areas=ground.known) for one in _listed(held, ids)}
    unit = "ha" if ground.known else "px"
    columns: dict[str, Any] = {"zone": given.names}
    for one, amounts in sums.items():
        columns[free_name(f"{ids.names[one]}_{unit}", columns)] = np.round(amounts, 6)
    columns["nodata_share"] = np.round(nodata, 6)
    own, notes = _own(given.features.columns, columns)
    off = int(np.count_nonzero(held.counts.sum(axis=1) == 0))
    if off:
        has = "has" if off == 1 else "have"
        notes.append(f"{off} of {len(zones)} zones {has} no ground on {scene.name}")
    layer = Beside(
        name=LAYER,
        shapes=given.features.shapes,
        crs=crs_of(given.features),
        columns={**columns, **own},
        style_qml=category_qml(
            "'zones'", {"zones": ("zones", of_hex("#232323"))}, expression=True, alpha=0
        ),
    )
    found = [
        ZoneAmount(
            name=str(name),
            amounts={ids.names[i]: float(of[k]) for i, of in sums.items() if of[k] > 0},
            nodata_share=float(nodata[k]),
        )
        for k, name in enumerate(given.names)
    ]
    return ZoneTable(layer=layer, zones=tuple(found), notes=tuple(notes))


def _without_data(held: _Held, whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the percent of each zone's ground, as large as `whole` says, that has no class."""
    known = held.areas.sum(axis=1, where=np.array([code != NODATA for code in held.codes]))
    share = np.full(len(whole), np.nan)
    np.divide(100 * known, whole, out=share, where=whole > 0)
    np.clip(100 - share, 0, 100, out=share)
    share[share < 1e-9] = 0
    return share


def _listed(held: _Held, ids: ClassIds) -> list[int]:
    """List the classes that get a column: those of the legend, and others that were met."""
    listed = [] if ids.legend is None else list(ids.legend.ids)
    there = [code for code in held.codes if held.sums(code, areas=False).any()]
    return listed + [i for i in there if i not in listed and i != NODATA and ids.is_wanted(i)]


class _Held:
    """Pixels and square metres of each zone, by class: of those alone that occur."""

    def __init__(self, zones: int) -> None:
        self.codes: list[int] = []
        self.counts, self.areas = np.zeros((2, zones, 0))
        self.slots = np.zeros(256, np.uint8)

    def expect(self, codes: NDArray[np.uint8]) -> None:
        """Make room for the classes of some pixels."""
        found = np.flatnonzero(np.bincount(codes.ravel(), minlength=256)).tolist()
        news = [code for code in found if code not in self.codes]
        if not news:
            return
        self.slots[news] = range(len(self.codes), len(self.codes) + len(news))
        self.codes += news
        room = ((0, 0), (0, len(news)))
        self.counts = np.pad(self.counts, room)  # one after the other: there may be many zones
        self.areas = np.pad(self.areas, room)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of it, by name."""
        codes = np.array(self.codes, np.int64)
        return {"codes": codes, "counts": self.counts.copy(), "areas": self.areas.copy()}

    def take_up(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `arrays` returned."""
        self.codes = arrays["codes"].tolist()
        self.counts, self.areas = arrays["counts"], arrays["areas"]
        self.slots[self.codes] = range(len(self.codes))

    def sort(self) -> None:
        """Bring the classes into the order of their ids, whichever strip had them first."""
        order = np.argsort(self.codes)
        self.codes = sorted(self.codes)
        self.counts = self.counts[:, order]
        self.areas = self.areas[:, order]

    def sums(self, code: int, *, areas: bool) -> NDArray[np.float64]:
        """(zones,) hectares of a class, or its pixels."""
        if code not in self.codes:
            return np.zeros(len(self.counts))
        place = self.codes.index(code)
        return self.areas[:, place] / 1e4 if areas else self.counts[:, place]


def _add_all(
    scene: Scene,
    ids: ClassIds,
    ground: Ground,
    zones: Zones,
    window: Window,
    held: _Held,
    workers: int,
    progress: Callable[[int], None] | None,
    at_row: AtRow | None,
) -> None:
    """Add pixels and square metres of all zones; the class 255 is what has none."""

    def take(zone: int, strip: Strip, rows: RowAreas) -> None:
        part = Window(strip.row, window.col, strip.height, window.width)
        into = (held.counts[zone], held.areas[zone])
        zones.add_classes(zone, strip.arrays[0], held.slots, part, rows, into)

    strips = read_strips([scene], window=window, workers=workers, convert=ids.all_ids)
    with closing(strips), ThreadPoolExecutor(workers, "geoseg-zones") as pool:
        for strip in strips:
            held.expect(strip.arrays[0])
            touched = zones.touching(strip.row, strip.row + strip.height)
            rows = ground.row_areas(strip.row, strip.row + strip.height)
            list(pool.map(take, touched, repeat(strip), repeat(rows)))
            if progress is not None:
                progress(strip.height * window.width)
            if at_row is not None:
                at_row(strip.row + strip.height, held.arrays)


def _sizes(
    ground: Ground, features: Features, zones: Zones, measured: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(zones,) square metres (pixels, without a place on Earth) of whole zones."""
    if not ground.known or features.crs is None:
        return zones.pixels
    return whole_areas(zones, features.shapes, features.crs, measured)


def _own(
    columns: Mapping[str, NDArray[Any]], found: Mapping[str, Any]
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Attributes of the zones, called otherwise where a name is taken, and what is to be said."""
    kept: dict[str, NDArray[Any]] = {}
    renamed: list[str] = []
    for name, values in columns.items():
        free = free_name(name, {**found, **kept, **dict.fromkeys(_RESERVED)})
        if free != name:
            renamed.append(f"{name} is {free}")
        kept[free] = values
    return kept, [f"attributes of the zones have other names: {', '.join(renamed)}"] * bool(renamed)
