"""One scene to one map by other means, from file to file, as their documentation does it.

Run by a Python that has the peer, not geoseg::

    PYTHON predict.py monai MODEL.pt SCENE.tif MAP.tif --tile 288 --stride 144

MODEL.pt is a TorchScript of the network that geoseg runs, its input readings / 10,000, its output
logits. Every way averages probabilities where tiles overlap and writes a deflated GeoTIFF of class
numbers; `forward` is the network alone, on as many tiles from memory as hold a valid pixel. The
last line of the output is a JSON object with the seconds, imports and loading not counted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from torch import Tensor, nn

CLASSES = 7
SCALE = np.float32(1e-4)
NODATA = 0


class Probabilities(nn.Module):
    """A network with its softmax."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, tiles: Tensor) -> Tensor:
        return torch.softmax(self.network(tiles), 1)


def places(length: int, tile: int, stride: int) -> list[int]:
    """Return where tiles begin; the last ends at the edge."""
    last = max(length - tile, 0)
    return [*range(0, last, stride), last]


def whole(path: Path) -> tuple[Any, dict[str, Any]]:
    with rasterio.open(path) as source:
        return source.read(), dict(source.profile)


def write(path: Path, classes: Any, profile: dict[str, Any]) -> None:
    kept = {key: profile[key] for key in ("crs", "transform", "width", "height")}
    kept |= {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype="uint8", **kept) as target:
        target.write(classes.astype(np.uint8), 1)


def in_batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def forward(network: Any, given: argparse.Namespace) -> None:
    """Run the network alone: no reading, no blend, no file."""
    image, profile = whole(given.scene)
    side = given.tile
    valid = (image != NODATA).all(0)
    corners = [
        (y, x)
        for y in places(profile["height"], side, given.stride)
        for x in places(profile["width"], side, given.stride)
        if valid[y : y + side, x : x + side].any()
    ]
    tiles = torch.rand(given.batch, len(image), side, side)
    given.began = time.perf_counter()
    for some in in_batches(corners, given.batch):
        network(tiles[: len(some)])


def loop(network: Any, given: argparse.Namespace) -> None:
    """Do what most people write: arrays as large as the scene."""
    image, profile = whole(given.scene)
    height, width = image.shape[1:]
    side, model = given.tile, Probabilities(network)
    total = np.zeros((CLASSES, height, width), np.float32)
    count = np.zeros((height, width), np.float32)
    rows, cols = (places(length, side, given.stride) for length in (height, width))
    for some in in_batches([(y, x) for y in rows for x in cols], given.batch):
        tiles = np.stack([image[:, y : y + side, x : x + side] for y, x in some])
        found = model(torch.from_numpy(tiles.astype(np.float32) * SCALE)).numpy()
        for (y, x), one in zip(some, found, strict=True):
            total[:, y : y + side, x : x + side] += one
            count[y : y + side, x : x + side] += 1
    write(given.out, (total / count).argmax(0), profile)


def monai(network: Any, given: argparse.Namespace) -> None:
    from monai.inferers import sliding_window_inference  # noqa: PLC0415

    image, profile = whole(given.scene)
    # A hundredth of a pixel more: the library rounds the distance between tiles down.
    overlap = 1 - (given.stride + 0.01) / given.tile
    found = sliding_window_inference(
        torch.from_numpy(image.astype(np.float32) * SCALE)[None],
        (given.tile, given.tile),
        given.batch,
        Probabilities(network),
        overlap=overlap,
        mode="constant",
    )
    write(given.out, found[0].argmax(0).numpy(), profile)


def toolbelt(network: Any, given: argparse.Namespace) -> None:
    from pytorch_toolbelt.inference.tiles import ImageSlicer, TileMerger  # noqa: PLC0415

    image, profile = whole(given.scene)
    pixels = np.ascontiguousarray(image.transpose(1, 2, 0)).astype(np.float32) * SCALE
    side = (given.tile, given.tile)
    slicer = ImageSlicer(pixels.shape, side, (given.stride, given.stride))
    merger = TileMerger(slicer.target_shape, CLASSES, slicer.weight)
    model = Probabilities(network)
    tiles = [torch.from_numpy(np.ascontiguousarray(t.transpose(2, 0, 1))) for t in
             slicer.split(pixels)]  # fmt: skip
    loader = torch.utils.data.DataLoader(
        list(zip(tiles, slicer.crops, strict=True)), batch_size=given.batch
    )
    for some, crops in loader:
        merger.integrate_batch(model(some), crops)
    merged = slicer.crop_to_orignal_size(merger.merge().numpy().transpose(1, 2, 0))
    write(given.out, merged.argmax(-1), profile)


