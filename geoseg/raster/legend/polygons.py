"""The classes that a file of polygons names itself: by columns, and by a tag for those without any.

`geoseg vectorise` writes them so; what people change in the columns afterwards counts more than the
tag, which programs leave as it was.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, count
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError
from geoseg.raster.legend.classes import NODATA, Color, Legend
from geoseg.raster.legend.palette import parse_color

CLASS, NAME, COLOR = "class", "name", "color"
"""Columns: id, name, and colour as #rrggbb."""
TAG = "GEOSEG_CLASSES"
"""Tag with the classes in JSON, those without polygons among them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CarriedLegend:
    """Classes as a file of polygons has them."""

    legend: Legend
    """The classes, in the order of their ids."""
    by_field: Mapping[str, list[str | None]]
    """What polygons are, by `CLASS` and by `NAME`: names of classes, or None."""
    differing: int
    """Polygons whose name is another class's than their id."""


def classes_tag(legend: Legend | None) -> dict[str, str]:
    """Tag that names classes; none where there is no legend."""
    if legend is None:
        return {}
    return {TAG: json.dumps(legend.to_json(), ensure_ascii=False)}


def carried_legend(
    columns: Mapping[str, NDArray[Any]], tags: Mapping[str, str]
) -> CarriedLegend | None:
    """Find the classes that a file of polygons names itself.

    Parameters
    ----------
    columns
        Attributes by name: (polygons,) each.
    tags
        Of the file.

    Returns
    -------
    None where the columns `CLASS`, `NAME` and `COLOR` are not all there, or hold something else.
    """
    folded = {name.casefold(): name for name in columns}
    if not {CLASS, NAME, COLOR} <= set(folded):
        return None
    ids = _ids(columns[folded[CLASS]])
    if ids is None or not any(i is not None for i in ids):
        return None
    names = [_text(v) for v in columns[folded[NAME]].tolist()]
    colors = [_color(v) for v in columns[folded[COLOR]].tolist()]
    legend = _legend(ids, names, colors, _tagged(tags))
    name_of = dict(zip(legend.ids, legend.names, strict=True))
    by_class = [None if i is None else name_of[i] for i in ids]
    differing = sum(
        a is not None and b is not None and a != b for a, b in zip(by_class, names, strict=True)
    )
    return CarriedLegend(
        legend=legend, by_field={CLASS: by_class, NAME: names}, differing=differing
    )


def _ids(values: NDArray[Any]) -> list[int | None] | None:
    """Class ids, None where a cell is empty; None altogether where one is no id."""
    found: list[int | None] = []
    for value in values.tolist():
        if value is None or (isinstance(value, float) and isnan(value)):
            found.append(None)
        elif isinstance(value, int | float) and float(value).is_integer() and 0 <= value < NODATA:
            found.append(int(value))
        else:
            return None
    return found


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _color(value: Any) -> Color | None:
    try:
        return parse_color(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _tagged(tags: Mapping[str, str]) -> Legend | None:
    try:
        return Legend.from_json(json.loads(tags[TAG])) if TAG in tags else None
    except (ValueError, LabelError, RecursionError):
        return None  # a tag that somebody broke says nothing


def _legend(
    ids: list[int | None],
    names: list[str | None],
    colors: list[Color | None],
    tagged: Legend | None,
) -> Legend:
    """Take for each id what most polygons say; of two ids of one name the one with more has it."""
    said: dict[int, Counter[str]] = {}
    drawn: dict[int, Counter[Color]] = {}
    for one, name, color in zip(ids, names, colors, strict=True):
        if one is None:
            continue
        said.setdefault(one, Counter())
        if name is not None:
            said[one][name] += 1
        if color is not None:
            drawn.setdefault(one, Counter())[color] += 1
    known = {} if tagged is None else {c.id: c for c in tagged.classes}
    taken: dict[int, str] = {}

    def claim(one: int, *options: str) -> None:
        others = (f"class {one}" + " (another)" * times for times in count())
        used = set(taken.values())
        taken[one] = next(name for name in chain(options, others) if name not in used)

    for one in sorted(said, key=lambda i: (-sum(said[i].values()), i)):
        most = [name for name, _ in said[one].most_common(1)]
        claim(one, *most, *([known[one].name] if one in known else []))
    for one in sorted(set(known) - set(said)):
        claim(one, known[one].name)
    rows: list[tuple[int, str, Color | None, tuple[int, ...]]] = []
    for one in sorted(taken):
        color = drawn[one].most_common(1)[0][0] if one in drawn else None
        if color is None and one in known:
            color = known[one].color
        rows.append((one, taken[one], color, ()))
    return Legend.of(rows)


def tags_of_geojson(path: Path) -> dict[str, str]:
    """Tags in the first line, where geoseg puts them: GDAL does not tell what it does not know."""
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        line = file.readline(1 << 20).decode(errors="replace").rstrip()
    head = line.removesuffix('"features": [').rstrip(", ")
    try:
        found = json.loads(head + "}").get("metadata")
    except (ValueError, AttributeError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def color_texts(colors: Mapping[int, Color]) -> NDArray[Any]:
    """(256,) colours as #rrggbb by id; empty where there is none."""
    found = np.full(256, "", dtype=object)
    for one, color in colors.items():
        found[one] = "#{:02x}{:02x}{:02x}".format(*color)
    return found
