"""Bringing images to one colour: time beside reading and writing alone, memory, and what it does.

Makes pieces of a country (uint16, deflate, tiles of 512) that overlap, each with a gain and an
offset of its own, and measures in processes of their own how long the command takes beside copying
the same images through the same reader and writer, and how much memory. With real scenes, also how
much each method leaves of the seams between pieces of one::

    python benchmarks/homogenise.py --work scratch --real zion --keep benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

import geoseg
from geoseg.compositing.homogenise.images import dodge_of, open_images
from geoseg.compositing.homogenise.run import homogenise
from geoseg.compositing.homogenise.settings import HomogeniseSettings
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.scene import Scene
from geoseg.raster.strips import read_strips

BANDS = ("blue", "green", "red", "nir")
METHODS = ("moments", "histogram", "overlap")
SHARED = 0.15  # of a piece's width, with each neighbour


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--keep", type=Path, help="where results go")
    parser.add_argument("--real", type=Path, help="folder with landsat8_b2345.tif")
    parser.add_argument("--sizes", default="2048x2048,4096x2048,2048x4096", help="rows x columns")
    parser.add_argument("--pieces", type=int, default=3)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def make_pieces(folder: Path, pieces: int, rows: int, cols: int) -> None:
    """Pieces in a row, from west to east; what is there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(pieces):
        path = folder / f"piece_{number}.tif"
        if path.exists():
            continue
        rng = np.random.default_rng(number)
        first = round(number * cols * (1 - SHARED))
        with rasterio.open(
            path, "w", driver="GTiff", width=cols, height=rows, count=len(BANDS), dtype="uint16",
            crs="EPSG:32633", transform=Affine(10, 0, 500_000 + 10 * first, 0, -10, 5_000_000),
            nodata=0, tiled=True, blockxsize=512, blockysize=512, compress="deflate",
        ) as dataset:  # fmt: skip
            gains = np.exp(rng.normal(0, 0.15, len(BANDS)))
            offsets = rng.normal(0, 500, len(BANDS))
            for top in range(0, rows, 512):
                height = min(512, rows - top)
                for band, name in enumerate(BANDS):
                    ground = country(top, first, height, cols, band)
                    made = np.rint(gains[band] * ground + offsets[band]).clip(1, 65535)
                    dataset.write(
                        made.astype("uint16"), band + 1, window=Window(0, top, cols, height)
                    )
                    dataset.set_band_description(band + 1, name)


def country(top: int, left: int, height: int, width: int, band: int) -> NDArray[np.float64]:
    """Return the same ground for all pieces: waves, and texture by a hash of the place."""
    y = np.arange(top, top + height)[:, None]
    x = np.arange(left, left + width)[None, :]
    texture = np.sin(12.9898 * x + 78.233 * y + band) * 43758.5453
    return 8000 + 1500 * (np.sin(x / 180 + band) + np.cos(y / 230)) + 400 * (texture % 1)


def step_copy(folder: Path, workers: int) -> dict[str, Any]:
    """Read every image once and write it as it is."""
    out = folder / "copy"
    out.mkdir(exist_ok=True)
    began = time.perf_counter()
    for path in sorted(folder.glob("piece_*.tif")):
        scene = Scene.open(path)
        with RasterWriter(
            out / path.name, scene.grid, band_names=scene.band_names, dtype="uint16", nodata=0,
            overwrite=True, workers=workers,
        ) as writer:  # fmt: skip
            for strip in read_strips([scene], workers=workers):
                writer.write_rows(strip.row, strip.arrays[0])
    return {"seconds": time.perf_counter() - began}


def step_homogenise(folder: Path, workers: int, method: str, *more: str) -> dict[str, Any]:
    images = open_images(sorted(folder.glob("piece_*.tif")))
    began = time.perf_counter()
    result = homogenise(
        images,
        folder / f"out_{method}",
        settings=HomogeniseSettings(
            method=method,  # type: ignore[arg-type]
            dodge=dodge_of(on="dodge" in more),
        ),
        workers=workers,
        overwrite=True,
    )
    return {
        "seconds": time.perf_counter() - began,
        "before": result.relative_before,
        "after": result.relative_after,
    }


