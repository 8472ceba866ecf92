"""Finished rows become one whole file, or none."""

# ruff: noqa: PT012 - leaving a with block is what raises here

from __future__ import annotations

import errno
import itertools
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rio_cogeo.cogeo import cog_validate

from geoseg import __version__
from geoseg.errors import OptionError, OutputError
from geoseg.raster.cog.tiff import check_whole
from geoseg.raster.cog.writer import RasterWriter, check_output
from geoseg.raster.grid import Grid
from geoseg.raster.legend import Ramp
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend

LEGEND = parse_legend("1=water,2=forest,7=bare & <dry>")


def grid_of(height: int, width: int, transform: Affine | None = None, crs: Any = "utm") -> Grid:
    return Grid(
        crs=CRS.from_epsg(32612) if crs == "utm" else crs,
        transform=transform or Affine(30, 0, 300000, 0, -30, 4200000),
        height=height,
        width=width,
    )


def class_rows(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    coarse = rng.choice(np.array([1, 2, 7, 255], dtype=np.uint8), (height // 9 + 1, width // 9 + 1))
    return np.kron(coarse, np.ones((9, 9), np.uint8))[:height, :width]


def class_writer(path: Path, grid: Grid, **options: Any) -> RasterWriter:
    given: dict[str, Any] = {
        "band_names": ["class"],
        "dtype": "uint8",
        "nodata": 255,
        "legend": LEGEND,
    }
    return RasterWriter(path, grid, **(given | options))


def write_class(path: Path, rows: NDArray[np.uint8], grid: Grid | None = None, **kw: Any) -> None:
    with class_writer(path, grid or grid_of(*rows.shape), **kw) as writer:
        writer.write_rows(0, rows)


def files_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# -- what is in the file --------------------------------------------------------------------------


def test_class_raster_is_a_strict_cog_with_nodata_colours_and_names(tmp_path: Path) -> None:
    rows = class_rows(700, 1100)
    grid = grid_of(700, 1100)
    target = tmp_path / "map.tif"
    write_class(target, rows, grid, tags={"GEOSEG_COMMAND": "geoseg predict 'ü & <x>'"})

    valid, errors, warnings = cog_validate(target, strict=True, quiet=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(target) as source:
        assert np.array_equal(source.read(1), rows)
        assert Grid.of(source) == grid
        assert source.profile["blockxsize"] == source.profile["blockysize"] == 512
        assert source.profile["compress"] == "deflate"
        assert (source.dtypes, source.nodata) == (("uint8",), 255)
        assert source.descriptions == ("class",)
        assert source.colorinterp[0].name == "palette"
        colours = source.colormap(1)
        assert [colours[i][:3] for i in LEGEND.ids] == list(LEGEND.colors)
        assert colours[255][3] == 0
        assert source.overviews(1) == [2, 4]
        assert source.tags()["GEOSEG_COMMAND"] == "geoseg predict 'ü & <x>'"
        assert source.tags()["TIFFTAG_SOFTWARE"] == f"geoseg {__version__}"
        assert source.mask_flag_enums[0][0].name == "nodata"
    assert files_in(tmp_path) == ["map.qml", "map.tif", "map.tif.aux.xml"]
    assert raster_legend(target) == LEGEND


def test_continuous_raster_keeps_values_names_nodata_scale_and_unit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 600, 700), dtype=np.float32)
    values[:, :40, :50] = np.nan
    target = tmp_path / "p.tif"
    names = ["water <&>", "forest", "Gelände"]
    with RasterWriter(
        target,
        grid_of(600, 700),
        band_names=names,
        dtype="float32",
        nodata=math.nan,
        ramp=Ramp("viridis", 0, 1),
        scales=[1, 1, 0.5],
        offsets=[0, 0, 2],
        units=["", "", "%"],
    ) as writer:
        for row in range(0, 600, 200):
            writer.write_rows(row, values[:, row : row + 200])
    assert cog_validate(target, strict=True, quiet=True) == (True, [], [])
    with rasterio.open(target) as source:
        assert np.array_equal(source.read(), values, equal_nan=True)
        assert list(source.descriptions) == names
        assert math.isnan(source.nodata)
        assert source.scales == (1, 1, 0.5)
        assert source.offsets == (0, 0, 2)
        assert source.units[2] == "%"
    assert files_in(tmp_path) == ["p.qml", "p.tif"]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "float64"])
