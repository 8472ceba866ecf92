"""Classes: what people write, what files carry, and numbers looked up."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import LabelError, OptionError
from geoseg.raster.legend import Legend, LegendClass, Ramp
from geoseg.raster.legend.palette import class_colors, color_distance, parse_color, ramp_names
from geoseg.raster.legend.rasters import raster_legend
from geoseg.raster.legend.style import class_aux_xml, class_qml
from geoseg.raster.legend.written import parse_legend

RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


def rows_of(legend: Legend) -> list[tuple[int, str, tuple[int, int, int]]]:
    return [(c.id, c.name, c.color) for c in legend.classes]


# -- the value ------------------------------------------------------------------------------------


def test_a_legend_counts_its_classes_in_order() -> None:
    legend = Legend((LegendClass(7, "water", BLUE), LegendClass(0, "trees", GREEN, (3, 4))))
    assert len(legend) == 2
    assert legend.ids == (7, 0)
    assert legend.names == ("water", "trees")
    assert legend.colors == (BLUE, GREEN)
    assert legend.index_of(0) == 1
    assert legend.index_of_name("Water") == 0
    assert legend.id_lut.tolist() == [7, 0] + [255] * 254
    with pytest.raises(LabelError, match="no class has the id 5; there are 7 water, 0 trees"):
        legend.index_of(5)
    with pytest.raises(LabelError, match="no class is named 'sea'"):
        legend.index_of_name("sea")
    with pytest.raises(ValueError, match="read-only"):
        legend.id_lut[0] = 1


def test_numpy_integers_become_plain_ones() -> None:
    color: Any = tuple(np.array([1, 2, 3]))
    values: Any = (np.uint8(9),)
    c = LegendClass(int(np.int64(3)), " bare ", color, values)
    assert c == LegendClass(3, "bare", (1, 2, 3), (9,))
    assert json.dumps(Legend((c,)).to_json())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LegendClass(255, "a", RED), "ids are from 0 to 254"),
        (lambda: LegendClass(-1, "a", RED), "ids are from 0 to 254"),
        (lambda: LegendClass(1, " ", RED), "no name"),
        (lambda: LegendClass(1, "a\nb", RED), "one line"),
        (lambda: LegendClass(1, "a\u2028b", RED), "one line"),
        (lambda: LegendClass(1, "a\x00", RED), "one line"),
        (lambda: LegendClass(1, "a\ud800", RED), "one line"),
        (lambda: LegendClass(1, "a\uffff", RED), "one line"),
        (lambda: LegendClass(1, "a", (0, 0, 256)), "not three of 0 to 255"),
        (lambda: Legend(()), "one class or more"),
        (lambda: Legend((LegendClass(1, "a", RED), LegendClass(1, "b", BLUE))), "given twice"),
        (lambda: Legend((LegendClass(1, "a", RED), LegendClass(2, "a", BLUE))), "two classes"),
        (
            lambda: Legend((LegendClass(1, "a", RED), LegendClass(2, "b", BLUE, (1,)))),
            "label value 1 would mean two classes",
        ),
    ],
)
def test_legends_that_make_no_sense_are_refused(make: Any, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        make()


# -- looking up -----------------------------------------------------------------------------------

LOOKED_UP = Legend(
    (
        LegendClass(0, "other", RED),
        LegendClass(5, "crops", GREEN, (1, 5, 12, 1001)),
        LegendClass(9, "ice", BLUE, (-3, 70_000, 200)),
    )
)


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(
        ["u1", "i1", "u2", "i2", ">u2", ">i2", "u4", "i4", "u8", "i8", "f4", "f8", "?"]
    ),
    values=st.lists(
        st.sampled_from([-3, 0, 1, 2, 5, 9, 12, 200, 255, 1001, 65533, 70_000]), max_size=30
    ),
)
def test_lookup_agrees_with_one_value_at_a_time(dtype: str, values: list[int]) -> None:
    array = np.array(values).astype(dtype).reshape(1, -1)
    found = LOOKED_UP.lookup(array)
    assert (found.dtype, found.shape) == (np.uint8, array.shape)
    meaning = {v: i for i, c in enumerate(LOOKED_UP.classes) for v in c.label_values}
    expected = [meaning.get(int(v), 255) for v in array.ravel()]
    assert found.ravel().tolist() == expected


def test_lookup_of_fractions_and_nan_is_no_class() -> None:
    values = np.array([1.0, 1.5, np.nan, np.inf, -np.inf, 0.0, -0.0], np.float32)
    assert LOOKED_UP.lookup(values).tolist() == [1, 255, 255, 255, 255, 0, 0]


def test_lookup_refuses_what_is_no_number() -> None:
    with pytest.raises(LabelError, match="cannot be classes"):
        LOOKED_UP.lookup(np.array(["a"]))


def test_lookup_is_the_way_back_from_ids() -> None:
    indices = np.array([0, 1, 2, 255], np.uint8)
    assert LOOKED_UP.id_lut[indices].tolist() == [0, 5, 9, 255]
    assert LOOKED_UP.lookup(np.array([0, 5], np.uint8)).tolist() == [0, 1]
    assert LOOKED_UP.label_lut().shape == (256,)
    assert LOOKED_UP.label_lut("uint16").shape == (65536,)


# -- what people write ----------------------------------------------------------------------------


def test_inline_classes_may_have_spaces_quotes_colons_and_colours() -> None:
    legend = parse_legend(
        '1=water, 2=bare land:#c0a080 ,3="a, b; ""c"" = d":#0f0;4=N:P ratio, 5="x":#000001\n6=ice'
    )
    assert legend.names == ("water", "bare land", 'a, b; "c" = d', "N:P ratio", "x", "ice")
    assert legend.ids == (1, 2, 3, 4, 5, 6)
    assert legend.colors[1:3] == ((192, 160, 128), (0, 255, 0))
    assert legend.colors[4] == (0, 0, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1=water,forest", "'forest': write a class as"),
        ("1=a,x=b", "write a class as"),
        ("1=a:#12", "no colour of the form"),
        ("1=", "no name"),
        ("1=a,1=b", "given twice"),
        ("300=a", "from 0 to 254"),
        ('1="a', "quote is not closed"),
        ("water", "is no list of classes"),
        ("", "is no list of classes"),
        ("x" * 5000, "is no list of classes"),
        ("missing.csv", "no such file"),
        ("[1, 2", "line 1: not JSON"),
        ("[" * 100_000, "JSON"),
        ('[{"id": 1}]', "class 1 in JSON is no object with an id and a name"),
        ('[{"id": 1.5, "name": "a"}]', "1.5 is no whole number"),
        ('[{"id": true, "name": "a"}]', "no whole number"),
        ('[{"id": 1, "name": "a", "color": 5}]', "in JSON, 'a'"),
        ('[{"id": 1, "name": "a", "values": 5}]', "in JSON, 'a'"),
        ('[{"id": 1, "name": "a", "values": ["x"]}]', "'x' is no whole number"),
        ('{"classes": "none"}', "list of objects"),
        ("[]", "one class or more"),
    ],
)
def test_what_is_wrong_with_written_classes_is_said_in_one_line(text: str, words: str) -> None:
    with pytest.raises(LabelError, match=words) as caught:
        parse_legend(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


CSV_FORMS = {
    "plain": 'id,name,color\n1,water,#0000ff\n2,"a, b",#ff0000\n',
    "British, spaces, blank lines": 'ID, Name, Colour\n\n1, water, #0000FF\n\n2,"a, b",255 0 0\n',
    "semicolons": "id;name;color\n1;water;0 0 255\n2;a, b;#ff0000\n",
    "tabs": "value\tlabel\tcolor\n1\twater\t#0000ff\n2\ta, b\t255,0,0\n",
    "columns for channels": 'Value,Class_Name,Red,Green,Blue\n1,water,0,0,255\n2,"a, b",255,0,0\n',
    "no header": '1,water,#0000ff\n2,"a, b",#ff0000\n',
    "other order": 'color,name,id\n0000ff,water,1\nff0000,"a, b",2\n',
    "line ends of Windows": 'id,name,color\r\n1,water,#0000ff\r\n2,"a, b",#ff0000\r\n',
}


@pytest.mark.parametrize("form", CSV_FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_is_read_in_all_the_ways_people_save_it(
    tmp_path: Path, form: str, encoding: str
) -> None:
    path = tmp_path / "classes.csv"
    path.write_bytes(CSV_FORMS[form].encode(encoding))
    assert rows_of(parse_legend(path)) == [(1, "water", BLUE), (2, "a, b", RED)]
    assert parse_legend(str(path)) == parse_legend(path)


def test_csv_may_say_which_label_values_mean_a_class(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text('id,name,values\n1,crops,"11;12"\n2,forest,41 42|43\n3,water,\n')
    legend = parse_legend(path)
    assert [c.values for c in legend.classes] == [(11, 12), (41, 42, 43), ()]
    assert legend.lookup(np.array([12, 43, 3, 1])).tolist() == [0, 1, 2, 255]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,name\n1,a\nx,b\n", r"line 3: 'x' is no class id"),
        ("id,name\n1,a\n300,b\n", r"line 3: '300' is no class id .*column values"),
        ("id,name\n1,\n", r"line 2: class 1 has no name"),
        ("id,name,color\n1,a,blue\n", r"line 2: 'blue' is no colour"),
        ("id,name\n1,a\n\n1,b\n", r"line 4: 1 is on line 2 already"),
        ("id,name\n1,a\n2,a\n", r"line 3: 'a' is on line 2 already"),
        ("id,name,values\n1,a,x\n", r"line 2: invalid literal"),
        ("number,text\n1,a\n", r"line 1: the header must name the columns id and name"),
        ("id,name\n", r"no classes in it"),
        ("", r"no classes in it"),
        ('id,name\n1,"a\nb"\n', r"must be one line"),
    ],
)
def test_csv_errors_name_the_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(content)
    with pytest.raises(LabelError, match=words) as caught:
        parse_legend(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_lists_are_refused(tmp_path: Path) -> None:
    for name, content, words in (
        ("latin.csv", "1,Gelände\n".encode("latin-1"), "not UTF-8"),
        ("binary.csv", b"1,a\0b\n", "no text file"),
        ("huge.csv", b" " * (17 << 20), "too large"),
        ("x.json", b'[\n{"id": 1,}]', "line 2: not JSON"),
        ("x.clr", b"1 2 3\n", "line 1: expected value, red, green, blue"),
        ("x.qml", b"<qgis>", "not well-formed"),
        ("empty.qml", b"<qgis/>", "no classes in it"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(LabelError, match=words):
            parse_legend(path)
    with pytest.raises(LabelError, match="is a folder"):
        parse_legend(tmp_path)


def test_json_files_and_objects_are_read(tmp_path: Path) -> None:
    classes = [
        {"id": 1, "name": "water", "color": "#0000ff"},
        {"id": 2, "name": "trees", "colour": [0, 128, 0], "values": [2, 4]},
    ]
    expected = Legend((LegendClass(1, "water", BLUE), LegendClass(2, "trees", GREEN, (2, 4))))
    for obj in (classes, {"classes": classes}, tuple(classes)):
        assert Legend.from_json(obj) == expected
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(classes))
    assert parse_legend(path) == expected
    assert parse_legend(json.dumps(classes)) == expected
    assert parse_legend('{"1": "water", "2": {"name": "trees"}}').names == ("water", "trees")


names = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cn"]), min_size=1, max_size=12
).filter(lambda name: bool(name.strip()))


@settings(max_examples=60, deadline=None)
@given(
    table=st.dictionaries(
        st.integers(0, 254),
        st.tuples(names, st.tuples(*[st.integers(0, 255)] * 3)),
        min_size=1,
        max_size=6,
    )
)
def test_any_legend_survives_json_csv_qml_and_aux_xml(
    tmp_path_factory: pytest.TempPathFactory, table: dict[int, Any]
) -> None:
    unique = {name.strip(): (id_, colour) for id_, (name, colour) in table.items()}
    legend = Legend(tuple(LegendClass(i, name, colour) for name, (i, colour) in unique.items()))
    folder = tmp_path_factory.mktemp("legend")
    assert Legend.from_json(json.loads(json.dumps(legend.to_json()))) == legend
    (folder / "x.qml").write_text(class_qml(legend), encoding="utf-8")
    assert parse_legend(folder / "x.qml") == legend
    by_id = sorted(rows_of(legend))
    assert rows_of(raster_legend(folder / "x.tif")) == by_id  # type: ignore[arg-type]
    (folder / "x.qml").unlink()
    (folder / "x.tif.aux.xml").write_text(class_aux_xml(legend), encoding="utf-8")
    assert rows_of(raster_legend(folder / "x.tif")) == by_id  # type: ignore[arg-type]


def test_colour_maps_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.clr"
    path.write_text("# made by hand\n1 0 0 255 water\n2 255 0 0 255 developed, open\n3 0 128 0\n")
    assert rows_of(parse_legend(path)) == [
        (1, "water", BLUE),
        (2, "developed, open", RED),
        (3, "class 3", GREEN),
    ]
    (tmp_path / "x.txt").write_text(
        "# QGIS Generated Color Map Export File\nINTERPOLATION:EXACT\n1,0,0,255,255,water\n"
    )
    assert rows_of(parse_legend(tmp_path / "x.txt")) == [(1, "water", BLUE)]


# -- what rasters carry ---------------------------------------------------------------------------


def raster(path: Path, colours: dict[int, tuple[int, int, int]] | None = None) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=1,
        width=1,
        count=1,
        dtype="uint8",
        crs="EPSG:32612",
        transform=rasterio.Affine(2, 0, 0, 0, -2, 0),
    ) as target:
        if colours is not None:
            target.write_colormap(1, colours)
    return path


def test_a_colour_table_alone_names_no_classes(tmp_path: Path) -> None:
    path = raster(tmp_path / "x.tif", {1: RED})
    assert raster_legend(path) is None
    with pytest.raises(LabelError, match="names no classes"):
        parse_legend(path)


def test_category_names_take_their_colours_from_the_table(tmp_path: Path) -> None:
    path = raster(tmp_path / "x.tif", {1: RED, 3: BLUE})
    (tmp_path / "x.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category/><Category>houses</Category>"
        "<Category></Category><Category>lakes</Category></CategoryNames></PAMRasterBand>"
        "</PAMDataset>"
    )
    assert rows_of(parse_legend(path)) == [(1, "houses", RED), (3, "lakes", BLUE)]


def table_of(*rows: tuple[Any, ...]) -> str:
    """An attribute table as other programs write it: usages 0, colours as fractions."""
    fields = "".join(
        f"<FieldDefn index='{i}'><Name>{name}</Name><Type>0</Type><Usage>0</Usage></FieldDefn>"
        for i, name in enumerate(("OID", "Value", "Count", "Class_Name", "Red", "Green", "Blue"))
    )
    cells = "".join(
        "<Row>" + "".join(f"<F>{cell}</F>" for cell in (0, row[0], 9, *row[1:])) + "</Row>"
        for row in rows
    )
    return (
        "<PAMDataset><PAMRasterBand band='1'><GDALRasterAttributeTable>"
        f"{fields}{cells}</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"
    )


def test_tables_of_other_programs_are_understood(tmp_path: Path) -> None:
    (tmp_path / "x.tif.aux.xml").write_text(
        table_of(
            (1, "Corn", "1.0", "0.0", "0.0"),
            (2, "", 0, 0, 0),
            (141, "Forest", 0, 128, 0),
            (255, "Nodata", 0, 0, 0),
        )
    )
    legend = raster_legend(tmp_path / "x.tif")
    assert legend is not None
    assert rows_of(legend) == [(1, "Corn", RED), (141, "Forest", GREEN)]


def test_values_beyond_a_byte_are_numbered_anew(tmp_path: Path) -> None:
    (tmp_path / "x.tif.aux.xml").write_text(table_of((7, "a", 1, 2, 3), (1001, "b", 4, 5, 6)))
    legend = raster_legend(tmp_path / "x.tif")
    assert legend is not None
    assert [(c.id, c.values) for c in legend.classes] == [(1, (7,)), (2, (1001,))]


def test_an_aux_xml_without_classes_is_no_legend(tmp_path: Path) -> None:
    path = raster(tmp_path / "x.tif")
    for text in ("<PAMDataset/>", "<PAMDataset><PAMRasterBand band='2'/></PAMDataset>"):
        (tmp_path / "x.tif.aux.xml").write_text(text)
        assert raster_legend(path) is None
    (tmp_path / "x.tif.aux.xml").write_text("<PAMDataset>")
    with pytest.raises(LabelError, match=r"x\.tif\.aux\.xml: not well-formed"):
        raster_legend(path)


# -- colours --------------------------------------------------------------------------------------


def test_names_draw_the_colours_that_maps_give_them() -> None:
    names = ["water", "Deciduous forest", "developed, open", "cultivated crops", "snow", "barren"]
    water, forest, urban, crops, snow, barren = class_colors(names)
    assert water[2] > max(water[:2])
    assert forest[1] > max(forest[0], forest[2])
    assert urban[0] > 2 * max(urban[1:])
    assert min(crops[:2]) > 2 * crops[2]
    assert min(snow) > 220
    assert max(barren) - min(barren) < 80


@pytest.mark.parametrize("count", [2, 8, 24])
def test_colours_of_unnamed_classes_are_told_apart_by_the_colour_blind(count: int) -> None:
    colours = Legend.of_values(range(count)).colors
    assert min(color_distance(a, b) for a, b in itertools.combinations(colours, 2)) > 15


@pytest.mark.parametrize("names", [["water", "herb"], ["class 1", "water"], ["cult", "crops", "x"]])
def test_a_class_of_any_colour_does_not_look_like_one_that_is_known_by_its_own(
    names: list[str],
) -> None:
    for one, other in itertools.combinations(class_colors(names), 2):
        assert color_distance(one, other) >= 20


def test_colours_are_unique_whatever_the_names_and_given_ones_stay() -> None:
    assert len(set(class_colors(["forest"] * 60))) == 60
    assert len(set(Legend.of_values(range(255)).colors)) == 255
    given = class_colors(["a", "water", "b"], [None, RED, BLUE])
    assert given[1:] == [RED, BLUE]
    assert len(set(given)) == 3
    assert class_colors(["a", "b", "c"]) == class_colors(["a", "b", "c"])


def test_red_and_green_of_one_brightness_are_near_to_the_colour_blind() -> None:
    assert color_distance((200, 60, 40), (100, 110, 40)) < 20
    assert color_distance((0, 0, 0), (255, 255, 255)) > 99
    assert color_distance(RED, RED) == 0


def test_legends_of_unknown_values_take_them_as_ids_where_they_fit() -> None:
    legend = Legend.of_values([5, 1, 5, 0])
    assert [(c.id, c.name, c.values) for c in legend.classes] == [
        (0, "class 0", ()),
        (1, "class 1", ()),
        (5, "class 5", ()),
    ]
    legend = Legend.of_values(np.array([300, -1]))
    assert [(c.id, c.name, c.values) for c in legend.classes] == [
        (1, "class -1", (-1,)),
        (2, "class 300", (300,)),
    ]
    with pytest.raises(LabelError, match="look like measurements"):
        Legend.of_values(range(1000))
    with pytest.raises(LabelError, match="one class or more"):
        Legend.of_values([])


@pytest.mark.parametrize("text", ["", "#12345", "256 0 0", "1 2", "red", "#gggggg", "-1 0 0"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no colour"):
        parse_color(text)


# -- ramps ----------------------------------------------------------------------------------------


def test_ramps_run_from_their_minimum_to_their_maximum() -> None:
    for name in ramp_names():
        items = Ramp(name, 0, 100, "%").items()
        values = [value for value, _ in items]
        assert values == sorted(set(values))
        assert (values[0], values[-1]) == (0, 100)
    assert Ramp("viridis", 0, 100, "%").label(12.5) == "12.5 %"
    own = Ramp("mine", -1, 1, stops=((0, RED), (0.5, GREEN), (1, BLUE)))
    assert own.items() == [(-1, RED), (0, GREEN), (1, BLUE)]


def test_the_ramp_of_activations_diverges_from_a_pale_middle_at_zero() -> None:
    for limit in (1, 0.1, 7 / 3, 1e-30, 123456.789):
        items = Ramp("activation", -limit, limit).items()
        values, colours = zip(*items, strict=True)
        middle = len(items) // 2
        assert len(items) % 2 == 1
        assert values[middle] == 0
        assert min(colours[middle]) > 235
        for step in range(1, middle + 1):
            below, above = colours[middle - step], colours[middle + step]
            assert values[middle - step] == pytest.approx(-values[middle + step])
            assert below[2] > below[0]  # blue
            assert above[0] > above[2]  # red
            assert color_distance(below, above) > 30  # to dichromats too
    for one, other in itertools.combinations(colours, 2):
        assert color_distance(one, other) > 15


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ramp("unheard of", 0, 1),
        lambda: Ramp("viridis", 1, 1),
        lambda: Ramp("viridis", 0, float("nan")),
        lambda: Ramp("mine", 0, 1, stops=((0, RED),)),
        lambda: Ramp("mine", 0, 1, stops=((0, RED), (0.7, RED), (0.3, RED), (1, BLUE))),
    ],
)
def test_ramps_that_make_no_sense_are_refused(make: Any) -> None:
    with pytest.raises(OptionError):
        make()
