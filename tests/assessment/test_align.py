from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.assessment.evaluation import Evaluation
from geoseg.assessment.report import summary
from geoseg.errors import GridError

UTM = "EPSG:32612"
HERE = Affine(30, 0, 300000, 0, -30, 4000000)
Write = Callable[..., Path]
Run = Callable[..., Evaluation]


# -- grids -----------------------------------------------------------------------------------------


def test_labels_on_a_part_of_the_same_pixels_are_scored_there(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1, 2, 2], [1, 1, 2, 2], [1, 2, 1, 2]])
    shifted = Affine(30, 0, 300000 + 60, 0, -30, 4000000 - 30)
    labels = write(tmp_path / "l.tif", [[2, 2, 2], [2, 2, 1]], transform=shifted)
    found = run(prediction, labels)
    # Rows 1–2, columns 2–3 of the prediction: 2 2 / 1 2 against 2 2 / 2 2.
    assert found.confusion.counts.tolist() == [[0, 0], [1, 3]]
    assert (found.pixels, found.unlabelled) == (12, 8)
    assert found.notes == ()


def test_labels_of_other_pixels_are_resampled_and_that_is_said(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1, 2, 2], [1, 1, 2, 2]])
    coarse = Affine(60, 0, 300000, 0, -60, 4000000)
    labels = write(tmp_path / "l.tif", [[1, 2]], transform=coarse)
    found = run(prediction, labels)
    assert found.scores.pixel_accuracy == 1
    assert found.scores.scored == 8
    (said,) = found.notes
    assert said.startswith("l.tif: resampled (nearest) from 2 × 1 px of 60 × 60, EPSG:32612 to")


def test_labels_in_another_coordinate_system_are_resampled(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", np.repeat([[1, 2]], 10, axis=1).repeat(20, axis=0))
    # The same ground in degrees, coarsely: west of the middle 1, east of it 2.
    with rasterio.open(prediction) as file:
        west, south, east, north = rasterio.warp.transform_bounds(UTM, "EPSG:4326", *file.bounds)
    place = Affine((east - west) / 2, 0, west, 0, south - north, north)
    labels = write(tmp_path / "l.tif", [[1, 2]], transform=place, crs="EPSG:4326")
    found = run(prediction, labels)
    assert found.scores.pixel_accuracy > 0.9
    assert found.scores.scored > 380


def test_labels_elsewhere_are_refused(write: Write, run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1]])
    far = Affine(30, 0, 900000, 0, -30, 4000000)
    for place in (far, Affine(31, 0, 900000, 0, -31, 4000000)):
        with pytest.raises(GridError, match="overlap"):
            run(prediction, write(tmp_path / "l.tif", [[1, 1]], transform=place))


def test_labels_without_a_place_are_refused_unless_assumed_aligned(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1, 2]])
    for name, place in (("plain", None), ("placed", HERE)):
        labels = write(tmp_path / f"{name}.tif", [[1, 2, 2]], transform=place, crs=None)
        with pytest.raises(GridError, match=rf"{name}\.tif has no coordinate.*--assume-aligned"):
            run(prediction, labels)
        found = run(prediction, labels, assume_aligned=True)
        assert found.confusion.counts.tolist() == [[1, 0], [1, 1]]
        assert found.notes == (
            f"{name}.tif: taken to lie on the prediction pixel by pixel, as assumed",
        )


def test_prediction_without_a_place_is_the_one_named(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1]], transform=None, crs=None)
    with pytest.raises(GridError, match=r"p\.tif has no coordinate system"):
        run(prediction, write(tmp_path / "l.tif", [[1, 1]]))


def test_pictures_of_one_size_need_no_place(write: Write, run: Run, tmp_path: Path) -> None:
    picture: dict[str, Any] = {"transform": None, "crs": None}
    prediction = write(tmp_path / "p.tif", [[1, 1, 2]], **picture)
    assert run(prediction, write(tmp_path / "l.tif", [[1, 2, 2]], **picture)).scores.scored == 3
    with pytest.raises(GridError, match="--assume-aligned"):
        run(prediction, write(tmp_path / "l2.tif", [[1, 2]], **picture))


def test_labels_of_another_size_cannot_be_assumed_aligned(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1, 2]])
    labels = write(tmp_path / "l.tif", [[1, 2]], crs=None)
    with pytest.raises(GridError, match=r"l\.tif \(2 × 1 px\) .*p\.tif \(3 × 1 px\)"):
        run(prediction, labels, assume_aligned=True)


def test_labels_with_a_place_are_never_assumed_aligned(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1, 2]])
    shifted = Affine(30, 0, 300000 + 30, 0, -30, 4000000)
    labels = write(tmp_path / "l.tif", [[1, 2, 2]], transform=shifted)
    assert run(prediction, labels, assume_aligned=True).confusion.counts.tolist() == [
        [1, 0],
        [0, 1],
    ]


def test_region_limits_what_is_scored(write: Write, run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.tif", [[1, 1, 2, 2], [1, 1, 2, 2]])
    labels = write(tmp_path / "l.tif", [[1, 2, 2, 2], [1, 1, 1, 2]])
    # Columns 1 and 2 of row 0.
    found = run(prediction, labels, region="300030,3999970,300090,4000000")
    assert found.pixels == 2
    assert found.confusion.counts.tolist() == [[0, 0], [1, 1]]


def test_region_of_polygons_scores_pixels_whose_centre_is_inside(
    write: Write, run: Run, tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.tif", np.full((4, 4), 1))
    labels = write(tmp_path / "l.tif", np.full((4, 4), 1))
    # Below the diagonal, which is moved a little because pixels' centres lie on it.
    ring = [[300000, 3999995], [300000, 3999880], [300115, 3999880], [300000, 3999995]]
    region = tmp_path / "region.geojson"
    region.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32612"}},
                "features": [
                    {
                        "type": "Feature",
                        "properties": {},
                        "geometry": {"type": "Polygon", "coordinates": [ring]},
                    }
                ],
            }
        )
    )
    found = run(prediction, labels, region=region)
    assert summary(found)["region"] == "region.geojson"
    assert found.pixels == found.scores.scored == 6


# -- real data -------------------------------------------------------------------------------------


@pytest.mark.realdata
def test_nlcd_on_its_own_grid_agrees_with_its_simplified_form(
    run: Run, real_data: Path, tmp_path: Path
) -> None:
    table = tmp_path / "classes.csv"
    table.write_text(
        "id,name,values\n1,water,11\n2,developed,21;22;23;24\n3,barren,31\n4,forest,41;42;43\n"
        "5,shrub,52\n6,herbaceous,71\n7,cultivated,81;82\n8,wetland,90;95\n"
    )
    zion = real_data / "zion"
    simplified = zion / "nlcd_simplified_on_landsat_grid.tif"
    found = run(simplified, zion / "nlcd2011.tif", str(table))
    assert found.scores.scored == 1428 * 1128
    assert found.scores.pixel_accuracy > 0.999
    assert any("resampled (nearest)" in note for note in found.notes)
    itself = run(simplified, simplified, None)
    assert itself.scores.mean_iou == itself.scores.kappa == 1
