"""Coverage by zone: the polygons of a file with what they hold, and the same as a table.

The raster is read once, from the first row that a zone touches to the last; every zone takes its
part of a strip, in threads, and has its own sums. So the result does not depend on the threads, and
memory is a strip of the raster, the polygons and a row of numbers a zone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.assessment.coverage.result import Result, Zone, notes_of, tags_of, total_of
from geoseg.assessment.coverage.source import Layout, Source
from geoseg.assessment.coverage.table import cell_text, csv_of, free_name, style_of
from geoseg.assessment.stages import StageTable
from geoseg.errors import VectorError
from geoseg.raster.cover.ellipsoid import RowAreas
from geoseg.raster.cover.zones import Zones, whole_areas
from geoseg.raster.outputs.checks import check_outputs
from geoseg.raster.strips import Strip
from geoseg.raster.vector import (
    Features,
    Purpose,
    crs_of,
    fingerprint_polygons,
    read_features,
    write_footprints,
)
from geoseg.raster.window import Window

_PURPOSE = Purpose(name="coverage by zone", hint="zones are a file of polygons")
_RESERVED = ("fid", "geom", "ogc_fid")


def table_path(output: str | Path) -> Path:
    """Where the table goes that belongs to a file of zones."""
    return Path(output).with_suffix(".csv")


def coverage_by_zone(
    source: Source,
    output: str | Path,
    zones: str | Path,
    *,
    name_field: str | None = None,
    stages: StageTable | None = None,
    workers: int = 4,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Measure coverage of every polygon of a file.

    Parameters
    ----------
    source
        What to measure.
    output
        GeoPackage: the zones with their own attributes and what was found; ``.csv`` beside it holds
        the same without the polygons.
    zones
        ``FILE`` or ``FILE|layername=NAME``, in any coordinate system; zones may overlap.
    name_field
        Attribute that names the zones; by default their places in the file, from 1.
    stages
        Adds each zone's stage.
    workers
        Threads that read and share out pixels.
    progress
        Called with the number of pixels done since the last call.

    Raises
    ------
    RasterReadError
        The raster cannot be read to its end.
    VectorError
        The zones cannot be read, have no such attribute, or all lie off the raster.
    LabelError
        Probabilities are none.
    OutputError
        An output cannot be written.
    """
    target, table = Path(output), table_path(output)
    check_outputs([target], overwrite=overwrite, suffixes=(".gpkg",))
    check_outputs([table], overwrite=overwrite)
    features = read_features(zones, purpose=_PURPOSE, fields=True)
    names = _names(features, name_field)
    on_grid = Zones(features.on_grid(source.scene.grid), source.scene.grid)
    window, layout = on_grid.window, source.by_class()
    counts, areas = np.zeros((2, len(on_grid), layout.size))
    if window is not None:
        counts, areas = _sums(source, layout, on_grid, window, workers, progress)
    if not counts.any():
        raise VectorError(
            f"{features.source} does not overlap {source.name} ({source.scene.grid.describe()})"
        )
    whole = _sizes(source, features, on_grid, areas)
    nodata = _nodata(layout, areas, whole)
    columns = _columns(source, layout, counts, areas, nodata, stages)
    columns = {"zone": names, **columns}
    own, notes = _own(features.columns, columns)
    missing = 100 * (1 - layout.valid(areas).sum() / whole.sum()) if whole.sum() else float("nan")
    tags = tags_of(
        source,
        {"zones": features.source} | ({} if name_field is None else {"zone-field": name_field}),
        stages,
        _digest(features.source),
    )
    everything = {**columns, **own}
    write_footprints(
        target,
        "coverage",
        everything,
        features.shapes,
        crs_of(features),
        style_qml=style_of(stages),
        overwrite=overwrite,
        metadata=tags,
        beside={table: csv_of(everything)},
    )
    found = _zones(columns, nodata)
    off = int(np.count_nonzero(layout.valid(counts) + layout.missing(counts) == 0))
    if off:
        has = "has" if off == 1 else "have"
        notes.append(f"{off} of {len(found)} zones {has} no ground on {source.name}")
    tally = Counter(zone.stage for zone in found)
    return Result(
        outputs=(target, table),
        source=source.name,
        target=source.names(source.target),
        excluded=source.names(source.excluded),
        places=f"zones of {features.source}",
        count=len(found),
        counted=int(np.count_nonzero(np.isfinite(columns["coverage"]))),
        total=total_of(
            source,
            layout,
            counts.sum(axis=0),
            areas.sum(axis=0),
            stages,
            nodata_share=max(0.0, float(missing)),
        ),
        stages={} if stages is None else {name: tally[name] for name in stages.names},
        zones=tuple(found),
        notes=(*notes, *notes_of(source)),
    )


