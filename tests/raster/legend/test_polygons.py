"""Classes that a file of polygons names itself: columns first, then the tag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.raster.legend.polygons import TAG, carried_legend, classes_tag, tags_of_geojson
from geoseg.raster.legend.written import parse_legend

LEGEND = parse_legend("1=cane:#00ff00,2=soil:#aa7744,3=lake:#0000ff")


def columns(*rows: tuple[Any, Any, Any]) -> dict[str, Any]:
    ids, names, colors = zip(*rows, strict=True)
    return {
        "class": np.array(ids),
        "name": np.array(names, object),
        "color": np.array(colors, object),
    }


def test_columns_alone_name_the_classes() -> None:
    found = carried_legend(columns((2, "soil", "#aa7744"), (1, "cane", "#00ff00")), {})
    assert found is not None
    assert found.legend == parse_legend("1=cane:#00ff00,2=soil:#aa7744")
    assert found.by_field["class"] == ["soil", "cane"]
    assert found.by_field["name"] == ["soil", "cane"]
    assert found.differing == 0


def test_the_tag_adds_classes_without_polygons() -> None:
    found = carried_legend(columns((2, "soil", "#aa7744")), classes_tag(LEGEND))
    assert found is not None
    assert found.legend == LEGEND


def test_what_people_changed_counts_more_than_the_tag() -> None:
    rows = columns((1, "beet", "#ffffff"), (2, "soil", "#aa7744"))
    found = carried_legend(rows, classes_tag(LEGEND))
    assert found is not None
    assert found.legend == parse_legend("1=beet:#ffffff,2=soil:#aa7744,3=lake:#0000ff")


def test_what_most_polygons_say_names_an_id_and_others_are_counted() -> None:
    rows = columns((1, "cane", None), (1, "cane", "#00ff00"), (2, "cane", ""), (1, "soil", "x"))
    found = carried_legend(rows, {})
    assert found is not None
    assert found.legend.names == ("cane", "class 2")
    assert found.legend.colors[0] == (0, 255, 0)
    assert found.by_field["class"] == ["cane", "cane", "class 2", "cane"]
    assert found.differing == 2


def test_names_that_look_like_ids_stay_names() -> None:
    found = carried_legend(columns((1, "2", "#00ff00"), (2, "1", "#0000ff")), {})
    assert found is not None
    assert found.by_field["class"] == ["2", "1"]
    assert [found.legend.find(name) for name in found.by_field["class"] if name] == [0, 1]


def test_empty_cells_are_no_class() -> None:
    rows = columns((1.0, "cane", "#00ff00"), (np.nan, None, None))
    found = carried_legend(rows, {})
    assert found is not None
    assert found.by_field == {"class": ["cane", None], "name": ["cane", None]}


@pytest.mark.parametrize(
    "rows",
    [
        columns(("crop", "a", "#00ff00")),
        columns((300, "a", "#00ff00")),
        columns((1.5, "a", "#00ff00")),
        columns((np.nan, "a", "#00ff00")),
        {"class": np.array([1]), "name": np.array(["a"], object)},
    ],
)
def test_columns_of_other_kinds_name_no_classes(rows: dict[str, Any]) -> None:
    assert carried_legend(rows, classes_tag(LEGEND)) is None


@pytest.mark.parametrize("tag", ["", "{", "[]", '[{"id": 1}]', "3"])
def test_a_broken_tag_says_nothing(tag: str) -> None:
    found = carried_legend(columns((2, "soil", "#aa7744")), {TAG: tag})
    assert found is not None
    assert found.legend.names == ("soil",)


def test_tags_of_geojson_are_in_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    head = json.dumps({"type": "FeatureCollection", "metadata": {"A": "é"}}, ensure_ascii=False)
    path.write_text(f'{head[:-1]}, "features": [\n]}}\n', encoding="utf-8")
    assert tags_of_geojson(path) == {"A": "é"}
    for other in ("", "{", '{"type": "FeatureCollection", "features": []}', "[]", "é\n"):
        path.write_text(other, encoding="utf-8")
        assert tags_of_geojson(path) == {}
    assert tags_of_geojson(tmp_path / "none.geojson") == {}
