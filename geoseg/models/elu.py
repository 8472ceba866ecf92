"""ELU and the batch norm behind it in one pass over memory, for prediction on processors.

A batch norm that an activation keeps apart from its convolution cannot be folded into it. torch
passes over the image twice then, and its exponential takes three times as long as this one.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.models.network import has_hooks
from geoseg.models.pixelwise import PixelwiseConv2d
from geoseg.models.undivided import UndividedConv2d

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, PixelwiseConv2d, UndividedConv2d)
"""Those whose answer is an image of its own, which may be overwritten."""


class EluNorm(nn.Module):
    """An ELU, and a batch norm in evaluation, overwriting an image that lies channels-last.

    Answers agree to rounding of float32.

    Parameters
    ----------
    norm
        The batch norm; only its channels count where there is none.
    channels
        Of the image.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, channels: int, norm: nn.BatchNorm2d | None = None) -> None:
        super().__init__()
        scale, shift = torch.ones(channels).double(), torch.zeros(channels).double()
        if norm is not None:
            # As float64, once, and rounded once.
            values = {key: value.cpu().double() for key, value in norm.state_dict().items()}
            scale = (values["running_var"] + norm.eps).rsqrt() * values.get("weight", 1.0)
            shift = values.get("bias", 0.0) - values["running_mean"] * scale
        self.register_buffer("scale", scale.float(), persistent=False)
        self.register_buffer("shift", shift.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W)."""
        rows = x.movedim(1, -1)
        if (
            x.dim() != 4
            or x.dtype != torch.float32
            or x.device.type != "cpu"
            or x.requires_grad
            or not rows.is_contiguous()
        ):
            scale, shift = (v.to(x)[:, None, None] for v in (self.scale, self.shift))
            return torch.addcmul(shift, functional.elu(x), scale)
        from geoseg.models._elukernels import activate  # noqa: PLC0415 — numba takes its time

        flat = rows.view(x.shape[0] * x.shape[2] * x.shape[3], x.shape[1])
        activate(flat.numpy(), self.scale.numpy(), self.shift.numpy())
        return x


def elu_norms(layers: nn.Sequential) -> nn.Sequential:
    """Replace ELUs, and batch norms directly behind them, in place, and return the layers.

    Those behind a convolution, whose answer nobody else may see. Layers within layers are left as
    they are.
    """
    listed: list[nn.Module] = list(layers)
    for index, (before, elu) in enumerate(pairwise(listed), start=1):
        if (
            # Exactly these: what derives from them may give an image that is not its own.
            not isinstance(before, _CONVOLUTIONS)
            or type(before) not in _CONVOLUTIONS
            or before.weight.dtype != torch.float32
            or type(elu) is not nn.ELU
            or elu.alpha != 1
            or has_hooks(before)
            or has_hooks(elu)
        ):
            continue
        norm = listed[index + 1] if index + 1 < len(listed) else None
        if (
            type(norm) is nn.BatchNorm2d
            and norm.running_mean is not None
            and not norm.training
            and not has_hooks(norm)
        ):
            layers[index] = EluNorm(before.out_channels, norm)
            layers[index + 1] = nn.Identity()
        else:
            layers[index] = EluNorm(before.out_channels)
    return layers