def _zones(columns: Mapping[str, Any], nodata: NDArray[np.float64]) -> list[Zone]:
    """Return what was found of each zone, as values."""
    hectares = columns.get("target_ha")
    stages = columns.get("stage")
    return [
        Zone(
            name=str(name),
            coverage=float(columns["coverage"][i]),
            stage=None if stages is None else str(stages[i]),
            nodata_share=float(nodata[i]),
            target_ha=None if hectares is None else float(hectares[i]),
        )
        for i, name in enumerate(columns["zone"])
    ]


def _names(features: Features, field: str | None) -> list[Any]:
    """Call zones by their attribute, or their places."""
    if field is None:
        return [int(number) for number in features.numbers]
    if field not in features.columns:
        there = ", ".join(features.columns) or "none"
        raise VectorError(f"{features.source} has no attribute {field!r}; there are {there}")
    return ["" if v is None else cell_text(v) for v in features.columns[field].tolist()]


def _sums(
    source: Source,
    layout: Layout,
    zones: Zones,
    window: Window,
    workers: int,
    progress: Callable[[int], None] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(zones, size) sums of pixels and of square metres."""
    counts, areas = np.zeros((len(zones), layout.size)), np.zeros((len(zones), layout.size))

    def take(zone: int, strip: Strip, rows: RowAreas) -> None:
        part = Window(strip.row, window.col, strip.height, window.width)
        into = (counts[zone], areas[zone])
        if layout.slots is not None:
            zones.add_classes(zone, strip.arrays[0], layout.slots, part, rows, into)
        else:
            zones.add_values(zone, strip.arrays[0], strip.valid, part, rows, into)

    with ThreadPoolExecutor(workers, "geoseg-zones") as pool:
        for strip in source.strips(window, workers):
            touched = zones.touching(strip.row, strip.row + strip.height)
            rows = source.row_areas(strip.row, strip.row + strip.height)
            list(pool.map(take, touched, repeat(strip), repeat(rows)))
            if progress is not None:
                progress(strip.height * window.width)
    return counts, areas


def _sizes(
    source: Source, features: Features, zones: Zones, areas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(zones,) square metres (pixels, without a place on Earth) of whole zones."""
    if source.areas is None or features.crs is None:
        return zones.pixels
    layout = source.by_class()
    measured = np.asarray(layout.valid(areas) + layout.missing(areas))
    return whole_areas(zones, features.shapes, features.crs, measured)


def _nodata(
    layout: Layout, areas: NDArray[np.float64], whole: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(zones,) percent without data; NaN of a zone without area."""
    found = np.full(len(whole), np.nan)
    np.divide(100 * layout.valid(areas), whole, out=found, where=whole > 0)
    found = np.asarray(np.clip(100 - found, 0, 100))
    found[found < 1e-9] = 0
    return found


def _columns(
    source: Source,
    layout: Layout,
    counts: NDArray[np.float64],
    areas: NDArray[np.float64],
    nodata: NDArray[np.float64],
    stages: StageTable | None,
) -> dict[str, Any]:
    """Lay out what was found, column by column."""
    shares = layout.shares(counts if source.counts_pixels else areas)
    unit, sums = ("px", counts) if source.areas is None else ("ha", areas / 1e4)
    amounts, classes = layout.shares(sums), layout.classes(sums)
    found: dict[str, Any] = {"coverage": shares.percent}
    if stages is not None:
        found["stage"] = stages.of(shares.part, shares.whole)
    found |= {
        f"target_{unit}": amounts.part,
        f"counted_{unit}": amounts.whole,
        f"excluded_{unit}": np.maximum(layout.valid(sums) - amounts.whole, 0.0),
        "nodata_share": nodata,
    }
    # A raster that names no classes has those that were found.
    wanted = range(classes.shape[1]) if source.legend is None else range(len(source.legend))
    for index in wanted:
        if source.legend is not None or classes[:, index].any():
            found[free_name(f"{source.class_name(index)}_{unit}", found)] = classes[:, index]
    return found


def _own(
    columns: Mapping[str, NDArray[Any]], found: Mapping[str, Any]
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Attributes of the zones, called otherwise where a name is taken, and what is to be said."""
    kept: dict[str, NDArray[Any]] = {}
    renamed = []
    for name, values in columns.items():
        free = free_name(name, {**found, **kept, **dict.fromkeys(_RESERVED)})
        if free != name:
            renamed.append(f"{name} is {free}")
        kept[free] = values
    return kept, [f"attributes of the zones have other names: {', '.join(renamed)}"] * bool(renamed)


def _digest(source: str) -> dict[str, str]:
    path = source.partition("|layername=")[0]
    return {path: fingerprint_polygons(source, purpose=_PURPOSE)}
