"""Made data sets: they lie as the published ones do, and hold what their methods are about."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.errors import OutputError, RasterReadError
from geoseg.raster.labels.labelme import read_labelme
from geoseg.raster.scene import Scene
from geoseg.raster.vector import read_features
from geoseg.testing.layouts import (
    made_agde,
    made_alpine,
    made_cropland,
    made_deepglobe,
    made_sugarcane,
)
from geoseg.testing.layouts.alpine import UNREADABLE
from geoseg.testing.layouts.cropland import CODES
from geoseg.testing.layouts.deepglobe import MASKS
from geoseg.testing.layouts.drawing import inside, noise, regions, rng_of

MAKERS = {
    "agde": (made_agde, {"train": 2, "test": 1, "height": 48, "width": 64}),
    "alpine": (made_alpine, {"images": 3, "size": 32}),
    "cropland": (made_cropland, {"size": 60}),
    "deepglobe": (made_deepglobe, {"images": 3, "size": 32}),
    "sugarcane": (made_sugarcane, {"images": 2, "size": 48}),
}


def pixels(path: Path) -> np.ndarray:
    with Scene.open(path) as scene:
        return np.asarray(scene.read(scene.grid.window).data)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_seed_makes_the_same_bytes_and_another_makes_others(name, tmp_path):
    make, options = MAKERS[name]
    one, two, other = (
        make(tmp_path / part, **options, seed=s) for part, s in zip("abc", (3, 3, 4), strict=True)
    )
    assert files(one) == files(two)
    assert files(one).keys() == files(other).keys()
    assert files(one) != files(other)


@pytest.mark.parametrize("name", ["agde", "alpine", "deepglobe"])
def test_a_picture_does_not_depend_on_how_many_there_are(name, tmp_path):
    make, options = MAKERS[name]
    key = "train" if name == "agde" else "images"
    few = files(make(tmp_path / "few", **options | {key: 2}))
    many = files(make(tmp_path / "many", **options | {key: 5}))
    kept = {k: v for k, v in few.items() if k.endswith((".jpg", "_mask.png"))}
    if name == "alpine":  # its spoilt pictures come after the good ones
        kept = {k: few[k] for k in ("images/25600_11000.png", "images/25600_11025.png")}
    assert kept
    assert {k: many[k] for k in kept} == kept


def test_a_file_in_the_way_of_a_folder_is_said(tmp_path):
    (tmp_path / "train").write_text("")
    with pytest.raises(OutputError, match="train"):
        made_deepglobe(tmp_path, images=1, size=32)


# -- deepglobe ------------------------------------------------------------------------------------


def test_deepglobe_lies_as_published_and_rare_classes_lie_in_few_pictures(tmp_path):
    made_deepglobe(tmp_path, images=24, size=64)
    masks = sorted((tmp_path / "train").glob("*_mask.png"))
    assert [m.name.replace("_mask.png", "_sat.jpg") for m in masks] == sorted(
        p.name for p in (tmp_path / "train").glob("*_sat.jpg")
    )
    holding = np.zeros(7, int)
    share = np.zeros(7)
    for mask in masks:
        colors = pixels(mask).reshape(3, -1).T
        ids = [MASKS.index(tuple(int(v) for v in color)) for color in np.unique(colors, axis=0)]
        holding[ids] += 1
        for one in ids:
            share[one] += (colors == MASKS[one]).all(axis=1).mean()
    assert (holding[1:] > 0).all()
    assert (holding[[2, 4]] == 24).all()
    assert (holding[[3, 5, 6]] <= 8).all()
    # Where a rare class is, it covers much.
    assert (share[[3, 5, 6]] / holding[[3, 5, 6]] > 0.05).all()


# -- alpine ---------------------------------------------------------------------------------------


def test_alpine_labels_have_half_the_side_and_all_eight_classes(tmp_path):
    made_alpine(tmp_path, images=12, size=64, black=2)
    found = np.zeros(8, int)
    names = sorted(p.name for p in (tmp_path / "images").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "labels").iterdir())
    assert len(names) == 12 + 2 + 1
    black = 0
    for name in names:
        label = pixels(tmp_path / "labels" / name)[0]
        assert label.shape == (32, 32)
        found += np.bincount(label.ravel(), minlength=8)
        if name == f"{UNREADABLE}.png":
            continue
        image = pixels(tmp_path / "images" / name)
        assert image.shape == (3, 64, 64)
        black += not image.any()
    assert black == 2
    assert (found > 0).all()
    frequent = found[[0, 6, 7]].sum()
    assert frequent > 2 * found[[1, 2, 3, 4, 5]].sum()


def test_one_alpine_picture_is_cut_short(tmp_path):
    made_alpine(tmp_path, images=1, size=64)
    with pytest.raises(RasterReadError):
        pixels(tmp_path / "images" / f"{UNREADABLE}.png")


# -- agde -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 85), (256, 341)])
def test_agde_photographs_take_the_five_stages_in_turn_by_their_drawings(height, width, tmp_path):
    made_agde(tmp_path, train=15, test=0, height=height, width=width)
    percents = []
    for path in sorted((tmp_path / "train" / "annotations").glob("*.json")):
        drawn = json.loads(path.read_text(encoding="utf-8"))
        assert (drawn["imageHeight"], drawn["imageWidth"]) == (height, width)
        assert (tmp_path / "train" / "images" / drawn["imagePath"]).is_file()
        assert read_labelme(path).shapes is not None
        index = np.zeros((height, width), int)
        order = ("SC", "sky", "water", "road")
        for shape in drawn["shapes"]:
            ring = np.asarray(shape["points"])
            index[inside(ring, height, width)] = 1 + order.index(shape["label"])
        percents.append(100 * (index == 1).sum() // np.isin(index, (0, 1)).sum())
        assert (index[0] == 2).mean() > 0.9
    assert [percent // 20 for percent in percents] == [0, 1, 2, 3, 4] * 3


# -- sugarcane ------------------------------------------------------------------------------------


def test_sugarcane_images_show_one_ground_in_several_colours(tmp_path):
    made_sugarcane(tmp_path, images=2, size=120)
    with (
        rasterio.open(tmp_path / "images" / "01.tif") as one,
        rasterio.open(tmp_path / "images" / "02.tif") as two,
    ):
        assert one.res == (0.8, 0.8)
        assert one.descriptions == ("blue", "green", "red", "nir")
        step = round((two.bounds.left - one.bounds.left) / 0.8)
        assert step == 102
        left, right = one.read()[:, :, step:].astype(float), two.read()[:, :, :-step].astype(float)
    for band in range(4):
        usual = (left[band] < 1700) & (right[band] < 1700)
        a, b = left[band][usual], right[band][usual]
        # The same ground, but for gain, offset and noise.
        assert np.corrcoef(a, b)[0, 1] > 0.9
    # Bands are off by different amounts.
    off = (left - right).mean(axis=(1, 2))
    assert np.ptp(off) > 20


def test_sugarcane_plots_are_of_the_published_share_and_as_bright_as_others(tmp_path):
    made_sugarcane(tmp_path, images=1, size=900)
    with rasterio.open(tmp_path / "images" / "01.tif") as source:
        image, transform = source.read().astype(float), source.transform
    plots = read_features(tmp_path / "plots.gpkg", purpose="labels", fields=True)
    cane = np.zeros(image.shape[1:], bool)
    for polygon in plots.shapes:
        ring = np.asarray(polygon.exterior.coords)[:-1]
        cols, rows = (ring[:, 0] - transform.c) / 0.8, (transform.f - ring[:, 1]) / 0.8
        cane |= inside(np.stack([cols, rows], axis=1), 900, 900)
    assert cane.mean() == pytest.approx(0.3846, abs=0.04)
    usual = (image < 1700).all(axis=0)
    for band in image:
        spread = band[usual].std()
        assert abs(band[usual & cane].mean() - band[usual & ~cane].mean()) < 0.2 * spread


def test_sugarcane_districts_share_out_the_ground(tmp_path):
    made_sugarcane(tmp_path, images=4, size=48)
    districts = read_features(tmp_path / "districts.gpkg", purpose="zones")
    side = (48 + round(48 * 0.85)) * 0.8
    assert sum(shape.area for shape in districts.shapes) == pytest.approx(side * side)


# -- cropland -------------------------------------------------------------------------------------


def test_cropland_has_codes_with_names_and_a_composite_with_gaps(tmp_path):
    made_cropland(tmp_path, size=300, missing=0.05)
    composite = pixels(tmp_path / "composite.tif")
    assert composite.shape == (7, 300, 300)
    unseen = np.isnan(composite)
    assert (unseen.all(axis=0) == unseen.any(axis=0)).all()
    assert unseen[0].mean() == pytest.approx(0.05, abs=0.005)
    assert float(np.nanmin(composite)) > 0
    assert float(np.nanmax(composite)) < 1
    codes = pixels(tmp_path / "cdl.tif")[0]
    assert set(np.unique(codes)) <= set(CODES.ids)
    assert {1, 5, 141, 176} <= set(np.unique(codes))
    assert "Corn" in (tmp_path / "cdl.tif.aux.xml").read_text(encoding="utf-8")
    # Patches differ in what they hold.
    forest = (codes[:300, :300] == 141).reshape(6, 50, 6, 50).mean(axis=(1, 3))
    assert forest.min() < 0.05
    assert forest.max() > 0.5


# -- drawing --------------------------------------------------------------------------------------


def test_inside_is_the_even_odd_rule_of_pixel_centres():
    ring = np.asarray([[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]])
    want = np.zeros((5, 6), bool)
    want[1:3, 1:4] = True
    assert (inside(ring, 5, 6) == want).all()
    triangle = np.asarray([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    assert inside(triangle, 4, 4).sum() in range(6, 11)
    assert inside(triangle, 4, 4)[0, 0]
    assert not inside(triangle, 4, 4)[3, 3]


def test_regions_cover_about_what_is_asked_and_nothing_else():
    index = regions(rng_of(1, 2), (0.6, 0.0, 0.3, 0.1), 128, 128, longest=20)
    shares = np.bincount(index.ravel(), minlength=4) / index.size
    assert shares == pytest.approx([0.6, 0, 0.3, 0.1], abs=0.05)
    assert shares[1] == 0


def test_noise_of_any_shape_has_mean_0_and_deviation_1():
    found = noise(rng_of(1), 31, 70, longest=9)
    assert found.shape == (31, 70)
    assert math.isclose(float(found.mean()), 0, abs_tol=1e-5)
    assert math.isclose(float(found.std()), 1, abs_tol=1e-5)
