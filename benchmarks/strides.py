"""How many tiles a map needs: overlaps, weights and tile sizes against scores and seams.

Maps a labelled scene in every way that is asked for with one model, and prints a table: mIoU and
accuracy, the share of pixels equal to the densest map (tiles of the first size, stride a fifth of
it, weights `hann`), tiles a megapixel and how many pixels a network sees for each of the map, and
how much more often classes change across the lines on which tiles begin than elsewhere (1: not more
often; the labels' own figure for the same lines stands beside, by which it is to be judged)::

    python benchmarks/strides.py SCENE LABELS --region POLYGONS --work SCRATCH

No times are told: those follow the pixels that the network sees.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import geoseg
from geoseg.raster.scene import Scene

OVERLAPS = (0.0, 0.25, 0.5, 0.75)
BLENDS = ("mean", "hann", "gaussian")
DENSEST = 4 / 5
"""A stride of 57 or 58 in tiles of 288."""
COLUMNS = "tile, px|overlap|stride|weights|tiles a Mpx|px seen a px|mIoU|accuracy|as densest|seams"


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Scene.open(path) as scene:
        return np.asarray(scene.read(scene.grid.window).data[0])


def measured(
    args: argparse.Namespace, tile: int, overlap: float, blend: str, densest: NDArray[np.uint8]
) -> str:
    """Map the scene one way; return a row of the table."""
    out = args.work / f"{tile}_{overlap:.2f}_{blend}.tif"
    stride = max(1, round(tile * (1 - overlap)))
    how: dict[str, Any] = {"tile": tile, "stride": stride, "blend": blend, "region": args.region}
    model = args.model or None
    made = geoseg.predict(args.scene, out, model=model, device="cpu", overwrite=True, **how)
    found = geoseg.evaluate(out, args.labels, region=args.region, seams=stride).content
    pixels = pixels_of(out)
    there = densest != 255
    scores, seams = found["scores"], found["seams"]
    tiles = made.tiles / (np.count_nonzero(there) / 1e6)
    own = seams["labels_ratio"]
    cells = [
        f"{tile}|{overlap:.2f}|{stride}|{blend}|{tiles:.0f}|{tiles * tile * tile / 1e6:.1f}",
        f"{scores['mean_iou']:.4f}|{scores['pixel_accuracy']:.4f}",
        f"{np.count_nonzero((pixels == densest) & there) / np.count_nonzero(there):.2%}",
        f"{seams['ratio']:.3f} ({own:.3f})",
    ]
    return f"| {'|'.join(cells).replace('|', ' | ')} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--region", help="where maps are made and scored")
    parser.add_argument("--model", help="a model file; the built-in one if not given")
    parser.add_argument("--tiles", type=int, nargs="+", default=[288, 576, 1024])
    parser.add_argument("--work", type=Path, required=True, help="scratch folder")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    first = args.tiles[0]
    dense = args.work / "densest.tif"
    geoseg.predict(
        args.scene, dense, model=args.model or None, device="cpu", overwrite=True, tile=first,
        stride=round(first * (1 - DENSEST)), blend="hann", region=args.region,
    )  # fmt: skip
    densest = pixels_of(dense)
    print(f"| {COLUMNS.replace('|', ' | ')} |\n|{'---|' * (COLUMNS.count('|') + 1)}")
    for tile in args.tiles:
        for overlap in (*OVERLAPS, DENSEST) if tile == first else OVERLAPS:
            for blend in BLENDS if tile == first and overlap else ("hann",):
                print(measured(args, tile, overlap, blend, densest), flush=True)


if __name__ == "__main__":
    main()
