"""What geoseg sees of a scene, as plain JSON objects: files, grid, bands, classes, who made it."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as transform_points

from geoseg.errors import LabelError
from geoseg.raster.grid import Grid, crs_code, crs_name
from geoseg.raster.legend import Legend
from geoseg.raster.legend.palette import hex_of
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.opening.handles import environment, is_local_file, open_dataset
from geoseg.raster.preview import preview_pixels, scene_statistics
from geoseg.raster.provenance import made_by
from geoseg.raster.scene import Scene

_MOST_VALUES = 40
"""Different values of a raster without names that are listed; more are measurements."""


def describe_scene(scene: Scene) -> dict[str, Any]:
    """Describe a scene from its head, and its pixels from about a million of them.

    Returns
    -------
    JSON objects: ``kind`` "scene" or "class raster", ``name``, ``files``, ``bytes`` (None for what
    is not local), ``format``, ``layout``, ``dtype``, ``grid`` (see `describe_grid`), ``bands``,
    ``nodata_share`` (pixels invalid in any band), ``statistics`` (how many pixels were looked at,
    and whether those are all), ``classes`` (None where nothing names any), ``values`` (of one band
    without named classes and of few values, else None), ``made_by`` (what geoseg noted when it made
    the file, else None) and ``remarks`` in words.

    Raises
    ------
    RasterReadError
        A file cannot be read.
    """
    statistics = scene_statistics(scene)
    legend, remarks = _legend(scene)
    values = _values(scene) if len(scene.bands) == 1 and scene.dtype.kind in "iu" else None
    classes = None
    if legend is not None:
        classes = _classes(legend, values or {}, remarks)
    bands = []
    for band, seen in zip(scene.bands, statistics.bands, strict=True):
        bands.append(
            {
                "name": band.name,
                "named": band.named,
                "dtype": band.dtype,
                "nodata": band.nodata,
                "scale": band.scale,
                "offset": band.offset,
                "minimum": seen.minimum,
                "maximum": seen.maximum,
                "mean": seen.mean,
                "std": seen.std,
            }
        )
    few = values is not None and len(values) <= _MOST_VALUES
    return {
        "kind": "scene" if classes is None else "class raster",
        "name": scene.name,
        "files": list(scene.paths),
        "bytes": _bytes(scene.paths),
        "dtype": scene.dtype.name,
        **_layout(scene),
        "grid": describe_grid(scene.grid),
        "bands": bands,
        "nodata_share": statistics.nodata_share,
        "statistics": {"pixels": statistics.pixels, "exact": statistics.exact},
        "classes": classes,
        "values": _shares(values) if values and few and classes is None else None,
        "made_by": made_by(scene.tags) or None,
        "remarks": remarks + _remarks(scene, statistics.nodata_share),
    }


# -- place ----------------------------------------------------------------------------------------


def describe_grid(grid: Grid) -> dict[str, Any]:
    """Describe where pixels lie.

    Returns
    -------
    JSON objects: ``height``, ``width``, ``resolution`` [along a row, along a column] in ``units``;
    ``crs`` (an authority's code, where the coordinate system is surely that one) and ``crs_name``;
    ``orientation`` ("north up", "south up", "rotated by 12.5°", …); ``bounds`` [xmin, ymin, xmax,
    ymax]; ``transform`` (rasterio's six numbers); ``centre`` [longitude, latitude] in degrees. None
    stands for what a grid without a place on Earth cannot have.
    """
    t = grid.transform
    crs = grid.crs
    return {
        "height": grid.height,
        "width": grid.width,
        "resolution": list(grid.resolution),
        "units": None if crs is None else str(crs.units_factor[0]),
        "crs": None if crs is None else crs_code(crs),
        "crs_name": None if crs is None else crs_name(crs),
        "orientation": _orientation(grid),
        "bounds": list(grid.bounds()) if grid.is_georeferenced else None,
        "transform": [t.a, t.b, t.c, t.d, t.e, t.f],
        "centre": _centre(grid),
    }


def _orientation(grid: Grid) -> str | None:
    if not grid.is_georeferenced:
        return None
    t = grid.transform
    mirrored = t.determinant > 0
    if t.b == 0 and t.d == 0:
        rows = "north up" if t.e < 0 else "south up"
        return rows if t.a > 0 else f"{rows}, east to the left"
    angle = math.degrees(math.atan2(t.d, t.a))
    square = abs(t.a * t.b + t.d * t.e) <= 1e-9 * abs(t.determinant)
    how = f"rotated by {angle:.4g}°" if square else f"sheared, rows at {angle:.4g}°"
    return f"{how}, mirrored" if mirrored else how


def _centre(grid: Grid) -> list[float] | None:
    if grid.crs is None:
        return None
    t, col, row = grid.transform, grid.width / 2, grid.height / 2
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    try:
        xs, ys = transform_points(grid.crs, CRS.from_epsg(4326), [x], [y])
    except RasterioError:
        return None
    place = [float(xs[0]), float(ys[0])]
    return place if all(map(math.isfinite, place)) else None


# -- files ----------------------------------------------------------------------------------------


def _bytes(paths: tuple[str, ...]) -> int | None:
    files = [Path(path) for path in paths]
    if not all(is_local_file(path) for path in paths):
        return None
    return sum(file.stat().st_size for file in files if file.is_file())


def _layout(scene: Scene) -> dict[str, Any]:
    """Format of the first file, and how its pixels lie in it."""
    path = scene.paths[0]
    with environment(path), open_dataset(path) as dataset:
        structure = dataset.tags(ns="IMAGE_STRUCTURE")
        rows, cols = dataset.block_shapes[0]
        compression = structure.get("COMPRESSION")
        return {
            "format": dataset.driver,
            "layout": {
                "block_rows": int(rows),
                "block_cols": int(cols),
                "tiled": bool(cols < dataset.width),
                "compression": compression.lower() if compression else None,
                "overviews": [int(f) for f in dataset.overviews(1)],
                "cloud_optimized": structure.get("LAYOUT") == "COG",
            },
        }


# -- classes --------------------------------------------------------------------------------------


def _legend(scene: Scene) -> tuple[Legend | None, list[str]]:
    """Legend of a class raster; where it is damaged, that in words."""
    if len(scene.bands) != 1 or scene.dtype.kind not in "iu":
        return None, []
    try:
        return raster_legend(scene.paths[0]), []
    except LabelError as error:
        return None, [f"its legend cannot be used: {error}"]


def _values(scene: Scene) -> dict[int, float]:
    """Share of each value among the valid pixels looked at."""
    counts: Counter[int] = Counter()
    for pixels in preview_pixels(scene)[0]:
        found, times = np.unique(pixels.data[0][pixels.valid], return_counts=True)
        counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))
    total = counts.total()
    return {value: n / total for value, n in sorted(counts.items())}


def _shares(values: dict[int, float]) -> list[dict[str, Any]]:
    return [{"value": value, "share": share} for value, share in values.items()]


def _classes(legend: Legend, values: dict[int, float], remarks: list[str]) -> list[dict[str, Any]]:
    strange = [value for value in values if value not in legend.ids]
    if strange:
        shown = ", ".join(map(str, strange[:8])) + (", …" if len(strange) > 8 else "")
        remarks.append(f"holds values that its legend does not name: {shown}")
    return [
        {"id": c.id, "name": c.name, "color": hex_of(c.color), "share": values.get(c.id, 0.0)}
        for c in legend.classes
    ]


def _remarks(scene: Scene, nodata_share: float) -> list[str]:
    """Say what a user may not expect."""
    said = []
    if not scene.grid.is_georeferenced:
        said.append("it has no place on Earth (no coordinate system, no transform)")
    elif scene.grid.crs is None:
        said.append("it has a transform but no coordinate system")
    if len(scene.bands) > 1 and not scene.bands_are_named:
        said.append("bands without names: give them with --band-names")
    if nodata_share == 1:
        said.append("no pixel looked at is valid in all bands")
    return said
