"""``geoseg run`` goes on with a map that a stopped run had begun."""

from __future__ import annotations

from types import SimpleNamespace

import click
import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine

from geoseg.cli import _run
from geoseg.cli.recipe_steps import _goes_on
from geoseg.cli.stopped import STEP, way_on
from geoseg.inference import outputs
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.outputs import unfinished


def test_a_map_is_gone_on_with_by_the_recipe_that_began_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "TIMES_AS_LONG", 0)
    with rasterio.open(
        tmp_path / "scene.tif",
        "w",
        driver="GTiff",
        count=1,
        height=64,
        width=16,
        dtype="uint8",
        crs="EPSG:32633",
        transform=Affine(10, 0, 5e5, 0, -10, 5.6e6),
    ) as dataset:
        dataset.write(np.arange(64 * 16, dtype=np.uint8).reshape(1, 64, 16))
        dataset.set_band_description(1, "red")
    torch.manual_seed(0)
    card = ModelCard(
        name="model",
        network="pointwise",
        arguments={},
        bands=("red",),
        mean=(100.0,),
        std=(50.0,),
        fill=0.0,
        legend=parse_legend("1=a,2=b"),
        tile=16,
    )
    network = build("pointwise", in_channels=1, classes=2)
    save_bundle(ModelBundle(network, card), tmp_path / "model.safetensors")
    (tmp_path / "recipe.toml").write_text(
        "title = 'T'\n[[step]]\nrun = 'predict'\narguments = ['{data}/scene.tif']\n"
        "output = '{out}/map.tif'\n[step.options]\nmodel = '{data}/model.safetensors'\n"
        "tile = 16\nstride = 16\n"
    )
    words = ["run", str(tmp_path / "recipe.toml"), "--data", str(tmp_path)]
    words += ["-o", str(tmp_path / "out")]
    write = outputs.Maps.write

    def stopped(self, row, *rest):
        if row == 32:
            raise KeyboardInterrupt
        write(self, row, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(outputs.Maps, "write", stopped)
        assert _run(words) == 130
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-2].startswith("Interrupted; ")
    assert said[-2].endswith(" keeps 32 of 64 rows.")
    assert said[-1] == "The same geoseg run goes on from here."
    assert _run(words) == 0
    streams = capsys.readouterr()
    assert "32 of 64 rows were there from before" in streams.out
    assert "2 tiles computed" in streams.out


def test_how_a_command_goes_on_by_itself_is_not_said_in_a_recipe():
    assert way_on("; again") == "; again"
    with click.Context(click.Command("train")) as ctx:
        assert way_on("; again") == "; again"
        ctx.meta[STEP] = True
        assert way_on("; again") == ""


@pytest.mark.parametrize(
    ("run", "output", "options", "goes_on"),
    [
        ("predict", "{out}/map.tif", {}, True),
        ("predict", "{out}/maps", {}, False),  # of photographs
        ("composite", "{out}/c.tif", {"earth-engine": ("l8",)}, True),
        ("composite", "{out}/c.tif", {}, True),
        ("train", "{out}/m.safetensors", {}, True),
    ],
)
def test_only_what_can_be_gone_on_with_is(run, output, options, goes_on):
    step = SimpleNamespace(run=run, output=output, options=options)
    assert _goes_on(step) == goes_on
