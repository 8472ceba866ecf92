"""Weights of one network laid into another: which go where, and what stays fresh.

Knows tensors by name and nothing of files or libraries.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from geoseg.errors import ModelError

RGB = ("red", "green", "blue")
"""Bands of what the libraries' weights were trained on."""

_COUNTER = "num_batches_tracked"
_DEEPEST = 3
_SHARE_OF_FILE = 0.5
_SHARE_OF_NETWORK = 0.2


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What was taken."""

    taken: int
    """Tensors taken, adapted ones included; counters of batches are not counted."""
    total: int
    """Tensors of the network."""
    bands: tuple[int, int] | None
    """Bands of the weights and of the network, where the first convolution was adapted."""
    by_name: int
    """Bands of the network that took kernels by their name and not by their place."""
    head: tuple[str, ...]
    """Modules that stay fresh because the weights are for another number of classes."""
    fresh: tuple[str, ...]
    """Parts of the network that keep their fresh weights."""


def transfer(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    source: str,
    weight_bands: Sequence[str] | None = None,
    bands: Sequence[str] | None = None,
) -> Transfer:
    """Lay weights into a network, in place, by the names of tensors.

    Names may stand under another heading in the two (``conv1.weight`` of a backbone alone,
    ``module.encoder.conv1.weight`` of a wrapped network): the headings are chosen with which most
    tensors find their place. Each part of the network (encoder, decoder …) is taken whole, or
    left fresh if the weights have nothing of it; a part that is there by half is of another
    network, and nothing is taken at all.

    Two things may differ. The *first convolution* may be for other bands, see `adapt_bands`. The
    *head* may be for another number of classes; then it is left fresh.

    Parameters
    ----------
    network
        Where they go.
    weights
        What is laid into it, by name.
    source
        How to call the weights in messages.
    weight_bands
        Names of the bands that they are for, where known.
    bands
        Names of the network's bands, where known.

    Raises
    ------
    ModelError
        They are of another network.
    """
    own = {k: v for k, v in network.state_dict().items() if not k.endswith(_COUNTER)}
    given = _renamed({k: v for k, v in weights.items() if not k.endswith(_COUNTER)}, own, source)
    stems, classes = _look(network)
    heads, wrong = _sorted_out(own, given, stems, classes)
    if wrong:
        key = wrong[0]
        raise ModelError(
            f"{source} is of another network: {key!r} has the shape {list(given[key].shape)},"
            f" not {list(own[key].shape)}"
        )
    _check_parts(own, given, source)
    adapted, by_name = None, 0
    with torch.no_grad():
        for key in given.keys() - heads:
            value = given[key].to(own[key].dtype)
            if key in stems:
                before, now = value.shape[1], own[key].shape[1]
                adapted = (before, now) if before != now else None
                value, by_name = adapt_bands(value, now, weight_bands=weight_bands, bands=bands)
            own[key].copy_(value)
    return Transfer(
        taken=len(given.keys() - heads),
        total=len(own),
        bands=adapted,
        by_name=by_name,
        head=tuple(sorted({key.rpartition(".")[0] for key in heads})),
        fresh=_parts([key for key in own if key not in given], given),
    )


def adapt_bands(
    kernels: Tensor,
    count: int,
    *,
    weight_bands: Sequence[str] | None = None,
    bands: Sequence[str] | None = None,
) -> tuple[Tensor, int]:
    """Make the kernels of a first convolution fit another number of bands.

    A band that the weights know by name takes its own kernels. Every other takes the mean over
    the bands of the weights, as Wang et al. (2016, "Temporal Segment Networks", section 3.2)
    start networks for optical flow from RGB. All are multiplied by bands before / bands now, so
    that an image that is the same in all bands gives what a grey image gave before (Carreira and
    Zisserman 2017, section 2.4, do so along time). Decision: the mean and not red, green, blue in
    turn, as the libraries do, because the fourth band of a satellite is no second red. Where the
    number of bands stays, kernels are put into the order of the bands' names if these are the
    same, and else left in their places: near infrared, red, green shown as red, green, blue is
    what the field does.

    Parameters
    ----------
    kernels
        (outputs, bands before, rows, cols).
    count
        Bands now.
    weight_bands, bands
        Names of the bands before and now, where known.

    Returns
    -------
    kernels
        (outputs, bands now, rows, cols).
    by_name
        How many bands took their own.
    """
    before = kernels.shape[1]
    places = _places(weight_bands, before)
    named = bands if bands is not None and len(bands) == count else ()
    order = [places.get(_plain(band)) for band in named]
    found = [place for place in order if place is not None]
    if before == count:
        same = sorted(found) == list(range(count))
        return (kernels[:, found], count) if same else (kernels, 0)
    made = kernels.mean(dim=1, keepdim=True).repeat(1, count, 1, 1)
    for index, place in enumerate(order):
        if place is not None:
            made[:, index] = kernels[:, place]
    return made * (before / count), len(found)


def _places(bands: Sequence[str] | None, count: int) -> dict[str, int]:
    if bands is None or len(bands) != count:
        return {}
    return {_plain(band): index for index, band in enumerate(bands)}


def _plain(band: str) -> str:
    """Return a band's name without its number in the sensor: ``Red B4`` is ``red``."""
    words = re.split(r"[\s_]+", band.lower())
    named = [word for word in words if not re.fullmatch(r"b\d+a?", word)]
    return " ".join(named or words)