def test_every_type_comes_back_as_it_went_in(tmp_path: Path, dtype: str) -> None:
    values = (np.arange(6 * 5).reshape(1, 6, 5) * 7 % 251).astype(dtype)
    with RasterWriter(
        tmp_path / "x.tif", grid_of(6, 5), band_names=["a"], dtype=dtype, nodata=0
    ) as writer:
        writer.write_rows(0, values)
    with rasterio.open(tmp_path / "x.tif") as source:
        assert source.dtypes == (dtype,)
        assert np.array_equal(source.read(), values)


TRANSFORMS = {
    "north-up": Affine(0.00026949458523585647, 0, -113.2, 0, -0.00026949458523585647, 37.1),
    "south-up": Affine(1 / 3, 0, 0.1, 0, 1 / 7, 0.3),
    "rotated": Affine(1 / 3, 0.1, 0.7, 0.2, -1 / 7, 0.3),
    "mirrored": Affine(-30, 0, 3e5, 0, -30, 4.2e6),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("epsg", [4326, 32612])
def test_transform_is_kept_to_the_bit(tmp_path: Path, name: str, epsg: int) -> None:
    grid = grid_of(3, 5, TRANSFORMS[name], CRS.from_epsg(epsg))
    write_class(tmp_path / "x.tif", np.ones((3, 5), np.uint8), grid)
    with rasterio.open(tmp_path / "x.tif") as source:
        assert tuple(source.transform) == tuple(grid.transform)
        assert source.crs == grid.crs


def test_photograph_without_place_stays_without(tmp_path: Path) -> None:
    grid = grid_of(3, 5, Affine.identity(), None)
    write_class(tmp_path / "x.tif", np.ones((3, 5), np.uint8), grid)
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(tmp_path / "x.tif") as source,
    ):
        assert Grid.of(source) == grid


@pytest.mark.parametrize(
    "text",
    [
        "ESRI:54009",
        "EPSG:7405",
        "+proj=sinu +R=6371007.181 +units=m",
        # GeoTIFF has no keys for a rotated pole; GDAL puts it into the .aux.xml.
        "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +datum=WGS84",
    ],
)
def test_unusual_coordinate_systems_and_class_names_both_survive(tmp_path: Path, text: str) -> None:
    grid = grid_of(3, 5, crs=CRS.from_string(text))
    write_class(tmp_path / "x.tif", np.ones((3, 5), np.uint8), grid)
    with rasterio.open(tmp_path / "x.tif") as source:
        assert Grid.of(source) == grid
    assert raster_legend(tmp_path / "x.tif") == LEGEND


def test_mode_overviews_follow_the_written_rule(tmp_path: Path) -> None:
    """All 2 × 2 neighbourhoods of three classes and nodata, against a count by hand."""
    fours = list(itertools.product([1, 2, 7, 255], repeat=4))
    rows = np.full((512, 1024), 255, np.uint8)
    for place, four in enumerate(fours):
        rows[:2, 2 * place : 2 * place + 2] = np.array(four).reshape(2, 2)
    write_class(tmp_path / "x.tif", rows)
    with rasterio.open(tmp_path / "x.tif", overview_level=0) as source:
        halved = source.read(1)[0]
    for place, four in enumerate(fours):
        expected, most = 255, 0
        seen: Counter[int] = Counter()
        for value in four:
            seen[value] += value != 255
            if seen[value] > most:
                expected, most = value, seen[value]
        assert halved[place] == expected, four


