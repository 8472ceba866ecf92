"""Networks made ready to predict: one model or several, each pixel's probabilities as their mean.

A member takes normalised tiles; what it needs of the scene (bands, normalisation, fill) it states
as an `InputSpec`, so that members with the same wish share one copy of the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from geoseg.errors import ModelError, OptionError
from geoseg.inference.blend import running_mean
from geoseg.inference.symmetry import symmetries
from geoseg.models.bundle import ModelBundle
from geoseg.models.card import ModelCard
from geoseg.models.compiling import Compiled, obstacle
from geoseg.models.fold import fold_batch_norm
from geoseg.models.network import PresenceNetwork
from geoseg.models.onnx.network import OnnxNetwork
from geoseg.models.precision import autocast, resolve_precision
from geoseg.models.processor import for_processor


@dataclass(frozen=True)
class InputSpec:
    """What a network wants to be fed."""

    bands: tuple[str, ...]
    """Names, in order."""
    mean: tuple[float, ...]
    """Subtracted, per band."""
    std: tuple[float, ...]
    """Divided by, per band."""
    fill: float
    """Reading given to every band of an invalid pixel, before normalisation."""

    @classmethod
    def of(cls, card: ModelCard) -> InputSpec:
        """Return what the network of a model wants."""
        return cls(bands=card.bands, mean=card.mean, std=card.std, fill=card.fill)


@dataclass(frozen=True)
class Member:
    """One network of an ensemble, folded and on its device."""

    network: nn.Module
    """Maps (N, bands, rows, cols) to logits (N, classes, rows, cols)."""
    spec: int
    """Which of the ensemble's input specifications it takes."""


@dataclass(frozen=True)
class Ensemble:
    """One network or several whose probabilities are averaged.

    Attributes
    ----------
    members
        The networks.
    specs
        Distinct inputs that the members ask for.
    classes
        Number of classes that all of them tell apart.
    device
        Where they run.
    precision
        ``float32`` or ``bfloat16`` (mixed precision; probabilities are float32 all the same).
    tta
        Whether every tile is seen in its eight symmetries (four rotations, each mirrored or not).
    notes
        What the user should know.
    """

    members: tuple[Member, ...]
    specs: tuple[InputSpec, ...]
    classes: int
    device: torch.device
    precision: str = "float32"
    tta: bool = False
    notes: tuple[str, ...] = ()

    def maps(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Probabilities of a batch of tiles.

        Parameters
        ----------
        inputs
            For each of `specs`: (N, bands, rows, cols) float32, normalised.

        Returns
        -------
        (N, classes, rows, cols) float32, summing to 1 over the classes: the mean over members and
        symmetries of the softmax of the logits.
        """
        with torch.inference_mode(), autocast(self.precision, self.device):
            return running_mean(list(self._votes(inputs)))

    def _votes(self, inputs: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        for turn, turn_back in symmetries(self.tta):
            seen = [turn(x) for x in inputs]
            for member in self.members:
                logits = member.network(seen[member.spec])
                yield turn_back(torch.softmax(logits.float(), dim=1))


def make_ensemble(
    bundles: Sequence[ModelBundle],
    *,
    device: torch.device,
    precision: str = "auto",
    tta: bool = False,
    compiled: bool = False,
) -> Ensemble:
    """Make bundles ready to predict together.

    Parameters
    ----------
    bundles
        Of the same classes.
    device
        Where they shall run.
    precision, tta
        See `Ensemble`; precision may be ``auto``.
    compiled
        Whether to compile them, where that can be done.

    Raises
    ------
    ModelError
        The models do not tell the same classes apart, or one knows no pixels.
    OptionError
        Unknown precision.
    """
    if not bundles:
        raise OptionError("a prediction needs at least one model")
    precision = resolve_precision(precision, device)
    cannot = obstacle(device) if compiled else None
    first = bundles[0].card
    specs: list[InputSpec] = []
    members: list[Member] = []
    for bundle in bundles:
        card = bundle.card
        if isinstance(bundle.network, PresenceNetwork):
            raise ModelError(
                f"model '{card.name}' ({card.network}) says which classes a patch holds and not"
                " where: use geoseg cam, which finds out, or a model that gives a class to every"
                " pixel"
            )
        if [(c.id, c.name) for c in card.legend.classes] != [
            (c.id, c.name) for c in first.legend.classes
        ]:
            raise ModelError(
                f"models '{first.name}' and '{card.name}' cannot be averaged: their classes differ"
            )
        spec = InputSpec.of(card)
        if spec not in specs:
            specs.append(spec)
        network = fold_batch_norm(bundle.network).to(device)
        is_compiled = compiled and cannot is None and not isinstance(network, OnnxNetwork)
        if device.type == "cpu":
            network = for_processor(network, plain=is_compiled or precision != "float32")
        if is_compiled:
            network = Compiled(network)
        members.append(Member(network=network, spec=specs.index(spec)))
    return Ensemble(
        members=tuple(members),
        specs=tuple(specs),
        classes=len(first.legend),
        device=device,
        precision=precision,
        tta=tta,
        notes=() if cannot is None else (f"{cannot}, so that nothing is compiled",),
    )
