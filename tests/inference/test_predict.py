"""What a prediction promises, on scenes small enough to compute otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from geoseg.errors import BandError, InputError, ModelError, OptionError, OutputError
from geoseg.inference.predict import predict
from geoseg.inference.settings import PredictSettings, parse_area
from geoseg.models.fold import fold_batch_norm
from geoseg.raster.scene import Scene
from geoseg.raster.vector import read_region

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(1, 300, (2, 70, 90), dtype=np.uint16)


def run(path, out, models, **settings_and_more):
    names = {"tile", "stride", "blend", "tta", "scale", "min_area", "batch", "precision"}
    chosen = {k: v for k, v in settings_and_more.items() if k in names}
    others = {k: v for k, v in settings_and_more.items() if k not in names}
    with Scene.open(path) as scene:
        return predict(
            scene,
            out,
            models=models,
            settings=PredictSettings(**chosen),
            device="cpu",
            **others,
        )


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def probabilities_of(bundle, pixels):
    """Softmax of the network on a whole image, in one piece."""
    x = (torch.from_numpy(pixels.astype(np.float32)) - 100) / 50
    with torch.no_grad():
        return torch.softmax(bundle.network(x[None]), 1)[0].numpy()


@pytest.fixture(scope="module")
def module_scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes") / "scene.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=2,
        height=70,
        width=90,
        dtype="uint16",
        nodata=0,
        crs="EPSG:32633",
        transform=Affine(10, 0, 5e5, 0, -10, 5.6e6),
    ) as dataset:
        dataset.write(PIXELS)
        dataset.descriptions = ("red", "nir")
    return path


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    tile=st.integers(1, 100),
    share=st.floats(0.1, 1),
    blend=st.sampled_from(["mean", "hann", "gaussian"]),
    batch=st.integers(1, 5),
    workers=st.integers(1, 3),
    tta=st.booleans(),
)
def test_a_pointwise_model_gives_the_same_map_however_it_is_tiled(
    module_scene, make_bundle, tile, share, blend, batch, workers, tta
):
    out = module_scene.with_name("map.tif")
    model = make_bundle()
    stride = max(1, round(tile * share)) if tile > 8 else tile
    run(
        module_scene,
        out,
        [model],
        tile=tile,
        stride=stride,
        blend=blend,
        batch=batch,
        tta=tta,
        workers=workers,
        overwrite=True,
    )
    p = probabilities_of(model, PIXELS)
    expected = np.array([3, 5, 9])[p.argmax(0)]
    top = np.sort(p, axis=0)
    tie = top[-1] - top[-2] < 1e-5
    got = read(out)[0]
    assert ((got == expected) | tie).all()


@pytest.mark.parametrize("blend", ["mean", "hann", "gaussian"])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_constant_model_gives_a_constant_map_to_the_bit(
    write_scene, make_bundle, tmp_path, blend, scale
):
    def constant(net):
        for parameter in net.parameters():
            parameter.zero_()
        list(net.parameters())[-1].copy_(torch.tensor([0.1, 0.7, 0.3]))

    out, probabilities = tmp_path / "map.tif", tmp_path / "p.tif"
    run(
        write_scene(PIXELS),
        out,
        [make_bundle(weights=constant)],
        tile=30,
        stride=7,
        blend=blend,
        scale=scale,
        probabilities=probabilities,
    )
    assert (read(out) == 5).all()
    p = read(probabilities)
    assert (p == p[:, :1, :1]).all()
    expected = torch.softmax(torch.tensor([0.1, 0.7, 0.3]), 0)
    np.testing.assert_allclose(p[:, 0, 0], expected, rtol=1e-6)


def test_predict_blends_a_real_network_as_the_weighted_mean_of_its_tiles(
    write_scene, make_bundle, tmp_path
):
    model = make_bundle("unet-small", widths=(4, 8))
    out, probabilities = tmp_path / "map.tif", tmp_path / "p.tif"
    run(
        write_scene(PIXELS),
        out,
        [model],
        tile=32,
        stride=20,
        blend="gaussian",
        probabilities=probabilities,
    )
    network = fold_batch_norm(model.network)
    w = np.exp(-0.5 * ((np.arange(32) + 0.5 - 16) / 8) ** 2)
    total, weight = np.zeros((3, 70, 90)), np.zeros((70, 90))
    x = (torch.from_numpy(PIXELS.astype(np.float32)) - 100) / 50
    for row in (0, 20, 38):
        for col in (0, 20, 40, 58):
            with torch.no_grad():
                tile = network(x[None, :, row : row + 32, col : col + 32]).softmax(1)[0]
            total[:, row : row + 32, col : col + 32] += np.outer(w, w) * tile.double().numpy()
            weight[row : row + 32, col : col + 32] += np.outer(w, w)
    np.testing.assert_allclose(read(probabilities), total / weight, atol=1e-5)


def test_predict_gives_the_same_bytes_for_any_number_of_workers(write_scene, make_bundle, tmp_path):
    scene = write_scene(PIXELS, tiled=True, blockxsize=16, blockysize=16)
    model = make_bundle("unet-small", widths=(4, 8))
    written = []
    for workers in (1, 2, 4):
        out, p = tmp_path / f"map{workers}.tif", tmp_path / f"p{workers}.tif"
        run(scene, out, [model], tile=32, stride=16, workers=workers, min_area=9, probabilities=p)
        written.append((out.read_bytes(), p.read_bytes(), out.with_suffix(".qml").read_bytes()))
    assert written[0] == written[1] == written[2]


def test_predict_leaves_nodata_as_nodata_and_nothing_else(write_scene, make_bundle, tmp_path):
    pixels = PIXELS.copy()
    pixels[:, :40, :35] = 0
    pixels[1, 60, 80] = 0
    out, confidence = tmp_path / "map.tif", tmp_path / "c.tif"
    result = run(
        write_scene(pixels),
        out,
        [make_bundle()],
        tile=16,
        stride=8,
        confidence=confidence,
    )
    invalid = (pixels == 0).any(0)
    np.testing.assert_array_equal(read(out)[0] == 255, invalid)
    np.testing.assert_array_equal(np.isnan(read(confidence)[0]), invalid)
    assert result.skipped > 0
    assert result.nodata == invalid.sum()
    assert sum(result.pixels.values()) == (~invalid).sum()


def test_predict_never_shows_the_network_an_invalid_reading(write_scene, make_bundle, tmp_path):
    pixels = PIXELS.astype(np.float32)
    pixels[0, 20:30, 20:30] = np.nan
    model = make_bundle("unet-small", widths=(4, 8), fill=100.0)
    out, p = tmp_path / "map.tif", tmp_path / "p.tif"
    run(write_scene(pixels, nodata=None), out, [model], tile=90, probabilities=p)
    filled = pixels.copy()
    filled[:, 20:30, 20:30] = 100.0
    expected = probabilities_of(model, filled)
    hole = np.isnan(pixels[0])
    np.testing.assert_allclose(read(p)[:, ~hole], expected[:, ~hole], atol=1e-4)


@pytest.mark.parametrize(
    "transform",
    [
        Affine(10, 0, 5e5, 0, 10, 5.6e6),
        Affine(8.66, 5.0, 5e5, 5.0, -8.66, 5.6e6),
        Affine(10.000001, 0, 500000.123456789, 0, -9.99999, 5600000.987654321),
    ],
    ids=["south-up", "rotated", "odd"],
)
def test_predict_keeps_the_grid_to_the_bit(write_scene, make_bundle, tmp_path, transform):
    scene, out = write_scene(PIXELS, transform=transform), tmp_path / "map.tif"
    run(scene, out, [make_bundle()], tile=32)
    with rasterio.open(scene) as before, rasterio.open(out) as after:
        assert after.transform == before.transform
        assert after.crs == before.crs
        assert after.shape == before.shape


def test_a_scene_smaller_than_a_tile_is_predicted(write_scene, make_bundle, tmp_path):
    model = make_bundle("unet-small", widths=(4, 8, 8))
    out, p = tmp_path / "map.tif", tmp_path / "p.tif"
    small = PIXELS[:, :13, :5].copy()
    run(write_scene(small), out, [model], tile=288, probabilities=p)
    np.testing.assert_allclose(read(p), probabilities_of(model, small), atol=1e-4)


def test_an_ensemble_averages_probabilities_of_models_with_their_own_input(
    write_scene, make_bundle, tmp_path
):
    models = [make_bundle(seed=1), make_bundle(seed=2, bands=("nir", "red"), name="other")]
    p = tmp_path / "p.tif"
    run(write_scene(PIXELS), tmp_path / "map.tif", models, tile=32, probabilities=p)
    one = probabilities_of(models[0], PIXELS)
    other = probabilities_of(models[1], PIXELS[::-1].copy())
    np.testing.assert_allclose(read(p), (one + other) / 2, atol=1e-5)


def test_models_of_different_classes_are_no_ensemble(write_scene, make_bundle, tmp_path):
    models = [make_bundle(), make_bundle(ids=(1, 2, 3), name="other")]
    with pytest.raises(ModelError, match="'tiny' and 'other' cannot be averaged"):
        run(write_scene(PIXELS), tmp_path / "map.tif", models)


def test_eight_symmetries_make_the_answer_symmetric(write_scene, make_bundle, tmp_path):
    model = make_bundle("unet-small", widths=(4, 8))
    square = PIXELS[:, :48, :48]
    maps = []
    for name, pixels in (("a", square), ("b", square[:, ::-1].transpose(0, 2, 1))):
        p = tmp_path / f"{name}.tif"
        scene = write_scene(np.ascontiguousarray(pixels), name=f"scene-{name}.tif")
        run(scene, tmp_path / f"map-{name}.tif", [model], tile=48, tta=True, probabilities=p)
        maps.append(read(p))
    turned = maps[0][:, ::-1].transpose(0, 2, 1)
    np.testing.assert_allclose(maps[1], turned, atol=1e-5)


def test_a_reduced_scene_is_the_mean_of_valid_pixels_brought_back_bilinearly(
    write_scene, make_bundle, tmp_path
):
    pixels = PIXELS.astype(np.float32)
    pixels[:, 4:8, 4:8] = np.nan
    pixels[:, 20, 20] = np.nan
    model = make_bundle()
    p = tmp_path / "p.tif"
    run(
        write_scene(pixels, nodata=None, tiled=True, blockxsize=16, blockysize=16),
        tmp_path / "map.tif",
        [model],
        tile=32,
        stride=11,
        scale=4,
        probabilities=p,
    )
    padded = np.full((2, 72, 92), np.nan, np.float32)
    padded[:, :70, :90] = pixels
    groups = padded.reshape(2, 18, 4, 23, 4)
    empty = np.isnan(groups).all((2, 4))
    reduced = np.zeros((2, 18, 23), np.float32)
    reduced[~empty] = np.nanmean(
        groups.transpose(0, 1, 3, 2, 4).reshape(2, 18, 23, 16)[~empty], axis=1
    )
    small = torch.from_numpy(probabilities_of(model, reduced))
    expected = torch.nn.functional.interpolate(small[None], scale_factor=4, mode="bilinear")[
        0, :, :70, :90
    ].numpy()
    expected[:, np.isnan(pixels[0])] = np.nan
    np.testing.assert_allclose(read(p), expected, atol=1e-5)


def test_min_area_gives_small_components_to_their_neighbour(write_scene, make_bundle, tmp_path):
    def threshold(net):
        for parameter in net.parameters():
            parameter.zero_()
        weight = next(p for p in net.parameters() if p.dim() == 4)
        weight[1, 0] = 1.0

    pixels = np.full((2, 20, 20), 10, np.uint16)
    pixels[0, 5:8, 5:8] = 200
    pixels[0, 12:17, 12:17] = 200
    scene, out = write_scene(pixels), tmp_path / "map.tif"
    result = run(scene, out, [make_bundle(weights=threshold, ids=(3, 5))], tile=8, min_area=10)
    expected = np.full((20, 20), 3)
    expected[12:17, 12:17] = 5
    np.testing.assert_array_equal(read(out)[0], expected)
    assert result.pixels == {"class 3": 375, "class 5": 25}


def test_outside_the_region_nothing_is_predicted(write_scene, make_bundle, tmp_path):
    scene, out = write_scene(PIXELS), tmp_path / "map.tif"
    with Scene.open(scene) as opened:
        area = read_region("500100,5599500,500300,5599800", opened.grid)
    result = run(scene, out, [make_bundle()], tile=16, area=area, area_name="box")
    got = read(out)[0]
    expected = np.zeros((70, 90), bool)
    expected[20:50, 10:30] = True
    np.testing.assert_array_equal(got != 255, expected)
    assert result.skipped > 0


def test_a_scene_without_a_valid_pixel_is_refused_and_leaves_nothing(
    write_scene, make_bundle, tmp_path
):
    scene = write_scene(np.zeros((2, 30, 30), np.uint16))
    with pytest.raises(InputError, match="every pixel is nodata"):
        run(scene, tmp_path / "map.tif", [make_bundle()])
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


def test_a_missing_band_is_named(write_scene, make_bundle, tmp_path):
    with pytest.raises(BandError, match="swir"):
        run(write_scene(PIXELS), tmp_path / "map.tif", [make_bundle(bands=("red", "swir"))])


def test_unnamed_bands_are_taken_in_order_and_this_is_said(write_scene, make_bundle, tmp_path):
    scene = write_scene(PIXELS, band_names=None)
    result = run(scene, tmp_path / "map.tif", [make_bundle()])
    assert "taken in order as red, nir" in result.notes[0]


def test_unnamed_bands_of_another_number_are_refused(write_scene, make_bundle, tmp_path):
    scene = write_scene(PIXELS[:1], band_names=None)
    with pytest.raises(BandError, match=r"1 bands have no names .* needs 2"):
        run(scene, tmp_path / "map.tif", [make_bundle()])


def test_a_network_that_answers_not_a_number_is_refused(write_scene, make_bundle, tmp_path):
    def overflow(net):
        for parameter in net.parameters():
            parameter.fill_(3e38)

    with pytest.raises(ModelError, match="not a number"):
        run(write_scene(PIXELS), tmp_path / "map.tif", [make_bundle(weights=overflow)])
    assert [p.name for p in tmp_path.iterdir()] == ["scene.tif"]


def test_an_output_that_is_there_stays_without_overwrite(write_scene, make_bundle, tmp_path):
    out = tmp_path / "map.tif"
    out.write_text("mine")
    with pytest.raises(OutputError, match="overwrite"):
        run(write_scene(PIXELS), out, [make_bundle()])
    assert out.read_text() == "mine"


def test_two_outputs_of_one_name_are_refused(write_scene, make_bundle, tmp_path):
    out = tmp_path / "map.tif"
    with pytest.raises(OptionError, match="same path"):
        run(write_scene(PIXELS), out, [make_bundle()], confidence=out)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tile": 0}, "tile of 0"),
        ({"tile": 8, "stride": 9}, "stride of 9"),
        ({"stride": 0}, "stride of 0"),
        ({"blend": "cosine"}, "cosine"),
        ({"scale": 0}, "1:0"),
        ({"batch": 0}, "batch of 0"),
    ],
)
def test_settings_without_meaning_are_refused(wrong, words):
    with pytest.raises(OptionError, match=words):
        PredictSettings(**wrong)


def test_areas_are_pixels_hectares_or_square_metres(write_scene):
    with Scene.open(write_scene(PIXELS)) as scene:
        grid = scene.grid
    assert parse_area("3500px", grid) == 3500
    assert parse_area("12", grid) == 12
    assert parse_area("0.5 ha", grid) == 50
    assert parse_area("450m²", grid) == 5
    with pytest.raises(OptionError, match="no area"):
        parse_area("a lot", grid)
    with pytest.raises(OptionError, match="no area"):
        parse_area("-3px", grid)
    with pytest.raises(OptionError, match="no area"):
        parse_area("nan", grid)


@pytest.mark.parametrize(("overlap", "blend"), [(0.0, "mean"), (0.5, "mean"), (0.5, "hann")])
def test_a_region_of_a_reduced_scene_is_predicted_as_in_the_whole(
    write_scene, make_bundle, tmp_path, overlap, blend
):
    """Its border is interpolated towards pixels outside, whose tiles are computed as well."""
    scene = write_scene(np.tile(PIXELS, (1, 2, 2)))
    with Scene.open(scene) as opened:
        area = read_region("500160,5599360,500480,5599840", opened.grid)
    maps = []
    for name, chosen in (("whole", None), ("part", area)):
        p = tmp_path / f"{name}-p.tif"
        tiles = {"tile": 8, "stride": round(8 * (1 - overlap)), "blend": blend, "scale": 2}
        out = tmp_path / f"{name}.tif"
        run(scene, out, [make_bundle()], area=chosen, probabilities=p, **tiles)
        maps.append(read(p))
    whole, part = maps
    inside = ~np.isnan(part[0])
    assert inside.sum() == 48 * 32
    np.testing.assert_array_equal(part[:, inside], whole[:, inside])
    np.testing.assert_allclose(part[:, inside].sum(0), 1, atol=1e-5)


def test_an_output_never_replaces_its_own_scene(write_scene, make_bundle, tmp_path):
    scene = write_scene(PIXELS)
    link = tmp_path / "link.tif"
    link.symlink_to(scene)
    before = scene.read_bytes()
    for names in ({}, {"confidence": link}):
        out = tmp_path / "map.tif" if names else scene
        with pytest.raises(OutputError, match="an input of this very run"):
            run(scene, out, [make_bundle()], overwrite=True, **names)
    assert scene.read_bytes() == before


def test_outputs_appear_together_or_not_at_all(write_scene, make_bundle, tmp_path):
    scene = write_scene(PIXELS)
    (tmp_path / "map.qml").mkdir()
    with pytest.raises(OutputError, match=r"map\.qml"):
        run(scene, tmp_path / "map.tif", [make_bundle()], confidence=tmp_path / "c.tif")
    assert {p.name for p in tmp_path.iterdir()} == {"scene.tif", "map.qml"}
