"""Lovász losses, forward and backward: geoseg beside the common implementations, in one run.

    python benchmarks/lovasz.py
    python benchmarks/lovasz.py --threads 2 --runs 20 --device cuda

`differences` is the common way, written here: one class (or image) after the other, slopes as
differences of a cumulative ``1 − I/U``. `smp` is segmentation-models-pytorch's ``LovaszLoss``, if
it is installed. `geoseg, torch` is what a card runs, here on the device given; `geoseg` is what the
device gets of itself (on a CPU: compiled loops). Rounds alternate between methods, the best of each
counts, and ratios are to cross entropy and to geoseg in the same run.

The last table compares float32 gradients by the logits with a float64 oracle whose slopes come
from whole numbers: the error's L1 and L2 norm by the gradient's, the L1 norm in the worst class,
and the share of entries that are exactly 0 where the oracle's are not. The batches: a network at
its beginning (logits near 0), one that is right for most pixels, one that is nearly sure of most,
and one at its beginning with rare classes. Errors that are equal but for float32 rounding may come
in another order in the oracle: the larger part of what is left of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from geoseg.raster.allocator import keep_large_blocks
from geoseg.training.losses import IGNORE, LossContext, lovasz_by_torch, make_loss
from geoseg.training.losses import lovasz as ours

Loss = Callable[[Tensor, Tensor], Tensor]


STAGES = {
    "beginning": (0.02, 0.1, 2.0),
    "middle": (2.0, 1.5, 2.0),
    "end": (9.0, 3.0, 2.0),
    "rare": (0.02, 0.1, 3.8),
}
"""How far a network has come: logit of the right class, deviation of all, and how unequal the
classes are."""


def make_batch(
    shape: tuple[int, int, int], classes: int, stage: str = "middle"
) -> tuple[Tensor, Tensor]:
    """Return a network's logits, and labels in blobs."""
    right, deviation, tilt = STAGES[stage]
    random = torch.Generator().manual_seed(0)
    images, rows, cols = shape
    coarse = torch.randn(images, classes, -(-rows // 24), -(-cols // 24), generator=random)
    # Classes of very different sizes, as in any map.
    coarse -= torch.linspace(0, tilt, classes)[:, None, None]
    fine = functional.interpolate(coarse, scale_factor=24, mode="bilinear")[..., :rows, :cols]
    labels = fine.argmax(dim=1)
    noise = torch.randn(images, classes, rows, cols, generator=random)
    logits = right * functional.one_hot(labels, classes).permute(0, 3, 1, 2) + deviation * noise
    labels[:, : rows // 20] = IGNORE
    return logits.contiguous(), labels


def slopes_by_differences(hit: Tensor) -> Tensor:
    """Return the common Lovász slopes of elements in decreasing order of their errors."""
    count = hit.sum()
    jaccard = 1 - (count - hit.cumsum(0)) / (count + (1 - hit).cumsum(0))
    jaccard[1:] = jaccard[1:] - jaccard[:-1]
    return jaccard


def softmax_by_differences(logits: Tensor, labels: Tensor) -> Tensor:
    p = logits.softmax(dim=1).permute(1, 0, 2, 3).flatten(1)
    known = labels.flatten() != IGNORE
    p, flat = p[:, known], labels.flatten()[known]
    losses = []
    for c in range(len(p)):
        hit = (flat == c).to(p.dtype)
        if hit.sum() == 0:
            continue
        errors, order = (hit - p[c]).abs().sort(descending=True)
        losses.append(torch.dot(errors, slopes_by_differences(hit[order])))
    return torch.stack(losses).mean()


def hinge_by_differences(logits: Tensor, labels: Tensor) -> Tensor:
    score = logits[:, 1] - logits[:, 0]
    losses = []
    for image, label in zip(score, labels, strict=True):
        known = label != IGNORE
        hit = label[known].to(score.dtype)
        errors, order = (1 - image[known] * (2 * hit - 1)).sort(descending=True)
        losses.append(torch.dot(errors.relu(), slopes_by_differences(hit[order])))
    return torch.stack(losses).mean()


def by_torch(loss: Loss) -> Loss:
    """Run a loss of geoseg without its compiled loops."""

    def run(logits: Tensor, labels: Tensor) -> Tensor:
        chosen, ours._backend = ours._backend, lambda _: lovasz_by_torch
        try:
            return loss(logits, labels)
        finally:
            ours._backend = chosen

    return run


def peers(hinge: bool, context: LossContext) -> dict[str, Loss]:
    text = "lovasz-hinge" if hinge else "lovasz-softmax"
    loss = make_loss(text, context)
    found: dict[str, Loss] = {
        "cross entropy": make_loss("ce", context),
        "geoseg": loss,
        "geoseg, torch": by_torch(loss),
        "differences": hinge_by_differences if hinge else softmax_by_differences,
    }
    try:
        from segmentation_models_pytorch.losses import LovaszLoss  # noqa: PLC0415
    except ImportError:
        return found
    if hinge:
        smp = LovaszLoss("binary", per_image=True, ignore_index=IGNORE)
        found["smp"] = lambda logits, labels: smp(logits[:, 1] - logits[:, 0], labels)
    else:
        found["smp"] = LovaszLoss("multiclass", per_image=False, ignore_index=IGNORE)
    return found


def gradient(loss: Loss, logits: Tensor, labels: Tensor) -> Tensor:
    logits = logits.detach().requires_grad_()
    (found,) = torch.autograd.grad(loss(logits, labels), logits)
    return found


def measure(losses: dict[str, Loss], logits: Tensor, labels: Tensor, runs: int) -> dict[str, float]:
    """Return the least milliseconds of each, forward and backward."""
    best = dict.fromkeys(losses, float("inf"))
    for _ in range(runs + 1):  # the first round warms up, and never is the best
        for name, loss in losses.items():
            if logits.is_cuda:
                torch.cuda.synchronize()
            begin = time.perf_counter()
            gradient(loss, logits, labels)
            if logits.is_cuda:
                torch.cuda.synchronize()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - begin))
    return best


def exact_slopes(errors: NDArray[np.float64], own: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return slopes as ``(I′·U − I·U′) / (U′·U)``, the dividend in whole numbers."""
    order = np.argsort(-errors, kind="stable")
    hit = own[order].astype(np.int64)
    inter = hit.sum() - np.concatenate([[0], np.cumsum(hit)])
    union = hit.sum() + np.concatenate([[0], np.cumsum(1 - hit)])
    top = inter[:-1] * union[1:] - inter[1:] * union[:-1]
    bottom = union[:-1].astype(np.float64) * union[1:]
    slopes = np.empty(len(errors))
    # The first element of a class without pixels: Δ goes from 0 to 1.
    slopes[order] = np.divide(top, bottom, out=np.ones_like(bottom), where=bottom > 0)
    return slopes


def oracle(hinge: bool, logits: Tensor, labels: Tensor) -> NDArray[np.float64]:
    z, y = logits.double().cpu().numpy(), labels.cpu().numpy()
    known = y != IGNORE
    result = np.zeros_like(z)
    if hinge:
        for n in range(len(z)):
            own = y[n][known[n]] == 1
            sign = np.where(own, 1.0, -1.0)
            errors = np.maximum(1 - sign * (z[n, 1] - z[n, 0])[known[n]], 0)
            step = -sign * exact_slopes(errors, own) * (errors > 0) / len(z)
            result[n, 1][known[n]], result[n, 0][known[n]] = step, -step
        return result
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    present = [c for c in range(z.shape[1]) if (y == c).any()]
    by_p = np.zeros_like(z)
    for c in present:
        own = y[known] == c
        errors = np.where(own, 1 - p[:, c][known], p[:, c][known])
        slopes = exact_slopes(errors, own) * np.where(own, -1.0, 1.0) / len(present)
        by_p[:, c][known] = slopes
    return p * (by_p - (by_p * p).sum(axis=1, keepdims=True))


def errors_of(found: Tensor, wanted: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return relative L1 and L2 errors, L1 of the worst class, and the share of false zeros."""
    array = found.double().cpu().numpy()
    off = np.abs(array - wanted)
    false = (array == 0) & (wanted != 0)
    return (
        float(off.sum() / np.abs(wanted).sum()),
        float(np.linalg.norm(off) / np.linalg.norm(wanted)),
        float((off.sum(axis=(0, 2, 3)) / np.abs(wanted).sum(axis=(0, 2, 3))).max()),
        float(false.sum() / (wanted != 0).sum()),
    )


def machine(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    versions = []
    for package in ("torch", "numpy", "numba", "segmentation-models-pytorch"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return (
        f"{name}, {os.cpu_count()} cores (load before: {os.getloadavg()[0]:.1f}), "
        f"{torch.get_num_threads()} threads, Python {platform.python_version()}, "
        + ", ".join(versions)
    )


def one(args: argparse.Namespace, shape: tuple[int, int, int], device: torch.device) -> None:
    """Time one method in a process of its own."""
    hinge = args.loss == "hinge"
    classes = 2 if hinge else args.classes
    found = peers(hinge, LossContext(classes=classes, class_pixels=(1,) * classes))
    if args.one not in found:
        raise SystemExit(f"{args.one} is not installed")
    logits, labels = (x.to(device) for x in make_batch(shape, classes))
    times = measure({args.one: found[args.one]}, logits, labels, args.runs)
    print(json.dumps({"seconds": times[args.one] / 1e3}))


def main() -> None:
    parser = argparse.ArgumentParser(description="Time Lovász losses and check their gradients.")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--classes", type=int, default=7)
    parser.add_argument("--size", type=int, default=288, help="rows and columns")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", help="time this method alone; say so as JSON")
    parser.add_argument("--loss", choices=("softmax", "hinge"), default="softmax")
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.set_num_threads(args.threads)
    if device.type == "cpu":
        keep_large_blocks()  # as training does
    shape = (args.images, args.size, args.size)
    if args.one:
        one(args, shape, device)
        return
    print(machine(device))
    tables = []
    print(f"\nbest of {args.runs} rounds, forward and backward\n")
    print("| loss | classes | method | ms | × cross entropy | × geoseg |")
    print("|---|---|---|---|---|---|")
    for hinge, classes in ((False, args.classes), (True, 2)):
        context = LossContext(classes=classes, class_pixels=(1,) * classes)
        logits, labels = (x.to(device) for x in make_batch(shape, classes))
        losses, title = peers(hinge, context), "hinge" if hinge else "softmax"
        times = measure(losses, logits, labels, args.runs)
        for name, ms in times.items():
            plain, own = ms / times["cross entropy"], ms / times["geoseg"]
            print(f"| {title} | {classes} | {name} | {ms:.1f} | {plain:.2f} | {own:.2f} |")
        for stage in STAGES:
            logits, labels = (x.to(device) for x in make_batch(shape, classes, stage))
            wanted = oracle(hinge, logits, labels)
            tables += [
                (title, stage, name, *errors_of(gradient(loss, logits, labels), wanted))
                for name, loss in losses.items()
                if name != "cross entropy"
            ]
    context = LossContext(classes=args.classes, class_pixels=(1,) * args.classes)
    logits, labels = (x.to(device) for x in make_batch(shape, args.classes))
    texts = ("lovasz-hinge", "lovasz-softmax(per_image=true)", "focal", "focal-sigmoid", "bce")
    texts += ("focal-hinge", "jaccard")
    others = {"ce": make_loss("ce", context)} | {t: make_loss(t, context) for t in texts}
    print("\nEvery other loss of geoseg on the batch of the softmax:\n")
    print("| loss | ms | × ce |")
    print("|---|---|---|")
    times = measure(others, logits, labels, args.runs)
    for name, ms in times.items():
        print(f"| {name} | {ms:.1f} | {ms / times['ce']:.1f} |")
    print("\nfloat32 gradients against float64\n")
    print("| loss | batch | method | L1 error | L2 error | L1, worst class | false zeros |")
    print("|---|---|---|---|---|---|---|")
    for title, stage, name, l1, l2, worst, zeros in tables:
        print(f"| {title} | {stage} | {name} | {l1:.1e} | {l2:.1e} | {worst:.1e} | {zeros:.2%} |")


if __name__ == "__main__":
    main()
