"""Activation maps of a whole scene, on scenes small enough to compute otherwise."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.errors import BandError, InputError, ModelError, OptionError, OutputError
from geoseg.inference.cam.making import Making
from geoseg.inference.cam.page import cam_page
from geoseg.inference.cam.settings import LabelSettings, MapSettings
from geoseg.raster.scene import Scene
from geoseg.raster.vector import read_region

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(1, 300, (2, 61, 83), dtype=np.uint16)


def with_holes(pixels=PIXELS):
    """Nodata in one band or both: alone, in a line, at a border, as large as a tile."""
    holed = pixels.copy()
    holed[0, 5, 7] = 0
    holed[1, 20, 10:40] = 0
    holed[:, :4, -3:] = 0
    holed[:, -30:, :30] = 0
    return holed


def starts(length, size, stride):
    """First pixels of tiles: by steps while they fit, and one flush with the border."""
    if length <= size:
        return [0]
    found = [s for s in range(0, length, stride) if s + size <= length]
    return found if found[-1] + size == length else [*found, length - size]


def weights(blend, size):
    at = (np.arange(size) + 0.5) / size
    if blend == "mean":
        return np.ones(size)
    return np.sin(np.pi * at) ** 2 if blend == "hann" else np.exp(-8 * (at - 0.5) ** 2)


def blended(maps_of, model, pixels, tile, stride, blend, **more):
    """Weighted mean of the maps of all tiles, (classes, rows, cols) float64."""
    _, height, width = pixels.shape
    high, wide = min(tile, height), min(tile, width)
    w = np.outer(weights(blend, high), weights(blend, wide))
    total, sums = np.zeros((height, width)), np.zeros((3, height, width))
    for row in starts(height, high, min(stride, high)):
        for col in starts(width, wide, min(stride, wide)):
            part = np.s_[row : row + high, col : col + wide]
            total[part] += w
            sums[:, *part] += w * maps_of(model, pixels[:, *part], **more)
    return sums / total


def test_maps_of_a_scene_of_one_tile_are_those_of_the_image(
    write_scene, presence_bundle, run_cam, maps_of, read, tmp_path
):
    pixels, model = PIXELS[:, :22, :30], presence_bundle(tile=64)
    out = tmp_path / "cam.tif"
    result = run_cam(write_scene(pixels), out, model)
    np.testing.assert_allclose(read(out), maps_of(model, pixels), atol=2e-5, rtol=1e-4)
    assert (result.tiles, result.skipped, result.nodata) == (1, 0, 0)
    assert result.outputs == (out,)


@pytest.mark.parametrize("blend", ["mean", "hann", "gaussian"])
@pytest.mark.parametrize(("tile", "stride"), [(24, 12), (20, 7), (24, 24), (70, 5)])
def test_overlapping_tiles_are_a_weighted_mean(
    write_scene, presence_bundle, run_cam, maps_of, read, tmp_path, blend, tile, stride
):
    pixels, model = with_holes(), presence_bundle()
    out = tmp_path / "cam.tif"
    run_cam(write_scene(pixels), out, model, maps={"tile": tile, "stride": stride, "blend": blend})
    valid = (pixels != 0).all(axis=0)
    got = read(out)
    assert got.dtype == np.float32
    assert np.isnan(got[:, ~valid]).all()
    expected = blended(maps_of, model, pixels, tile, stride, blend)
    np.testing.assert_allclose(got[:, valid], expected[:, valid], atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize(("tile", "stride"), [(24, 12), (26, 12), (50, 24), (3, 1), (9, 4)])
def test_tiles_overlap_by_about_a_half_on_the_lattice_of_the_network(
    write_scene, presence_bundle, run_cam, read, tmp_path, tile, stride
):
    model, scene = presence_bundle(tile=tile), write_scene(PIXELS[:, :31, :40])
    default, given = tmp_path / "default.tif", tmp_path / "given.tif"
    result = run_cam(scene, default, model)
    run_cam(scene, given, model, maps={"stride": stride})
    assert result.settings["stride"] == stride
    np.testing.assert_array_equal(read(default), read(given))


@pytest.mark.parametrize("tile", [16, 18])
def test_patches_side_by_side_are_each_by_itself(
    write_scene, presence_bundle, run_cam, maps_of, read, tmp_path, tile
):
    """The paper's scheme: nothing is shared between patches, values are repeated and padded."""
    pixels, model = PIXELS[:, : 3 * tile, : 4 * tile], presence_bundle(tile=tile)
    out = tmp_path / "cam.tif"
    run_cam(write_scene(pixels), out, model, maps={"stride": tile, "upsampling": "repeat"})
    got = read(out)
    for row in range(0, 3 * tile, tile):
        for col in range(0, 4 * tile, tile):
            part = np.s_[:, row : row + tile, col : col + tile]
            expected = maps_of(model, pixels[part], upsampling="repeat")
            np.testing.assert_allclose(got[part], expected, atol=1e-5, rtol=1e-5)


