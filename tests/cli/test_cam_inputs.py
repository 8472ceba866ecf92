"""``geoseg cam`` never writes over what it reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geoseg.cli import _run
from geoseg.models.bundle import ModelBundle, save_bundle
from geoseg.models.card import ModelCard
from geoseg.models.registry import build
from geoseg.patches.tile import tile
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend.written import parse_legend

CLASSES = "1=water,2=forest"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    grid = Grid(
        crs=CRS.from_epsg(32612), transform=Affine(30, 0, 0, 0, -30, 0), height=16, width=16
    )
    for name, kind in (("scene", "float32"), ("labels", "uint8")):
        values = np.indices((16, 16)).sum(axis=0) % 2 + 1
        with RasterWriter(
            tmp_path / f"{name}.tif", grid, band_names=["red"], dtype=kind, nodata=None
        ) as writer:
            writer.write_rows(0, values.astype(kind))
    network = build("shallow-cnn", in_channels=1, classes=2, widths=(2, 2, 2, 2))
    card = ModelCard(
        name="m",
        network="shallow-cnn",
        arguments={"widths": [2, 2, 2, 2]},
        bands=("red",),
        mean=(0.0,),
        std=(1.0,),
        fill=0.0,
        legend=parse_legend(CLASSES),
        tile=8,
    )
    save_bundle(ModelBundle(network.eval(), card), tmp_path / "m.safetensors")
    tile(
        tmp_path / "scene.tif",
        tmp_path / "known",
        labels=tmp_path / "labels.tif",
        size=8,
        split="1,0,0",
        classes=CLASSES,
        workers=1,
    )
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "{}/scene.tif"],
        ["-o", "{}/cam.tif", "--weak-labels", "{}/labels.tif", "--reference", "{}/labels.tif"],
        ["-o", "{}/cam.tif", "--fitted-model", "{}/m.safetensors", "--reference", "{}/labels.tif"],
        ["-o", "{}/known/cam.tif", "--known", "{}/known"],
    ],
)
def test_inputs_are_not_written_over(
    work: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in work.rglob("*")}
    command = ["cam", f"{work}/scene.tif", "-m", f"{work}/m.safetensors", "--overwrite"]

    assert _run([*command, *(word.format(work) for word in words)]) == 1

    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "of this very run" in line or "in this very run" in line
    assert {p: p.stat().st_mtime_ns for p in work.rglob("*")} == before
