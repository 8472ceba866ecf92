"""Labels of whole patches: from tables that name patches, and from polygons."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.errors import LabelError, VectorError
from geoseg.patches.dataset import PatchDataset
from geoseg.patches.folds import make_folds
from geoseg.patches.subset import SubsetDataset
from geoseg.patches.tile import tile
from geoseg.raster.vector import write_footprints

WriteRaster = Callable[..., Path]
UTM = CRS.from_epsg(32612)
# Pixel (column, row) → metres, as the scenes of these tests lie.
NORTH_UP = Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0)
WHOLE = {"split": (1, 0, 0)}


@pytest.fixture
def scene(write_raster: WriteRaster) -> Path:
    """20 × 30 pixels: with patches of 10, two rows of three."""
    return write_raster("s.tif", np.arange(1, 601, dtype=np.uint16).reshape(1, 20, 30))


def polygons(
    path: Path,
    boxes: Sequence[tuple[float, float, float, float]],
    columns: dict[str, Sequence[Any]],
    *,
    transform: Affine = NORTH_UP,
    crs: CRS | None = UTM,
) -> Path:
    """Write boxes of pixels (first column, first row, columns, rows)."""
    rings = []
    for x, y, w, h in boxes:
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        t = transform
        rings.append([(t.a * c + t.b * r + t.c, t.d * c + t.e * r + t.f) for c, r in corners])
    write_footprints(path, "fields", columns, rings, crs, overwrite=True)
    return path


def presence_by_name(folder: Path) -> dict[str, list[int]]:
    """Presence of every patch that is kept, by its name."""
    data = PatchDataset.open(folder)
    index = pyogrio.read_dataframe(folder / "index.gpkg", read_geometry=False)
    held = {name: data.split(name).presence for name in data.splits}
    return {
        row.patch: held[row.split][row.position].tolist()  # type: ignore[index]
        for row in index.itertuples()
        if row.split
    }


def reasons(folder: Path) -> list[str]:
    index = pyogrio.read_dataframe(folder / "index.gpkg", read_geometry=False)
    return [reason or "" for reason in index.reason]


@pytest.mark.parametrize("storage", ["npy", "geotiff"])
def test_a_table_names_the_classes_of_patches(scene: Path, tmp_path: Path, storage: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(
        "\ufeffpatch,note,classes\n"
        "s_r000000_c000010,x,water\n"
        '\ns_r000000_c000000,,"forest, water"\n'
        "s_r000010_c000020,,-\n"
        "s_r000010_c000000,nobody knows,\n",
        encoding="utf-8",
    )
    result = tile(scene, tmp_path / "set", label_table=table, size=10, storage=storage, **WHOLE)
    data = result.open()
    arrays = data.split("train")
    assert (data.labelling, data.present, data.class_pixels) == ("patches", 0.05, {})
    assert data.legend is not None
    assert [(c.id, c.name) for c in data.legend.classes] == [(1, "forest"), (2, "water")]
    assert arrays.labels is None
    assert arrays.class_pixels is None
    assert arrays.presence is not None
    assert arrays.presence.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert [int(image[0, 0, 0]) for image in arrays.images] == [1, 11, 321]
    assert reasons(result.folder) == ["", "", "no label", "no label", "no label", ""]
    described = json.loads((result.folder / "dataset.json").read_text())
    assert described["patches_with_class"] == {"train": [1, 2], "val": [0, 0], "test": [0, 0]}
    assert described["label_table"]["fingerprint"]
    assert "--label-table t.csv" in described["command"]
    assert str(tmp_path) not in json.dumps(described)
    assert result.summary["class_presence"][1]["train"] == pytest.approx(2 / 3)
    assert not list((result.folder / "train").glob("labels*"))
    before = data.hash()
    presence = result.folder / "train" / "presence.npy"
    np.save(presence, 1 - np.load(presence))
    assert data.hash() != before


def test_classes_that_nothing_can_be_learned_of_are_named(scene: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("patch,classes\ns_r000000_c000000,water\ns_r000000_c000010,-\n")
    heard: list[str] = []
    options: Any = {"classes": "1=water,2=forest,3=sand", "say": heard.append}
    tile(scene, tmp_path / "set", label_table=table, size=10, **options, **WHOLE)
    assert heard == ["no training patch holds forest, sand: nothing of it can be learned"]


def test_a_table_may_name_patches_by_scene_and_pixel(scene: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("scene;row;col;corn;soy\ns;0;0;1;no\ns.tif;10;20;;yes\ns;10;10;;\ns;3;0;1;1\n")
    heard: list[str] = []
    tile(scene, tmp_path / "set", label_table=table, size=10, say=heard.append, **WHOLE)
    assert presence_by_name(tmp_path / "set") == {
        "s_r000000_c000000": [1, 0],
        "s_r000010_c000020": [255, 1],
    }
    assert heard == ["t.csv names 1 patch that is not in this set: s_r000003_c000000"]


def test_polygons_name_what_they_cover_more_than_the_share_of(scene: Path, tmp_path: Path) -> None:
    table = polygons(
        tmp_path / "f.gpkg",
        [
            (0, 0, 10, 10),  # all of the first patch, and the border of the next
            (10, 0, 5, 1),  # exactly 5 % of the second
            (20, 0, 6, 1),  # 6 % of the third …
            (20, 0, 6, 1),  # … twice
            (0, 10, 3, 1),  # 3 % and 3 % of the fourth, overlapping by 1 %: 5 %
            (2, 10, 3, 1),
            (10, 10, 3, 1),  # 3 % and 3 % of the fifth: 6 %
            (13, 10, 3, 1),
        ],
        {"classes": ["-", "a", "a", "a; b", "a", "a", "a", "a"]},
    )
    tile(scene, tmp_path / "set", label_table=table, size=10, **WHOLE)
    assert presence_by_name(tmp_path / "set") == {
        "s_r000000_c000000": [0, 0],
        "s_r000000_c000020": [1, 1],
        "s_r000010_c000010": [1, 255],  # of the rest nobody says anything
    }
    assert [i for i, why in enumerate(reasons(tmp_path / "set")) if why == "no label"] == [1, 3, 5]
    options: Any = {"present": 0.04, "min_labelled": 0.06}
    tile(scene, tmp_path / "less", label_table=table, size=10, **options, **WHOLE)
    assert presence_by_name(tmp_path / "less").keys() == {
        "s_r000000_c000000",
        "s_r000000_c000020",
        "s_r000010_c000010",
    }
    assert reasons(tmp_path / "less")[1:4:2] == ["too few labels", "too few labels"]


def test_polygons_that_leave_a_class_open_leave_it_unknown(scene: Path, tmp_path: Path) -> None:
    table = polygons(
        tmp_path / "f.gpkg",
        [(0, 0, 5, 10), (5, 0, 5, 10), (10, 0, 10, 10), (20, 0, 10, 10)],
        {"corn": [1.0, None, None, 0.0], "soy": ["no", "0", "yes", "1"]},
    )
    tile(scene, tmp_path / "set", label_table=table, size=10, classes="1=corn,2=soy", **WHOLE)
    assert list(presence_by_name(tmp_path / "set").values()) == [[1, 0], [255, 1], [0, 1]]


def test_polygons_elsewhere_on_earth_are_brought_to_rotated_scenes(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    turned = Affine(24.0, -18.0, 500_000.0, 18.0, 24.0, 4_000_000.0)
    scene = write_raster("s.tif", np.ones((1, 20, 20), np.uint8), transform=turned)
    boxes = [(0, 0, 10, 20), (10, 0, 10, 20)]
    inside = [(x + 0.01, y, w - 0.02, h) for x, y, w, h in boxes]
    utm = polygons(tmp_path / "utm.gpkg", inside, {"crop": ["a", "b"]}, transform=turned)
    frame = pyogrio.read_dataframe(utm).to_crs("EPSG:4326")
    pyogrio.write_dataframe(frame, tmp_path / "degrees.geojson")
    found = []
    for name in ("utm.gpkg", "degrees.geojson"):
        tile(
            scene,
            tmp_path / name[:3],
            label_table=tmp_path / name,
            label_field="crop",
            size=10,
            **WHOLE,
        )
        found.append(list(presence_by_name(tmp_path / name[:3]).values()))
    assert found == [[[1, 0], [0, 1], [1, 0], [0, 1]]] * 2


def test_pictures_without_a_place_take_polygons_as_qgis_shows_them(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = write_raster("s.tif", np.ones((1, 10, 20), np.uint8), crs=None, transform=None)
    table = polygons(
        tmp_path / "f.gpkg",
        [(10, 0, 10, 10)],
        {"class": ["a"]},
        transform=Affine(1, 0, 0, 0, -1, 0),
        crs=None,
    )
    tile(scene, tmp_path / "set", label_table=table, size=10, **WHOLE)
    assert reasons(tmp_path / "set") == ["no label", ""]
    placed = polygons(tmp_path / "g.gpkg", [(0, 0, 9, 9)], {"class": ["a"]})
    with pytest.raises(VectorError, match="coordinate system"):
        tile(scene, tmp_path / "no", label_table=placed, size=10, **WHOLE)


@pytest.mark.parametrize("stride", [10, 7])
def test_an_index_is_a_label_table_of_the_same_patches(
    write_raster: WriteRaster, tmp_path: Path, stride: int
) -> None:
    rng = np.random.default_rng(0)
    blocks = rng.choice([0, 1, 2, 9], (6, 9), p=[0.3, 0.3, 0.3, 0.1]).astype(np.uint8)
    scenes, labels = [], []
    for number, crs in enumerate(("EPSG:32612", "EPSG:32613")):
        pixels = rng.integers(1, 99, (1, 33, 47)).astype(np.uint8)
        scenes.append(write_raster(f"s{number}.tif", pixels, crs=crs))
        codes = np.kron(np.roll(blocks, number), np.ones((6, 6), np.uint8))[:33, :47]
        codes[:20, :20] = 0
        codes[0, :3] = 9  # of the first patch 3 % are labelled, of its neighbours nothing
        labels.append(write_raster(f"l{number}.tif", codes, crs=crs))
    options: Any = {
        "size": 10,
        "stride": stride,
        "classes": '1="corn, or maize",2="soy; bean",9=other',
        "split": (0.6, 0.2, 0.2),
    }
    tile(scenes, tmp_path / "set", labels=labels, **options)
    index = tmp_path / "set" / "index.gpkg"
    tile(scenes, tmp_path / "again", label_table=index, **options)
    found = presence_by_name(tmp_path / "set")
    assert found == presence_by_name(tmp_path / "again")
    assert {tuple(p) for p in found.values()} > {(0, 0, 0), (1, 1, 0)}
    # Without the classes, those that are present somewhere are found, by their names.
    tile(scenes, tmp_path / "found", label_table=index, **{**options, "classes": None})
    legend = PatchDataset.open(tmp_path / "found").legend
    assert legend is not None
    assert legend.names == ("corn, or maize", "other", "soy; bean")


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.tuples(*[st.integers(0, 28)] * 2, *[st.integers(1, 14)] * 2),
            st.sampled_from(["a", "b", "a;b", "-"]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([(10, 10), (8, 5)]),
    st.sampled_from([0.0, 0.05, 0.29]),
)
def test_pixel_aligned_polygons_label_patches_as_counted_pixels_do(
    scene: Path, tmp_path: Path, fields: Any, lattice: tuple[int, int], share: float
) -> None:
    fields = [*fields, ((0, 0, 14, 14), "a;b")]
    table = polygons(
        tmp_path / "f.gpkg", [box for box, _ in fields], {"classes": [c for _, c in fields]}
    )
    size, stride = lattice
    tile(
        scene,
        tmp_path / "set",
        label_table=table,
        size=size,
        stride=stride,
        present=share,
        overwrite=True,
        **WHOLE,
    )
    cover = np.zeros((3, 20, 30), bool)
    for (x, y, w, h), names in fields:
        for layer, told in enumerate((True, "a" in names, "b" in names)):
            cover[layer, y : y + h, x : x + w] |= told
    wanted = {}
    for row in sorted({*range(0, 20 - size + 1, stride), 20 - size}):
        for col in sorted({*range(0, 30 - size + 1, stride), 30 - size}):
            counts = cover[:, row : row + size, col : col + size].sum((1, 2))
            least = round(share * 100) * size * size // 100 + 1
            uncovered = size * size - counts[0]
            states = [1 if n >= least else 255 if n + uncovered >= least else 0 for n in counts[1:]]
            if counts[0] and set(states) != {255}:
                wanted[f"s_r{row:06d}_c{col:06d}"] = states
    assert presence_by_name(tmp_path / "set") == wanted


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("name,classes\na,b\n", "'patch'"),
        ("patch,classes\nt_r0_c0,a\n", "s_r000000_c000000"),
        ("patch,classes\ns_r0_c0,a\ns_r000000_c000000,a\n", "second time"),
        ("patch,classes\ns_r0_c0,a,b\n", "line 2"),
        ("scene,row,col,classes\ns,x,0,a\n", "line 2"),
        ("patch,classes\ns_r0_c0,\n", "no class"),
    ],
)
def test_tables_that_mean_nothing_are_refused_in_a_line(
    scene: Path, tmp_path: Path, content: str, words: str
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(content)
    with pytest.raises(LabelError) as caught:
        tile(scene, tmp_path / "set", label_table=table, size=10)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_unknown_names_say_where_they_stand(scene: Path, tmp_path: Path) -> None:
    table = polygons(tmp_path / "f.gpkg", [(0, 0, 9, 9)] * 2, {"classes": ["water", "lake"]})
    with pytest.raises(LabelError, match=r"f\.gpkg: feature 2: 'lake'.*1 water"):
        tile(scene, tmp_path / "set", label_table=table, size=10, classes="1=water")
    away = polygons(tmp_path / "g.gpkg", [(500, 0, 9, 9)], {"classes": ["water"]})
    with pytest.raises(LabelError, match="overlap"):
        tile(scene, tmp_path / "set", label_table=away, size=10)


def test_broken_and_missing_shapes_count_for_what_they_are(scene: Path, tmp_path: Path) -> None:
    t = NORTH_UP
    # A bow tie of two triangles with a spike, which is repaired to polygons and a line.
    bow = [(0, 0), (10, 0), (0, 10), (10, 10), (20, 10), (10, 10), (0, 0)]
    shapes = [
        shapely.Polygon([(t.a * c + t.c, t.e * r + t.f) for c, r in bow]),
        None,
        shapely.Point(t.c, t.f),
    ]
    pyogrio.raw.write(
        tmp_path / "f.geojson",
        geometry=np.array([None if g is None else shapely.to_wkb(g) for g in shapes], object),
        field_data=[np.array(["a", "b", "c"], object)],
        fields=np.array(["classes"], object),
        geometry_type="Unknown",
        crs="EPSG:32612",
        driver="GeoJSON",
    )
    tile(scene, tmp_path / "set", label_table=tmp_path / "f.geojson", size=10, present=0.4, **WHOLE)
    # Names of what has a shape are classes, though they cover nothing.
    assert presence_by_name(tmp_path / "set") == {"s_r000000_c000000": [1, 255]}


def test_points_label_nothing(scene: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.gpkg"
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(np.array([shapely.Point(500_100, 3_999_900)])),
        field_data=[np.array(["a"], object)],
        fields=np.array(["classes"], object),
        geometry_type="Point",
        crs="EPSG:32612",
    )
    with pytest.raises(VectorError, match="a label table needs some"):
        tile(scene, tmp_path / "set", label_table=path, size=10)


def test_subsets_and_folds_keep_the_labels_of_patches(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    scene = write_raster("s.tif", np.ones((1, 48, 64), np.uint8))
    table = polygons(
        tmp_path / "f.gpkg", [(0, 0, 24, 48), (24, 0, 40, 48)], {"classes": ["a", "b"]}
    )
    data = tile(scene, tmp_path / "set", label_table=table, size=8, split=(0.6, 0.2, 0.2)).open()
    val, train = data.split("val").presence, data.split("train").presence
    assert val is not None
    assert train is not None
    parts = [("val", np.array([1])), ("train", np.array([2, 0]))]
    subset = SubsetDataset(data, {"train": parts})
    arrays = subset.split("train")
    assert arrays.labels is None
    assert arrays.class_pixels is None
    assert arrays.presence is not None
    assert arrays.presence.tolist() == [val[1].tolist(), train[2].tolist(), train[0].tolist()]
    wanted = (arrays.presence == 1).sum(0).tolist()
    assert subset.metadata["patches_with_class"] == {"train": wanted}
    assert subset.class_pixels == {}
    assert subset.hash() != data.hash()
    for fold in make_folds(data, 3):
        held = fold.of(data).split("val").presence
        assert held is not None
        assert (held == 1).any(axis=0).all()