def torchgeo(network: Any, given: argparse.Namespace) -> None:
    """Use its dataset and grid sampler; it has no way back to a map, so we stitch."""
    from torchgeo.datasets import RasterDataset, stack_samples  # noqa: PLC0415
    from torchgeo.samplers import GridGeoSampler  # noqa: PLC0415

    class OneScene(RasterDataset):  # type: ignore[misc]
        filename_glob = given.scene.name
        is_image = True

    dataset = OneScene([str(given.scene)])
    sampler = GridGeoSampler(dataset, size=given.tile, stride=given.stride)
    with rasterio.open(given.scene) as source:
        profile, (height, width), here = dict(source.profile), source.shape, source.transform
    side, model = given.tile, Probabilities(network)
    # Its tiles begin at the lower left, and reach over the upper and the right edge.
    total = torch.zeros(CLASSES, height + side, width + side)
    count = torch.zeros(height + side, width + side)
    boxes = iter(list(sampler))
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=given.batch, sampler=sampler, collate_fn=stack_samples
    )
    for some in loader:
        for one in model(some["image"].float() * float(SCALE)):
            across, up = next(boxes)[:2]
            left = round((across.start - here.c) / here.a)
            top = round((up.stop - here.f) / here.e) + side
            rows, cols = one.shape[1:]
            total[:, top : top + rows, left : left + cols] += one
            count[top : top + rows, left : left + cols] += 1
    mean = total[:, side:, :width] / count[side:, :width]
    write(given.out, mean.argmax(0).numpy(), profile)


def geoai(network: Any, given: argparse.Namespace) -> None:
    """Use its newer way, for any model."""
    from geoai.inference import predict_geotiff  # noqa: PLC0415

    predict_geotiff(
        Probabilities(network), str(given.scene), str(given.out), tile_size=given.tile,
        overlap=given.tile - given.stride, batch_size=given.batch, num_classes=CLASSES,
        output_dtype="uint8", output_nodata=255, blend_mode="none", device="cpu", verbose=False,
        preprocess_fn=lambda tile: tile.astype(np.float32) * SCALE,
        postprocess_fn=lambda mean: mean.argmax(0)[None].astype(np.uint8),
    )  # fmt: skip


class Scaled(nn.Module):
    """Its older way divides by 255 and takes logits."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, tiles: Tensor) -> Tensor:
        logits: Tensor = self.network(tiles * (255 * float(SCALE)))
        return logits


def geoai_train(network: Any, given: argparse.Namespace) -> None:
    """Use what its function for segmentation calls."""
    from geoai.train import semantic_inference_on_geotiff  # noqa: PLC0415

    semantic_inference_on_geotiff(
        Scaled(network), str(given.scene), str(given.out), window_size=given.tile,
        overlap=given.tile - given.stride, batch_size=given.batch, num_channels=4,
        num_classes=CLASSES, device=torch.device("cpu"), quiet=True,
    )  # fmt: skip


def rastervision(network: Any, given: argparse.Namespace) -> None:
    import albumentations  # noqa: PLC0415
    from rastervision.core import data as core  # noqa: PLC0415
    from rastervision.pytorch_learner import (  # noqa: PLC0415
        SemanticSegmentationGeoDataConfig,
        SemanticSegmentationLearner,
        SemanticSegmentationLearnerConfig,
        SemanticSegmentationSlidingWindowGeoDataset,
    )

    classes = core.ClassConfig(names=[f"class {i}" for i in range(CLASSES)], null_class="class 0")
    scene = core.Scene(id="scene", raster_source=core.RasterioSource(str(given.scene)))
    dataset = SemanticSegmentationSlidingWindowGeoDataset(
        scene, size=given.tile, stride=given.stride, normalize=False,
        transform=albumentations.Compose([albumentations.ToFloat(max_value=1 / float(SCALE))]),
    )  # fmt: skip
    config = SemanticSegmentationGeoDataConfig(class_config=classes, img_channels=4, num_workers=0)
    with tempfile.TemporaryDirectory() as folder:
        learner = SemanticSegmentationLearner(
            SemanticSegmentationLearnerConfig(data=config), model=network, training=False,
            output_dir=folder,
        )  # fmt: skip
        found = learner.predict_dataset(
            dataset, raw_out=True, numpy_out=True, progress_bar=False,
            predict_kw={"out_shape": (given.tile, given.tile)},
            dataloader_kw={"batch_size": given.batch},
        )  # fmt: skip
        labels = core.SemanticSegmentationLabels.from_predictions(
            dataset.windows, found, smooth=True, extent=scene.extent, num_classes=CLASSES
        )
        labels.save(
            folder, crs_transformer=scene.raster_source.crs_transformer, class_config=classes,
            discrete_output=True, smooth_output=False,
        )  # fmt: skip
        Path(folder, "labels.tif").replace(given.out)


WAYS: dict[str, tuple[Callable[[Any, argparse.Namespace], None], str]] = {
    "forward": (forward, "torch"),
    "loop": (loop, "torch"),
    "monai": (monai, "monai.inferers"),
    "toolbelt": (toolbelt, "pytorch_toolbelt.inference.tiles"),
    "torchgeo": (torchgeo, "torchgeo.datasets"),
    # It would import the rest of itself when called.
    "geoai": (geoai, "geoai.utils"),
    "geoai_train": (geoai_train, "geoai.train"),
    "rastervision": (rastervision, "rastervision.pytorch_learner"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=WAYS)
    for name in ("model", "scene", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--tile", type=int, default=288)
    parser.add_argument("--stride", type=int, default=144)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=4)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    way, needs = WAYS[given.way]
    importlib.import_module(needs)
    network = torch.jit.load(str(given.model)).eval()
    with torch.inference_mode():
        # What is done once a process: a library's first calls, the compilation of a TorchScript.
        for _ in range(2):
            network(torch.rand(given.batch, 4, given.tile, given.tile))
        given.began = time.perf_counter()
        way(network, given)
    print(json.dumps({"seconds": time.perf_counter() - given.began}))


if __name__ == "__main__":
    main()
