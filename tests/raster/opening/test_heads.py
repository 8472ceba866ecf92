"""What files say of themselves, opened once while that is wanted."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from geoseg.errors import RasterReadError
from geoseg.raster.opening import heads
from geoseg.raster.opening.heads import heads_kept, read_head


@pytest.fixture
def opened(monkeypatch):
    """Paths of the files that are opened, in order."""
    paths: list[str] = []
    usual = heads.open_dataset

    def noted(path):
        paths.append(path)
        return usual(path)

    monkeypatch.setattr(heads, "open_dataset", noted)
    return paths


def write(path, *, size=4, count=4, alpha=True):
    profile = {"driver": "GTiff", "width": size, "height": size, "count": count, "dtype": "uint8"}
    more = {"photometric": "RGB", "alpha": "yes"} if alpha else {}
    transform = Affine(10, 0, 0, 0, -10, 0)
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", transform=transform, **more) as out:
        out.write(np.ones((count, size, size), np.uint8))
    return str(path)


def test_a_file_is_opened_each_time_where_nobody_wants_heads_kept(tmp_path, opened):
    path = write(tmp_path / "a.tif")
    assert read_head(path) == read_head(path)
    assert opened == [path, path]


def test_a_file_is_opened_once_while_heads_are_kept_and_again_afterwards(tmp_path, opened):
    path, other = write(tmp_path / "a.tif"), write(tmp_path / "b.tif")
    with heads_kept():
        first = read_head(path)
        with heads_kept():
            read_head(other)
        assert read_head(path) is first
        assert read_head(other).path == other
        assert opened == [path, other]
    assert read_head(path) == first
    assert opened == [path, other, path]


def test_with_and_without_alpha_are_heads_of_their_own(tmp_path):
    path = write(tmp_path / "a.tif")
    with heads_kept():
        assert len(read_head(path).bands) == 3
        assert len(read_head(path, alpha_is_band=True).bands) == 4
        assert len(read_head(path).bands) == 3


def test_a_file_that_changed_meanwhile_is_opened_again(tmp_path):
    path = write(tmp_path / "a.tif", size=4)
    with heads_kept():
        assert read_head(path).grid.width == 4
        write(tmp_path / "a.tif", size=8)
        assert read_head(path).grid.width == 8


def test_a_file_that_cannot_be_opened_is_not_kept(tmp_path):
    path = str(tmp_path / "a.tif")
    with heads_kept():
        with pytest.raises(RasterReadError, match="no such file"):
            read_head(path)
        write(tmp_path / "a.tif")
        assert read_head(path).grid.width == 4


def test_an_error_inside_ends_the_keeping(tmp_path, opened):
    path = write(tmp_path / "a.tif")

    @heads_kept()
    def fail():
        read_head(path)
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    read_head(path)
    assert opened == [path, path]


def test_a_thread_that_ends_first_leaves_the_heads_to_the_other(tmp_path, opened):
    path = write(tmp_path / "a.tif")

    def brief():
        with heads_kept():
            read_head(path)

    with heads_kept():
        thread = threading.Thread(target=brief)
        thread.start()
        thread.join()
        read_head(path)
    assert opened == [path]
