"""A network that starts from weights that were trained before."""

from __future__ import annotations

import contextlib
import difflib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.addressed import here, public
from geoseg.models.library import Pretrained
from geoseg.models.statefile import SUFFIXES, read_state
from geoseg.models.transfer import RGB, Transfer, transfer
from geoseg.models.vgg_weights import NETWORKS as LIKE_VGG16
from geoseg.models.vgg_weights import Vgg16Weights
from geoseg.raster.far.brought import address_of

_MOST_NAMED = 8
_FETCHERS = ("huggingface_hub", "timm", "urllib3", "httpx")


def initialise(
    network: nn.Module,
    network_name: str,
    source: str | Path,
    *,
    bands: Sequence[str] | None = None,
) -> str:
    """Give a network weights that were trained before, in place.

    Parameters
    ----------
    network
        As `geoseg.models.registry.build` makes it, any network, for any bands and classes.
    network_name
        Its name, for messages.
    source
        A file, here or at an address: a model of geoseg, any other ``.safetensors`` file, or a
        ``.pt`` or ``.pth`` file with a state dict; of the whole network, of one wrapped around
        it, or of its encoder alone. Or a name that the network's library knows: ``imagenet``,
        ``coco`` …; then the library fetches the weights, and keeps them for the next time.
    bands
        Names of the network's bands. With them, bands that the weights know (red, green and blue
        of a library's; those of a model of geoseg) take their own kernels.

    Returns
    -------
    sentence
        What was taken and what was not.

    Raises
    ------
    ModelError
        The weights cannot be had: no such file, no such name, no connection; or they are of
        another network. Then the network is as it was.

    Notes
    -----
    How another number of bands or classes is dealt with, and which files are of another network,
    says `geoseg.models.transfer`. A library's weights expect bands normalised by the means and
    deviations of ImageNet; geoseg normalises every band by its own, which is the same up to what
    the data differ by.
    """
    weights: Mapping[str, Tensor]
    weight_bands: Sequence[str] | None
    if address_of(source) or Path(source).suffix in SUFFIXES or Path(source).is_file():
        with here(source) as path:
            held = read_state(path)
        name = public(source)
        name = f"{name} ({held.network})" if held.network else name
        weights, weight_bands = held.tensors, held.bands
    else:
        name = str(source)
        weights, weight_bands = _fetched(network, network_name, name), RGB
    try:
        done = transfer(network, weights, source=name, weight_bands=weight_bands, bands=bands)
    except ModelError as error:
        raise ModelError(f"{error} (network {network_name!r})") from error
    return _sentence(name, done)


def _fetched(network: nn.Module, network_name: str, source: str) -> dict[str, Tensor]:
    library: object = Vgg16Weights(network, network_name) if network_name in LIKE_VGG16 else network
    known = library.pretrained_names() if isinstance(library, Pretrained) else ()
    if not isinstance(library, Pretrained) or source not in known:
        names = f"it knows {', '.join(known)}" if known else "it knows none by name"
        near = difflib.get_close_matches(source, known, n=1)
        guess = f" (did you mean {near[0]!r}?)" if near else ""
        raise ModelError(
            f"network {network_name!r} has no weights {source!r}{guess}: {names}; or give a file"
            f" ({', '.join(SUFFIXES)})"
        )
    try:
        with _quiet():
            return library.pretrained(source)
    except (OSError, RuntimeError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        reason = first.partition(". ")[0][:200]
        raise ModelError(
            f"weights {source!r} of network {network_name!r} cannot be fetched: {reason}; without"
            " a connection, give them as a file"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries from telling of every attempt: what comes of it is said once."""
    loggers = [logging.getLogger(name) for name in _FETCHERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _sentence(source: str, done: Transfer) -> str:
    words = [f"{done.taken} of {done.total} tensors from {source}"]
    if done.bands is not None:
        before, now = done.bands
        own = f", {done.by_name} of them by name" if done.by_name else ""
        words.append(f"first convolution adapted from {before} to {now} bands{own}")
    elif done.by_name:
        words.append("bands matched by name")
    if done.head:
        words.append(f"fresh for its number of classes: {', '.join(done.head)}")
    if done.fresh:
        more = len(done.fresh) - _MOST_NAMED
        named = ", ".join(done.fresh[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        words.append(f"fresh: {named}")
    return "; ".join(words)
