"""Augmentation: geoseg's own beside albumentations, torchvision v2 and kornia, in one run.

    pip install albumentations opencv-python-headless kornia scipy
    python benchmarks/augment.py
    python benchmarks/augment.py --side 512 --bands 4 13 --repeats 9

*Cost* is that of one patch on one core, from (bands, rows, cols) float32 and (rows, cols) labels to
the same, the change of axes that a library asks for included: all mirrorings and quarter turns; and
rotation by any angle, scaling by 0.8 to 1.25 and translation by up to a tenth in one go. Methods
take turns, and the median of their times is shown.

*Quality* is that of a rotation by 30 degrees, against a bilinear one in float64 (scipy), away from
the border; and what becomes of labels that come from outside. The picture is noise, the hardest
there is. A library that turns the other way, or about another point, is compared with what it means
to do. *Oddities* are two things seen on the way.

*Batches* and *crops* are made as in training, from a memory-mapped array.
"""

# Each library is loaded by what measures it.
# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Images, Labels = NDArray[np.float32], NDArray[np.uint8]
Transform = Callable[[Images, Labels], tuple[Images, Labels]]
METHODS = ("geoseg", "albumentations", "torchvision", "kornia")
ANGLE = 30.0


def geoseg(task: str) -> Transform:
    from geoseg.patches.augment import augment, make_augmentations

    text = {
        "symmetries": "flips, rot90",
        "affine": "rotate, scale, translate",
    }
    transforms = make_augmentations(text.get(task, "rotate"))
    if task == "turn":
        turn = np.eye(3)
        angle = np.radians(ANGLE)
        turn[:2, :2] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        transforms[0].maps = lambda n, *_: np.tile(turn, (n, 1, 1))  # type: ignore[attr-defined]
    random = np.random.default_rng(0)

    def run(images: Images, labels: Labels) -> tuple[Images, Labels]:
        moved, mask = augment(transforms, images[None], labels[None], random)
        # Symmetries are views until they are put into a batch.
        return np.ascontiguousarray(moved[0]), np.ascontiguousarray(mask[0])

    return run


def albumentations(task: str) -> Transform:
    import albumentations as lib
    import cv2

    cv2.setNumThreads(1)
    same = {
        "interpolation": cv2.INTER_LINEAR,
        "mask_interpolation": cv2.INTER_NEAREST,
        "fill_mask": 255,
        "p": 1,
    }
    steps = {
        "symmetries": [lib.D4(p=1)],
        "affine": [
            lib.Affine(rotate=(-180, 180), scale=(0.8, 1.25), translate_percent=(-0.1, 0.1), **same)
        ],
        "turn": [lib.Affine(rotate=(ANGLE, ANGLE), **same)],
    }
    transform = lib.Compose(steps[task])

    def run(images: Images, labels: Labels) -> tuple[Images, Labels]:
        made = transform(image=np.ascontiguousarray(images.transpose(1, 2, 0)), mask=labels)
        return np.ascontiguousarray(made["image"].transpose(2, 0, 1)), made["mask"]

    return run


def torchvision(task: str) -> Transform:
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    same = {
        "interpolation": v2.InterpolationMode.BILINEAR,
        "fill": {tv_tensors.Image: 0, tv_tensors.Mask: 255},
    }
    steps = {
        "symmetries": lambda: v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomVerticalFlip(),
                v2.RandomChoice([v2.RandomRotation((a, a)) for a in (0, 90, 180, 270)]),
            ]
        ),
        "affine": lambda: v2.RandomAffine(180, translate=(0.1, 0.1), scale=(0.8, 1.25), **same),
        "turn": lambda: v2.RandomAffine((ANGLE, ANGLE), **same),
    }
    transform = steps[task]()

    def run(images: Images, labels: Labels) -> tuple[Images, Labels]:
        made = transform(
            tv_tensors.Image(torch.from_numpy(images)), tv_tensors.Mask(torch.from_numpy(labels))
        )
        return np.asarray(made[0]), np.asarray(made[1])

    return run