def test_nodata_is_nodata_in_every_band_and_nowhere_else(
    write_scene, presence_bundle, run_cam, read, tmp_path
):
    pixels, out = with_holes(), tmp_path / "cam.tif"
    result = run_cam(write_scene(pixels), out, presence_bundle())
    missing = (pixels == 0).any(axis=0)
    for band in read(out):
        np.testing.assert_array_equal(np.isnan(band), missing)
    assert result.nodata == missing.sum()
    assert result.skipped > 0


def test_the_raster_lies_on_the_scenes_grid_and_says_what_it_is(
    write_scene, presence_bundle, run_cam, tmp_path
):
    skewed = Affine(10, 2, 500000, -1, -9, 5600000)
    out = tmp_path / "cam.tif"
    run_cam(write_scene(with_holes(), transform=skewed), out, presence_bundle())
    with rasterio.open(out) as dataset:
        assert dataset.shape == (61, 83)
        assert dataset.transform == skewed
        assert dataset.crs.to_epsg() == 32633
        assert dataset.descriptions == ("class 3", "class 5", "class 9")
        assert set(dataset.dtypes) == {"float32"}
        assert np.isnan(dataset.nodata)
        tags = dataset.tags()
    command = tags["GEOSEG_COMMAND"]
    assert command.startswith("geoseg cam scene.tif --model tiny.safetensors")
    for words in ("--tile 24", "--stride 12", "--blend hann", "--upsampling bilinear"):
        assert words in command
    assert "--bias" not in command
    assert str(tmp_path) not in str(tags)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cam.qml", "cam.tif", "scene.tif"]


def test_colours_of_the_maps_are_the_same_above_and_below_zero(
    write_scene, presence_bundle, run_cam, read, tmp_path
):
    out = tmp_path / "cam.tif"
    run_cam(write_scene(with_holes()), out, presence_bundle())
    qml = out.with_suffix(".qml").read_text(encoding="utf-8")
    values = read(out).astype(np.float64)
    reach = (np.abs(np.nanmean(values, (1, 2))) + 3 * np.nanstd(values, (1, 2))).max()
    stops = [
        (float(v), colour)
        for v, colour in re.findall(r'<item [^>]*?value="([^"]+)"[^>]*?color="([^"]+)"', qml)
    ] or [
        (float(v), colour)
        for colour, v in re.findall(r'<item [^>]*?color="([^"]+)"[^>]*?value="([^"]+)"', qml)
    ]
    ends = [v for v, _ in stops]
    assert len(stops) >= 3
    assert ends == sorted(ends)
    assert ends[0] == -ends[-1]
    assert ends[-1] == pytest.approx(reach, rel=0.05)
    np.testing.assert_allclose(ends, [-v for v in reversed(ends)], atol=1e-9)
    # Diverging: pale in the middle, and of two colours at the ends.
    (middle,) = [colour for v, colour in stops if v == 0]
    assert min(int(middle[i : i + 2], 16) for i in (1, 3, 5)) > 200
    assert stops[0][1] != stops[-1][1]


@pytest.mark.parametrize(
    "maps", [{}, {"tta": True}, {"stride": 24, "upsampling": "repeat"}, {"scales": (1.0, 1.5)}]
)
def test_the_bias_is_added_to_every_pixel_of_its_map(
    write_scene, presence_bundle, run_cam, read, tmp_path, maps
):
    model, scene = presence_bundle(), write_scene(with_holes())
    plain, with_bias = tmp_path / "plain.tif", tmp_path / "bias.tif"
    run_cam(scene, plain, model, maps=maps)
    run_cam(scene, with_bias, model, maps={**maps, "bias": True})
    bias = model.network.dense.bias.detach().numpy()
    difference = read(with_bias) - read(plain)
    valid = ~np.isnan(difference[0])
    expected = np.broadcast_to(bias[:, None], (3, valid.sum()))
    np.testing.assert_allclose(difference[:, valid], expected, atol=3e-5)


@pytest.mark.parametrize("shape", [(61, 83), (17, 83), (61, 19)])
def test_symmetries_are_averaged_where_a_scene_is_smaller_than_a_tile_too(
    write_scene, presence_bundle, run_cam, maps_of, read, tmp_path, shape
):
    def turned(model, pixels):
        eight = []
        for turns in range(4):
            for mirrored in (1, -1):
                found = maps_of(model, np.rot90(pixels[:, :, ::mirrored], turns, (1, 2)))
                eight.append(np.rot90(found, -turns, (1, 2))[:, :, ::mirrored])
        return np.mean(eight, axis=0)

    pixels, model, out = PIXELS[:, : shape[0], : shape[1]], presence_bundle(), tmp_path / "cam.tif"
    run_cam(write_scene(pixels), out, model, maps={"tta": True})
    expected = blended(turned, model, pixels, 24, 12, "hann")
    np.testing.assert_allclose(read(out), expected, atol=3e-5, rtol=1e-4)


