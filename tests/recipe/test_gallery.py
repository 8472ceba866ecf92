"""Small pictures of what steps made: what is drawn, how large, and what is passed over."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.legend.written import parse_legend
from geoseg.recipe import gallery
from geoseg.recipe.gallery import draw, legend_of


def pixels(image: bytes) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(image)) as found:
        return np.asarray(found.convert("RGB"))


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write a raster of bands (bands, rows, cols)."""

    def function(name: str, data: Any, *names: str, nodata: float | None = None) -> Path:
        rows = np.asarray(data)
        shape = {"count": len(rows), "height": rows.shape[1], "width": rows.shape[2]}
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", dtype=rows.dtype, nodata=nodata,
            crs="EPSG:32612", transform=Affine(30, 0, 3e5, 0, -30, 4e6), **shape,
        ) as file:  # fmt: skip
            file.write(rows)
            for place, text in enumerate(names, 1):
                file.set_band_description(place, text)
        return tmp_path / name

    return function


def one(path: Path) -> np.ndarray[Any, Any]:
    """Draw one file and return its colours."""
    (figure,) = draw([path], path.parent)
    assert figure.link == figure.caption == path.name
    return pixels(figure.image)


def test_classes_have_the_colours_of_their_legend(tmp_path: Path) -> None:
    legend = parse_legend("1=water:#0000ff,2=forest:#00ff00")
    grid = Grid(crs=None, transform=Affine.identity(), height=2, width=4)
    with RasterWriter(
        tmp_path / "m.tif", grid, band_names=["class"], dtype="uint8", nodata=255, legend=legend
    ) as writer:
        writer.write_rows(0, np.array([[1, 1, 2, 2], [1, 255, 2, 2]], np.uint8))
    found = one(tmp_path / "m.tif")
    shown = legend_of(tmp_path / "m.tif")
    assert shown is not None
    assert (shown.names, shown.colors) == (legend.names, legend.colors)
    assert legend_of(tmp_path / "m.qml") is None
    assert found.shape == (96, 192, 3)  # 48 times as large
    assert found[0, 0].tolist() == [0, 0, 255]
    assert found[0, -1].tolist() == [0, 255, 0]
    assert found[95, 60].tolist() == [128, 134, 142]


def test_values_have_a_ramp_and_bands_of_colours_are_a_picture(
    put: Callable[..., Path],
) -> None:
    values = np.linspace(0, 100, 200, dtype=np.float32).reshape(1, 1, 200).repeat(50, axis=1)
    ramp = one(put("c.tif", values, "coverage"))
    assert ramp.shape == (50, 200, 3)
    assert ramp[0, 0].tolist() == [68, 1, 84]
    assert ramp[0, -1].tolist() == [253, 231, 37]
    # Percents beside hectares are no picture: the first is shown.
    both = np.concatenate([values, values[:, ::-1], values])
    assert np.array_equal(one(put("d.tif", both, "coverage", "nodata_share", "target_ha")), ramp)
    red = np.zeros((3, 200, 200), np.uint16)
    red[0, :, 100:] = 1000
    shown = one(put("s.tif", red, "red", "green", "blue"))
    assert shown[0, 199, 0] == 255
    assert shown[0, 0, 0] == 0


def test_large_pictures_become_small(tmp_path: Path, put: Callable[..., Path]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    (figure,) = draw([tmp_path / "a.jpg"], tmp_path)
    assert max(pixels(figure.image).shape) == 2 * gallery.SIDE
    assert one(put("big.tif", noise.transpose(2, 0, 1), "red", "green", "blue")).shape[1] <= 384


def test_a_raster_beyond_the_limit_is_shown_by_its_overviews_or_not_at_all(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "_MOST_PIXELS", 1000)
    monkeypatch.setattr(gallery, "SIDE", 20)
    path = put("v.tif", np.random.default_rng(1).random((1, 400, 400)).astype(np.float32), "v")
    assert list(draw([path], path.parent)) == []
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8, 16])
    assert len(list(draw([path], path.parent))) == 1


SCORES = {"confusion": {"counts": [[3, 1], [0, 4]]}, "classes": [{"name": "a"}, {"name": "b"}]}


def test_scores_show_their_confusion_and_lead_to_their_own_page(tmp_path: Path) -> None:
    folder = tmp_path / "scores" / "a b"
    folder.mkdir(parents=True)
    (folder / "scores.json").write_text(json.dumps(SCORES))
    (folder / "z.png").write_bytes(b"")
    (figure,) = draw([folder], tmp_path)
    assert b"<svg" in figure.image
    assert figure.link == "scores/a b/scores.json"
    (folder / "report.html").write_text("")
    (figure,) = draw([folder], tmp_path)
    assert figure.link == "scores/a b/report.html"
    assert 'href="scores/a%20b/report.html"' in figure.html()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        pytest.param("[" * 100_000, id="deep"),
        '{"confusion": 3}',
        '{"confusion": {"counts": [[1]]}, "classes": []}',
        '{"confusion": {"counts": [[1e30]]}, "classes": [{"name": "a"}]}',
    ],
)
def test_other_json_is_no_picture(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert list(draw([tmp_path / "a.json"], tmp_path)) == []


def test_what_cannot_be_drawn_is_passed_over(tmp_path: Path, put: Callable[..., Path]) -> None:
    for name in ("a.tif", "b.png", "c.jpg", "d.csv", "e.safetensors"):
        (tmp_path / name).write_bytes(b"nothing")
    put("f.tif", np.full((1, 2, 2), np.nan, np.float32))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "dataset.json").write_text("{}")
    shutil.copy(put("g.tif", np.ones((1, 2, 2), np.float32)), tmp_path / "set")
    paths = [p for p in sorted(tmp_path.iterdir()) if p.name != "g.tif"]
    assert list(draw([*paths, tmp_path / "gone.tif"], tmp_path)) == []


def test_of_a_folder_a_few_are_drawn(tmp_path: Path, put: Callable[..., Path]) -> None:
    (tmp_path / "maps").mkdir()
    path = put("one.tif", np.arange(4, dtype=np.float32).reshape(1, 2, 2))
    for number in range(9):
        shutil.copy(path, tmp_path / "maps" / f"{number}.tif")
    names = [figure.caption for figure in draw([tmp_path / "maps"], tmp_path)]
    assert names == ["maps/0.tif", "maps/1.tif", "maps/2.tif"]