def test_average_overviews_leave_nodata_out(tmp_path: Path) -> None:
    values = np.full((600, 600), np.nan, np.float32)
    values[0, 0], values[1, 1] = 1, 3
    with RasterWriter(
        tmp_path / "x.tif", grid_of(600, 600), band_names=["a"], dtype="float32", nodata=math.nan
    ) as writer:
        writer.write_rows(0, values)
    with rasterio.open(tmp_path / "x.tif", overview_level=0) as source:
        halved = source.read(1)
    assert halved[0, 0] == 2
    assert np.isnan(halved.ravel()[1:]).all()


# -- the same bytes -------------------------------------------------------------------------------


def test_bytes_depend_on_neither_order_nor_threads(tmp_path: Path) -> None:
    rows = class_rows(1100, 900)
    write_class(tmp_path / "whole.tif", rows, workers=1)
    bands = [(row, rows[row : row + 37]) for row in range(0, 1100, 37)]
    np.random.default_rng(1).shuffle(order := list(range(len(bands))))
    with (
        class_writer(tmp_path / "shuffled.tif", grid_of(1100, 900), workers=4) as writer,
        ThreadPoolExecutor(4) as pool,
    ):
        list(pool.map(lambda i: writer.write_rows(*bands[i]), order))
    for suffix in (".tif", ".tif.aux.xml", ".qml"):
        assert (tmp_path / f"whole{suffix}").read_bytes() == (
            tmp_path / f"shuffled{suffix}"
        ).read_bytes()


@settings(max_examples=15, deadline=None)
@given(cuts=st.sets(st.integers(1, 39)), seed=st.integers(0, 99))
def test_any_cut_into_bands_gives_the_same_pixels(
    tmp_path_factory: pytest.TempPathFactory, cuts: set[int], seed: int
) -> None:
    target = tmp_path_factory.mktemp("cuts") / "x.tif"
    rows = class_rows(40, 23, seed)
    edges = [0, *sorted(cuts), 40]
    with class_writer(target, grid_of(40, 23)) as writer:
        for start, stop in reversed(list(itertools.pairwise(edges))):
            writer.write_rows(start, rows[start:stop])
    with rasterio.open(target) as source:
        assert np.array_equal(source.read(1), rows)


# -- wrong use ------------------------------------------------------------------------------------


def test_rows_of_wrong_shape_type_or_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError), class_writer(tmp_path / "x.tif", grid_of(4, 5)) as writer:
        for row, rows in (
            (0, np.zeros((2, 4), np.uint8)),
            (0, np.zeros((2, 2, 5), np.uint8)),
            (0, np.zeros((2, 5), np.int16)),
            (3, np.zeros((2, 5), np.uint8)),
            (-1, np.zeros((2, 5), np.uint8)),
        ):
            with pytest.raises(ValueError, match="rows"):
                writer.write_rows(row, rows)
    assert files_in(tmp_path) == []


def test_a_row_cannot_be_written_twice(tmp_path: Path) -> None:
    with class_writer(tmp_path / "x.tif", grid_of(4, 5)) as writer:
        writer.write_rows(0, np.ones((3, 5), np.uint8))
        with pytest.raises(ValueError, match="before"):
            writer.write_rows(2, np.ones((2, 5), np.uint8))
        writer.write_rows(3, np.ones((1, 5), np.uint8))
    assert (tmp_path / "x.tif").exists()


def test_missing_rows_are_counted_and_leave_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"x\.tif: 3 of 10 rows were never written"),
        class_writer(tmp_path / "x.tif", grid_of(10, 5)) as writer,
    ):
        writer.write_rows(0, np.ones((4, 5), np.uint8))
        writer.write_rows(7, np.ones((3, 5), np.uint8))
    assert files_in(tmp_path) == []


