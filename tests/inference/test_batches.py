"""How many tiles are computed together, where memory is what tests say it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from geoseg.errors import ModelError
from geoseg.inference import engines, members
from geoseg.inference.batches import Batches, fitting_batch, is_out_of_memory, most_on_card
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings
from geoseg.models.elu import EluNorm
from geoseg.raster.scene import Scene

CPU = torch.device("cpu")
FULL = "[enforce fail at alloc_cpu.cpp:119] . DefaultCPUAllocator: can't allocate memory"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError(FULL),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 12 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.0 GB, other allocations: 1 KB)"),
        RuntimeError("Invalid buffer size: 28.80 GB"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_every_device_says_in_its_own_words_that_memory_is_out(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory")])
def test_other_errors_are_not_about_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def room_for(most: int, seen: list[int]) -> Callable[..., torch.Tensor]:
    """Return what squares tiles, where memory is full above `most` of them."""

    def maps(tiles: list[int]) -> torch.Tensor:
        seen.append(len(tiles))
        if len(tiles) > most:
            raise RuntimeError(FULL)
        return torch.tensor(tiles) ** 2

    return maps


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), unique=True).map(sorted), st.integers(1, 9), st.integers(1, 9))
def test_each_tile_is_computed_once_and_in_order_whatever_fits(chosen, size, most) -> None:
    batches, seen = Batches(size, CPU), list[int]()
    maps = room_for(most, seen)
    groups = batches.cut(chosen)
    assert [k for group in groups for k in group] == chosen
    assert all(len({k // size for k in group}) == 1 for group in groups)
    found = [batches.compute(group, maps).tolist() for group in groups]
    assert [value for part in found for value in part] == [k * k for k in chosen]
    # What did not fit is not tried again: each failure halves at least.
    assert sum(count > most for count in seen) <= size.bit_length()
    assert bool(batches.notes) == any(count > most for count in seen)


def test_four_tiles_become_two_and_the_user_is_told() -> None:
    batches, seen = Batches(4, CPU), list[int]()
    maps = room_for(3, seen)
    assert batches.compute([0, 1, 2, 3], maps).tolist() == [0, 1, 4, 9]
    assert batches.compute([4, 5, 6, 7], maps).tolist() == [16, 25, 36, 49]
    assert seen == [4, 2, 2, 2, 2]
    assert batches.notes == (
        "the memory of cpu does not hold 4 tiles at once, so that 2 are computed together now;"
        " the last bits of shares may not be those of a run with enough memory;"
        " --batch-size 2 says so from the beginning",
    )


def test_on_a_card_nothing_is_said_of_bits() -> None:
    batches = Batches(4, torch.device("meta"))
    batches.compute([0, 1, 2, 3], room_for(3, []))
    (note,) = batches.notes
    assert "of meta does not hold 4 tiles" in note
    assert "bits" not in note


def test_a_single_tile_that_does_not_fit_is_one_line_with_ways_out() -> None:
    batches, seen = Batches(4, CPU), list[int]()
    with pytest.raises(ModelError, match=r"memory of cpu .*one tile.* --tile, or fewer --workers"):
        batches.compute([0, 1, 2, 3], room_for(0, seen))
    assert seen == [4, 2, 1]
    with pytest.raises(ModelError, match=r"memory of cuda:0 .* --tile, or --device cpu"):
        Batches(1, torch.device("cuda:0")).compute([0], room_for(0, seen))


def test_other_errors_of_the_network_come_through() -> None:
    def maps(tiles: list[int]) -> torch.Tensor:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Batches(4, CPU).compute([0, 1], maps)


@dataclass
class Card:
    """Memory in which a tile takes `tile` bytes, and the network `fixed` ones."""

    total: int
    tile: int = 10
    fixed: int = 0
    tried: list[int] = field(default_factory=list)

    def free(self) -> int:
        return self.total

    def used_by(self, task: Callable[[], object], /) -> int:
        task()
        return self.fixed + self.tile * self.tried[-1]

    def forward(self, count: int) -> None:
        self.tried.append(count)
        if self.fixed + self.tile * count > self.total:
            raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("card", "most", "found"),
    [
        (Card(total=10_000), 32, 32),
        (Card(total=10_000), 1, 1),
        (Card(total=10_000), 6, 6),  # no more than a row has
        (Card(total=400), 32, 16),  # half of it is 200: 16 take 160, and 32 would take 320
        (Card(total=400, fixed=60), 32, 8),  # 8 take 140, so 16 could take 280
        (Card(total=10), 32, 1),  # not even one: said when it is computed
        (Card(total=5), 32, 1),
    ],
)
def test_a_batch_takes_half_of_the_memory_that_is_free(card: Card, most: int, found: int) -> None:
    assert fitting_batch(card.forward, card, most=most) == found
    assert card.tried == sorted(card.tried)
    again = replace(card, tried=[])
    assert fitting_batch(again.forward, again, most=most) == found


def test_batches_are_of_about_as_many_pixels_whatever_their_tiles() -> None:
    assert most_on_card(288, 288) == 32
    assert most_on_card(576, 576) == 8
    assert most_on_card(4096, 4096) == 1
    assert most_on_card(8, 8) == 512


class Full:
    """An answerer whose memory holds so many tiles."""

    def __init__(self, whole, most: int) -> None:
        self._whole, self._most = whole, most

    def __getattr__(self, name: str):
        return getattr(self._whole, name)

    def maps(self, inputs):
        if len(inputs[0]) > self._most:
            raise RuntimeError(FULL)
        return self._whole.maps(inputs)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_prediction_goes_on_with_fewer_tiles_to_the_same_map(
    write_scene, make_bundle, tmp_path, monkeypatch, workers
) -> None:
    rng = np.random.default_rng(1)
    scene = write_scene(rng.integers(1, 300, (2, 70, 90), dtype=np.uint16))
    chosen = PredictSettings(tile=16, batch=4)
    models = [make_bundle()]  # pointwise: its bits do not depend on batches

    def made(name: str):
        with Scene.open(scene) as opened:
            out = tmp_path / name
            result = predict(
                opened, out, models=models, settings=chosen, device="cpu", workers=workers
            )
        return result.notes, out.read_bytes()

    notes, whole = made("whole.tif")
    assert notes == ()
    make = engines.make_ensemble
    monkeypatch.setattr(engines, "make_ensemble", lambda *a, **k: Full(make(*a, **k), 1))
    (note,), found = made("full.tif")
    assert "does not hold 4 tiles" in note
    assert "--batch-size 1" in note
    assert found == whole
    monkeypatch.setattr(engines, "make_ensemble", lambda *a, **k: Full(make(*a, **k), 0))
    with pytest.raises(ModelError, match="one tile at a time"):
        made("never.tif")
    assert not (tmp_path / "never.tif").exists()


def test_where_nothing_can_be_compiled_the_map_is_made_all_the_same(
    write_scene, make_bundle, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(members, "obstacle", lambda _: "there is no C++ compiler")
    scene = write_scene(np.full((2, 20, 30), 7, np.uint16))
    made = []
    for compiled in (False, True):
        with Scene.open(scene) as opened:
            out = tmp_path / f"{compiled}.tif"
            result = predict(
                opened,
                out,
                models=[make_bundle()],
                settings=PredictSettings(tile=16, compile=compiled),
                device="cpu",
            )
        made.append((out.read_bytes(), result.notes))
    assert made[0] == (made[1][0], ())
    assert made[1][1] == ("there is no C++ compiler, so that nothing is compiled",)


def test_compiled_networks_are_used_where_they_can_be(make_bundle, monkeypatch) -> None:
    compiled = []

    def compiling(network):
        compiled.append(network)
        return lambda x: network(x) + 1

    monkeypatch.setattr("torch.compile", compiling)
    monkeypatch.setattr(members, "obstacle", lambda _: None)
    bundle = make_bundle()
    x = torch.rand(1, 2, 8, 8)
    plain = members.make_ensemble([bundle], device=CPU)
    assert compiled == []
    made = members.make_ensemble([bundle, bundle], device=CPU, compiled=True)
    assert len(compiled) == 2
    assert made.notes == plain.notes == ()
    # One more for every class: the same shares, by way of the compiled networks.
    torch.testing.assert_close(made.maps([x]), plain.maps([x]))
    torch.testing.assert_close(made.members[0].network(x), plain.members[0].network(x) + 1)


@pytest.mark.parametrize(("precision", "kind"), [("float32", EluNorm), ("bfloat16", nn.ELU)])
def test_networks_take_the_form_of_the_processor_in_float32(make_bundle, precision, kind) -> None:
    bundle = make_bundle("unet-m46", widths=(4, 6), decoder_widths=(6, 4))
    made = members.make_ensemble([bundle], device=CPU, precision=precision).members[0].network
    seen = set()
    with register_module_forward_hook(lambda layer, _given, _answer: seen.add(type(layer))):
        made(torch.zeros(1, 2, 8, 8))
    assert seen & {EluNorm, nn.ELU} == {kind}
    assert not any(isinstance(m, EluNorm) for m in bundle.network.modules())
