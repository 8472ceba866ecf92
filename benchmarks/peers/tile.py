"""A scene cut into patches by other means: one run of one of them.

    PYTHON tile.py retile SCENE.tif FOLDER [--compress deflate] [--workers 4]

`read` is the limit: every block decoded once, in threads, and dropped. All others write a GeoTIFF a
patch (Raster Vision: an array), without statistics or an index. The last line of the output is a
JSON object with the seconds, without imports.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window


def profile_of(given: argparse.Namespace, source: Any) -> dict[str, Any]:
    profile = {
        "driver": "GTiff", "count": source.count, "dtype": source.dtypes[0], "crs": source.crs,
        "width": given.size, "height": given.size, "nodata": source.nodata,
    }  # fmt: skip
    return profile | ({"compress": given.compress} if given.compress else {})


def read_rows(given: argparse.Namespace, share: int) -> None:
    with rasterio.open(given.scene) as source:
        step = source.block_shapes[0][0]
        for row in range(share * step, source.height, given.workers * step):
            source.read(window=Window(0, row, source.width, min(step, source.height - row)))


def read(given: argparse.Namespace) -> None:
    with ThreadPoolExecutor(given.workers) as pool:
        list(pool.map(partial(read_rows, given), range(given.workers)))


def cut(given: argparse.Namespace, share: int = 0, of: int = 1) -> None:
    """Do what most people write: a read and a write a patch."""
    with rasterio.open(given.scene) as source:
        profile = profile_of(given, source)
        for y in range(share * given.size, source.height - given.size + 1, of * given.size):
            for x in range(0, source.width - given.size + 1, given.size):
                window = Window(x, y, given.size, given.size)
                place = {"transform": source.window_transform(window)}
                with rasterio.open(given.out / f"{y}_{x}.tif", "w", **profile, **place) as patch:
                    patch.write(source.read(window=window))


def loop(given: argparse.Namespace) -> None:
    cut(given)


def processes(given: argparse.Namespace) -> None:
    with ProcessPoolExecutor(given.workers) as pool:
        list(pool.map(partial(cut, given, of=given.workers), range(given.workers)))


def retile(given: argparse.Namespace) -> None:
    words = ["gdal_retile.py", "-q", "-ps", str(given.size), str(given.size)]
    if given.compress:
        words += ["-co", f"COMPRESS={given.compress.upper()}"]
    words += ["-targetDir", str(given.out), str(given.scene)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def geoai(given: argparse.Namespace) -> None:
    """Take the scene's own compression, which it cannot change."""
    from geoai.utils.training import export_geotiff_tiles  # noqa: PLC0415

    export_geotiff_tiles(
        str(given.scene), str(given.out), tile_size=given.size, stride=given.size, quiet=True
    )


def torchgeo(given: argparse.Namespace) -> None:
    """Write what its grid sampler reads."""
    from torchgeo.datasets import RasterDataset  # noqa: PLC0415
    from torchgeo.samplers import GridGeoSampler  # noqa: PLC0415

    class OneScene(RasterDataset):  # type: ignore[misc]
        filename_glob = given.scene.name

    dataset = OneScene([str(given.scene)])
    with rasterio.open(given.scene) as source:
        profile, side = profile_of(given, source), source.res[0]
    for number, box in enumerate(GridGeoSampler(dataset, size=given.size, stride=given.size)):
        place = rasterio.transform.from_origin(box[0].start, box[1].stop, side, side)
        name = given.out / f"{number}.tif"
        with rasterio.open(name, "w", transform=place, **profile) as patch:
            patch.write(dataset[box]["image"].numpy().astype(profile["dtype"]))


def rastervision(given: argparse.Namespace) -> None:
    """Keep what its sliding windows read as arrays."""
    from rastervision.core.data import RasterioSource, Scene  # noqa: PLC0415
    from rastervision.pytorch_learner import (  # noqa: PLC0415
        SemanticSegmentationSlidingWindowGeoDataset,
    )

    dataset = SemanticSegmentationSlidingWindowGeoDataset(
        Scene(id="scene", raster_source=RasterioSource(str(given.scene))), size=given.size,
        stride=given.size, padding=0, normalize=False, to_pytorch=False,
    )  # fmt: skip
    for number in range(len(dataset)):
        np.save(given.out / f"{number}.npy", dataset[number][0])


WAYS: dict[str, tuple[Callable[[argparse.Namespace], None], str]] = {
    "read": (read, "rasterio"),
    "loop": (loop, "rasterio"),
    "processes": (processes, "rasterio"),
    "retile": (retile, "rasterio"),
    "geoai": (geoai, "geoai.utils.training"),
    "torchgeo": (torchgeo, "torchgeo.datasets"),
    "rastervision": (rastervision, "rastervision.pytorch_learner"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("scene", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--compress", default="")
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    way, needs = WAYS[given.way]
    importlib.import_module(needs)
    given.out.mkdir()
    began = time.perf_counter()
    way(given)
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
