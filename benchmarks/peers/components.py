"""Small components removed by other means than sieves: one run of one of them.

    PYTHON components.py cc3d MAP.raw OUT.raw SIDE THRESHOLD

Maps are raw bytes, SIDE² of them; 255 is no data. `cc3d`, `scipy` and `skimage` only clear small
components, to 254; `cc3d_fill` then takes the nearest pixel that is left, not the largest
neighbour. The last line of the output is a JSON object with the seconds, without imports.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NODATA, CLEARED, CLASSES = 255, 254, 7


def cc3d(classes: Any, least: int) -> Any:
    import cc3d as library  # noqa: PLC0415

    # It takes 0 for no component.
    parts = library.connected_components(classes + np.uint8(1), connectivity=4)
    small = np.bincount(parts.ravel()) < least
    small[0] = False
    classes[small[parts]] = CLEARED
    return classes


def cc3d_fill(classes: Any, least: int) -> Any:
    from scipy import ndimage  # noqa: PLC0415

    cleared = cc3d(classes, least) == CLEARED
    kept = cleared | (classes == NODATA)
    near = ndimage.distance_transform_edt(kept, return_distances=False, return_indices=True)
    classes[cleared] = classes[tuple(near[:, cleared])]
    return classes


def scipy(classes: Any, least: int) -> Any:
    from scipy import ndimage  # noqa: PLC0415

    for value in range(CLASSES):
        parts, _ = ndimage.label(classes == value)
        small = np.bincount(parts.ravel()) < least
        small[0] = False
        classes[small[parts]] = CLEARED
    return classes


def skimage(classes: Any, least: int) -> Any:
    from skimage.morphology import remove_small_objects  # noqa: PLC0415

    for value in range(CLASSES):
        own = classes == value
        classes[own & ~remove_small_objects(own, max_size=least - 1, connectivity=1)] = CLEARED
    return classes


WAYS: dict[str, tuple[Callable[[Any, int], Any], str]] = {
    "cc3d": (cc3d, "cc3d"),
    "cc3d_fill": (cc3d_fill, "cc3d,scipy.ndimage"),
    "scipy": (scipy, "scipy.ndimage"),
    "skimage": (skimage, "skimage.morphology"),
}


def main() -> None:
    name, source, target, side, least = sys.argv[1:]
    way, needs = WAYS[name]
    for module in needs.split(","):
        importlib.import_module(module)
    began = time.perf_counter()
    classes = np.fromfile(source, np.uint8).reshape(int(side), int(side))
    way(classes, int(least)).tofile(Path(target))
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