def test_a_class_raster_that_is_none_is_refused(tmp_path: Path) -> None:
    for wrong in ({"dtype": "int16"}, {"nodata": 0}, {"nodata": None}, {"band_names": ["a", "b"]}):
        with pytest.raises(ValueError, match="class raster"):
            class_writer(tmp_path / "x.tif", grid_of(4, 5), **wrong)


# -- whole or not at all --------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt()])
def test_an_exception_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with (
        pytest.raises(type(error)),
        class_writer(tmp_path / "x.tif", grid_of(10, 5)) as writer,
    ):
        writer.write_rows(0, np.ones((4, 5), np.uint8))
        raise error
    assert files_in(tmp_path) == []


def test_an_interrupt_while_the_file_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("geoseg.raster.cog.pyramid.Pyramid.write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_class(tmp_path / "x.tif", class_rows(10, 5))
    assert files_in(tmp_path) == []


def test_nothing_has_the_targets_name_before_the_end(tmp_path: Path) -> None:
    with class_writer(tmp_path / "x.tif", grid_of(4, 5)) as writer:
        writer.write_rows(0, np.ones((4, 5), np.uint8))
        (only,) = files_in(tmp_path)
        assert only.startswith(".x.tif.geoseg-")
        assert only.endswith(".tmp")
    assert "x.tif" in files_in(tmp_path)


def test_overwriting_keeps_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "x.tif"
    write_class(target, class_rows(10, 5))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    other = parse_legend("1=sea,2=trees")
    with (
        pytest.raises(ZeroDivisionError),
        class_writer(target, grid_of(10, 5), overwrite=True, legend=other) as writer,
    ):
        writer.write_rows(0, np.ones((10, 5), np.uint8))
        1 / 0  # noqa: B018
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before

    with class_writer(target, grid_of(10, 5), overwrite=True, legend=other) as writer:
        writer.write_rows(0, np.ones((10, 5), np.uint8))
        assert {n: (tmp_path / n).read_bytes() for n in before} == before
    assert raster_legend(target) == other
    with rasterio.open(target) as source:
        assert (source.read(1) == 1).all()


def test_overwriting_removes_what_belonged_to_the_old_raster(tmp_path: Path) -> None:
    target = tmp_path / "x.tif"
    write_class(target, class_rows(10, 5))
    (tmp_path / "x.tif.ovr").write_bytes(b"old overviews")
    with RasterWriter(
        target, grid_of(2, 2), band_names=["a"], dtype="float32", nodata=None, overwrite=True
    ) as writer:
        writer.write_rows(0, np.zeros((2, 2), np.float32))
    assert files_in(tmp_path) == ["x.tif"]


def test_a_file_that_appeared_meanwhile_is_left_alone(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="appeared while"),
        class_writer(tmp_path / "x.tif", grid_of(4, 5)) as writer,
    ):
        writer.write_rows(0, np.ones((4, 5), np.uint8))
        (tmp_path / "x.tif").write_text("somebody else's")
    assert (tmp_path / "x.tif").read_text() == "somebody else's"
    assert files_in(tmp_path) == ["x.tif"]


