"""Labels laid on a scene: which pixel is which."""

from __future__ import annotations

from geoseg.errors import LabelError
from geoseg.raster.scene import Scene


def lay_labels(labels: Scene, scene: Scene, *, assume_aligned: bool) -> Scene:
    """Bring labels to a scene's grid; on another grid each pixel gets the nearest label.

    Parameters
    ----------
    labels
        One band of label values.
    scene
        What they are labels of.
    assume_aligned
        Take labels without a place on Earth as lying on the scene pixel by pixel.

    Raises
    ------
    GridError
        They do not overlap.
    LabelError
        It cannot be known where they lie, or they are not as many as the pixels.
    """
    path = labels.paths[0]
    placed = labels.grid.is_georeferenced and scene.grid.is_georeferenced
    one_has_crs = (labels.grid.crs is None) != (scene.grid.crs is None)
    if placed and not (one_has_crs and assume_aligned):
        return labels.on_grid(scene.grid)
    same_size = (labels.grid.height, labels.grid.width) == (scene.grid.height, scene.grid.width)
    what = "the labels have" if labels.grid.crs is None else "the scene has"
    if not same_size:
        raise LabelError(
            f"{path}: {what} no georeference, and {labels.grid.height} × {labels.grid.width} "
            f"labels do not fit {scene.grid.height} × {scene.grid.width} pixels of {scene.name}"
        )
    if not assume_aligned:
        raise LabelError(
            f"{path}: {what} no georeference; if the labels lie pixel by pixel on {scene.name}, "
            "say --assume-aligned"
        )
    return labels.assume_grid(scene.grid)