def kornia(task: str) -> Transform:
    import kornia.augmentation as lib

    steps = {
        "symmetries": lambda: [
            lib.RandomHorizontalFlip(p=0.5),
            lib.RandomVerticalFlip(p=0.5),
            lib.RandomRotation90((0, 3), p=1.0),
        ],
        "affine": lambda: [lib.RandomAffine(180.0, translate=(0.1, 0.1), scale=(0.8, 1.25), p=1.0)],
        "turn": lambda: [lib.RandomAffine((ANGLE, ANGLE), p=1.0)],
    }
    transform = lib.AugmentationSequential(*steps[task](), data_keys=["input", "mask"])

    def run(images: Images, labels: Labels) -> tuple[Images, Labels]:
        # It fills masks with 0, so labels are counted from 1; and it wants them as floats.
        mask = torch.from_numpy(labels.astype(np.float32) + 1)[None, None]
        made = transform(torch.from_numpy(images)[None], mask)
        return made[0][0].numpy(), (made[1][0, 0].numpy() - 1).astype(np.int16).astype(np.uint8)

    return run


MAKERS = {
    "geoseg": geoseg,
    "albumentations": albumentations,
    "torchvision": torchvision,
    "kornia": kornia,
}


def patch(bands: int, side: int) -> tuple[Images, Labels]:
    random = np.random.default_rng(bands)
    images = random.normal(size=(bands, side, side)).astype(np.float32)
    blocks = random.integers(0, 8, (-(-side // 16), -(-side // 16)))
    labels = np.kron(blocks, np.ones((16, 16), np.int64))[:side, :side]
    return images, np.ascontiguousarray(labels, np.uint8)


def cost(methods: list[str], bands: list[int], side: int, repeats: int) -> None:
    print("| patch | method | symmetries, ms | affine, ms |\n|---|---|---|---|")
    for count in bands:
        images, labels = patch(count, side)
        times: dict[tuple[str, str], list[float]] = {}
        transforms = {(m, t): MAKERS[m](t) for m in methods for t in ("symmetries", "affine")}
        for turn in range(repeats + 1):
            for key, transform in transforms.items():
                calls = 8
                copies = [(images.copy(), labels.copy()) for _ in range(calls)]
                start = time.perf_counter()
                for one in copies:
                    transform(*one)
                if turn:  # the first is for loading and warming up
                    seconds = time.perf_counter() - start
                    times.setdefault(key, []).append(1e3 * seconds / calls)
        for method in methods:
            each = [statistics.median(times[method, t]) for t in ("symmetries", "affine")]
            print(f"| {count} × {side}² | {method} | {each[0]:.2f} | {each[1]:.2f} |")


def oracle(
    images: Images, labels: Labels, sign: int, middle: float
) -> tuple[NDArray[np.float64], Labels, NDArray[np.bool_]]:
    """Rotation in float64; labels, and where no source is half-way between pixels."""
    from scipy import ndimage

    side = labels.shape[0]
    y, x = np.mgrid[:side, :side] - middle
    angle = sign * np.radians(ANGLE)
    places = np.stack(
        [
            np.cos(angle) * y + np.sin(angle) * x + middle,
            -np.sin(angle) * y + np.cos(angle) * x + middle,
        ]
    )
    moved = np.stack(
        [ndimage.map_coordinates(b.astype(float), places, order=1, mode="nearest") for b in images]
    )
    rows, cols = np.floor(places + 0.5).astype(int)
    inside = (rows >= 0) & (rows < side) & (cols >= 0) & (cols < side)
    mask = np.where(inside, labels[rows.clip(0, side - 1), cols.clip(0, side - 1)], 255)
    clear = (np.abs(places % 1 - 0.5) > 1e-3).all(axis=0)
    return moved, mask.astype(np.uint8), clear


def quality(methods: list[str], side: int) -> None:
    print(
        "| method | largest error | RMS error | labels off | labels outside | image outside |\n"
        "|---|---|---|---|---|---|"
    )
    images, labels = patch(4, side)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    middle = np.hypot(y, x) < side * 0.45
    outside = np.hypot(y, x) > side * 0.62
    for method in methods:
        moved, mask = MAKERS[method]("turn")(images.copy(), labels.copy())
        errors = []
        for sign in (1, -1):
            for centre in ((side - 1) / 2, side / 2):
                wanted, truth, clear = oracle(images, labels, sign, centre)
                off = float((mask != truth)[middle & clear].mean())
                errors.append((np.abs(moved - wanted)[:, middle], off))
        error, off = min(errors, key=lambda pair: float(pair[0].mean()))
        beyond = sorted(np.unique(mask[outside]).tolist())
        named = str(beyond[0]) if len(beyond) == 1 else "continued"
        image = "0" if not moved[:, outside].any() else "continued"
        print(
            f"| {method} | {error.max():.1e} | {np.sqrt((error**2).mean()):.1e} | {off:.2%} |"
            f" {named} | {image} |"
        )


def oddities(side: int) -> None:
    """Print what albumentations does where its way differs from what training needs."""
    import albumentations as lib
    import cv2

    images, _ = patch(4, side)
    picture, labels = np.ascontiguousarray(images.transpose(1, 2, 0)), np.zeros((side, side), "u1")
    border = {"border_mode": cv2.BORDER_REPLICATE, "fill_mask": 255, "p": 1}
    turned = lib.Compose([lib.Affine(rotate=(ANGLE, ANGLE), **border)])
    values = np.unique(turned(image=picture, mask=labels)["mask"]).tolist()
    print(f"- albumentations, image continued by its edge, 255 asked for outside: labels {values}")
    gamma = lib.Compose([lib.RandomGamma(p=1)])
    with np.errstate(invalid="ignore"):
        share = np.isnan(gamma(image=picture)["image"]).mean()
    print(f"- albumentations, gamma of normalised readings: {share:.0%} NaN")


def batches(side: int) -> None:
    from geoseg.patches.augment import make_augmentations
    from geoseg.patches.sampling import Order
    from geoseg.training.data import BatchMaker, LabelledPatches, batches_on

    number, bands = 256, 4
    random = np.random.default_rng(0)
    print("| augmentation | workers | patches a second |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, random.integers(0, 4000, (number, bands, side, side)).astype(np.uint16))
        held = LabelledPatches(
            np.load(path, mmap_mode="r"),
            random.integers(0, 8, (number, side, side)).astype(np.uint8),
            np.ones((number, 8), np.int64),
        )
        for text in ("none", "flips, rot90", "flips, rotate, scale, translate, noise"):
            maker = BatchMaker(
                held,
                mean=[2000.0] * bands,
                std=[1000.0] * bands,
                transforms=make_augmentations(text),
            )
            for workers in (1, 2, 4):
                chosen = [Order.of(np.arange(i, i + 8) % number) for i in range(0, 512, 8)]
                start = time.perf_counter()
                made = batches_on(torch.device("cpu"), maker, chosen, (0, 0), workers=workers)
                with closing(made):
                    done = sum(len(images) for images, _ in made)
                print(f"| {text} | {workers} | {done / (time.perf_counter() - start):.0f} |")


def crops() -> None:
    from geoseg.patches.augment import make_augmentations
    from geoseg.patches.sampling import Order
    from geoseg.training.data import BatchMaker, LabelledPatches

    number, bands, side = 8, 3, 2448
    random = np.random.default_rng(0)
    print("| augmentation | ms a patch |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, random.integers(1, 255, (number, bands, side, side)).astype(np.uint8))
        held = LabelledPatches(
            np.load(path, mmap_mode="r"),
            random.integers(0, 7, (number, side, side)).astype(np.uint8),
            np.ones((number, 7), np.int64),
        )
        for text in ("crop(size=288)", "crop(size=288, downscale=2)", "crop(size=288, downscale=8)",
                     "flips, crop(size=288, downscale=2)"):  # fmt: skip
            maker = BatchMaker(
                held, mean=[127.5] * bands, std=[127.5] * bands, transforms=make_augmentations(text)
            )
            order, seconds = Order.of(np.arange(number)), []
            for turn in range(6):
                start = time.perf_counter()
                maker.make(order, (0, 0, turn))
                seconds.append(time.perf_counter() - start)
            print(f"| {text} | {1e3 * statistics.median(seconds[1:]) / number:.1f} |")


def machine() -> str:
    def release(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not there"

    names = (
        "numpy", "numba", "torch", "torchvision", "albumentations", "opencv-python-headless",
        "kornia", "scipy",
    )  # fmt: skip
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, {os.cpu_count()} cores (load before: {load:.1f}), Python"
        f" {platform.python_version()}, " + ", ".join(f"{n} {release(n)}" for n in names)
    )


def main() -> None:
    parser: Any = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=256, help="rows and columns of a patch")
    parser.add_argument("--bands", type=int, nargs="+", default=[3, 4, 7, 13])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--skip", nargs="*", default=[], choices=METHODS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    methods = [m for m in METHODS if m not in options.skip]
    print(machine() + "\n\n## Cost\n")
    cost(methods, options.bands, options.side, options.repeats)
    print("\n## Quality\n")
    quality(methods, options.side)
    if "albumentations" in methods:
        print("\n## Oddities\n")
        oddities(options.side)
    print("\n## Batches\n")
    batches(options.side)
    print("\n## Crops of 3 × 2448² uint8, one worker\n")
    crops()


if __name__ == "__main__":
    main()
