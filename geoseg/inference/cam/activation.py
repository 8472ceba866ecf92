"""An image-level network made ready to say where its evidence is: tiles in, activation maps out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.errors import ModelError
from geoseg.inference.blend import running_mean
from geoseg.inference.cam.place import to_pixels
from geoseg.inference.symmetry import symmetries
from geoseg.models.bundle import ModelBundle
from geoseg.models.fold import fold_batch_norm
from geoseg.models.network import PresenceNetwork
from geoseg.models.precision import autocast, resolve_precision


@dataclass(frozen=True, kw_only=True)
class Activations:
    """Class activation maps of tiles, at the tiles' own size.

    See `geoseg.models.network.PresenceNetwork` for what they are.
    """

    network: PresenceNetwork
    """Folded and on its device."""
    classes: int
    """Number of maps."""
    device: torch.device
    """Where the network is."""
    precision: str = "float32"
    """``float32`` or ``bfloat16`` (mixed precision; maps are float32 all the same)."""
    upsampling: str = "bilinear"
    """See `geoseg.inference.cam.place`."""
    bias: bool = False
    """Whether the dense layer's bias is added, which the definition leaves out."""
    tta: bool = False
    """Whether every tile is seen in its eight symmetries, and the maps are averaged."""
    scales: tuple[float, ...] = (1.0,)
    """Sizes at which every tile is seen, 2 for twice as large; the maps are averaged."""
    notes: tuple[str, ...] = ()
    """What the user should know."""

    def maps(self, inputs: Sequence[Tensor], /) -> Tensor:
        """Map a batch of tiles.

        Parameters
        ----------
        inputs
            One tensor (N, bands, rows, cols) float32, normalised.

        Returns
        -------
        (N, classes, rows, cols) float32: the mean over scales and symmetries.
        """
        with torch.inference_mode():
            return running_mean(list(self._looks(inputs[0])))

    def _looks(self, tiles: Tensor) -> Iterator[Tensor]:
        for scale in self.scales:
            for turn, turn_back in symmetries(self.tta):
                # Turned before it is resized: what resizing cuts off is then always at the far end.
                turned = turn(tiles)
                seen = turned if scale == 1 else _resized(turned, scale)
                with autocast(self.precision, self.device):
                    found = self.network.activation_maps(seen, bias=self.bias)
                height, width = turned.shape[-2:]
                # Pixel y of the tile is centred at (y + ½)·s − ½ of the resized one.
                placed = to_pixels(
                    found.float(),
                    stride=self.network.stride / scale,
                    centre=(self.network.centre + 0.5) / scale - 0.5,
                    height=height,
                    width=width,
                    method=self.upsampling,
                )
                yield turn_back(placed)


def _resized(tiles: Tensor, scale: float) -> Tensor:
    """Resize by exactly the scale; what is left of a pixel to the right and below is cut off.

    By a size in whole pixels it would be nearly the scale, and maps would drift from their places.
    """
    below, right = (max(0, math.ceil(1 / scale) - side) for side in tiles.shape[-2:])
    if below or right:  # or not a pixel would be left
        tiles = functional.pad(tiles, (0, right, 0, below), mode="replicate")
    resized: Tensor = functional.interpolate(
        tiles,
        scale_factor=scale,
        mode="bilinear",
        align_corners=False,
        antialias=scale < 1,
        recompute_scale_factor=False,
    )
    return resized


def make_activations(
    bundle: ModelBundle,
    *,
    device: torch.device,
    precision: str = "auto",
    upsampling: str = "bilinear",
    bias: bool = False,
    tta: bool = False,
    scales: Sequence[float] = (1.0,),
) -> Activations:
    """Make an image-level model ready.

    Parameters
    ----------
    bundle
        The model.
    device
        Where it shall run.
    precision, upsampling, bias, tta, scales
        See `Activations`; precision may be ``auto``.

    Raises
    ------
    ModelError
        The model gives a class to every pixel, so it has no activation maps.
    OptionError
        Unknown precision.
    """
    network = fold_batch_norm(bundle.network).to(device)
    if not isinstance(network, PresenceNetwork):
        raise ModelError(
            f"model '{bundle.card.name}' ({bundle.card.network}) gives a class to every pixel and"
            " has no activation maps: use geoseg predict, or a model trained with --model"
            " shallow-cnn or resnet50-cam"
        )
    return Activations(
        network=network,
        classes=bundle.card.classes,
        device=device,
        precision=resolve_precision(precision, device),
        upsampling=upsampling,
        bias=bias,
        tta=tta,
        scales=tuple(scales),
    )
