"""A colour stays the same of some bands and under other names; scenes are brought to it once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.compositing.homogenise.bring import bring, carries, strange
from geoseg.compositing.homogenise.measure import measure
from geoseg.compositing.homogenise.standard import COLOUR_TAG, Dodge, ImageLine, Standard
from geoseg.errors import ColourError
from geoseg.raster.scene import Scene
from geoseg.testing.colours import even_standard

LINE = ImageLine(name="a", fingerprint="00", gains=(1.0, 2.0), offsets=(3.0, 4.0))
COLOUR = even_standard({"red": (200.0, 20.0), "nir": (300.0, 30.0)}, images=[LINE])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Readings 90 and 110 in the first band, 50 in the second."""
    data = np.full((2, 4, 4), 50, np.uint16)
    data[0] = np.tile([[90, 110], [110, 90]], (2, 2))
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5.6e6)}
    shape = {"count": 2, "height": 4, "width": 4, "dtype": "uint16"}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **shape, **place) as file:
        file.write(data)
        file.descriptions = ("red", "nir")
    return tmp_path / "a.tif"


def test_some_bands_under_other_names_are_the_same_colour() -> None:
    part = COLOUR.select(["NIR"]).renamed(["b5"])
    assert part.digest == COLOUR.digest
    assert part.select(["b5"]) is part
    assert part.names == ("b5",)
    assert (part.images[0].gains, part.images[0].offsets) == ((2.0,), (4.0,))
    assert COLOUR.select(["red", "nir"]) == COLOUR
    assert COLOUR.select(["nir", "red"]).digest == COLOUR.digest
    back = Standard.from_json(json.loads(json.dumps(part.to_json())))
    assert back == part
    assert back.digest == COLOUR.digest
    assert "origin" not in COLOUR.to_json()


def test_any_other_change_is_another_colour() -> None:
    others = [
        replace(COLOUR, method="histogram"),
        replace(COLOUR, haze="dark-object"),
        replace(COLOUR, dodge=Dodge(cell=64, brightness=0.5, contrast=0.5)),
        replace(COLOUR, images=()),
        even_standard({"red": (201.0, 20.0), "nir": (300.0, 30.0)}, images=[LINE]),
    ]
    assert len({COLOUR.digest, *(other.digest for other in others)}) == 6


def test_a_colour_is_said_in_a_line() -> None:
    assert COLOUR.text == "that of the group, by mean and deviation, 1 image known"
    dodged = replace(
        COLOUR,
        method="histogram",
        reference="summer",
        images=(),
        haze="dark-object",
        cast="grey-world",
        dodge=Dodge(cell=64, brightness=0.5, contrast=0.5),
    )
    assert dodged.text == (
        "that of summer, by histograms, haze taken off (dark object), cast balanced (grey world),"
        " dodged"
    )


def test_a_scene_is_measured_known_or_there_already(path: Path) -> None:
    scene = Scene.open(path)
    window = scene.grid.window
    brought = bring(scene, COLOUR)
    assert (brought.how, brought.method) == ("measured", "mean and deviation")
    found = brought.scene.read(window).data
    # Deviation 10 becomes 20 around 200; the second band has none, and is moved alone.
    assert sorted(set(found[0].ravel().tolist())) == [180, 220]
    assert (found[1] == 300).all()
    known = replace(COLOUR, images=(replace(LINE, fingerprint=scene.fingerprint()),))
    brought = bring(scene, known)
    assert brought.how == "known"
    assert np.array_equal(
        brought.scene.read(window).data, scene.read(window).data * [[[1]], [[2]]] + [[[3]], [[4]]]
    )
    assert not carries(scene)
    with rasterio.open(path, "r+") as file:
        file.update_tags(**{COLOUR_TAG: known.digest})
    there = Scene.open(path)
    assert carries(there)
    assert carries(there, known)
    assert not carries(there, COLOUR)
    assert bring(there, known).how == "already"
    assert not bring(there, known).scene.is_recoloured
    assert bring(there.select(["nir"]), known.select(["nir"])).how == "already"
    assert bring(there, COLOUR).how == "measured"


def test_a_scene_of_other_files_is_known_by_its_readings(path: Path, tmp_path: Path) -> None:
    readings = measure(Scene.open(path)).digests
    assert len(set(readings)) == 2
    known = replace(COLOUR, images=(replace(LINE, readings=readings),))
    known = Standard.from_json(json.loads(json.dumps(known.to_json())))
    again = tmp_path / "again.tif"
    with (
        rasterio.open(path) as file,
        rasterio.open(
            again, "w", **(file.profile | {"compress": "deflate", "predictor": 2})
        ) as made,
    ):
        made.write(file.read())
        made.descriptions = file.descriptions
    scene = Scene.open(again)
    assert scene.fingerprint() != Scene.open(path).fingerprint()
    brought = bring(scene, known)
    assert brought.how == "known"
    window = scene.grid.window
    given = Scene.open(path).read(window).data
    assert np.array_equal(brought.scene.read(window).data, given * [[[1]], [[2]]] + [[[3]], [[4]]])
    turned = scene.select(["nir"])
    assert bring(turned, known.select(["nir"])).how == "known"
    assert bring(turned, known).how == "known"
    # One reading more or less is another image.
    with rasterio.open(again, "r+") as file:
        data = file.read()
        data[0, 0, 0] += 1
        file.write(data)
    assert bring(Scene.open(again), known).how == "measured"


def test_images_of_the_same_readings_and_different_lines_are_not_guessed_at(path: Path) -> None:
    scene = Scene.open(path)
    line = replace(LINE, readings=measure(scene).digests)
    twin = replace(line, fingerprint="01")
    assert bring(scene, replace(COLOUR, images=(line, twin))).how == "known"
    other = replace(twin, gains=(1.0, 3.0))
    assert bring(scene, replace(COLOUR, images=(line, other))).how == "measured"


def test_readings_in_json_are_texts_or_not_there() -> None:
    assert "readings" not in COLOUR.to_json()["images"][0]
    told = COLOUR.to_json()
    for bad in ("ab", ["a"], [1, 2]):
        told["images"][0]["readings"] = bad
        with pytest.raises(ColourError, match="readings"):
            Standard.from_json(told)


def test_unknown_scenes_are_told_by_name_and_what_is_surer() -> None:
    (said,) = strange(["a"], COLOUR)
    assert said.startswith("a: not one of the images that the colour was made from")
    assert "by mean and deviation, which takes other ground for another colour" in said
    assert "--method overlap or histogram" in said
    assert strange(["a", "b", "c", "d"], COLOUR)[0].startswith("a, b, c and 1 more: not of the")
    assert strange([], COLOUR) == []
    # A colour by histograms does not keep its images, so nobody knows whether they are unknown.
    assert strange(["a"], replace(COLOUR, images=())) == []
