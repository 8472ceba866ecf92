"""A model as ONNX, compared with the model itself before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import ModelError, OptionError
from geoseg.inference.colour import in_colour, wanted_colour
from geoseg.inference.fit import fit_bands
from geoseg.models.bundle import ModelBundle
from geoseg.models.card import ModelCard
from geoseg.models.network import PresenceNetwork
from geoseg.models.onnx.feeding import Feeding
from geoseg.models.onnx.network import OnnxNetwork, session
from geoseg.models.onnx.reading import SUFFIX, library, read_onnx
from geoseg.models.onnx.writing import Answering, metadata, nodata_rule, to_onnx, with_metadata
from geoseg.raster.outputs.checks import check_output
from geoseg.raster.outputs.temporary import TemporaryFolder
from geoseg.raster.outputs.trouble import output_error
from geoseg.raster.provenance import option_words, provenance
from geoseg.raster.scene import Scene
from geoseg.raster.window import Window

MOST_DIFFERENCE = 0.01
"""Between a probability of the model and one of its export; what rounding leaves is far less."""
_PLACES = 3
_LARGEST = 512
_BYTE = 255.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a model and its export answer to the same images."""

    images: int
    """Images compared."""
    pixels: int
    """Pixels in them."""
    difference: float
    """Largest one between two probabilities of a pixel."""
    other_class: int
    """Pixels whose most probable classes differ; in each, these two are all but tied."""


@dataclass(frozen=True, kw_only=True)
class ExportedOnnx:
    """What was written, and how it compares."""

    output: Path
    """The file."""
    input: str
    """What it is fed, see `geoseg.models.onnx.feeding.Feeding`."""
    low: tuple[float, ...]
    """Readings that the byte 0 stands for, a band; empty but of ``uint8``."""
    high: tuple[float, ...]
    """Readings that the byte 255 stands for."""
    tile: int
    """Side in pixels of the tiles that it asks for."""
    any_size: bool
    """Whether it takes images of other sizes, too."""
    random: Comparison
    """On random images."""
    real: Comparison | None
    """On tiles of a scene."""
    bytes_agree: float | None
    """Of ``uint8`` and a scene: share of pixels to which bytes give the readings' own class."""
    nodata: str
    """What is done with invalid pixels, in words."""
    bytes: int
    """Size of the file."""
    hash: str
    """BLAKE2b (16 bytes, hexadecimal) of the file."""


def export_onnx(
    bundle: ModelBundle,
    output: str | Path,
    *,
    how: Feeding | None = None,
    tile: int | None = None,
    check: Scene | None = None,
    source: str | Path | None = None,
    overwrite: bool = False,
) -> ExportedOnnx:
    """Write a model as ONNX, if it answers as the model does.

    Parameters
    ----------
    bundle
        The model, on the processor.
    output
        File to write, ``.onnx``.
    how
        What it is fed; normalised pixels by default.
    tile
        Side in pixels of the tiles that it asks for; that which the model learned from by default.
    check
        A scene with the model's bands, from which tiles are compared too.
    source
        The model's file.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    ModelError
        The model knows no pixels, cannot be written as ONNX, or its export answers otherwise.
    OutputError
        The file cannot be written.
    """
    target = check_output(output, overwrite=overwrite, suffixes=(SUFFIX,))
    card, network, how = bundle.card, bundle.network.eval(), how or Feeding()
    side = card.tile if tile is None else tile
    if not 1 <= side <= 65_536:
        raise OptionError(f"a tile of {side} pixels has no meaning; give 1 to 65536")
    if isinstance(network, PresenceNetwork):
        raise ModelError(
            f"model '{card.name}' ({card.network}) says which classes a patch holds and not where:"
            " it has no probabilities of pixels to export"
        )
    if isinstance(network, OnnxNetwork):
        raise ModelError(f"model '{card.name}' is ONNX already")
    library("onnxruntime", target)  # before the work
    answering = Answering(network, card, how).eval()
    content, random, any_size = _written(answering, bundle, how, side)
    running = session(content, target)
    seen = min(side, _LARGEST) if any_size else side
    real, agree = (None, None) if check is None else _on_scene(running, bundle, how, check, seen)
    said = metadata(card, how, tile=side) | _provenance(card, how, source, tile=tile)
    content = with_metadata(content, said)
    with TemporaryFolder(target) as folder:
        folder.need_space(len(content))
        made = folder.path / target.name
        try:
            made.write_bytes(content)
        except OSError as error:
            raise output_error(error, target) from error
        written = read_onnx(made)  # that our own reader takes it
        folder.publish(made, {}, overwrite=overwrite)
    return ExportedOnnx(
        output=target,
        input=how.input,
        low=how.low,
        high=how.high,
        tile=side,
        any_size=any_size,
        random=random,
        real=real,
        bytes_agree=agree,
        nodata=nodata_rule(card, how),
        bytes=len(content),
        hash=written.hash,
    )


