"""Class rasters as STAC items: their place, whatever the grid is like."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import GridError, OptionError
from geoseg.raster.scene import Scene
from geoseg.raster.stac import map_item, moment


def item(path: Path, transform: Affine, crs: str | None, **tags: str) -> dict[str, Any]:
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=3, width=4, dtype="uint8", nodata=255,
        crs=crs, transform=transform,
    ) as file:  # fmt: skip
        file.write(np.ones((1, 3, 4), np.uint8))
        file.update_tags(**tags)
    with Scene.open(str(path)) as scene:
        return map_item(
            scene,
            [{"value": 1, "name": "a"}],
            name="m",
            href="./m.tif",
            date="2020-01-02",
        )


def test_a_map_in_degrees_has_its_own_corners(tmp_path: Path) -> None:
    found = item(tmp_path / "m.tif", Affine(0.5, 0, 10, 0, -0.5, 50), "EPSG:4326")
    assert found["bbox"] == [10.0, 48.5, 12.0, 50.0]
    ring = found["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert {(10.0, 50.0), (10.0, 48.5), (12.0, 48.5), (12.0, 50.0)} <= {tuple(p) for p in ring}
    turning = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring))
    assert turning / 2 == pytest.approx(3.0)  # anticlockwise, 2° × 1.5°
    assert "gsd" not in found["properties"]
    assert found["properties"]["datetime"] == "2020-01-02T00:00:00Z"
    assert found["links"] == []


def test_south_up_and_rotated_maps_run_anticlockwise_too(tmp_path: Path) -> None:
    for number, transform in enumerate(
        (Affine(30, 0, 300000, 0, 30, 4e6), Affine(20, 20, 300000, 20, -20, 4e6))
    ):
        found = item(tmp_path / f"{number}.tif", transform, "EPSG:32612")
        ring = found["geometry"]["coordinates"][0]
        turning = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring))
        assert turning > 0
        assert found["properties"]["proj:transform"] == list(transform)[:6]
        assert found["properties"]["gsd"] == pytest.approx((30.0, 800**0.5)[number])


def test_what_made_a_map_becomes_links(tmp_path: Path) -> None:
    words = "geoseg predict a.tif 'b c.tif' --model x.onnx --tile 64 --model y.safetensors"
    found = item(
        tmp_path / "m.tif", Affine(30, 0, 3e5, 0, -30, 4e6), "EPSG:32612",
        GEOSEG_COMMAND=words, GEOSEG_VERSION="1.2",
    )  # fmt: skip
    links = [link["href"] for link in found["links"]]
    assert links == ["a.tif", "b c.tif", "x.onnx", "y.safetensors"]
    assert found["properties"]["processing:software"] == {"geoseg": "1.2"}
    odd = item(
        tmp_path / "odd.tif", Affine(30, 0, 3e5, 0, -30, 4e6), "EPSG:32612", GEOSEG_COMMAND="a 'b"
    )
    assert odd["links"] == []


def test_a_map_without_a_place_or_over_the_date_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="no coordinate system"):
        item(tmp_path / "none.tif", Affine(1, 0, 5, 0, -1, 5), None)
    with pytest.raises(GridError, match="date line"):
        item(tmp_path / "line.tif", Affine(50000, 0, 700000, 0, -50000, 1e6), "EPSG:32660")


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_one_line(text: str) -> None:
    try:
        found = moment(text)
    except OptionError as error:
        found = str(error)
    assert len(found.splitlines()) == 1


def test_moments_are_utc() -> None:
    assert moment("2020-07-14") == "2020-07-14T00:00:00Z"
    assert moment("2020-07-14T18:05:09.7+02:00") == "2020-07-14T16:05:09Z"
    with pytest.raises(OptionError, match="2020-13-01"):
        moment("2020-13-01")
    with pytest.raises(OptionError):
        moment("0001-01-01T00:00:00+10:00")  # before the first year
