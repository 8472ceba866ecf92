"""How many tiles a map needs: overlaps, weights and tile sizes against scores and seams.

Maps a labelled scene, or a folder of photographs with a folder of labels, in every way that is
asked for with each of the models, and prints a table of means over models: pixels that a network
sees for each of the map, mIoU and accuracy, by how much mIoU differs from that of the papers'
densest tiles (stride a fifth of a tile, weights alike) for the same model, the share of pixels of
another class than there and than with as many tiles weighed by `hann`, and how much more often
classes change across the lines on which tiles begin than elsewhere (1: not more often; the labels'
own figure for the same lines stands beside, by which it is to be judged)::

    python benchmarks/strides.py SCENE LABELS --region POLYGONS --work SCRATCH --model FILE FILE

Models are to be alike but for their seeds, or the spread over them says nothing. No times are told:
those follow the pixels that the network sees. What is done is skipped when the command is run
again; a scratch folder is of one scene.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import geoseg
from geoseg.models.card import hash_file
from geoseg.raster.scene import Scene

BLENDS = ("mean", "hann", "gaussian")
COLUMNS = (
    "tile, px",
    "overlap",
    "stride",
    "weights",
    "px seen a px",
    "mIoU",
    "mIoU − papers'",
    "accuracy",
    "≠ dense mean",
    "≠ dense hann",
    "seams",
)


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to cut a scene into tiles and to blend them."""

    tile: int
    """Side, px."""
    stride: int
    """From one to the next, px."""
    blend: str
    """Weights."""

    @property
    def name(self) -> str:
        return f"{self.tile}_{self.stride}_{self.blend}"

    def of_five(self, blend: str) -> Way:
        """As the papers do: a stride of a fifth of a tile."""
        return Way(tile=self.tile, stride=self.tile // 5, blend=blend)


def pixels_of(path: Path) -> NDArray[np.uint8]:
    """(n,) classes of a map, or of all maps of a folder."""
    parts = []
    for file in sorted(path.glob("*.tif")) if path.is_dir() else [path]:
        with Scene.open(file) as scene:
            parts.append(np.asarray(scene.read(scene.grid.window).data[0]).ravel())
    return np.concatenate(parts)


def mapped(args: argparse.Namespace, model: Path | None, way: Way) -> tuple[Path, dict[str, Any]]:
    """Map the scene one way and score the map, once; return the map and what was found."""
    folder = args.work / (hash_file(model)[:12] if model else "built_in")
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / (way.name if args.scene.is_dir() else f"{way.name}.tif")
    kept = folder / f"{way.name}.json"
    if not kept.exists():
        how: dict[str, Any] = {"tile": way.tile, "stride": way.stride, "blend": way.blend}
        if args.region:
            how["region"] = args.region
        made = geoseg.predict(
            args.scene, out, model=model, device="cpu", workers=args.workers, overwrite=True, **how
        )
        asked: dict[str, Any] = {"region": args.region, "seams": way.stride}
        found = geoseg.evaluate(out, args.labels, workers=args.workers, **asked).content
        there = int(np.count_nonzero(pixels_of(out) != 255))
        told = {
            "seen": made.tiles * way.tile**2 / there,
            "miou": found["scores"]["mean_iou"],
            "accuracy": found["scores"]["pixel_accuracy"],
            "seams": found["seams"]["ratio"],
            "own": found["seams"]["labels_ratio"],
        }
        kept.write_text(json.dumps(told), encoding="utf-8")
    told = json.loads(kept.read_text(encoding="utf-8"))
    return out, told


def others(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Share of the pixels with a class in both that have another one."""
    there = (one != 255) & (other != 255)
    return float(np.count_nonzero((one != other) & there) / np.count_nonzero(there))


def measured(args: argparse.Namespace, model: Path | None, way: Way, first: Way) -> dict[str, Any]:
    """Say what one model's map is worth, and how far from its densest maps it is."""
    out, told = mapped(args, model, way)
    pixels = pixels_of(out)
    for blend in ("mean", "hann"):
        densest, its = mapped(args, model, first.of_five(blend))
        told[f"other_{blend}"] = others(pixels, pixels_of(densest))
        if blend == "mean":
            told["ahead"] = told["miou"] - its["miou"]
    return told


def row(way: Way, shown: str, found: list[dict[str, Any]]) -> str:
    """Return a row: means over models, and the deviation of differences between them."""
    mean = {key: statistics.fmean(each[key] for each in found) for key in found[0]}
    ahead = f"{mean['ahead']:+.4f}"
    if len(found) > 1:
        ahead += f" ± {statistics.stdev(each['ahead'] for each in found):.4f}"
    cells = (
        f"{way.tile}",
        shown,
        f"{way.stride}",
        way.blend,
        f"{mean['seen']:.1f}",
        f"{mean['miou']:.4f}",
        ahead,
        f"{mean['accuracy']:.4f}",
        f"{mean['other_mean']:.2%}",
        f"{mean['other_hann']:.2%}",
        f"{mean['seams']:.2f} ({mean['own']:.2f})",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path, help="a scene, or a folder of photographs")
    parser.add_argument("labels", type=Path, help="a raster, or a folder of those")
    parser.add_argument("--region", help="where maps are made and scored")
    parser.add_argument("--model", type=Path, nargs="+", default=[None], help="built-in by default")
    parser.add_argument("--tiles", type=int, nargs="+", default=[288], help="px; the first decides")
    parser.add_argument("--overlaps", type=float, nargs="+", default=[0.0, 0.25, 0.5])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", type=Path, required=True, help="scratch folder, kept")
    args = parser.parse_args()
    first = Way(tile=args.tiles[0], stride=args.tiles[0], blend="mean")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for tile in args.tiles:
        ways = [(f"{share:.2f}", max(1, round(tile * (1 - share)))) for share in args.overlaps]
        for shown, stride in (*ways, ("papers'", tile // 5)):
            # Without overlap weights hardly matter: the last tiles of a row alone share ground.
            for blend in BLENDS if stride < tile else ("hann",):
                way = Way(tile=tile, stride=stride, blend=blend)
                found = [measured(args, model, way, first) for model in args.model]
                print(row(way, shown, found), flush=True)


if __name__ == "__main__":
    main()
