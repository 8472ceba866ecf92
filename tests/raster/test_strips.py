"""Strips: together they are the whole, each block is decoded once, and threads end with it."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.errors import GridError, OptionError, RasterReadError
from geoseg.raster import strips as strips_module
from geoseg.raster.cut import plan_cut
from geoseg.raster.scene import Pixels, Scene
from geoseg.raster.strips import Strip, read_strips
from geoseg.raster.window import Window

MakeRaster = Callable[..., Path]
FEW = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TILED = {"tiled": True, "blockxsize": 32, "blockysize": 16}


def numbers(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(3).integers(0, 60, shape).astype(dtype)


def joined(strips: Iterator[Strip], window: Window) -> tuple[list[np.ndarray], np.ndarray]:
    """Put strips together, checking that they follow each other and fill the window."""
    arrays: list[list[np.ndarray]] = []
    valid = []
    row = window.row
    for strip in strips:
        assert strip.row == row
        assert strip.valid.shape == (strip.height, window.width)
        row += strip.height
        valid.append(strip.valid)
        arrays.append(list(strip.arrays))
    assert row == window.row_stop
    return [np.concatenate(a, axis=-2) for a in zip(*arrays, strict=True)], np.concatenate(valid)


# The cut


@given(
    row=st.integers(0, 90),
    col=st.integers(0, 90),
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    block=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    origin=st.tuples(st.integers(0, 69), st.integers(0, 69)),
    target=st.integers(1, 100),
    workers=st.integers(1, 5),
)
def test_rectangles_cover_the_window_once_and_share_no_block(
    row: int,
    col: int,
    height: int,
    width: int,
    block: tuple[int, int],
    origin: tuple[int, int],
    target: int,
    workers: int,
) -> None:
    window = Window(row, col, height, width)
    cut = plan_cut(
        window, block_shape=block, block_origin=origin, target_rows=target, workers=workers
    )
    seen = np.zeros((300, 300), int)
    blocks: Counter[tuple[int, int]] = Counter()
    for strip in cut.strips():
        assert strip.height <= max(block[0], target + block[0] // 2)
        for part in cut.rectangles(strip):
            seen[part.slices()] += 1
            rows = {(r - origin[0]) // block[0] for r in range(part.row, part.row_stop)}
            cols = {(c - origin[1]) // block[1] for c in range(part.col, part.col_stop)}
            blocks.update((r, c) for r in rows for c in cols)
    assert (seen[window.slices()] == 1).all()
    assert seen.sum() == window.area
    assert set(blocks.values()) == {1}


@pytest.mark.parametrize(
    ("block", "strip_rows", "rectangle"),
    [
        ((512, 512), 512, (512, 512)),
        ((256, 256), 256, (256, 1024)),
        ((128, 128), 256, (256, 1024)),
        ((1, 8192), 256, (32, 8192)),
        ((3, 8192), 255, (33, 8192)),
        ((8192, 8192), 8192, (8192, 8192)),
    ],
)
def test_cut_of_usual_files(
    block: tuple[int, int], strip_rows: int, rectangle: tuple[int, int]
) -> None:
    cut = plan_cut(Window(0, 0, 8192, 8192), block_shape=block, target_rows=256, workers=4)
    assert cut.strip_rows == strip_rows
    assert (cut.rectangle_rows, cut.rectangle_cols) == rectangle


# The reading


@FEW
@given(data=st.data())
def test_strips_joined_are_the_whole_read(make_raster: MakeRaster, data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 150)), data.draw(st.integers(1, 150))
    layout = data.draw(st.sampled_from([{}, {"blockysize": 7}, {"blockysize": 200}, TILED]))
    pixels = numbers(3, height, width)
    scene = Scene.open(make_raster("a.tif", pixels, nodata=7, **layout))
    row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(
        row,
        col,
        data.draw(st.integers(1, height - row)),
        data.draw(st.integers(1, width - col)),
    )
    strips = read_strips(
        [scene],
        window=window,
        target_rows=data.draw(st.integers(1, 80)),
        workers=data.draw(st.integers(1, 4)),
        prefetch=data.draw(st.integers(0, 2)),
    )
    (found,), valid = joined(strips, window)
    want = pixels[(slice(None), *window.slices())]
    assert np.array_equal(found, want)
    assert np.array_equal(valid, (want != 7).all(axis=0))
    scene.close()


@FEW
@given(
    layouts=st.tuples(*[st.sampled_from(["striped", "tiled", "png", "shifted", "warped"])] * 3),
    convert=st.booleans(),
    workers=st.integers(1, 3),
)
def test_scenes_of_any_layout_are_read_side_by_side(
    make_raster: MakeRaster, layouts: tuple[str, ...], convert: bool, workers: int
) -> None:
    def make(number: int, layout: str, like: Scene | None) -> Scene:
        pixels = numbers(2 if layout != "png" else 1, 90, 110, dtype="uint8") + number
        options: dict[str, Any] = {"nodata": 5, "photometric": "minisblack"}
        if layout == "png":
            options = {"driver": "PNG", "nodata": 5}
        if layout == "tiled":
            options |= TILED
        if layout == "shifted":
            options |= {"transform": Affine(10, 0, 500_070, 0, -10, 5_599_950)}
        if layout == "warped":
            options |= {"transform": Affine(7, 1, 500_003, 1, -7, 5_600_002)}
        scene = Scene.open(make_raster(f"{number}.tif", pixels, **options))
        return scene if like is None else scene.on_grid(like.grid)

    first = make(0, layouts[0], None)
    scenes = [first, *(make(k, layouts[k], first) for k in (1, 2))]

    def together(pixels: list[Pixels], window: Window) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        assert all(p.data.shape[1:] == (window.height, window.width) for p in pixels)
        return (pixels[1].data[0], *(p.data for p in pixels), pixels[2].valid), pixels[1].valid

    window = Window(3, 5, 80, 100)
    want = [scene.read(window) for scene in scenes]
    chosen = together if convert else None
    strips = read_strips(scenes, window=window, target_rows=20, workers=workers, convert=chosen)
    found, valid = joined(strips, window)
    if convert:
        assert np.array_equal(found.pop(0), want[1].data[0])
        assert np.array_equal(found.pop(), want[2].valid)
    assert np.array_equal(valid, want[int(convert)].valid)
    for array, pixels in zip(found, want, strict=True):
        assert np.array_equal(array, pixels.data)


def test_each_block_is_read_once(make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene.open(make_raster("a.tif", numbers(2, 100, 150), **TILED))
    blocks: Counter[tuple[int, int]] = Counter()
    read = Scene.read

    def counting(self: Scene, window: Window, **options: Any) -> Pixels:
        for r in range(window.row // 16, -(-window.row_stop // 16)):
            for c in range(window.col // 32, -(-window.col_stop // 32)):
                blocks[r, c] += 1
        return read(self, window, **options)

    monkeypatch.setattr(Scene, "read", counting)
    for _ in read_strips([scene], target_rows=40, workers=3):
        pass
    assert len(blocks) == 7 * 5
    assert set(blocks.values()) == {1}


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_memory_is_that_of_the_strips_read_ahead(make_raster: MakeRaster, prefetch: int) -> None:
    scene = Scene.open(make_raster("a.tif", np.ones((1, 400, 40_000), "uint16"), **TILED))
    strip_bytes = 16 * 40_000 * 3  # pixels and what is valid
    rectangles = 2 * 3 * (1 << 18)  # what two workers need besides
    tracemalloc.start()
    try:
        with closing(read_strips([scene], target_rows=16, workers=2, prefetch=prefetch)) as strips:
            for strip in strips:
                time.sleep(0.005)
                del strip
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert prefetch * strip_bytes < peak < (prefetch + 1) * strip_bytes + rectangles


def test_next_strip_is_read_while_the_consumer_works(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", numbers(1, 64, 40), **TILED))
    begun = threading.Event()

    def convert(pixels: list[Pixels], window: Window) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        if window.row >= 16:
            begun.set()
        return (pixels[0].data,), pixels[0].valid

    with closing(read_strips([scene], target_rows=16, workers=1, convert=convert)) as strips:
        next(strips)
        assert begun.wait(10)


def test_window_and_pixels_given_to_convert_belong_together(make_raster: MakeRaster) -> None:
    data = numbers(1, 70, 90)
    scene = Scene.open(make_raster("a.tif", data, **TILED))

    def convert(pixels: list[Pixels], window: Window) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        assert np.array_equal(pixels[0].data, data[(slice(None), *window.slices())])
        rows, cols = np.mgrid[window.row : window.row_stop, window.col : window.col_stop]
        return (rows, np.stack([[cols]])), pixels[0].valid

    window = Window(10, 20, 50, 60)
    (rows, cols), _ = joined(
        read_strips([scene], window=window, target_rows=16, convert=convert), window
    )
    assert np.array_equal(rows, np.mgrid[10:60, 20:80][0])
    assert cols.shape == (1, 1, 50, 60)
    assert np.array_equal(cols[0, 0], np.mgrid[10:60, 20:80][1])


@pytest.mark.parametrize("big", [1, 1 << 40])
def test_file_of_one_block_is_read_right_in_order_or_not(
    make_raster: MakeRaster, monkeypatch: pytest.MonkeyPatch, big: int
) -> None:
    monkeypatch.setattr(strips_module, "BIG_BLOCK_BYTES", big)
    data = numbers(2, 300, 50)
    scene = Scene.open(make_raster("a.tif", data, blockysize=300, compress="deflate"))
    assert scene.block_shape == (300, 50)
    strips = list(read_strips([scene], target_rows=64))
    assert [s.height for s in strips] == ([64] * 4 + [44] if big == 1 else [300])
    assert np.array_equal(np.concatenate([s.arrays[0] for s in strips], axis=1), data)


def reading_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("geoseg-read")]


def test_closing_stops_the_threads_and_closes_their_files(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", numbers(1, 400, 40), **TILED))
    strips = read_strips([scene], target_rows=16)
    next(strips)
    assert reading_threads()
    strips.close()
    assert not reading_threads()
    gc.collect()
    assert scene._pieces.handles.count() == 0


@pytest.mark.parametrize("layout", [TILED, {"blockysize": 5}])
def test_errors_of_workers_reach_the_consumer(
    make_raster: MakeRaster, layout: dict[str, Any]
) -> None:
    path = make_raster("a.tif", numbers(1, 400, 40), **layout)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    strips = read_strips([Scene.open(path)], target_rows=16)
    assert next(strips).arrays[0].any()
    with pytest.raises(RasterReadError, match=r"a.tif: cannot be read at rows"):
        list(strips)
    assert not reading_threads()


@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
def test_errors_of_convert_reach_the_consumer(make_raster: MakeRaster, driver: str) -> None:
    scene = Scene.open(make_raster("a.x", numbers(1, 100, 40, dtype="uint8"), driver=driver))

    def convert(pixels: list[Pixels], window: Window) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        next(read_strips([scene], convert=convert))
    assert not reading_threads()


def test_scenes_of_differing_size_and_senseless_numbers_are_refused(
    make_raster: MakeRaster,
) -> None:
    one = Scene.open(make_raster("a.tif", numbers(1, 10, 10)))
    two = Scene.open(make_raster("b.tif", numbers(1, 10, 11)))
    with pytest.raises(GridError, match=r"b.tif: 11 × 10 px .* does not lie on .*a.tif"):
        read_strips([one, two])
    with pytest.raises(GridError, match="does not lie in"):
        read_strips([one], window=Window(5, 5, 6, 5))
    with pytest.raises(OptionError, match="no scene"):
        read_strips([])
    for options in ({"workers": 0}, {"target_rows": 0}, {"prefetch": -1}):
        with pytest.raises(OptionError, match="at least"):
            read_strips([one], **options)  # type: ignore[arg-type]


def test_mosaics_and_views_are_read_in_strips(make_raster: MakeRaster) -> None:
    data = numbers(1, 60, 100)
    paths = []
    for col in (0, 50):
        transform = Affine(10, 0, 500_000 + 10 * col, 0, -10, 5_600_000)
        part = data[:, :, col : col + 50]
        paths.append(make_raster(f"{col}.tif", part, transform=transform, **TILED))
    scene = Scene.open(paths)
    (found,), _ = joined(read_strips([scene], target_rows=16), scene.grid.window)
    assert np.array_equal(found, data)
    view = scene.on_grid(scene.grid.crop(Window(-5, 3, 70, 120)))
    (found,), valid = joined(read_strips([view], target_rows=16), view.grid.window)
    assert np.array_equal(found[0, 5:65, :97], data[0, :, 3:])
    assert valid.sum() == 60 * 97