def in_a_process(step: str, folder: Path, workers: int) -> dict[str, Any]:
    words = [sys.executable, __file__, "--work", ".", "--workers", str(workers)]
    done = subprocess.run(
        [*words, "--step", step, "--folder", str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def real_pieces(folder: Path, source: Path, gain: float, gamma: float) -> None:
    """Six overlapping pieces of a real scene with gains, offsets and gammas of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with rasterio.open(source / "landsat8_b2345.tif") as dataset:
        height, width = dataset.height, dataset.width
        for number in range(6):
            row, col = divmod(number, 2)
            down, across = height // 3, width // 2
            window = Window(
                col * across - 40, row * down - 40, across + 80, down + 80
            ).intersection(Window(0, 0, width, height))
            pixels = dataset.read(window=window)
            made = pixels * np.exp(rng.normal(0, gain, (4, 1, 1)))
            made += rng.normal(0, 4000 * gain, (4, 1, 1))
            made = 60_000 * (made.clip(1, 60_000) / 60_000) ** np.exp(rng.normal(0, gamma))
            made = np.where(pixels == 65535, 65535, np.rint(made).clip(1, 65534))
            profile = dataset.profile | {
                "driver": "GTiff", "height": pixels.shape[1], "width": pixels.shape[2],
                "transform": dataset.window_transform(window),
            }  # fmt: skip
            with rasterio.open(folder / f"piece_{number}.tif", "w", **profile) as out:
                out.write(made.astype("uint16"))


def measure(arguments: argparse.Namespace) -> str:
    lines = [
        "# Many images to one colour",
        "",
        f"geoseg {geoseg.__version__}, Python {platform.python_version()}, numpy "
        f"{np.__version__}; four shared cores, no GPU; {arguments.workers} threads. "
        "Made by `benchmarks/homogenise.py`.",
        "",
        "## Time and memory",
        "",
        f"{arguments.pieces} images side by side, each sharing {100 * SHARED:.0f} % of its width "
        "with the next; four bands of uint16. Beside copying them: every image read once and "
        "written once by the same reader and writer. The command reads each image twice, what "
        "they share twice more, and writes the report. One run each, while others used the same "
        "cores: times are rough, and differences between methods mean little.",
        "",
        "| rows × columns | what | seconds | beside copying | memory, MB |",
        "|---|---|---|---|---|",
    ]
    for size in arguments.sizes.split(","):
        rows, cols = map(int, size.split("x"))
        folder = arguments.work / size
        make_pieces(folder, arguments.pieces, rows, cols)
        in_a_process("copy", folder, arguments.workers)  # files come into the system's cache
        alone = in_a_process("copy", folder, arguments.workers)
        row = f"| {rows} × {cols} | copying | {alone['seconds']:.2f} | 1.00 | {alone['memory']} |"
        lines.append(row)
        for step in (*METHODS, "overlap dodge"):
            found = in_a_process(step, folder, arguments.workers)
            ratio = found["seconds"] / alone["seconds"]
            lines.append(
                f"| | {step.replace(' ', ' + ')} | {found['seconds']:.2f} | {ratio:.2f} | "
                f"{found['memory']} |"
            )
    if arguments.real is not None:
        lines += [
            "",
            "## Seams between pieces of a real scene",
            "",
            "Six overlapping pieces of a Landsat scene over Zion (level 1, bands 2–5). Mean "
            "difference where pieces meet, in standard deviations of both sides. Moments and "
            "histograms make pieces alike that show different ground, and so cannot make them "
            "agree where they meet.",
            "",
            "| what was done to the pieces | before | moments | histogram | overlap |",
            "|---|---|---|---|---|",
        ]
        cases = (("nothing", 0.0, 0.0), ("gains and offsets", 0.15, 0.0),
                 ("gammas", 0.0, 0.2), ("all of it", 0.15, 0.2))  # fmt: skip
        for number, (name, gain, gamma) in enumerate(cases):
            folder = arguments.work / f"real_{number}"
            real_pieces(folder, arguments.real, gain, gamma)
            found = [in_a_process(m, folder, arguments.workers) for m in METHODS]
            after = " | ".join(f"{one['after']:.3g}" for one in found)
            lines.append(f"| {name} | {found[0]['before']:.3g} | {after} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = parse_arguments()
    if arguments.step:
        name, *more = arguments.step.split()
        if name == "copy":
            found = step_copy(arguments.folder, arguments.workers)
        else:
            found = step_homogenise(arguments.folder, arguments.workers, name, *more)
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps(found))
        return
    text = measure(arguments)
    print(text)
    if arguments.keep is not None:
        (arguments.keep / "homogenise.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