def _written(
    answering: Answering, bundle: ModelBundle, how: Feeding, side: int
) -> tuple[bytes, Comparison, bool]:
    """Write for images of any size; where that does not answer alike, for one size."""
    bands = len(bundle.card.bands)
    seen = min(side, _LARGEST)
    sizes = [(1, seen, seen), (2, 96, 64), (1, seen + 45, 131)]
    try:
        content = to_onnx(answering, bands, side=None)
        return content, _compared(content, bundle, how, sizes), True
    except ModelError:
        content = to_onnx(answering, bands, side=side)
        return content, _compared(content, bundle, how, [(1, side, side), (2, side, side)]), False


def _compared(
    content: bytes, bundle: ModelBundle, how: Feeding, sizes: list[tuple[int, int, int]]
) -> Comparison:
    """Compare on random images of some sizes (number, rows, columns)."""
    card = bundle.card
    running = session(content, "the export")
    rng = np.random.default_rng(0)
    found = []
    for count, height, width in sizes:
        shape = (count, len(card.bands), height, width)
        drawn = rng.standard_normal(shape)
        if how.input == "readings":
            drawn = drawn * _column(card.std) + _column(card.mean)
            drawn[:, 0, :3, :5] = np.nan
        elif how.input == "uint8":
            drawn = rng.integers(0, 256, shape) / _BYTE
            drawn[:, :, :3, :5] = 0
        found.append(_compare(running, drawn.astype(np.float32), bundle, how)[0])
    return _joined(found)


def _on_scene(
    running: Any, bundle: ModelBundle, how: Feeding, scene: Scene, side: int
) -> tuple[Comparison, float | None]:
    """Compare on tiles of a scene, spread over it."""
    card = bundle.card
    scene, _ = fit_bands(scene, [card])
    scene, _ = in_colour(scene, wanted_colour("model", [card]), [card], workers=1)
    chosen = scene.select(card.bands)
    found, alike, valid_pixels = [], 0, 0
    for window in _windows(chosen, side):
        pixels = chosen.read(window)
        data, valid = pixels.data[None].astype(np.float32), pixels.valid
        if not valid.any():
            continue
        data, valid = _continued(data, side), _continued(valid, side)
        told = np.where(valid, data, np.float32(np.nan))
        one, classes = _compare(running, _fed(told, card, how), bundle, how)
        found.append(one)
        if how.input == "uint8":
            truth = _reference(told, bundle, Feeding(input="readings")).argmax(axis=1)
            alike += int((truth == classes)[0][valid].sum())
            valid_pixels += int(valid.sum())
    if not found:
        raise ModelError(f"{scene.name}: no valid pixel in its tiles; check on another scene")
    return _joined(found), alike / valid_pixels if valid_pixels else None


def _fed(told: NDArray[np.float32], card: ModelCard, how: Feeding) -> NDArray[np.float32]:
    """Bring readings, NaN where invalid, to what an export is fed."""
    if how.input == "readings":
        return told
    invalid = np.isnan(told).any(axis=1, keepdims=True)
    if how.input == "uint8":
        low, high = _column(how.low), _column(how.high)
        levels = np.clip(np.nan_to_num(told - low) / (high - low), 0, 1)
        return np.where(invalid, 0, np.rint(levels * _BYTE) / _BYTE).astype(np.float32)
    normal = (np.where(invalid, card.fill, told) - _column(card.mean)) / _column(card.std)
    return normal.astype(np.float32)


