"""What the networks that come from libraries share. Imports none of the libraries itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.network import SegmentationNetwork


@runtime_checkable
class Pretrained(Protocol):
    """A network whose library holds weights of it that someone else has trained."""

    def pretrained_names(self) -> tuple[str, ...]:
        """Return what these weights are called, ``imagenet`` or ``coco`` for instance."""

    def pretrained(self, name: str) -> dict[str, Tensor]:
        """Fetch those called `name`, of `pretrained_names`; the library keeps what it fetched.

        Tensors are called as in the library's own files, and are for the bands red, green, blue.

        Raises
        ------
        OSError, RuntimeError
            They cannot be fetched, as the library says it.
        """


@contextlib.contextmanager
def needed(package: str, network: str) -> Iterator[None]:
    """Import a library within this, for a network that needs it.

    Raises
    ------
    ModelError
        It cannot be imported; the message says what to install.
    """
    try:
        yield
    except ImportError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"network {network!r} needs {package}, which cannot be imported ({reason}):"
            f" pip install {package}"
        ) from error


class LibraryNetwork(SegmentationNetwork):
    """A library's segmentation network, as `network`, that can be built without memory.

    A network that is to take its weights from a file is first built on torch's meta device, where
    tensors have a shape and no numbers. Libraries compute numbers at construction, though. Some
    look at them at once, which the meta device refuses; some keep them in buffers that no file
    holds (windows and tables of relative positions), and these would come back as whatever stood
    in memory. So such a network is built on the processor, then emptied, and keeps those buffers
    to put them back when it gets memory again.

    Parameters
    ----------
    make
        Builds the library's network.
    stride
        See `SegmentationNetwork`.
    """

    def __init__(self, make: Callable[[], nn.Module], *, stride: int = 1) -> None:
        super().__init__(stride=stride)
        self._constants: dict[str, Tensor] = {}
        if torch.get_default_device().type == "meta":
            self.network = self._without_memory(make)
        else:
            self.network = make()

    def _without_memory(self, make: Callable[[], nn.Module]) -> nn.Module:
        with contextlib.suppress(RuntimeError):  # "cannot be called on meta tensors"
            network = make()
            if not constants(network):
                # Some tensors are made in a way that does not ask for the device.
                return network.to("meta")
        with torch.device("cpu"):
            network = make()
        self._constants = {
            f"network.{name}": buffer.clone() for name, buffer in constants(network).items()
        }
        return network.to("meta")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LibraryNetwork:
        """Move, convert or fill all tensors; what `nn.Module.to` and its like come down to."""
        empty = {name for name, buffer in self.named_buffers() if buffer.is_meta}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for name, buffer in self.named_buffers():
                if name in empty and name in self._constants and not buffer.is_meta:
                    buffer.copy_(self._constants[name])
        return self


def constants(network: nn.Module) -> dict[str, Tensor]:
    """Return the buffers that `network` computes at construction and no file of weights holds."""
    held = network.state_dict(keep_vars=True)
    return {name: buffer for name, buffer in network.named_buffers() if name not in held}


def with_bands(first: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    """Return a fresh first convolution for `in_channels` bands, otherwise as `first`.

    Kernels are drawn as in He et al. (2015), by the number of outputs, as torchvision does.
    """
    if first.in_channels == in_channels:
        return first
    settings: dict[str, Any] = {
        name: getattr(first, name)
        for name in ("out_channels", "kernel_size", "stride", "padding", "dilation")
    }
    made = nn.Conv2d(in_channels, bias=first.bias is not None, **settings)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made