def _renamed(
    weights: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str
) -> dict[str, Tensor]:
    """Call the weights as the network does, and leave out what it has no place for."""
    best: dict[str, str] = {}
    for strip in _headings(weights, _SHARE_OF_FILE):
        bare = [key.removeprefix(strip) for key in weights if key.startswith(strip)]
        for add in _headings(own, _SHARE_OF_NETWORK):
            found = {add + key: strip + key for key in bare if add + key in own}
            # Of other shapes are those of another network, or of one part taken for another.
            fits = sum(own[a].shape == weights[b].shape for a, b in found.items())
            if fits > sum(own[a].shape == weights[b].shape for a, b in best.items()):
                best = found
    enough = max(_SHARE_OF_FILE * min(len(weights), len(own)), _SHARE_OF_NETWORK * len(own))
    if len(best) < enough:
        raise ModelError(
            f"{source} is of another network: {len(best)} of its {len(weights)} tensors have a"
            f" place among the {len(own)} of this one"
        )
    return {key: weights[name] for key, name in best.items()}


def _headings(names: Collection[str], share: float) -> list[str]:
    """Return the beginnings (with the dot) that many of the names have, none at all first."""
    counts: Counter[str] = Counter()
    for name in names:
        counts.update(f"{p}." for p in accumulate(name.split(".")[:-1], "{}.{}".format))
    found = [h for h, n in counts.items() if n >= share * len(names) and h.count(".") <= _DEEPEST]
    return ["", *sorted(found, key=lambda h: (h.count("."), h))]


def _look(network: nn.Module) -> tuple[set[str], int]:
    """Show the network an image; return the kernels that see it, and the number of classes.

    Some encoders have several first convolutions beside each other. An image of one value is
    still one of that value when a network has continued it at its edges.
    """
    stems: set[str] = set()
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    image = torch.full((1, first.in_channels, 32, 32), 0.625, device=first.weight.device)

    def watch(name: str, convolution: nn.Conv2d) -> RemovableHandle:
        def see(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            if given[0].shape[1] == image.shape[1] and bool((given[0] == 0.625).all()):
                stems.add(f"{name}.weight")

        return convolution.register_forward_pre_hook(see)

    modes = {module: module.training for module in network.modules()}
    watches = [
        watch(name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups == 1
    ]
    network.eval()
    try:
        with torch.inference_mode():
            classes = int(network(image).shape[1])
    finally:
        for handle in watches:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return stems, classes


def _sorted_out(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], stems: set[str], classes: int
) -> tuple[set[str], list[str]]:
    """Say which of the given belong to a head for other classes, and which to another network."""
    heads: set[str] = set()
    wrong: list[str] = []
    for key, value in given.items():
        a, b = own[key].shape, value.shape
        differing = [i for i, (m, n) in enumerate(zip(a, b, strict=False)) if m != n]
        if len(a) == len(b) and (not differing or (key in stems and differing == [1])):
            continue
        # Upsampling from classes to classes has them twice.
        is_head = differing in ([0], [0, 1]) and all(a[i] == classes for i in differing)
        if len(a) == len(b) and is_head and len({b[i] for i in differing}) == 1:
            heads.add(key)
        else:
            wrong.append(key)
    if len({given[key].shape[0] for key in heads}) > 1:
        wrong.extend(sorted(heads))
    return heads, wrong


def _check_parts(own: Mapping[str, Tensor], given: Collection[str], source: str) -> None:
    for part in _parts(own, given):
        inside = [key for key in own if _is_in(key, part)]
        missing = [key for key in inside if key not in given]
        if missing and len(missing) < len(inside):
            raise ModelError(
                f"{source} is of another network: it has {len(inside) - len(missing)} of the"
                f" {len(inside)} tensors of {part!r} here, and {missing[0]!r} is missing"
            )


def _parts(names: Collection[str], taken: Collection[str]) -> tuple[str, ...]:
    """Return the parts in which the names lie.

    Parts are the children of the innermost module that holds all that was taken, and the
    siblings of that module and of those around it.
    """
    root: list[str] = []
    paths = [key.split(".")[:-1] for key in taken]
    for level in zip(*paths, strict=False):
        if len(set(level)) > 1:
            break
        root.append(level[0])
    parts: dict[str, None] = {}
    for name in names:
        words = name.split(".")
        shared = 0
        while shared < min(len(root), len(words) - 1) and words[shared] == root[shared]:
            shared += 1
        parts[".".join(words[: shared + 1])] = None
    return tuple(parts)


def _is_in(key: str, part: str) -> bool:
    return key == part or key.startswith(f"{part}.")