def _compare(
    running: Any, fed: NDArray[np.float32], bundle: ModelBundle, how: Feeding
) -> tuple[Comparison, NDArray[Any]]:
    """Compare on one batch; also returns the export's classes."""
    try:
        (answer,) = running.run(["output"], {"input": fed})
    except Exception as error:  # onnxruntime's errors derive from nothing of their own
        raise ModelError(f"the export fails: {' '.join(str(error).split())[:160]}") from error
    truth = _reference(fed, bundle, how)
    if answer.shape != truth.shape:
        raise ModelError(
            f"the export answers {list(answer.shape)} where the model answers {list(truth.shape)}"
        )
    difference = float(np.abs(answer - truth).max())
    classes = answer.argmax(axis=1)
    if not difference <= MOST_DIFFERENCE:  # also NaN
        other = float((classes != truth.argmax(axis=1)).mean())
        raise ModelError(
            f"the export does not answer as the model '{bundle.card.name}' does: probabilities"
            f" differ by {difference:.3g}, classes in {other:.2%} of the pixels; nothing is written"
        )
    return (
        Comparison(
            images=len(fed),
            pixels=classes.size,
            difference=difference,
            other_class=int((classes != truth.argmax(axis=1)).sum()),
        ),
        classes,
    )


def _reference(fed: NDArray[np.float32], bundle: ModelBundle, how: Feeding) -> NDArray[np.float32]:
    """Probabilities of the model itself; its input is worked out apart from the export's graph."""
    card = bundle.card
    x = fed.astype(np.float64)
    if how.input != "normalised":
        if how.input == "readings":
            invalid = np.isnan(x).any(axis=1, keepdims=True)
        else:
            invalid = (x == 0).all(axis=1, keepdims=True)
            low, high = _column(how.low), _column(how.high)
            x = low + x * (high - low)
        x = (np.where(invalid, card.fill, x) - _column(card.mean)) / _column(card.std)
    with torch.inference_mode():
        seen = torch.from_numpy(x.astype(np.float32))
        found: NDArray[np.float32] = torch.softmax(bundle.network(seen).float(), dim=1).numpy()
    return found


def _joined(found: list[Comparison]) -> Comparison:
    return Comparison(
        images=sum(one.images for one in found),
        pixels=sum(one.pixels for one in found),
        difference=max(one.difference for one in found),
        other_class=sum(one.other_class for one in found),
    )


def _column(values: tuple[float, ...]) -> NDArray[np.float64]:
    """Return a value a band as (bands, 1, 1)."""
    return np.asarray(values, np.float64).reshape(-1, 1, 1)


def _windows(scene: Scene, side: int) -> Iterator[Window]:
    """Spread tiles evenly over a scene."""
    grid = scene.grid
    height, width = min(side, grid.height), min(side, grid.width)
    for i in range(_PLACES):
        for j in range(_PLACES):
            row = (grid.height - height) * (2 * i + 1) // (2 * _PLACES)
            col = (grid.width - width) * (2 * j + 1) // (2 * _PLACES)
            yield Window(row, col, height, width)


def _continued(array: NDArray[Any], side: int) -> NDArray[Any]:
    """Continue the last two axes by their edge to a tile's side."""
    below, right = (max(side - n, 0) for n in array.shape[-2:])
    ends = [(0, 0)] * (array.ndim - 2) + [(0, below), (0, right)]
    return np.pad(array, ends, mode="edge")


def _provenance(
    card: ModelCard, how: Feeding, source: str | Path | None, *, tile: int | None
) -> dict[str, str]:
    """Say what made the file, without folders or dates."""
    name = f"{card.name}.safetensors" if source is None else Path(source).name
    options: dict[str, Any] = {} if how.input == "normalised" else {"input": how.input}
    if tile is not None:
        options["tile"] = tile
    if how.low and len(set(how.low)) == len(set(how.high)) == 1:
        options["range"] = f"{how.low[0]:g},{how.high[0]:g}"
    words = ["geoseg", "export", name, *option_words(options)]
    return provenance(words, {name: card.hash}, model={card.name: card.hash}, options=options)
