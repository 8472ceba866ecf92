"""What loading a model does not do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from geoseg.models.bundle import ModelBundle, _NothingDrawn, load_bundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend import Legend

WIDTHS = {"widths": (2, 3)}


def saved(path: Path) -> ModelBundle:
    torch.manual_seed(0)
    card = ModelCard(
        name="small",
        network="unet-small",
        arguments=WIDTHS,
        bands=("red",),
        mean=(0.0,),
        std=(1.0,),
        fill=0.0,
        legend=Legend.of_values([1, 2]),
        tile=32,
    )
    bundle = ModelBundle(build("unet-small", in_channels=1, classes=2, **WIDTHS), card)
    save_bundle(bundle, path)
    return bundle


def test_loading_imports_no_algebra(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    saved(path)
    code = (
        "import sys; from geoseg.models.bundle import load_bundle; load_bundle(sys.argv[1]);"
        " print(*sorted({name.split('.')[0] for name in sys.modules} & {'sympy', 'torchvision'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_weights_are_those_of_the_file_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    kept = saved(path).network.state_dict()
    one, other = load_bundle(path).network, load_bundle(path).network
    for name, tensor in one.state_dict().items():
        assert tensor.dtype == kept[name].dtype
        assert torch.equal(tensor, kept[name])
    with torch.no_grad():
        for parameter in one.parameters():
            assert parameter.requires_grad
            parameter.add_(1)
    path.unlink()
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, kept[name])


def test_nothing_is_drawn_and_all_else_is_done() -> None:
    draws: list[Callable[[torch.Tensor], object]] = [
        nn.init.kaiming_normal_,
        lambda kernel: kernel.normal_(0, 1),
        lambda kernel: nn.init.normal_(tensor=kernel),
    ]
    state = torch.get_rng_state()
    with _NothingDrawn():
        for draw in draws:
            kernel = torch.full((2, 2), 7.0)
            assert draw(kernel) is kernel
            assert (kernel == 7).all()
        assert float(torch.ones(3).sum()) == 3
    assert torch.equal(torch.get_rng_state(), state)
