"""Small pictures of what steps made: rasters, pictures, confusions. Bounded in number and size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GeosegError
from geoseg.report.page import Figure

if TYPE_CHECKING:
    from geoseg.raster.legend import Legend

SIDE = 384
"""Longest side of a picture in pixels."""
_LEAST_SIDE = 192
"""Rasters of fewer pixels are enlarged by a whole number."""
_OF_ONE = 3
"""Pictures of one folder."""
_MOST_BYTES = 1 << 19
"""Of a picture; larger ones are left out."""
_MOST_PIXELS = 1 << 22
"""Rasters of more pixels are shown by their overviews, if they have any."""
_RASTERS = (".tif", ".tiff", ".vrt")
_PICTURES = (".png", ".jpg", ".jpeg")
_SCORES = ".json"
_MOST_SCORES = 1 << 24
"""Bytes of a file of scores; larger ones hold something else, such as polygons."""
_MOST_CLASSES = 40
"""Of a legend that is shown."""
_LOOKED_INTO = 1000
"""Files of a folder, by name, that are looked at."""


def draw(paths: Iterable[Path], out: Path) -> Iterator[Figure]:
    """Draw what can be drawn of some files and folders, one by one as they are asked for.

    Parameters
    ----------
    paths
        Files, and folders whose own files are meant; the first few that can be drawn are.
    out
        Folder of the page, which they lie in.

    Yields
    ------
    Pictures with their names, linked to their files; none of a file that cannot be read.
    """
    for path in paths:
        yield from islice(_of(path, out), _OF_ONE)


def legend_of(file: Path) -> Legend | None:
    """Read the classes of a raster that is drawn in their colours; None where it has too many."""
    if file.suffix.lower() not in _RASTERS:
        return None
    from geoseg.raster.legend.rasters import raster_legend  # noqa: PLC0415 — pixels cost imports

    try:
        legend = raster_legend(file)
    except (GeosegError, OSError, ValueError):
        return None
    return legend if legend is not None and len(legend) <= _MOST_CLASSES else None


def _of(path: Path, out: Path) -> Iterator[Figure]:
    files = [path]
    if path.is_dir():
        # Of a data set its arrays are no pictures, and its index is none to look at.
        if (path / "dataset.json").exists():
            return
        names = sorted(islice((p.name for p in path.iterdir() if p.is_file()), _LOOKED_INTO))
        files = [path / name for name in names if not name.startswith(".")]
        # What says most first: scores, then maps, then other pictures.
        kinds = (_SCORES, *_RASTERS, *_PICTURES)
        files = [p for p in files if p.suffix.lower() in kinds]
        files.sort(key=lambda p: kinds.index(p.suffix.lower()))
    for file in files:
        try:
            image = _picture(file)
        except (GeosegError, OSError, ValueError):
            continue  # a page is of what there is to show
        if image is not None and len(image) <= _MOST_BYTES:
            name = file.relative_to(out).as_posix()
            if file.suffix.lower() != _SCORES:
                yield Figure(image, f"Small picture of {name}", name, link=name)
                continue
            page = next((p for p in _pages(file) if p.is_file()), file)
            words = f"{name}: what is taken for what, in percent of each row"
            yield Figure(image, words, words, link=page.relative_to(out).as_posix())


def _pages(scores: Path) -> tuple[Path, ...]:
    """Where the page may lie that shows more of some scores."""
    return scores.with_suffix(".html"), scores.with_name("report.html")


def _picture(file: Path) -> bytes | None:
    suffix = file.suffix.lower()
    if suffix == _SCORES:
        return _confusion(file)
    if suffix in _RASTERS:
        return _raster(file)
    if suffix in _PICTURES:
        from geoseg.report.photographs import small_picture  # noqa: PLC0415 — it brings Pillow

        return small_picture(file, 2 * SIDE)
    return None


def _confusion(file: Path) -> bytes | None:
    """Draw the confusion of a file of scores; None where it holds none."""
    if file.stat().st_size > _MOST_SCORES:
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        counts = np.array(content["confusion"]["counts"], np.int64)
        names = [str(one["name"]) for one in content["classes"]]
    except (KeyError, TypeError, OverflowError, RecursionError):
        return None
    if counts.shape != (len(names), len(names)) or not counts.any():
        return None
    from geoseg.report.class_charts import confusion_picture  # noqa: PLC0415 — matplotlib

    return confusion_picture(counts, names)


def _raster(file: Path) -> bytes | None:
    """Draw a raster as it would open: classes in their colours, values by a ramp, bands as RGB."""
    from geoseg.raster.legend import NODATA, Ramp  # noqa: PLC0415 — pixels cost imports
    from geoseg.raster.legend.rasters import raster_legend  # noqa: PLC0415 — pixels cost imports
    from geoseg.raster.scene import Scene  # noqa: PLC0415
    from geoseg.report.pictures import (  # noqa: PLC0415
        class_picture,
        ramp_picture,
        rgb_picture,
        show_bands,
        stretch_limits,
    )

    legend = raster_legend(file)
    with Scene.open(file) as scene:
        bands = show_bands(scene.band_names)
        if len(scene.bands) == 1 or bands == (0, 1, 2):
            bands = bands if _is_colour(scene.band_names) else (0, 0, 0)
        chosen = scene.select([scene.band_names[place] for place in dict.fromkeys(bands)])
        found = _coarse(chosen)
    if found is None:
        return None
    data, valid = found
    if not valid.any():
        return None
    more = max(1, _LEAST_SIDE // max(valid.shape))  # a few cells would be a speck
    data, valid = (part.repeat(more, axis=-2).repeat(more, axis=-1) for part in (data, valid))
    if legend is not None and len(data) == 1 and data.dtype.kind in "iu":
        codes = legend.lookup(data[0])
        return class_picture(np.where(valid, codes, np.uint8(NODATA)), legend)
    values = np.where(valid, data, np.nan).astype(np.float32)
    limits = stretch_limits([values], range(len(values)))
    if len(values) == 1:
        low, high = limits[0]
        return ramp_picture(
            values[0], Ramp(name="viridis", minimum=float(low), maximum=float(high))
        )
    return rgb_picture(values, (0, 1, 2), limits)


def _is_colour(names: tuple[str, ...]) -> bool:
    """Whether three bands of these names are a picture, and not one measure beside another."""
    words = " ".join(names).casefold()
    return "red" in words or "nir" in words or words.startswith("band 1 band 2 band 3")


def _coarse(scene: Any) -> tuple[NDArray[Any], NDArray[np.bool_]] | None:
    """Read all of a scene at about the size of a picture; None where that takes too much."""
    if scene.grid.window.area <= _MOST_PIXELS:
        pixels = scene.read(scene.grid.window)
        return pixels.data, pixels.valid
    pieces = scene.read_overview(4 * SIDE * SIDE)
    found = [] if pieces is None else list(islice(pieces, 2))
    return (found[0].data, found[0].valid) if len(found) == 1 else None
