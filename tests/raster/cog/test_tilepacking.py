"""Tiles that were packed elsewhere make the same file as those that the writer packs itself."""

# ruff: noqa: PT012 - leaving a with block is what raises here

from __future__ import annotations

import pickle
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoseg.errors import OutputError
from geoseg.raster.cog import tilepacking
from geoseg.raster.cog.halving import halved
from geoseg.raster.cog.tilepacking import TilePacking, half_shape
from geoseg.raster.cog.writer import RasterWriter
from geoseg.raster.grid import Grid
from geoseg.raster.window import Window

SIDE = 16


def grid_of(height: int, width: int) -> Grid:
    return Grid(crs=None, transform=Affine(2, 0, 10, 0, -2, 90), height=height, width=width)


def packing(dtype: str = "float32", nodata: float | None = None) -> TilePacking:
    return TilePacking(
        target="x.tif", dtype=np.dtype(dtype), nodata=nodata, side=SIDE, predictor=1, how="average"
    )


def pixels_of(dtype: str, nodata: float | None, height: int, width: int) -> NDArray[Any]:
    pixels = np.random.default_rng(height * width).integers(1, 99, (2, height, width)).astype(dtype)
    if nodata is not None:
        pixels[:, : height // 2, : width // 2] = nodata
    return pixels


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    kind=st.sampled_from([("float32", float("nan")), ("uint16", 0), ("int16", None)]),
    order=st.randoms(use_true_random=False),
)
def test_tiles_packed_in_another_process_make_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    height: int,
    width: int,
    kind: tuple[str, float | None],
    order: Any,
) -> None:
    folder, (dtype, nodata) = tmp_path_factory.mktemp("made"), kind
    pixels, grid = pixels_of(dtype, nodata, height, width), grid_of(height, width)
    options: dict[str, Any] = {"band_names": ["a", "b"], "dtype": dtype, "nodata": nodata}
    with RasterWriter(folder / "here.tif", grid, blocksize=SIDE, **options) as writer:
        writer.write_rows(0, pixels)
    places = [(row, col) for row in range(0, height, SIDE) for col in range(0, width, SIDE)]
    order.shuffle(places)
    with RasterWriter(folder / "away.tif", grid, blocksize=SIDE, **options) as writer:
        away = pickle.loads(pickle.dumps(writer.packing))
        for row, col in places:
            tile = Window(row, col, SIDE, SIDE).intersection(grid.window)
            assert tile is not None
            packed = away.pack(pixels[(slice(None), *tile.slices())])
            writer.write_packed(tile, [pickle.loads(pickle.dumps(packed))])
    assert (folder / "away.tif").read_bytes() == (folder / "here.tif").read_bytes()


def test_the_half_of_a_tile_goes_with_it() -> None:
    pixels = np.arange(2 * 5 * 7, dtype=np.float32).reshape(2, 5, 7)
    packed = packing().pack(pixels)
    assert packed.shape == half_shape(pixels.shape) == (2, 3, 4)
    assert packed.half is not None
    np.testing.assert_array_equal(packed.half, halved(pixels, "average", None))


@pytest.mark.parametrize("nodata", [0.0, float("nan")])
def test_of_nodata_alone_no_pixels_are_sent(nodata: float) -> None:
    how = packing(nodata=nodata)
    packed = how.pack(np.full((1, 16, 16), nodata, np.float32))
    assert packed.half is None
    whole = how.whole_half(packed.half, packed.shape)
    np.testing.assert_array_equal(whole, np.full((1, 8, 8), nodata))


def test_what_is_not_one_packed_tile_for_each_is_refused(tmp_path: Path) -> None:
    grid = grid_of(20, 20)
    kind: Literal["uint8"] = "uint8"
    writer = RasterWriter(
        tmp_path / "x.tif", grid, band_names=["a"], dtype=kind, nodata=None, blocksize=SIDE
    )
    with pytest.raises(ValueError, match="inside the with block"):
        _ = writer.packing
    with pytest.raises(ValueError, match="shorter"), writer:
        packed = writer.packing.pack(np.ones((1, 16, 16), np.uint8))
        writer.write_packed(Window(0, 0, 16, 20), [packed])
    with pytest.raises(ValueError, match="is not made of tiles"), writer:
        writer.write_packed(Window(4, 0, 16, 16), [packed])
    assert not (tmp_path / "x.tif").exists()


def test_restless_classes_are_compressed_less_hard_and_calm_ones_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    how = TilePacking(
        target="x.tif", dtype=np.dtype("uint8"), nodata=255, side=256, predictor=1, how="mode"
    )
    restless = np.random.default_rng(0).choice(
        np.array([1, 2, 3], np.uint8), (1, 256, 256), p=[0.9, 0.05, 0.05]
    )
    calm = np.kron(restless[:, :16, :16], np.ones((1, 16, 16), np.uint8))
    found = [how.pack(pixels).content for pixels in (restless, calm)]
    monkeypatch.setattr(tilepacking, "_RESTLESS", 1.0)
    hardest = [how.pack(pixels).content for pixels in (restless, calm)]
    assert found[0] != hardest[0]
    assert len(hardest[0]) < len(found[0]) < 1.1 * len(hardest[0])
    assert found[1] == hardest[1]
    assert [zlib.decompress(content) for content in (found[0], hardest[0])] == [
        restless.tobytes()
    ] * 2


def test_what_gdal_does_not_compress_is_one_line() -> None:
    with pytest.raises(OutputError, match=r"^x\.tif cannot be written: .*[^\n]$"):
        TilePacking(
            target="x.tif",
            dtype=np.dtype("uint8"),
            nodata=None,
            side=100,
            predictor=1,
            how="mode",
        ).pack(np.ones((1, 100, 100), np.uint8))
