"""The same median by other means: one run of one of them, from files to a file.

Started by `benchmarks/composite.py` with a Python that has the peers (rioxarray, dask, odc-stac,
stackstac), not geoseg. Each gets the same files, the same mask, the same scale and four threads,
and writes a tiled, deflated GeoTIFF of float32 without overviews::

    PYTHON composite_peers.py xarray OUT.tif 4 PRODUCT…
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock, local
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

BANDS = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7")
QUALITY = "QA_PIXEL"
CLEAR = 21824
SCALE, OFFSET = 0.0000275, -0.2
SIDE = 512


def path_of(product: Path, band: str) -> str:
    return str(product / f"{product.name}_{band}.TIF")


def profile_of(product: Path) -> dict[str, Any]:
    with rasterio.open(path_of(product, BANDS[0])) as dataset:
        profile = dict(dataset.profile)
    profile |= {"count": len(BANDS), "dtype": "float32", "nodata": np.nan, "predictor": 3}
    return profile | {"zlevel": 1, "interleave": "pixel"}


def windows(products: list[Path], out: Path, workers: int) -> None:
    """Compute numpy.nanmedian of windows of a block, in threads, by rasterio alone."""
    profile, opened, lock = profile_of(products[0]), local(), Lock()

    def read(path: str, window: Window) -> Any:
        files = opened.__dict__.setdefault("files", {})
        if path not in files:
            files[path] = rasterio.open(path)
        return files[path].read(1, window=window)

    def one(at: tuple[int, int]) -> None:
        height, width = min(SIDE, profile["height"] - at[0]), min(SIDE, profile["width"] - at[1])
        window = Window(at[1], at[0], width, height)
        stack = np.empty((len(products), len(BANDS), height, width), np.float32)
        for date, product in zip(stack, products, strict=True):
            clear = read(path_of(product, QUALITY), window) == CLEAR
            for band, name in zip(date, BANDS, strict=True):
                data = read(path_of(product, name), window)
                band[...] = np.where(clear & (data != 0), data * SCALE + OFFSET, np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            median = np.nanmedian(stack, axis=0)
        with lock:
            target.write(median, window=window)

    places = [
        (row, col)
        for row in range(0, profile["height"], SIDE)
        for col in range(0, profile["width"], SIDE)
    ]
    with rasterio.open(out, "w", **profile) as target, ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, places))


def write_cube(cube: Any, products: list[Path], out: Path, workers: int) -> None:
    """Compute the median of (time, band, y, x), NaN where masked, and write it."""
    import dask  # noqa: PLC0415 — of the peers that use it

    with dask.config.set(scheduler="threads", num_workers=workers):
        result = cube.median("time", skipna=True).compute()
    with rasterio.open(out, "w", **profile_of(products[0])) as target:
        target.write(np.asarray(result, np.float32))


def xarray(products: list[Path], out: Path, workers: int) -> None:
    """Use rioxarray, dask and xarray's median."""
    import rioxarray  # noqa: PLC0415
    import xarray as xr  # noqa: PLC0415

    def read(product: Path, name: str) -> Any:
        path = path_of(product, name)
        return rioxarray.open_rasterio(path, chunks=(1, SIDE, SIDE), lock=False)[0]

    dates = []
    for product in products:
        bands = xr.concat([read(product, name) for name in BANDS], "band")
        clear = (read(product, QUALITY) == CLEAR) & (bands != 0)
        dates.append(bands.where(clear).astype(np.float32) * SCALE + OFFSET)
    cube = xr.concat(dates, "time").chunk({"time": -1, "band": 1, "y": SIDE, "x": SIDE})
    write_cube(cube, products, out, workers)


def items_of(products: list[Path]) -> list[Any]:
    """STAC items of the products."""
    import pystac  # noqa: PLC0415
    from rasterio.warp import transform_bounds  # noqa: PLC0415

    items = []
    for number, product in enumerate(products):
        with rasterio.open(path_of(product, BANDS[0])) as dataset:
            box = transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds)
            place = {
                "proj:epsg": dataset.crs.to_epsg(),
                "proj:code": str(dataset.crs),
                "proj:shape": list(dataset.shape),
                "proj:transform": list(dataset.transform)[:6],
            }
        west, south, east, north = box
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        item = pystac.Item(
            product.name,
            {"type": "Polygon", "coordinates": [ring]},
            list(box),
            datetime(2018, 1, 1, tzinfo=UTC) + timedelta(days=number),
            {},
        )
        item.stac_extensions = [
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
        ]
        item.properties |= place
        for name in (QUALITY, *BANDS):
            kind = "image/tiff; application=geotiff"
            item.add_asset(name, pystac.Asset(path_of(product, name), media_type=kind))
        items.append(item)
    return items


def odc(products: list[Path], out: Path, workers: int) -> None:
    """Use odc.stac.load, dask and xarray's median."""
    import xarray as xr  # noqa: PLC0415
    from odc.geo.geobox import GeoBox  # noqa: PLC0415
    from odc.stac import load  # noqa: PLC0415

    profile = profile_of(products[0])
    box = GeoBox((profile["height"], profile["width"]), profile["transform"], profile["crs"])
    chunks = {"time": 1, "y": SIDE, "x": SIDE}
    cube = load(
        items_of(products), bands=[QUALITY, *BANDS], geobox=box, chunks=chunks, dtype="uint16"
    )
    clear = cube[QUALITY] == CLEAR
    bands = xr.concat(
        [cube[name].where(clear & (cube[name] != 0)).astype(np.float32) for name in BANDS], "band"
    )
    write_cube(bands.chunk({"time": -1}) * SCALE + OFFSET, products, out, workers)


def stackstac(products: list[Path], out: Path, workers: int) -> None:
    """Use stackstac.stack, dask and xarray's median."""
    import stackstac as library  # noqa: PLC0415

    with rasterio.open(path_of(products[0], BANDS[0])) as dataset:
        bounds, epsg, resolution = dataset.bounds, dataset.crs.to_epsg(), dataset.res[0]
    cube = library.stack(
        items_of(products),
        assets=[QUALITY, *BANDS],
        epsg=epsg,
        resolution=resolution,
        bounds=tuple(bounds),
        snap_bounds=False,
        dtype=np.dtype("uint16"),
        fill_value=np.uint16(0),
        rescale=False,
        chunksize=SIDE,
    )
    bands = cube.sel(band=list(BANDS))
    clear = (cube.sel(band=QUALITY, drop=True) == CLEAR) & (bands != 0)
    masked = bands.where(clear).astype(np.float32) * SCALE + OFFSET
    write_cube(masked.chunk({"time": -1}), products, out, workers)


PEERS = {"windows": windows, "xarray": xarray, "odc": odc, "stackstac": stackstac}


def peak_mb() -> float:
    """Return the most memory that this process held, whatever its parent did."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; its ru_maxrss begins with the parent's
        told = next(line for line in status.read_text().splitlines() if "VmHWM" in line)
        return int(told.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    name, out, workers, *products = sys.argv[1:]
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        PEERS[name]([Path(p) for p in products], Path(out), int(workers))
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
