"""Class rasters of others as ours: worked out by hand, and against a dictionary."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from geoseg.errors import BandError, InputError, LabelError, OptionError, OutputError
from geoseg.raster.labels.codes import Codes, legend_of_codes, parse_codes
from geoseg.raster.labels.recode import Recoded, RecodeSettings, recode_files
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.written import parse_legend
from geoseg.raster.scene import Scene
from geoseg.testing.scenes import tiny_scene

MakeRaster = Callable[..., Path]
NONE = 255


def ids(path: Path) -> NDArray[Any]:
    with Scene.open(path) as scene:
        return scene.read(scene.grid.window).data[0]


def run(source: Any, out: Path, **options: Any) -> Recoded:
    sources = source if isinstance(source, list) else [source]
    return recode_files(sources, out, settings=RecodeSettings(**options), workers=2)


def picture(path: Path, pixels: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.array(pixels, np.uint8)).save(path)
    return path


# -- codes -------------------------------------------------------------------------------------


def test_codes_are_read_by_what_is_on_their_left() -> None:
    assert parse_codes("1=1, 5=2;141=3,-7=nodata,*=0", None) == Codes(
        values={1: 1, 5: 2, 141: 3, -7: NONE}, rest=0
    )
    assert parse_codes("#0ff=1,#000000=nodata", None) == Codes(
        colours={(0, 255, 255): 1, (0, 0, 0): NONE}
    )
    assert parse_codes("Corn=1,'Open Water'=2", None) == Codes(names={"Corn": 1, "Open Water": 2})


def test_classes_may_be_named_on_the_right() -> None:
    legend = parse_legend("3=forest,7=corn")
    assert parse_codes("141=forest,1=Corn,*=nodata", legend).values == {141: 3, 1: 7}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1", "'1' is no code"),
        ("=1", "'=1' is no code"),
        ("1.5=1", "'1.5' is no whole number"),
        ("1234567890=1", "is no whole number of up to nine digits"),
        ("1=1 5=2", "'1=1 5' is no whole number"),
        ("1=", "'1=' is no code"),
        ("1=256", "'256' is no class"),
        ("1=-1", "'-1' is no class"),
        ("1=water", "'water' is no class"),
        ("#12345=1", "no colour of the form #rrggbb"),
        ("1=1,1=2", "says twice what 1 is"),
        ("*=1,*=1", r"says twice what '\*' is"),
        ("#000=1,#000000=2", "says twice what #000000 is"),
    ],
)
def test_codes_without_meaning_are_refused(text: str, said: str) -> None:
    with pytest.raises(LabelError, match=said):
        parse_codes(text, None)


@pytest.mark.parametrize("text", [None, "", "*=1", "0=nodata"])
def test_codes_that_name_no_class_need_classes(text: str | None) -> None:
    with pytest.raises(OptionError, match="--codes, or give --classes"):
        parse_codes(text, None)


def test_colours_and_values_at_once_are_refused() -> None:
    with pytest.raises(OptionError, match=r"colours \(#00ff00\) and values \(3\)"):
        parse_codes("3=1,#00ff00=2", None)


def test_classes_are_called_as_the_raster_or_the_codes_call_them() -> None:
    codes = parse_codes("1=1,5=2,6=2,soy=4,*=0", None)
    legend = legend_of_codes(codes, None, {1: "Corn", 5: "a", 6: "b"})
    assert dict(zip(legend.ids, legend.names, strict=True)) == {
        0: "other", 1: "Corn", 2: "class 2", 4: "soy",
    }  # fmt: skip
    colours = legend_of_codes(parse_codes("#00ffff=3", None), None, {})
    assert colours.colors == ((0, 255, 255),)


def test_a_list_of_classes_may_be_the_codes_but_not_beside_another(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    source = make_raster("a.tif", np.array([[1, 2]], np.uint8))
    listed = tmp_path / "codes.csv"
    listed.write_text("id,name,values\n7,one,2\n8,two,1\n")
    run(source, tmp_path / "o.tif", codes=str(listed))
    assert ids(tmp_path / "o.tif").tolist() == [[8, 7]]
    with rasterio.open(tmp_path / "o.tif") as made:
        assert set(json.loads(made.tags()["GEOSEG_INPUTS"])) == {"a.tif", "codes.csv"}
    with pytest.raises(OptionError, match=r"codes\.csv lists classes, as --classes does"):
        run(source, tmp_path / "p.tif", codes=str(listed), classes="1=a,2=b")


def test_classes_that_lack_an_id_are_refused() -> None:
    codes = parse_codes("1=1,2=9", None)
    with pytest.raises(LabelError, match="no class 9, which --codes names"):
        legend_of_codes(codes, parse_legend("1=a"), {})


# -- values ------------------------------------------------------------------------------------


def test_values_become_ids_on_the_same_grid_and_nodata_stays(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    values = np.array([[1, 5, 141], [176, 7, 0]], np.uint8)
    source = make_raster("cdl.tif", values, nodata=0)
    found = run(
        source,
        tmp_path / "out.tif",
        codes="1=1,5=2,141=3,176=4,*=0",
        classes="0=other,1=corn:#ffd300,2=soybean,3=forest,4=grassland",
    )
    assert ids(tmp_path / "out.tif").tolist() == [[1, 2, 3], [4, 0, NONE]]
    assert (found.pixels["other"], found.pixels["corn"], found.unlabelled) == (1, 1, 1)
    with rasterio.open(source) as before, rasterio.open(tmp_path / "out.tif") as made:
        assert (made.transform, made.crs, made.nodata) == (before.transform, before.crs, 255)
        assert "geoseg recode cdl.tif --codes" in made.tags()["GEOSEG_COMMAND"]
    legend = raster_legend(tmp_path / "out.tif")
    assert legend is not None
    assert legend.names == ("other", "corn", "soybean", "forest", "grassland")
    assert legend.colors[1] == (255, 211, 0)


def test_a_nodata_value_that_the_codes_list_is_a_value(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    source = make_raster("a.tif", np.array([[0, 3]], np.uint8), nodata=0)
    run(source, tmp_path / "out.tif", codes="0=9,3=1")
    assert ids(tmp_path / "out.tif").tolist() == [[9, 1]]


def test_names_of_the_raster_may_be_codes_though_values_share_them(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    source = make_raster("a.tif", np.array([[0, 1, 2, 3]], np.uint8))
    names = "".join(f"<Category>{n}</Category>" for n in ("", "Corn", "Shrub", "Shrub"))
    Path(f"{source}.aux.xml").write_text(
        f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames>'
        "</PAMRasterBand></PAMDataset>"
    )
    legend = raster_legend(source)
    assert legend is not None
    assert legend.names == ("Corn", "Shrub", "Shrub (3)")
    run(source, tmp_path / "out.tif", codes="shrub=4,Corn=1,*=nodata")
    assert ids(tmp_path / "out.tif").tolist() == [[NONE, 1, 4, 4]]
    with pytest.raises(LabelError, match="has the names Corn, Shrub, Shrub, not 'Soy'"):
        run(source, tmp_path / "x.tif", codes="Soy=1")
    with pytest.raises(LabelError, match="'Corn' is its value 1, which --codes lists as well"):
        run(source, tmp_path / "x.tif", codes="Corn=1,1=2")


def test_values_without_a_code_are_told_with_their_pixels_and_nothing_is_made(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    source = make_raster("a.tif", np.array([[1, 7, 7], [9, 1, 1]], np.uint16))
    with pytest.raises(LabelError, match=r"a.tif: no code names 7 \(2 px\), 9 \(1 px\); add 7=ID"):
        run(source, tmp_path / "out.tif", codes="1=1")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif"]


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "int32", "uint32", "float32"]
)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_type_is_looked_up_as_a_dictionary_would(
    dtype: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    low, high = (-9, 100_000) if dtype in ("int32", "float32") else (0, 120)
    if dtype in ("int8", "int16"):
        low = -9
    value = st.integers(low, high)
    pixels = np.array(data.draw(st.lists(value, min_size=6, max_size=6))).reshape(2, 3)
    listed = data.draw(st.dictionaries(value, st.integers(0, 254), min_size=1, max_size=6))
    folder = tmp_path_factory.mktemp("types")
    tiny_scene(folder / "a.tif", pixels.astype(dtype))
    codes = ",".join(f"{v}={i}" for v, i in listed.items()) + ",*=nodata"
    run(folder / "a.tif", folder / "out.tif", codes=codes)
    expected = [[listed.get(int(v), NONE) for v in row] for row in pixels]
    assert ids(folder / "out.tif").tolist() == expected


def test_measurements_are_no_codes(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = make_raster("a.tif", np.array([[1, 0.5, np.nan]], np.float32))
    with pytest.raises(BandError, match=r"a.tif: holds values such as 0.5, which are measure"):
        run(source, tmp_path / "out.tif", codes="1=1,*=2")


def test_missing_floats_have_no_class(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = make_raster("a.tif", np.array([[1, 2, np.nan]], np.float64))
    run(source, tmp_path / "out.tif", codes="1=1,*=2")
    assert ids(tmp_path / "out.tif").tolist() == [[1, 2, NONE]]


# -- colours -----------------------------------------------------------------------------------

CYAN, BLACK, WHITE = (0, 255, 255), (0, 0, 0), (255, 255, 255)


def test_colours_of_the_classes_say_what_becomes_what(tmp_path: Path) -> None:
    source = picture(tmp_path / "m" / "1_mask.png", [[CYAN, WHITE, BLACK]])
    found = run(
        source,
        tmp_path / "masks",
        codes="#000000=nodata",
        classes="1=urban:#00ffff,6=barren:#ffffff",
    )
    assert found.files == 1
    assert ids(tmp_path / "masks" / "1_mask.tif").tolist() == [[1, 6, NONE]]


def test_colours_that_are_not_exact_need_a_threshold(tmp_path: Path) -> None:
    source = picture(tmp_path / "m" / "a.png", [[(3, 250, 128), (127, 0, 9)]])
    classes = "1=urban:#00ffff,2=dark:#000000"
    with pytest.raises(LabelError, match=r"#03fa80 \(1 px\), #7f0009 \(1 px\).*--threshold 128"):
        run(source, tmp_path / "out", classes=classes)
    run(source, tmp_path / "out", classes=classes, threshold=128)
    assert ids(tmp_path / "out" / "a.tif").tolist() == [[1, 2]]


def test_a_threshold_needs_colours_made_of_it(make_raster: MakeRaster, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png", [[CYAN]])
    with pytest.raises(OptionError, match="#0a0000 has others"):
        run(source, tmp_path / "out", codes="#0a0000=1", threshold=128)
    values = make_raster("v.tif", np.array([[1]], np.uint8))
    with pytest.raises(OptionError, match="--threshold is of colours"):
        run(values, tmp_path / "out", codes="1=1", threshold=128)


def test_a_colour_table_is_looked_through(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([*BLACK, *CYAN, *WHITE])
    image.save(tmp_path / "a.png")
    run(tmp_path / "a.png", tmp_path / "o.tif", codes="#00ffff=4,#ffffff=5,#000000=nodata")
    assert ids(tmp_path / "o.tif").tolist() == [[NONE, 4, 5]]
    # Values can be named all the same, and so can classes alone.
    run(tmp_path / "a.png", tmp_path / "v.tif", codes="0=7,1=8,2=9")
    assert ids(tmp_path / "v.tif").tolist() == [[7, 8, 9]]
    run(tmp_path / "a.png", tmp_path / "c.tif", classes="3=a:#000000,5=b:#00ffff,8=c:#ffffff")
    assert ids(tmp_path / "c.tif").tolist() == [[3, 5, 8]]


def test_class_rasters_with_names_are_looked_up_by_values_though_they_have_colours(
    tmp_path: Path,
) -> None:
    legend = parse_legend("1=a:#00ffff,2=b:#ffffff")
    tiny_scene(tmp_path / "a.tif", np.array([[1, 2]], np.uint8), legend=legend)
    run(tmp_path / "a.tif", tmp_path / "o.tif", classes="2=a:#00ffff,1=b:#ffffff")
    assert ids(tmp_path / "o.tif").tolist() == [[1, 2]]


def test_grey_is_a_colour(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png", [[0, 255]])
    run(source, tmp_path / "o.tif", codes="#ffffff=1,#000000=0")
    assert ids(tmp_path / "o.tif").tolist() == [[0, 1]]


def test_what_is_transparent_has_no_class(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png", [[(*CYAN, 255), (*CYAN, 0)]])
    run(source, tmp_path / "o.tif", codes="#00ffff=1")
    assert ids(tmp_path / "o.tif").tolist() == [[1, NONE]]


def test_bands_that_are_neither_codes_nor_colours_are_refused(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    three = make_raster("t.tif", np.zeros((3, 1, 1), np.uint8))
    with pytest.raises(BandError, match="has 3 bands, and values are of one"):
        run(three, tmp_path / "o.tif", codes="0=1")
    wide = make_raster("w.tif", np.zeros((3, 1, 1), np.uint16))
    with pytest.raises(BandError, match="3 bands of uint16; colours are one or three of uint8"):
        run(wide, tmp_path / "o.tif", codes="#000000=1")
    two = make_raster("2.tif", np.zeros((2, 1, 1), np.uint8))
    with pytest.raises(BandError, match="2 bands of uint8"):
        run(two, tmp_path / "o.tif", codes="#000000=1")


def test_a_colour_is_nodata_only_where_all_its_bands_are(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    pixels = np.array([CYAN, (255, 0, 0), BLACK], np.uint8).T[:, None]
    source = make_raster("a.tif", pixels, nodata=0)
    run(source, tmp_path / "o.tif", codes="#00ffff=1,#ff0000=2,*=9")
    assert ids(tmp_path / "o.tif").tolist() == [[1, 2, NONE]]
    # Nearly nodata is none, threshold or not.
    dark = make_raster("d.tif", np.array([CYAN, (3, 0, 0), BLACK], np.uint8).T[:, None], nodata=0)
    run(dark, tmp_path / "d_o.tif", codes="#00ffff=1,*=9", threshold=128)
    assert ids(tmp_path / "d_o.tif").tolist() == [[1, 9, NONE]]


def test_a_nodata_colour_that_the_codes_list_is_a_colour(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    three = make_raster("a.tif", np.array([CYAN, BLACK], np.uint8).T[:, None], nodata=0)
    run(three, tmp_path / "o.tif", codes="#00ffff=1,#000000=2")
    assert ids(tmp_path / "o.tif").tolist() == [[1, 2]]
    grey = make_raster("g.tif", np.array([[255, 0]], np.uint8), nodata=0)
    run(grey, tmp_path / "g_o.tif", codes="#ffffff=1,#000000=2")
    assert ids(tmp_path / "g_o.tif").tolist() == [[1, 2]]


# -- folders -----------------------------------------------------------------------------------


def test_rasters_that_cannot_be_read_are_left_out_and_listed(tmp_path: Path) -> None:
    picture(tmp_path / "m" / "a.png", [[0, 1]])
    (tmp_path / "m" / "b.png").write_bytes(b"none")
    rng = np.random.default_rng(0)
    whole = picture(tmp_path / "m" / "c.png", rng.integers(0, 2, (64, 64))).read_bytes()
    (tmp_path / "m" / "c.png").write_bytes(whole[: len(whole) // 2])
    found = run(tmp_path / "m", tmp_path / "out", codes="0=0,1=1")
    assert found.files == 1
    assert [Path(p.path).name for p in found.problems] == ["b.png", "c.png"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a.qml", "a.tif", "a.tif.aux.xml",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["0.tif", "z.tif"])
def test_rasters_that_are_neither_values_nor_colours_are_left_out_and_listed(
    make_raster: MakeRaster, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "m"
    picture(folder / "a.png", [[0, 1]])
    make_raster(f"m/{name}", np.zeros((4, 1, 2), np.uint16))
    make_raster("m/y.tif", np.array([[0, 0.5]], np.float32))
    found = run(folder, tmp_path / "out", codes="0=0,1=1")
    assert found.files == 1
    assert sorted(Path(p.path).name for p in found.problems) == sorted([name, "y.tif"])
    assert "has 4 bands" in " ".join(p.reason for p in found.problems)
    assert not (tmp_path / "out" / name).exists()
    (folder / "a.png").unlink()
    with pytest.raises(InputError, match=r"no raster can be used; the first: .*bands|measure"):
        run(folder, tmp_path / "none", codes="0=0,1=1")
    assert not (tmp_path / "none").exists()


def test_colours_and_values_of_one_folder_are_told_as_what_they_are(tmp_path: Path) -> None:
    values = Image.fromarray(np.array([[1, 9]], np.uint8))
    (tmp_path / "m").mkdir()
    values.save(tmp_path / "m" / "a.png")
    colours = np.array([[CYAN, (0, 0, 9)]], np.uint8)
    picture(tmp_path / "m" / "b.png", colours)
    with pytest.raises(LabelError) as caught:
        run(tmp_path / "m", tmp_path / "out", classes="1=urban:#00ffff")
    assert "no code names 9 (1 px), #000009 (1 px);" in str(caught.value)


def test_all_rasters_are_looked_through_for_what_no_code_names(tmp_path: Path) -> None:
    picture(tmp_path / "m" / "a.png", [[0, 3]])
    picture(tmp_path / "m" / "b.png", [[0, 0]])
    picture(tmp_path / "m" / "c.png", [[4, 3]])
    with pytest.raises(LabelError, match=r"a.png and 1 more: no code names 3 \(2 px\), 4 \(1 px\)"):
        run(tmp_path / "m", tmp_path / "out", codes="0=0")
    assert not (tmp_path / "out").exists()


def test_outputs_that_cannot_be_are_refused(tmp_path: Path) -> None:
    one = picture(tmp_path / "m" / "a.png", [[0]])
    other = picture(tmp_path / "n" / "a.png", [[0]])
    picture(tmp_path / "m" / "b.png", [[0]])
    with pytest.raises(OptionError, match="is one file, and there are 2 rasters"):
        run(tmp_path / "m", tmp_path / "o.tif", codes="0=0")
    with pytest.raises(InputError, match="have the same name, and so would what they give"):
        run([one, other], tmp_path / "o", codes="0=0")
    with pytest.raises(OutputError, match="is there already"):
        run(one, tmp_path / "m", codes="0=0")
    with pytest.raises(OptionError, match=r"class rasters are \*.tif"):
        run(one, tmp_path / "o.png", codes="0=0")
    with pytest.raises(InputError, match="no such file"):
        run(tmp_path / "none.png", tmp_path / "o", codes="0=0")


def test_files_do_not_depend_on_the_number_of_threads(
    make_raster: MakeRaster, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    source = make_raster("a.tif", rng.integers(0, 9, (700, 40)).astype(np.uint8))
    for workers in (1, 3):
        recode_files(
            [source],
            tmp_path / f"{workers}.tif",
            settings=RecodeSettings(codes="1=1,*=2"),
            workers=workers,
        )
    assert (tmp_path / "1.tif").read_bytes() == (tmp_path / "3.tif").read_bytes()