KILLED = """
    import os, signal, sys
    import numpy as np
    from affine import Affine
    from geoseg.raster.grid import Grid
    from geoseg.raster.cog.writer import RasterWriter

    grid = Grid(crs=None, transform=Affine(1, 0, 0, 0, -1, 0), height=64, width=64)
    with RasterWriter(sys.argv[1], grid, band_names=["a"], dtype="uint8", nodata=None) as writer:
        writer.write_rows(0, np.ones((32, 64), np.uint8))
        print("half", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def half_way(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of writing x.tif."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "x.tif")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        yield process
        process.kill()


def test_a_killed_process_leaves_no_file_and_the_next_one_cleans_up(
    tmp_path: Path, half_way: subprocess.Popen[str]
) -> None:
    half_way.send_signal(signal.SIGKILL)
    half_way.wait()
    (left,) = files_in(tmp_path)
    assert left.startswith(".x.tif.geoseg-")
    write_class(tmp_path / "y.tif", class_rows(4, 5))  # another target is none of its business
    assert left in files_in(tmp_path)
    write_class(tmp_path / "x.tif", class_rows(4, 5))
    assert left not in files_in(tmp_path)


def test_a_living_process_keeps_its_temporary_files(
    tmp_path: Path, half_way: subprocess.Popen[str]
) -> None:
    (used,) = files_in(tmp_path)
    write_class(tmp_path / "x.tif", class_rows(4, 5))
    assert used in files_in(tmp_path)


def test_two_writers_of_one_target_in_one_process_do_not_disturb_each_other(
    tmp_path: Path,
) -> None:
    rows = class_rows(4, 5)
    with class_writer(tmp_path / "x.tif", grid_of(4, 5), overwrite=True) as first:
        with class_writer(tmp_path / "x.tif", grid_of(4, 5), overwrite=True) as second:
            second.write_rows(0, rows)
        first.write_rows(0, rows)
    assert files_in(tmp_path) == ["x.qml", "x.tif", "x.tif.aux.xml"]


# -- a full disk and other misfortune -------------------------------------------------------------


def noise(height: int, width: int) -> NDArray[np.uint8]:
    """Rows that hardly compress."""
    return np.random.default_rng(0).integers(0, 8, (height, width), dtype=np.uint8)


def test_too_small_a_disk_is_told_before_any_row_is_written(small_disk: Any) -> None:
    folder = small_disk(1024)
    with (
        pytest.raises(OutputError, match=r"no space left for .*x\.tif: .* GB are needed"),
        class_writer(folder / "x.tif", grid_of(2048, 2048)),
    ):
        pytest.fail("the disk is too small to begin")
    assert files_in(folder) == []


# 1024² rows need 1 MB raw, then about 0.5 MB for the file and its overviews' temporary copy: the
# sizes let the disk fill up at every stage between.
@pytest.mark.parametrize("kilobytes", range(1032, 1600, 24))
def test_a_disk_that_fills_up_at_any_time_leaves_a_whole_file_or_none(
    small_disk: Any, capfd: pytest.CaptureFixture[str], kilobytes: int
) -> None:
    folder = small_disk(kilobytes)
    rows = noise(1024, 1024)
    told = ""
    try:
        write_class(folder / "x.tif", rows)
    except OutputError as error:
        told = str(error)
    if told:
        assert "no space left" in told
        assert "\n" not in told
        assert files_in(folder) == []
    else:
        assert cog_validate(folder / "x.tif", strict=True, quiet=True) == (True, [], [])
        with rasterio.open(folder / "x.tif") as source:
            assert np.array_equal(source.read(1), rows)
    assert capfd.readouterr() == ("", "")


def test_a_disk_that_others_fill_while_rows_are_written(small_disk: Any) -> None:
    folder = small_disk(1200)
    with (
        pytest.raises(OutputError, match="no space left"),
        class_writer(folder / "x.tif", grid_of(1024, 1024)) as writer,
    ):
        (folder / "other").write_bytes(bytes(800 * 1024))
        writer.write_rows(0, noise(1024, 1024))
    assert files_in(folder) == ["other"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["pwrite", "fsync"])
def test_errors_of_the_system_become_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def failing(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"os.{call}", failing)
    with pytest.raises(OutputError) as caught:
        write_class(tmp_path / "x.tif", class_rows(4, 5))
    assert "x.tif" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files_in(tmp_path) == []


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr("os.pwrite", lambda f, data, at: whole(f, data[:1000], at))
    rows = class_rows(50, 70)
    write_class(tmp_path / "x.tif", rows)
    with rasterio.open(tmp_path / "x.tif") as source:
        assert np.array_equal(source.read(1), rows)


def test_a_file_that_lost_a_part_is_noticed(tmp_path: Path) -> None:
    write_class(tmp_path / "x.tif", noise(1024, 700))
    whole = (tmp_path / "x.tif").read_bytes()
    check_whole(tmp_path / "x.tif")
    for cut in range(0, len(whole) - 5, len(whole) // 40):
        (tmp_path / "cut.tif").write_bytes(whole[:cut])
        with pytest.raises(Exception, match=r"missing|damaged"):
            check_whole(tmp_path / "cut.tif")
    hole = len(whole) // 2
    (tmp_path / "hole.tif").write_bytes(whole[:1000] + bytes(hole) + whole[1000 + hole :])
    with pytest.raises(Exception, match=r"missing|damaged"):
        check_whole(tmp_path / "hole.tif")


def test_gdal_refusing_becomes_an_output_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OutputError, match=r"x\.tif cannot be written"):
        write_class(tmp_path / "x.tif", class_rows(4, 5), blocksize=100)  # no multiple of 16
    assert files_in(tmp_path) == []
    assert capfd.readouterr() == ("", "")


def test_others_standard_error_is_kept_on_a_nearly_full_disk(
    small_disk: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = small_disk(1100)
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.001):
            os.write(2, b"I am here\n")

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        with pytest.raises(OutputError):
            write_class(folder / "x.tif", noise(1024, 1024))
    finally:
        stop.set()
        talker.join()
    assert set(capfd.readouterr().err.split("\n")) == {"I am here", ""}


# -- check_output ---------------------------------------------------------------------------------


def test_check_output_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "there.tif").touch()
    (tmp_path / "folder.tif").mkdir()
    for name, words in {
        "there.tif": "there already; replace it with --overwrite",
        "folder.tif": "is a folder",
        "none/x.tif": "does not exist",
        "there.tif/x.tif": "is no folder",
        "x/": "names no file",
    }.items():
        with pytest.raises(OutputError, match=words):
            check_output(f"{tmp_path}/{name}", overwrite=False)
    with pytest.raises(OutputError, match="names no file"):
        check_output("", overwrite=True)
    with pytest.raises(OutputError, match="written to files"):
        check_output("s3://bucket/x.tif", overwrite=True)
    with pytest.raises(OptionError, match=r"name the output \*\.tif or \*\.tiff"):
        class_writer(tmp_path / "x.png", grid_of(2, 2))
    with pytest.raises(OutputError, match="is a folder"):
        check_output(tmp_path / "folder.tif", overwrite=True)
    assert check_output(tmp_path / "there.tif", overwrite=True) == tmp_path / "there.tif"
    assert check_output("new.tif", overwrite=False) == Path("new.tif")


def test_a_name_beyond_what_the_file_system_takes_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="304 bytes and may have 234; choose a shorter"):
        write_class(tmp_path / ("x" * 300 + ".tif"), class_rows(2, 2))


def test_a_folder_that_cannot_be_written_to_is_told(small_disk: Any) -> None:
    folder = small_disk(1024)
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    with pytest.raises(OutputError, match="cannot be written to"):
        check_output(folder / "x.tif", overwrite=False)


def test_a_file_larger_than_allowed_is_told(tmp_path: Path) -> None:
    """RLIMIT_FSIZE holds for a process, so another one runs into it."""
    script = f"""
        import resource, signal
        from pathlib import Path
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        import numpy as np
        from affine import Affine
        from geoseg.errors import OutputError
        from geoseg.raster.grid import Grid
        from geoseg.raster.cog.writer import RasterWriter

        grid = Grid(crs=None, transform=Affine(1, 0, 0, 0, -1, 0), height=64, width=64)
        try:
            with RasterWriter({str(tmp_path / "x.tif")!r}, grid, band_names=["a"],
                              dtype="uint8", nodata=None) as writer:
                writer.write_rows(0, np.ones((64, 64), np.uint8))
        except OutputError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "larger than" in done.stdout
    assert files_in(tmp_path) == []
