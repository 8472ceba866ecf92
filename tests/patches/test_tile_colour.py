"""Data sets of scenes that are brought to one colour before they are cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from geoseg.compositing.homogenise.fit import fit_image
from geoseg.compositing.homogenise.standard import COLOUR_TAG, ImageLine, Standard
from geoseg.errors import BandError, ColourError, OptionError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.tile import tile
from geoseg.raster.scene import Scene
from geoseg.testing.colours import even_standard

WriteRaster = Callable[..., Path]
RNG = np.random.default_rng(3)
NAMES = ["red", "nir"]


def ground(seed: int = 0) -> NDArray[np.uint16]:
    """Two bands, with a hole; what one image shows of the ground."""
    rng = np.random.default_rng(seed)
    data = np.asarray(rng.normal([[[900]], [[1500]]], [[[90]], [[200]]], (2, 32, 32)))
    out = data.round().astype(np.uint16)
    out[:, 3:6, 3:6] = 0
    return out


GROUND = ground()
CAST = np.where(GROUND > 0, GROUND * np.array([[[2]], [[1]]]) + [[[10]], [[300]]], 0).astype(
    np.uint16
)
LABELS = RNG.integers(1, 3, (32, 32)).astype(np.uint8)
WHOLE = {"size": 8, "split": "1,0,0"}


def images(folder: Path) -> NDArray[np.uint16]:
    """(patches, bands, rows, cols)."""
    return np.asarray(PatchDataset.open(folder).split("train").images[:])


def saved(path: Path, standard: Standard) -> str:
    path.write_text(json.dumps(standard.to_json()))
    return str(path)


def middle() -> Standard:
    """Half way between the ground and its cast."""
    targets = {}
    for name, one, other in zip(NAMES, GROUND, CAST, strict=True):
        a, b = one[one > 0].astype(float), other[other > 0].astype(float)
        targets[name] = ((a.mean() + b.mean()) / 2, (a.std() + b.std()) / 2)
    return even_standard(targets)


@pytest.fixture
def two(write_raster: WriteRaster) -> list[Path]:
    """The ground, and the same ground in an image of another colour."""
    return [
        write_raster("a.tif", GROUND, nodata=0, names=NAMES),
        write_raster("b.tif", CAST, nodata=0, names=NAMES),
    ]


@pytest.mark.parametrize("method", ["moments", "histogram", "overlap"])
def test_a_group_is_brought_to_its_middle(two: list[Path], tmp_path: Path, method: str) -> None:
    said: list[str] = []
    result = tile(two, tmp_path / "set", homogenise=method, say=said.append, **WHOLE)
    data = result.open()
    assert data.colour is not None
    assert (data.colour.method, data.colour.names) == (method, ("red", "nir"))
    found = images(result.folder).astype(int)
    half = len(found) // 2
    # Readings are whole: each image's may be off by one half, and a hole is filled with 0.
    assert np.abs(found[:half] - found[half:]).max() <= (1 if method != "histogram" else 4)
    assert (found[:half] == 0).sum() == (found[half:] == 0).sum() == 2 * 9
    for band, target, statistics in zip(range(2), data.colour.bands, data.statistics, strict=True):
        readings = found[:, band][found[:, band] > 0]
        assert statistics.mean == pytest.approx(readings.mean())
        assert statistics.mean == pytest.approx(target.mean, rel=2e-3)
        assert statistics.std == pytest.approx(target.deviation, rel=1e-2)
    colour = result.summary["colour"]
    assert colour["digest"] == data.colour.digest
    assert colour["seams_after"] < colour["seams_before"] / 20
    assert "colour: that of the group, by" in result.text
    assert any("now by" in line for line in said)
    assert f"--homogenise {method}" in data.metadata["command"]
    index = pyogrio.read_info(result.folder / "index.gpkg")["dataset_metadata"]
    assert index[COLOUR_TAG] == data.colour.digest


def test_without_it_nothing_is_said_or_written_of_colours(two: list[Path], tmp_path: Path) -> None:
    result = tile(two, tmp_path / "set", **WHOLE)
    assert "colour" not in result.summary
    assert "colour" not in result.text
    assert "colour" not in result.open().metadata
    assert "homogenise" not in result.open().metadata["command"]
    assert result.open().colour is None


def test_a_saved_colour_gives_what_files_of_that_colour_give(
    two: list[Path], write_raster: WriteRaster, tmp_path: Path
) -> None:
    standard = middle()
    standard = replace(
        standard,
        images=(
            ImageLine(
                name="a",
                fingerprint=Scene.open(two[0]).fingerprint(),
                gains=(1.5, 1.0),
                offsets=(5.0, 150.0),
            ),
        ),
    )
    file = saved(tmp_path / "colour.json", standard)
    written = []
    for path in two:
        scene = Scene.open(path)
        pixels = scene.recoloured(fit_image(standard, scene)).read(scene.grid.window)
        written.append(write_raster(f"done/{path.name}", pixels.data, nodata=0, names=NAMES))
        with rasterio.open(written[-1], "r+") as dataset:
            dataset.update_tags(**{COLOUR_TAG: standard.digest})
    labels = write_raster("l.tif", LABELS)
    for storage in ("npy", "geotiff"):
        options = {"labels": labels, "storage": storage, "homogenise": file, "size": 8}
        said: list[str] = []
        fly = tile(two, tmp_path / f"fly-{storage}", **options)
        files = tile(written, tmp_path / f"files-{storage}", say=said.append, **options)
        assert said == ["of the colour of colour.json already, and not changed: a and 1 more"]
        one, other = fly.open(), files.open()
        assert one.statistics == other.statistics
        assert one.colour == other.colour == standard
        assert one.splits == other.splits
        for split in one.splits:
            for kind in ("images", "labels"):
                pair = (getattr(data.split(split), kind)[:] for data in (one, other))
                np.testing.assert_array_equal(*pair)
    assert (GROUND * 1.5 + 5)[0, 31, 31].round() in images(tmp_path / "fly-npy")[:, 0]


def test_bands_are_chosen_first_and_keep_the_colours_digest(
    two: list[Path], tmp_path: Path
) -> None:
    standard = middle()
    file = saved(tmp_path / "colour.json", standard)
    all_bands = tile(two, tmp_path / "all", homogenise=file, **WHOLE)
    nir = tile(two, tmp_path / "nir", homogenise=file, bands=["nir"], **WHOLE)
    np.testing.assert_array_equal(images(nir.folder), images(all_bands.folder)[:, 1:])
    colour = nir.open().colour
    assert colour is not None
    assert colour.names == ("nir",)
    assert colour.digest == standard.digest
    assert json.loads(json.dumps(nir.open().metadata["colour"])) == colour.to_json()


def test_bands_are_called_as_in_the_set(write_raster: WriteRaster, tmp_path: Path) -> None:
    names = ["red B4", "nir B5"]
    scene = write_raster("a.tif", GROUND, nodata=0, names=names)
    plain = middle()
    for called in (plain, plain.renamed(names)):  # by the names asked for, or the files' own
        file = saved(tmp_path / "colour.json", called)
        result = tile(
            scene, tmp_path / "set", homogenise=file, bands=["nir", "red"], overwrite=True, **WHOLE
        )
        colour = result.open().colour
        assert colour is not None
        assert colour.names == result.open().bands == ("nir", "red")
        assert colour.bands == plain.select(["nir", "red"]).bands


def test_one_scene_stays_as_it_is_and_its_colour_is_kept(two: list[Path], tmp_path: Path) -> None:
    bare = tile(two[0], tmp_path / "bare", **WHOLE)
    result = tile(two[0], tmp_path / "set", homogenise="histogram", **WHOLE)
    np.testing.assert_array_equal(images(result.folder), images(bare.folder))
    colour = result.open().colour
    assert colour is not None
    readings = GROUND[0][GROUND[0] > 0]
    assert colour.bands[0].mean == pytest.approx(readings.mean())
    assert (colour.bands[0].quantiles[0], colour.bands[0].quantiles[-1]) == (
        readings.min(),
        readings.max(),
    )


def test_a_part_has_the_colours_of_the_whole(two: list[Path], tmp_path: Path) -> None:
    file = saved(tmp_path / "colour.json", middle())
    whole = images(tile(two[1], tmp_path / "whole", homogenise=file, **WHOLE).folder)
    part = images(
        tile(
            two[1],
            tmp_path / "part",
            homogenise=file,
            region="500240,3999520,500480,3999760",
            **WHOLE,
        ).folder
    )
    assert len(part) == 1
    assert any(np.array_equal(part[0], patch) for patch in whole)


def test_a_mosaic_is_brought_to_a_colour_as_one_scene(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    file = saved(tmp_path / "colour.json", middle())
    place = Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0)
    right = place @ Affine.translation(16, 0)
    parts = [
        write_raster("p/l.tif", CAST[:, :, :16], nodata=0, names=NAMES, transform=place),
        write_raster("p/r.tif", CAST[:, :, 16:], nodata=0, names=NAMES, transform=right),
    ]
    whole = write_raster("b.tif", CAST, nodata=0, names=NAMES)
    one = tile(whole, tmp_path / "one", homogenise=file, **WHOLE)
    mosaic = tile(parts, tmp_path / "mosaic", homogenise=file, mosaic=True, **WHOLE)
    np.testing.assert_array_equal(images(one.folder), images(mosaic.folder))
    # Tiles that all carry the colour are a scene that has it.
    for path in parts:
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**{COLOUR_TAG: middle().digest})
    again = tile(parts, tmp_path / "again", homogenise=file, mosaic=True, **WHOLE)
    bare = tile(whole, tmp_path / "bare", **WHOLE)
    np.testing.assert_array_equal(images(again.folder), images(bare.folder))


def test_scenes_of_another_colour_are_told(two: list[Path], tmp_path: Path) -> None:
    for path in two:
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**{COLOUR_TAG: "0123"})
    said: list[str] = []
    file = saved(tmp_path / "colour.json", middle())
    tile(two, tmp_path / "a", homogenise=file, say=said.append, **WHOLE)
    assert said == ["brought to another colour before, and now to this one: a and 1 more"]
    said.clear()
    tile(two, tmp_path / "b", homogenise="moments", say=said.append, **WHOLE)
    assert "give the colour.json that it saved as --homogenise" in said[0]
    said.clear()
    tile(two, tmp_path / "c", say=said.append, **WHOLE)
    assert len(said) == 1
    assert said[0].startswith("brought to one colour by geoseg homogenise: a and 1 more; give")


@pytest.mark.parametrize("small", [True, False])
def test_a_damaged_scene_is_left_out_and_the_others_are_brought_together(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    # Without names of bands the directory of a file is at its start.
    two = [write_raster("a.tif", GROUND, nodata=0), write_raster("b.tif", CAST, nodata=0)]
    alone = tile(two, tmp_path / "two", homogenise="moments", **WHOLE)
    if not small:  # as of scenes too large to be looked at beforehand
        monkeypatch.setattr("geoseg.patches.look._SMALL", 0)
    broken = write_raster("c.tif", np.tile(GROUND, (1, 4, 4)), nodata=0, block=16)
    broken.write_bytes(broken.read_bytes()[:20_000])
    empty = write_raster("d.tif", np.zeros_like(GROUND), nodata=0)
    colour = alone.open().colour
    assert colour is not None
    for asked in ("moments", saved(tmp_path / "colour.json", colour)):
        result = tile(
            [*two, broken, empty], tmp_path / "all", homogenise=asked, overwrite=True, **WHOLE
        )
        problems = {p["path"]: p["reason"] for p in result.summary["problems"]}
        assert problems.keys() == {"c.tif", "d.tif"}
        assert "cannot be read at rows" in problems["c.tif"]
        assert problems["d.tif"] == "all pixels are nodata"
        np.testing.assert_array_equal(images(result.folder), images(alone.folder))


def test_what_is_no_colour_is_refused_in_a_line(two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--homogenise momnets is no way to bring"):
        tile(two, tmp_path / "set", homogenise="momnets", **WHOLE)
    with pytest.raises(ColourError, match=r"a\.tif: is no JSON"):
        tile(two, tmp_path / "set", homogenise=str(two[0]), **WHOLE)
    file = saved(tmp_path / "colour.json", even_standard({"blue": (1.0, 1.0)}))
    with pytest.raises(BandError, match="has no band “red”; there are: blue"):
        tile(two, tmp_path / "set", homogenise=file, **WHOLE)
    assert not (tmp_path / "set").exists()


def test_workers_change_no_byte(two: list[Path], tmp_path: Path) -> None:
    made = []
    for workers in (1, 3):
        folder = tmp_path / str(workers)
        folder.mkdir()
        tile(two, folder / "set", homogenise="histogram", workers=workers, size=8)
        made.append({f.name: f.read_bytes() for f in sorted((folder / "set").rglob("*.*"))})
    assert made[0] == made[1]


def test_a_single_scene_is_told_to_become_the_colour(two: list[Path], tmp_path: Path) -> None:
    said: list[str] = []
    tile([two[0]], tmp_path / "set", homogenise="overlap", say=said.append, **WHOLE)
    assert any("one scene has nothing to agree with" in line for line in said)
    assert any("the colour of a becomes" in line for line in said)


def test_scenes_that_a_colour_was_not_made_from_are_told(two: list[Path], tmp_path: Path) -> None:
    line = ImageLine(name="x", fingerprint="00", gains=(1.0, 1.0), offsets=(0.0, 0.0))
    colour = saved(tmp_path / "c.json", replace(middle(), images=(line,)))
    said: list[str] = []
    tile(two, tmp_path / "set", homogenise=colour, say=said.append, **WHOLE)
    assert any(text.startswith("a, b: not of the images that the colour was") for text in said)
