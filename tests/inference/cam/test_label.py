"""Weak labels, held against numpy on the activation maps as they were written."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import deque

import numpy as np
import pytest
import rasterio

from geoseg.inference.cam.combine import Combination
from geoseg.inference.cam.known import KnownClasses, known_classes
from geoseg.inference.cam.reference import Reference
from geoseg.inference.cam.refine import Pamr, refine
from geoseg.models.bundle import load_bundle
from geoseg.patches.tile import tile
from geoseg.raster import scene as scene_module
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Scene
from geoseg.raster.vector import read_region

IDS = np.array([3, 5, 9], np.uint8)
CLASSES = "3=class 3,5=class 5,9=class 9"
LEGEND = parse_legend(CLASSES)
WAYS = ["argmax", "zscore", "median", "logistic"]


def smooth(seed, shape):
    """Readings of ground in patches, with nodata here and there."""
    random = np.random.default_rng(seed)
    rows, cols = shape
    coarse = random.integers(20, 280, (2, -(-rows // 7), -(-cols // 7)))
    pixels = np.kron(coarse, np.ones((7, 7), int))[:, :rows, :cols]
    pixels = (pixels + random.integers(0, 20, pixels.shape)).astype(np.uint16)
    pixels[0, random.random(shape) < 0.01] = 0
    pixels[:, rows // 2 :, : cols // 5] = 0
    return pixels


def classes_of(pixels):
    """Truth that pixels tell something about: thresholds of the first band."""
    return IDS[np.digitize(pixels[0], [100, 200])]


@pytest.fixture
def made(write_scene, presence_bundle, run_cam, read, tmp_path):
    """Run with weak labels and confidence; give what was written."""
    pixels = smooth(1, (70, 90))
    scene = write_scene(pixels)
    truth = classes_of(pixels)
    truth[:, -20:] = 255
    labels = write_scene(truth[None], name="labels.tif", nodata=255, band_names=None)

    def run(combine="argmax", *, maps=None, outputs=None, model=None, out="cam.tif", **more):
        given = more.pop("labels", {})
        if combine == "logistic" and "reference" not in more and model is None:
            more["reference"] = labels
        if more.get("reference", 0) is None:
            del more["reference"]
        names = {"weak_labels": tmp_path / "weak.tif", "confidence": tmp_path / "sure.tif"}
        result = run_cam(
            scene,
            tmp_path / out,
            model or presence_bundle(),
            maps=maps,
            labels={"combine": combine} | given,
            outputs=names | (outputs or {}),
            overwrite=True,
            **more,
        )
        files = [tmp_path / out, names["weak_labels"], names["confidence"]]
        cam, weak, sure = (read(path) for path in files)
        return result, cam, weak[0], sure[0]

    run.pixels, run.scene, run.labels, run.truth = pixels, scene, labels, truth
    return run


def scores_of(combine, cam, card=None):
    """Scores by the definition, in double precision, of the maps as they were written."""
    wide = cam.astype(np.float64)
    if combine == "zscore":
        mean, std = np.nanmean(wide, (1, 2)), np.nanstd(wide, (1, 2))
        return (wide - mean[:, None, None]) / std[:, None, None]
    if combine == "median":
        return wide - np.nanmedian(wide, (1, 2))[:, None, None]
    if combine == "logistic":
        kept = card.combination
        assert kept["classes"] == [0, 1, 2]
        scores = np.einsum("rc,cyx->ryx", np.array(kept["coefficients"]), wide)
        return scores + np.array(kept["intercepts"])[:, None, None]
    return wide


def check(weak, sure, scores):
    valid = ~np.isnan(scores[0])
    np.testing.assert_array_equal(weak == 255, ~valid)
    np.testing.assert_array_equal(np.isnan(sure), ~valid)
    top = np.sort(scores, axis=0)
    clear = valid & (top[-1] - top[-2] > 1e-4)
    assert clear.sum() > 0.95 * valid.sum()
    best = np.where(valid, np.nan_to_num(scores).argmax(axis=0), 0)
    np.testing.assert_array_equal(weak[clear], IDS[best][clear])
    assert len(np.unique(weak[valid])) > 1
    assert sure.dtype == np.float32
    assert (sure[valid] >= 0).all()
    assert (sure[valid] <= 1).all()
    power = np.exp(scores - top[-1])
    np.testing.assert_allclose(sure[valid], (1 / power.sum(axis=0))[valid], rtol=2e-4)


@pytest.mark.parametrize("combine", WAYS)
def test_labels_are_the_highest_score_of_the_maps_written(made, tmp_path, combine):
    more = {}
    if combine == "logistic":
        more = {"outputs": {"fitted_model": tmp_path / "fitted.safetensors"}}
    result, cam, weak, sure = made(combine, **more)
    assert result.combine == combine
    card = load_bundle(tmp_path / "fitted.safetensors").card if more else None
    check(weak, sure, scores_of(combine, cam, card))
    for name, one in zip(("class 3", "class 5", "class 9"), IDS, strict=True):
        assert result.pixels[name] == (weak == one).sum()
        assert result.hectares[name] == pytest.approx((weak == one).sum() * 0.01)
    assert result.nodata == (weak == 255).sum()


@pytest.mark.parametrize("combine", ["zscore", "median"])
def test_statistics_are_those_of_the_pixels_that_are_wanted(made, combine):
    with Scene.open(made.scene) as opened:
        area = read_region("500300,5599500,500700,5599900", opened.grid)
    _, cam, weak, sure = made(combine, guides={"area": area, "area_name": "field"})
    assert (~np.isnan(cam[0])).sum() < 40 * 40
    check(weak, sure, scores_of(combine, cam))


def test_names_and_colours_of_the_models_legend_lie_beside_the_labels(made, tmp_path):
    made()
    with rasterio.open(tmp_path / "weak.tif") as dataset:
        assert dataset.nodata == 255
        assert dataset.dtypes == ("uint8",)
        assert dataset.tags()["GEOSEG_COMMAND"].startswith("geoseg cam scene.tif")
        colours = dataset.colormap(1)
    entries = ET.parse(tmp_path / "weak.qml").getroot().iter("paletteEntry")
    found = {int(e.get("value", -1)): (e.get("label"), e.get("color")) for e in entries}
    assert {i: name for i, (name, _) in found.items()} == {i: f"class {i}" for i in (3, 5, 9)}
    for i, (_, colour) in found.items():
        assert colour == "#{:02x}{:02x}{:02x}".format(*colours[i][:3])
    aux = (tmp_path / "weak.tif.aux.xml").read_text(encoding="utf-8")
    assert all(f"class {i}" in aux for i in (3, 5, 9))


@pytest.mark.parametrize("shape", [(300, 40), (40, 530), (270, 20)])
@pytest.mark.parametrize("combine", ["argmax", "zscore"])
def test_blocks_do_not_show_where_labels_are_refined(
    write_scene, presence_bundle, run_cam, read, tmp_path, shape, combine
):
    """Refining all at once gives what refining block by block gave, bit by bit."""
    pixels = smooth(2, shape)
    scene, model = write_scene(pixels), presence_bundle()
    names = {"weak_labels": tmp_path / "weak.tif", "confidence": tmp_path / "sure.tif"}
    labels = {"combine": combine, "refine": True}
    run_cam(scene, tmp_path / "plain.tif", model)
    run_cam(scene, tmp_path / "cam.tif", model, labels=labels, outputs=names)
    cam = read(tmp_path / "cam.tif")
    np.testing.assert_array_equal(cam, read(tmp_path / "plain.tif"))  # labels alone change

    valid = ~np.isnan(cam[0])
    image = ((pixels - np.float32(100)) / np.float32(50)).astype(np.float32)
    refined = refine(cam, image, valid, pamr=Pamr())
    way = Combination.argmax(3)
    if combine == "zscore":
        wide = cam.astype(np.float64)
        way = Combination.zscore(np.nanmean(wide, (1, 2)), np.nanstd(wide, (1, 2)))
    index, sure = way.choose(refined, valid)
    top = np.sort(way.scores(refined), axis=0)
    # The statistics of zscore are added up in another order, so ties may fall otherwise.
    clear = valid if combine == "argmax" else valid & (top[-1] - top[-2] > 1e-4)
    weak = read(names["weak_labels"])[0]
    np.testing.assert_array_equal(weak[clear], IDS[index[clear]])
    np.testing.assert_array_equal(weak == 255, ~valid)
    np.testing.assert_allclose(read(names["confidence"])[0], sure, rtol=1e-4)
    if combine == "argmax":
        np.testing.assert_array_equal(read(names["confidence"])[0], sure)
    plain, _ = way.choose(cam, valid)
    assert (plain != index).any()  # refining did something


def components(classes):
    """Sizes of 4-connected components of one class, nodata apart."""
    seen = classes == 255
    sizes = []
    for start in zip(*np.nonzero(~seen), strict=True):
        if seen[start]:
            continue
        seen[start] = True
        todo, size = deque([start]), 0
        while todo:
            row, col = todo.popleft()
            size += 1
            for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
                inside = 0 <= r < classes.shape[0] and 0 <= c < classes.shape[1]
                if inside and not seen[r, c] and classes[r, c] == classes[row, col]:
                    seen[r, c] = True
                    todo.append((r, c))
        sizes.append(size)
    return sizes


def test_small_components_are_cleaned_away(made):
    _, _, before, _ = made()
    result, _, after, sure = made(labels={"min_area": 40})
    np.testing.assert_array_equal(before == 255, after == 255)
    assert min(components(before)) < 40
    whole = components(np.where(after == 255, 255, 0))
    # What lies alone amid nodata has no neighbour to go to.
    assert sum(n < 40 for n in components(after)) <= sum(n < 40 for n in whole)
    assert result.pixels["class 3"] == (after == 3).sum()
    np.testing.assert_array_equal(np.isnan(sure), after == 255)


def test_labels_stay_inside_the_region(made):
    _, _, whole, sure_of_whole = made()
    with Scene.open(made.scene) as opened:
        area = read_region("500300,5599500,500700,5599900", opened.grid)  # rows 10-49, cols 30-69
    result, cam, weak, sure = made(guides={"area": area, "area_name": "field"})
    inside = np.zeros((70, 90), bool)
    inside[10:50, 30:70] = True
    np.testing.assert_array_equal(weak, np.where(inside, whole, 255))
    np.testing.assert_array_equal(sure, np.where(inside, sure_of_whole, np.nan))
    np.testing.assert_array_equal(np.isnan(cam[0]), weak == 255)
    assert result.nodata == (weak == 255).sum()


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("combine", WAYS)
def test_patches_of_known_content_hold_labels_to_it(made, tmp_path, combine, refined):
    """Half of the scene was cut into patches; there, labels are of classes that they hold."""
    folder = tmp_path / "patches"
    truth = made.truth
    tile(
        made.scene,
        folder,
        labels=made.labels,
        size=10,
        split="0.6,0.2,0.2",
        region="500000,5599300,500500,5600000",
        classes=CLASSES,
        max_nodata=0.99,
        workers=1,
    )
    with Scene.open(made.scene) as opened:
        known = known_classes(folder, opened.grid, LEGEND)
    labels = {"refine": refined, "patches": 20}
    _, _, free, _ = made(combine, labels=labels)
    _, _, held, sure = made(combine, labels=labels, guides={"known": known, "known_name": "p"})
    covered = np.zeros((70, 90), bool)
    denied = 0
    for row, col, side in known.windows:
        part = np.s_[row : row + side, col : col + side]
        covered[part] = True
        valid = (made.pixels[:, *part] != 0).all(axis=0)
        counts = {i: ((truth[part] == i) & valid).sum() for i in IDS}
        there = {i for i, n in counts.items() if n > 0.05 * side * side}
        given = set(np.unique(held[part])) - {255}
        if there:
            assert given <= there
            denied += not set(np.unique(free[part])) - {255} <= there
    assert covered.any()
    assert not covered[:, 50:].any()
    assert denied > 0  # otherwise nothing was tested
    np.testing.assert_array_equal(held[~covered], free[~covered])
    np.testing.assert_array_equal(held == 255, free == 255)
    assert np.nanmax(sure) <= 1


def test_what_is_known_lies_in_its_place_in_a_wide_scene(
    write_scene, presence_bundle, run_cam, read, tmp_path
):
    scene = write_scene(smooth(3, (20, 540)))
    known = KnownClasses(np.array([[4, 518, 10]]), np.array([[0, 1, 0]], np.uint8))
    maps = []
    for number, guides in enumerate(({}, {"known": known, "known_name": "p"})):
        weak = tmp_path / f"weak-{number}.tif"
        cam = tmp_path / f"cam-{number}.tif"
        run_cam(scene, cam, presence_bundle(), outputs={"weak_labels": weak}, guides=guides)
        maps.append(read(weak)[0])
    expected = maps[0].copy()
    inside = expected[4:14, 518:528]
    assert (inside != 5).any()
    inside[inside != 255] = 5
    np.testing.assert_array_equal(maps[1], expected)


def counted(truth, weak, chosen):
    confusion = np.zeros((3, 3), np.int64)
    for i, one in enumerate(IDS):
        for j, other in enumerate(IDS):
            confusion[i, j] = ((truth == one) & (weak == other) & chosen).sum()
    return confusion


@pytest.mark.parametrize("combine", WAYS)
def test_scores_are_those_of_the_rasters_written(made, tmp_path, combine):
    more = {"reference": made.labels, "labels": {"patches": 4, "seed": 4}}
    result, _, weak, _ = made(combine, **more)
    apart = np.ones((70, 90), bool)
    assert next(iter(result.scores.ways)) == combine
    if combine == "logistic":
        assert result.scores.patches == 4
        with Scene.open(made.scene) as scene, Scene.open(made.labels) as labels:
            reference = Reference(labels, scene, LEGEND, area=None, assume_aligned=False)
            for window in reference.choose(24, 4, 4)[0]:
                apart[window.slices()] = False
        assert set(result.scores.ways) == set(WAYS)
    else:
        assert result.scores.patches == 0
        assert set(result.scores.ways) == {"argmax", "zscore", "median"}
    chosen = (made.truth != 255) & (weak != 255) & apart
    expected = counted(made.truth, weak, chosen)
    assert result.scores.ways[combine].tolist() == expected.tolist()
    of = result.scores.of(combine)
    assert of.accuracy == pytest.approx(np.trace(expected) / expected.sum())
    unions = expected.sum(0) + expected.sum(1) - np.diag(expected)
    assert of.mean_iou == pytest.approx((np.diag(expected) / unions).mean())
    assert result.scores.pixel_majority == pytest.approx(
        expected.sum(axis=1).max() / expected.sum()
    )
    # Each other way is measured as if it had been asked for.
    for other in set(result.scores.ways) - {combine, "logistic"}:
        _, _, theirs, _ = made(other)
        assert result.scores.ways[other].tolist() == counted(made.truth, theirs, chosen).tolist()


def test_patches_are_left_to_measure_by_however_many_may_be_fitted_on(made):
    result, _, _, _ = made("logistic", labels={"patches": 500})
    assert result.scores.patches == 4  # of 9
    assert result.scores.ways["logistic"].sum() > 0
    assert any("4 of the 9 labelled patches" in note for note in result.notes)


def test_a_regression_is_fitted_on_maps_as_they_are_refined(made, read, tmp_path):
    """On plain maps the weights would be those of values that spread more."""
    kept = {"outputs": {"fitted_model": tmp_path / "fitted.safetensors"}}
    weights = {}
    for refined in (False, True):
        made("logistic", labels={"refine": refined, "patches": 6, "seed": 4}, **kept)
        card = load_bundle(tmp_path / "fitted.safetensors").card
        assert card.combination["settings"]["refine"] is refined
        weights[refined] = np.array(card.combination["coefficients"])
    assert np.abs(weights[True] - weights[False]).max() > 1e-3


def test_a_reference_without_labels_to_write_is_measured(
    made, run_cam, presence_bundle, read, tmp_path
):
    out = tmp_path / "only.tif"
    result = run_cam(made.scene, out, presence_bundle(), reference=made.labels)
    assert result.combine is None
    assert result.pixels == {}
    cam = read(out)
    best = IDS[np.nan_to_num(cam).argmax(axis=0)]
    chosen = np.isin(made.truth, IDS) & ~np.isnan(cam[0])
    expected = counted(made.truth, best, chosen)
    assert result.scores.ways["argmax"].tolist() == expected.tolist()


def test_the_seed_chooses_the_patches_and_with_them_the_labels(made, tmp_path):
    kept = {"outputs": {"fitted_model": tmp_path / "fitted.safetensors"}}
    found = []
    for seed in (1, 1, 2):
        _, _, weak, _ = made("logistic", labels={"patches": 4, "seed": seed}, **kept)
        card = load_bundle(tmp_path / "fitted.safetensors").card
        found.append((weak.tobytes(), card.combination["coefficients"]))
    assert found[0] == found[1]
    assert found[0][1] != found[2][1]


def test_a_regression_that_was_kept_needs_no_reference(made, tmp_path):
    path = tmp_path / "fitted.safetensors"
    result, cam, weak, sure = made("logistic", outputs={"fitted_model": path})
    assert path in result.outputs
    fitted = load_bundle(path)
    again, cam2, weak2, sure2 = made("logistic", model=fitted)
    assert again.scores is None
    assert again.notes == ()
    np.testing.assert_array_equal(cam, cam2)
    np.testing.assert_array_equal(weak, weak2)
    np.testing.assert_array_equal(sure, sure2)


def test_a_regression_fitted_on_other_maps_is_used_and_this_is_said(made, tmp_path):
    path = tmp_path / "fitted.safetensors"
    made("logistic", outputs={"fitted_model": path})
    maps = {"upsampling": "repeat", "stride": 24}
    result, cam, weak, sure = made("logistic", model=load_bundle(path), maps=maps)
    (said,) = result.notes
    assert "stride 12 (now 24)" in said
    assert "upsampling bilinear (now repeat)" in said
    check(weak, sure, scores_of("logistic", cam, load_bundle(path).card))


def test_a_reference_outside_the_region_does_not_count(made):
    with Scene.open(made.scene) as opened:
        area = read_region("500300,5599500,500700,5599900", opened.grid)
    guides = {"area": area, "area_name": "field"}
    result, _, weak, _ = made("argmax", guides=guides, reference=made.labels)
    inside = (weak != 255) & (made.truth != 255)
    expected = counted(made.truth, weak, inside)
    assert result.scores.ways["argmax"].tolist() == expected.tolist()


def test_the_digest_of_each_file_is_taken_once_a_run(made, tmp_path, monkeypatch):
    taken = []
    digest = scene_module.fingerprint_files

    def counted(paths):
        taken.extend(paths)
        return digest(paths)

    monkeypatch.setattr(scene_module, "fingerprint_files", counted)
    made("logistic", outputs={"fitted_model": tmp_path / "fitted.safetensors"})
    assert sorted(taken) == sorted([str(made.scene), str(made.labels)])