@pytest.mark.parametrize(("reduce", "shape"), [(2, (61, 83)), (3, (61, 83)), (2, (1, 9))])
def test_a_model_of_reduced_scenes_maps_the_whole_size(
    write_scene, presence_bundle, run_cam, read, tmp_path, reduce, shape
):
    pixels = (with_holes() if shape == (61, 83) else PIXELS)[:, : shape[0], : shape[1]]
    out, model = tmp_path / "cam.tif", presence_bundle(tile=16, scale=reduce)
    weak = {"weak_labels": tmp_path / "weak.tif"}
    result = run_cam(write_scene(pixels), out, model, outputs=weak)
    got, missing = read(out), (pixels == 0).any(axis=0)
    assert got.shape == (3, *shape)
    np.testing.assert_array_equal(np.isnan(got), np.broadcast_to(missing, got.shape))
    assert result.nodata == missing.sum()
    np.testing.assert_array_equal(read(weak["weak_labels"])[0] == 255, missing)


def test_a_model_of_reduced_scenes_sees_means_of_pixels(
    write_scene, presence_bundle, run_cam, read, tmp_path
):
    """Blocks of 2 × 2 equal pixels are reduced without loss; maps are interpolated between them."""
    small = PIXELS[:, :20, :28]
    model, reduced = presence_bundle(tile=16), presence_bundle(tile=16, scale=2)
    one, two = tmp_path / "one.tif", tmp_path / "two.tif"
    run_cam(write_scene(small), one, model)
    run_cam(write_scene(np.kron(small, np.ones((2, 2), np.uint16)), name="l.tif"), two, reduced)
    expected = read(one).astype(np.float64)
    for axis, length in ((1, 20), (2, 28)):
        at = (np.arange(2 * length) + 0.5) / 2 - 0.5
        expected = np.apply_along_axis(
            lambda v, at=at, n=length: np.interp(at, np.arange(n), v), axis, expected
        )
    np.testing.assert_allclose(read(two), expected, atol=3e-5, rtol=1e-4)


def test_maps_inside_a_region_are_those_of_the_whole_scene(
    write_scene, presence_bundle, run_cam, read, tmp_path
):
    scene, model = write_scene(with_holes()), presence_bundle()
    whole, part = tmp_path / "whole.tif", tmp_path / "part.tif"
    run_cam(scene, whole, model)
    with Scene.open(scene) as opened:
        area = read_region("500200,5599600,500500,5599850", opened.grid)  # rows 15-39, cols 20-49
    result = run_cam(scene, part, model, guides={"area": area, "area_name": "field"})
    inside = np.zeros((61, 83), bool)
    inside[15:40, 20:50] = True
    wanted = inside & (with_holes() != 0).all(axis=0)
    got = read(part)
    np.testing.assert_array_equal(~np.isnan(got), np.broadcast_to(wanted, got.shape))
    np.testing.assert_array_equal(got[:, wanted], read(whole)[:, wanted])
    assert result.nodata == (~wanted).sum()
    assert result.skipped > 0


