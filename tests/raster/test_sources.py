"""Which files make one scene, and what its bands are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from geoseg.errors import BandError, RasterReadError
from geoseg.raster.bands import unique_names
from geoseg.raster.grouping import group_scenes
from geoseg.raster.naming import common_name, is_date, names_from_stems, shard_of, stem
from geoseg.raster.opening.heads import expand
from geoseg.raster.scene import Scene

MakeRaster = Callable[..., Path]
LANDSAT = "LC08_L2SP_005009_20150710_20200908_02_T2"


def ones(count: int = 1, dtype: str = "uint16") -> np.ndarray:
    return np.ones((count, 4, 5), dtype)


# Names


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        (["sr_b4_20200829", "sr_b5_20200829"], ["b4", "b5"]),
        ([f"{LANDSAT}_SR_B4", f"{LANDSAT}_SR_B5"], ["SR_B4", "SR_B5"]),
        ([f"{LANDSAT}_SR_B4", f"{LANDSAT}_QA_PIXEL"], ["SR_B4", "QA_PIXEL"]),
        (["LC08_L1TP_013032_20180131_B1", "LC08_L1TP_013032_20180131_BQA"], ["B1", "BQA"]),
        ([f"LE07{LANDSAT[4:]}_B6_VCID_1", f"LE07{LANDSAT[4:]}_B7"], ["B6_VCID_1", "B7"]),
        (["T32TQM_20200101T101031_B02_10m", "T32TQM_20200101T101031_B8A_10m"], ["B02", "B8A"]),
        (["red", "nir"], ["red", "nir"]),
        (["a.red", "a.nir"], ["red", "nir"]),
        (["scene-red-v1", "scene-near-ir-v1"], ["red", "near-ir"]),
        (["scene", "scene_nir"], ["scene", "scene_nir"]),
        (["x_y_x", "x_x"], ["y_x", "x"]),
        (["band10", "band11"], ["band10", "band11"]),
        (["one"], ["one"]),
    ],
)
def test_bands_are_named_by_what_differs_between_files(stems: list[str], names: list[str]) -> None:
    assert names_from_stems(stems) == names


@pytest.mark.parametrize(
    ("stems", "name"),
    [
        (["sr_b4", "sr_b5"], "sr"),
        ([f"{LANDSAT}_SR_B4", f"{LANDSAT}_QA_PIXEL"], LANDSAT),
        (["red", "nir"], "red"),
        (["export-0000000000-0000000000", "export-0000000000-0000032768"], "export"),
    ],
)
def test_several_files_are_called_by_what_they_begin_with(stems: list[str], name: str) -> None:
    assert common_name(stems) == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b.c/d_e.tif", "d_e"),
        ("https://host/x/y.tif?token=a/b.c", "y"),
        ("C:\\data\\z.tif", "z"),
        ("plain", "plain"),
        ("/vsizip/a.zip/in.tar.gz", "in.tar"),
        (".hidden", ".hidden"),
    ],
)
def test_stem_is_the_bare_file_name(path: str, name: str) -> None:
    assert stem(path) == name


def test_only_earth_engine_shards_are_parts_of_an_export() -> None:
    assert shard_of("comp-2020-0000000000-0000032768") == "comp-2020"
    assert shard_of("comp0000000000-0000032768") == "comp"
    assert shard_of("comp-000-001") is None


@pytest.mark.parametrize("text", ["2020", "20200829", "2020-08-29", "2020241", "202008"])
def test_dates_are_known(text: str) -> None:
    assert is_date(text)


@pytest.mark.parametrize("text", ["b4", "4", "nir2020", "10", "swir1"])
def test_bands_are_no_dates(text: str) -> None:
    assert not is_date(text)


def test_repeated_names_are_numbered() -> None:
    assert unique_names(["red", "Red", "red_2", "red"]) == ["red", "Red_3", "red_2", "red_4"]


def test_descriptions_name_separate_files_if_they_say_something(make_raster: MakeRaster) -> None:
    make_raster("x/one.tif", ones(), names=["red"])
    folder = make_raster("x/two.tif", ones(), names=["nir"]).parent
    assert Scene.open(folder).band_names == ("nir", "red")[::-1]
    make_raster("y/s_one.tif", ones(), names=["Layer_1"])
    folder = make_raster("y/s_two.tif", ones(), names=["Layer_1"]).parent
    assert Scene.open(folder).band_names == ("one", "two")


def test_a_band_by_itself_has_its_products_name(make_raster: MakeRaster) -> None:
    assert Scene.open(make_raster(f"{LANDSAT}_SR_B4.TIF", ones())).band_names == ("SR_B4",)
    alone = Scene.open(make_raster("alone.tif", ones()))
    assert (alone.band_names, alone.bands_are_named) == (("band_1",), False)


def test_bands_without_description_among_others_get_numbers(make_raster: MakeRaster) -> None:
    scene = Scene.open(make_raster("a.tif", ones(3), names=["red", "", "red"]))
    assert scene.band_names == ("red", "band_2", "red_2")
    assert [band.named for band in scene.bands] == [True, False, True]


# One scene


def test_folder_of_bands_is_one_scene_named_after_it(make_raster: MakeRaster) -> None:
    for k, band in enumerate(("B2", "B3", "B4")):
        path = make_raster(f"may/s_{band}.tif", ones() * (k + 1))
    make_raster("may/.hidden.tif", ones())
    (path.parent / "notes.txt").write_text("no raster")
    scene = Scene.open(path.parent)
    assert (scene.name, scene.band_names) == ("may", ("B2", "B3", "B4"))
    assert scene.read(scene.grid.window).data[:, 0, 0].tolist() == [1, 2, 3]
    pattern = Scene.open(str(path.parent / "s_*.tif"))
    assert pattern.band_names == scene.band_names
    assert Scene.open([path, path.parent / "s_B2.tif"]).band_names == ("B4", "B2")


def test_vrt_stands_for_the_files_beside_it(make_raster: MakeRaster) -> None:
    path = make_raster("x/a.tif", ones())
    (path.parent / "all.vrt").write_text(
        '<VRTDataset rasterXSize="5" rasterYSize="4"><GeoTransform>0,1,0,0,0,-1</GeoTransform>'
        '<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        "</VRTDataset>"
    )
    assert expand([path.parent]) == [str(path.parent / "all.vrt")]


def test_two_dates_are_not_one_scene_unless_bands_are_named(make_raster: MakeRaster) -> None:
    one = make_raster("ndvi_20200101.tif", ones())
    two = make_raster("ndvi_20210101.tif", ones())
    with pytest.raises(BandError, match=r"another date\?"):
        Scene.open([one, two])
    assert Scene.open([one, two], band_names=["then", "now"]).band_names == ("then", "now")


def test_stacks_without_names_on_one_grid_are_not_one_scene(make_raster: MakeRaster) -> None:
    paths = [make_raster(f"{n}.tif", ones(2)) for n in ("a", "b")]
    with pytest.raises(BandError, match="not one scene"):
        Scene.open(paths)


def test_bands_of_tiles_in_separate_files_are_one_scene(make_raster: MakeRaster) -> None:
    paths = []
    for col in (0, 5):
        for k, band in enumerate(("red", "nir")):
            transform = Affine(10, 0, 500_000 + 10 * col, 0, -10, 5_600_000)
            data = ones() * (10 * col + k)
            paths.append(make_raster(f"t{col}_{band}.tif", data, transform=transform))
    scene = Scene.open(paths)
    assert scene.band_names == ("red", "nir")
    row = scene.read(scene.grid.window).data[:, 0]
    assert row.tolist() == [[0] * 5 + [50] * 5, [1] * 5 + [51] * 5]


def test_tiles_may_have_their_own_nodata(make_raster: MakeRaster) -> None:
    right = Affine(10, 0, 500_050, 0, -10, 5_600_000)
    one = make_raster("a.tif", ones(), nodata=1)
    two = make_raster("b.tif", ones(), nodata=0, transform=right)
    scene = Scene.open([one, two])
    assert scene.read(scene.grid.window).valid[0].tolist() == [False] * 5 + [True] * 5


# Groups


def test_groups_are_bands_shards_and_single_files(make_raster: MakeRaster, tmp_path: Path) -> None:
    right = Affine(10, 0, 500_050, 0, -10, 5_600_000)
    make_raster("s/s_red.tif", ones())
    make_raster("s/s_nir.tif", ones())
    make_raster("e/comp-0000000000-0000000000.tif", ones(2), names=["red", "nir"])
    make_raster("e/comp-0000000000-0000000005.tif", ones(2), names=["red", "nir"], transform=right)
    make_raster("d/ndvi_2020.tif", ones())
    make_raster("d/ndvi_2021.tif", ones())
    make_raster("d/stack.tif", ones(3), names=["a", "b", "c"])
    (tmp_path / "d" / "broken.tif").write_bytes(b"II*\0")
    scenes, problems = group_scenes(
        [tmp_path / "s", tmp_path / "e", tmp_path / "d", tmp_path / "none.tif", tmp_path / "*.jp2"]
    )
    assert [(s.name, s.band_names) for s in scenes] == [
        ("s", ("nir", "red")),
        ("comp", ("red", "nir")),
        ("ndvi_2020", ("band_1",)),
        ("ndvi_2021", ("band_1",)),
        ("stack", ("a", "b", "c")),
    ]
    assert [s.grid.width for s in scenes] == [5, 10, 5, 5, 5]
    assert [(Path(p.path).name, p.reason.split(": ")[1][:16]) for p in problems] == [
        ("*.jp2", "no raster matche"),
        ("broken.tif", "cannot be opened"),
        ("none.tif", "no such file; ch"),
    ]


def test_class_rasters_with_colours_are_not_joined_as_bands(make_raster: MakeRaster) -> None:
    import rasterio  # noqa: PLC0415

    for name in ("truth", "guess"):
        path = make_raster(f"{name}.tif", ones(dtype="uint8"))
        with rasterio.open(path, "r+") as dataset:
            dataset.write_colormap(1, {1: (255, 0, 0, 255)})
    scenes, _ = group_scenes([path.parent])
    assert len(scenes) == 2


def test_mosaic_makes_one_scene_of_everything(make_raster: MakeRaster) -> None:
    right = Affine(10, 0, 500_050, 0, -10, 5_600_000)
    paths = [make_raster("a.tif", ones()), make_raster("b.tif", ones(), transform=right)]
    (scene,), problems = group_scenes(paths, mosaic=True)
    assert (scene.grid.width, problems) == (10, [])
    off = make_raster("c.tif", ones(), transform=Affine(7, 0, 500_050, 0, -7, 5_600_000))
    scenes, problems = group_scenes([*paths, off], mosaic=True)
    assert scenes == []
    assert "not parts of one scene" in problems[0].reason


def test_names_given_for_several_scenes_hold_for_each(make_raster: MakeRaster) -> None:
    paths = [make_raster("a.tif", ones(2)), make_raster("b.tif", ones(3))]
    scenes, problems = group_scenes(paths, band_names=["red", "nir"])
    assert [scene.band_names for scene in scenes] == [("red", "nir")]
    assert "2 band names for 3 bands" in problems[0].reason


def test_folder_of_folders_says_what_to_name(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    with pytest.raises(RasterReadError, match="name the folder that does"):
        Scene.open(tmp_path)


# Real files


@pytest.mark.realdata
def test_real_landsat_folder_is_one_scene(real_data: Path) -> None:
    scene = Scene.open(real_data / "landsat8_c2l2")
    assert scene.band_names == (
        "QA_PIXEL",
        "QA_RADSAT",
        *(f"SR_B{n}" for n in range(1, 8)),
    )
    assert scene.select(["b5", "SR_B4"]).band_names == ("SR_B5", "SR_B4")
    pixels = scene.read(scene.grid.window)
    assert 0.5 < pixels.valid.mean() < 1
    assert not pixels.data[2:][:, ~pixels.valid].all()


@pytest.mark.realdata
def test_real_bands_in_separate_files_are_named_by_what_differs(real_data: Path) -> None:
    scene = Scene.open(sorted((real_data / "storml").glob("sr_*.tif")))
    assert (scene.name, scene.band_names) == ("sr", ("b4", "b5", "b6"))


@pytest.mark.realdata
def test_real_folders_of_many_dates_are_a_scene_each(real_data: Path) -> None:
    folders = sorted(p for p in (real_data / "ny18").iterdir() if p.is_dir())
    scenes, problems = group_scenes(folders)
    assert problems == []
    thermal_and_visible = [s for s in scenes if len(s.bands) == 11]
    assert len(thermal_and_visible) == len(folders)
    assert {s.band_names for s in scenes if len(s.bands) == 1} == {("B8",)}
