"""What networks share: any size in; the same size out, or which classes there are."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional


class SegmentationNetwork(nn.Module):
    """A network that accepts images of any size.

    An image whose sides are no multiples of `stride` is continued to the right and below by its
    edge pixels, and the logits are cropped back. Edge pixels rather than zeros, because zero is
    the mean of every band: a collar of average ground with a hard edge that no scene has.
    """

    stride: int
    """By how much the deepest features are smaller than the image."""

    def __init__(self, *, stride: int) -> None:
        super().__init__()
        self.stride = stride

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W) to (N, classes, H, W), where H and W are multiples of `stride`."""

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised float (N, bands, H, W) to logits (N, classes, H, W), any H, W ≥ 1."""
        height, width = x.shape[-2], x.shape[-1]
        below, right = -height % self.stride, -width % self.stride
        if below == 0 and right == 0:
            return self.logits(x)
        padded = functional.pad(x, (0, right, 0, below), mode="replicate")
        return self.logits(padded)[..., :height, :width]


class PresenceNetwork(nn.Module):
    """A network that says which classes an image holds, and, after the fact, where.

    Feature maps, their global average, one dense layer (Lin, Chen, Yan 2014); trained with labels
    of whole images alone. Because the average and the dense layer are both linear, they can be
    swapped: the *class activation map* (Zhou et al. 2016, equation 2) weighs the feature maps of
    an image as the dense layer weighs their averages, and shows from where the evidence came.

    An image smaller than `smallest` is continued to the right and below by its edge pixels.

    Parameters
    ----------
    stride
        See the attribute.
    centre
        See the attribute; by default the middle of the first `stride` pixels.
    smallest
        See the attribute; `stride` by default.
    """

    stride: int
    """Pixels of the image, along a side, that one position of the feature maps stands for."""
    centre: float
    """Where the middle of the first position's receptive field lies, counted in pixels from the
    middle of the image's first pixel; position i is centred at ``centre + i · stride``.
    """
    smallest: int
    """Side in pixels of the smallest image that `features` can take."""
    dense: nn.Linear
    """From the averages of the feature maps to the classes; made by the subclass."""
    undecayed: frozenset[str] = frozenset({"dense.weight"})
    """Names of kernels that training leaves without weight decay: the dense layer's, whose size
    says how much evidence a map is and not how complicated the features are (cropland-cam: decay on
    the convolution kernels alone).
    """

    def __init__(
        self, *, stride: int, centre: float | None = None, smallest: int | None = None
    ) -> None:
        super().__init__()
        self.stride = stride
        self.centre = (stride - 1) / 2 if centre is None else centre
        self.smallest = stride if smallest is None else smallest

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Map (N, bands, H, W), H and W at least `smallest`, to (N, channels, h, w).

        These are the last feature maps before the average, h ≈ H / `stride`.
        """

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised float (N, bands, H, W) to logits (N, classes), any H, W ≥ 1.

        A class is present with the probability ``sigmoid(logit)``, each by itself.
        """
        y: Tensor = self.dense(self._features(x).mean(dim=(2, 3)))
        return y

    def activation_maps(self, x: Tensor, *, bias: bool = False) -> Tensor:
        """Class activation maps, (N, classes, h, w): ``CAM_c(x, y) = Σ_k w_k^c f_k(x, y)``.

        Parameters
        ----------
        x
            Normalised float (N, bands, H, W), any H, W ≥ 1.
        bias
            Whether the dense layer's bias is added, which the definition leaves out. With it, the
            mean of a map is the class's logit.
        """
        kernel = self.dense.weight[:, :, None, None]
        return functional.conv2d(self._features(x), kernel, self.dense.bias if bias else None)

    def _features(self, x: Tensor) -> Tensor:
        below, right = (max(self.smallest - side, 0) for side in x.shape[-2:])
        if below or right:
            x = functional.pad(x, (0, right, 0, below), mode="replicate")
        return self.features(x)


def he_normal(network: nn.Module) -> None:
    """Draw kernels as in He et al. (2015), for layers followed by ReLU; biases become 0.

    Transposed convolutions of kernel and stride 2 see each input once, so their fan is the number
    of input channels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=module.in_channels**-0.5)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def parameter_count(network: nn.Module) -> int:
    """Count the trained numbers (batch-norm statistics are not trained)."""
    return sum(p.numel() for p in network.parameters())


def channels_last(network: nn.Module) -> nn.Module:
    """Lay out a network's kernels channels-last, in place, and return it.

    Convolutions are much faster so on processors and on recent cards, and pass the layout on.
    """
    moved: nn.Module = network.to(memory_format=torch.channels_last)
    return moved


def has_hooks(module: nn.Module) -> bool:
    """Say whether somebody hung something on a layer, which would stay behind if it is replaced."""
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


def runs_in_order(module: nn.Module) -> TypeGuard[nn.Sequential]:
    """Say whether layers run one after the other; a subclass may run them otherwise."""
    return (
        isinstance(module, nn.Sequential)
        and type(module).forward is nn.Sequential.forward
        and "forward" not in vars(module)
    )