def everything(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_the_same_bytes_come_whoever_computes_them_and_whenever(
    write_scene, presence_bundle, run_cam, tmp_path
):
    model = presence_bundle()
    scene = write_scene(np.tile(with_holes(), (1, 5, 1)))
    truth = np.kron(RNG.integers(0, 3, (77, 21)), np.ones((4, 4), int))[:305, :83]
    labels = write_scene(
        np.array([3, 5, 9], np.uint8)[truth][None], name="labels.tif", nodata=255, band_names=None
    )
    made = []
    for number, workers in enumerate((1, 4, 4)):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        names = {"weak_labels": "weak.tif", "confidence": "sure.tif", "report": "report.html"}
        names["fitted_model"] = "fitted.safetensors"
        result = run_cam(
            scene,
            folder / "cam.tif",
            model,
            outputs={key: folder / name for key, name in names.items()},
            labels={"combine": "logistic", "patches": 30, "refine": True, "min_area": 5},
            reference=labels,
            page=lambda made: cam_page(
                replace(made, seconds=1.0),  # the one number that may differ
                legend=model.card.legend,
                scene="scene.tif",
                model=model.card.name,
                bands=model.card.bands,
                settings=made.settings,
            ),
            workers=workers,
        )
        assert result.scores is not None
        made.append(everything(folder))
    assert {*names.values(), "cam.tif", "cam.qml", "weak.qml", "sure.qml"} <= made[0].keys()
    for other in made[1:]:
        assert made[0].keys() == other.keys()
        assert [name for name in other if other[name] != made[0][name]] == []


def test_progress_adds_up_to_every_pixel_once_or_twice(
    write_scene, presence_bundle, run_cam, tmp_path
):
    scene, model, out = write_scene(with_holes()), presence_bundle(), tmp_path / "cam.tif"
    done: list[int] = []
    run_cam(scene, out, model, progress=done.append)
    assert sum(done) == 61 * 83
    done.clear()
    weak = {"weak_labels": tmp_path / "weak.tif"}
    run_cam(scene, out, model, outputs=weak, overwrite=True, progress=done.append)
    assert sum(done) == 2 * 61 * 83


def test_a_scene_that_is_nodata_throughout_is_refused(
    write_scene, presence_bundle, run_cam, tmp_path
):
    scene = write_scene(np.zeros((2, 40, 40), np.uint16))
    with pytest.raises(InputError, match="every pixel is nodata"):
        run_cam(scene, tmp_path / "cam.tif", presence_bundle())
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


def test_missing_bands_are_named(write_scene, presence_bundle, run_cam, tmp_path):
    scene = write_scene(PIXELS, band_names=("red", "swir"))
    with pytest.raises(BandError, match="nir"):
        run_cam(scene, tmp_path / "cam.tif", presence_bundle())


def test_a_model_of_pixels_is_refused(write_scene, make_bundle, run_cam, tmp_path):
    with pytest.raises(ModelError, match="gives a class to every pixel"):
        run_cam(write_scene(PIXELS), tmp_path / "cam.tif", make_bundle())
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


def test_an_output_never_replaces_what_is_read(write_scene, presence_bundle, run_cam, tmp_path):
    scene = write_scene(PIXELS)
    labels = write_scene(np.full((1, 61, 83), 3, np.uint8), name="labels.tif", band_names=None)
    before = scene.read_bytes(), labels.read_bytes()
    weak = {"weak_labels": labels}
    for out, more in ((scene, {}), (tmp_path / "c.tif", {"outputs": weak, "reference": labels})):
        with pytest.raises(OutputError, match="an input of this very run"):
            run_cam(scene, out, presence_bundle(), overwrite=True, **more)
    assert (scene.read_bytes(), labels.read_bytes()) == before


def test_outputs_appear_together_or_not_at_all(write_scene, presence_bundle, run_cam, tmp_path):
    scene = write_scene(PIXELS)
    (tmp_path / "weak.qml").mkdir()
    with pytest.raises(OutputError, match=r"weak\.qml"):
        run_cam(
            scene,
            tmp_path / "cam.tif",
            presence_bundle(),
            outputs={"weak_labels": tmp_path / "weak.tif"},
        )
    assert {p.name for p in tmp_path.iterdir()} == {"scene.tif", "weak.qml"}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tile": 0}, "tile of 0"),
        ({"stride": 25}, "stride of 25"),
        ({"blend": "cosine"}, "cosine"),
        ({"upsampling": "nearest"}, "nearest"),
        ({"scales": ()}, "one to 8"),
        ({"scales": (1.0,) * 9}, "one to 8"),
        ({"scales": (9.0,)}, "from 0.25 to 4"),
        ({"scales": (float("nan"),)}, "from 0.25 to 4"),
        ({"scales": (1.0, 1.5), "upsampling": "repeat"}, "do not go together"),
        ({"batch": 0}, "batch of 0"),
    ],
)
def test_settings_of_maps_without_meaning_are_refused(wrong, words):
    with pytest.raises(OptionError, match=words):
        MapSettings(**({"tile": 24} | wrong))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"combine": "vote"}, "vote"), ({"patches": 0}, "--patches"), ({"seed": -1}, "--seed")],
)
def test_settings_of_labels_without_meaning_are_refused(wrong, words):
    with pytest.raises(OptionError, match=words):
        LabelSettings(**wrong)


def test_a_writing_thread_that_lags_behind_changes_nothing(
    write_scene, presence_bundle, run_cam, tmp_path, monkeypatch
):
    """Rows are a view into what is read next; who writes later must not look at it then."""
    pixels = RNG.integers(1, 300, (2, 600, 40), dtype=np.uint16)
    pixels[0][RNG.random((600, 40)) < 0.3] = 0
    scene, model = write_scene(pixels), presence_bundle()
    take, moments = Making._take, []

    def late(self, files, row, data, wanted):
        time.sleep(0.01)
        assert np.isfinite(data[:, wanted]).all()
        take(self, files, row, data, wanted)
        moments.append(self.moments.count)

    monkeypatch.setattr(Making, "_take", late)
    run_cam(scene, tmp_path / "cam.tif", model, maps={"tile": 24, "stride": 24})
    assert moments[-1] == np.count_nonzero(pixels[0])
