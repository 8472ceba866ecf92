"""What drawn polygons mean: from fields of vector files and labels of LabelMe to classes.

A polygon whose value means no class makes its pixels unlabelled, and is counted: nobody knows what
is there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError, OptionError, VectorError
from geoseg.raster.grid import Grid
from geoseg.raster.labels.burn import IGNORED, MARKED, Overlap, to_pixels
from geoseg.raster.labels.labelme import BACKGROUND_LABELS, IGNORE_LABELS, Annotation
from geoseg.raster.legend import Legend
from geoseg.raster.legend.polygons import CLASS, NAME, carried_legend
from geoseg.raster.legend.written import parse_legend

_MOST_CLASSES = 64
"""Different texts in a field; more are descriptions."""


@dataclass(frozen=True, kw_only=True)
class RasteriseSettings:
    """How polygons become pixels."""

    field: str | None = None
    """Attribute that says the class. None for annotations of LabelMe, and where all polygons are
    of the one class of `classes` beside the background."""
    classes: str | None = None
    """As for `parse_legend`; None for the values themselves, numbered in the order of names."""
    background: str | None = None
    """Class, by name or id, of pixels in no polygon; None leaves them unlabelled."""
    overlap: Overlap = "last"
    """Which polygon has what several have."""
    all_touched: bool = False
    """Whether a polygon has every pixel that it has a part of, not those with their centre in it
    alone."""
    ignore_border: str | None = None
    """"2px" or "1.5m": pixels whose centres are so near to a border of a polygon are unlabelled."""

    def __post_init__(self) -> None:
        if self.overlap not in get_args(Overlap):
            raise OptionError(
                f"--overlap {self.overlap} is not known: there are {', '.join(get_args(Overlap))}"
            )

    def words(self) -> dict[str, Any]:
        """Return what was asked for, as the options of the command line."""
        words: dict[str, Any] = {}
        for name in ("field", "classes", "background", "ignore_border"):
            value = getattr(self, name)
            if value is not None:
                is_file = name == "classes" and "=" not in value
                words[name.replace("_", "-")] = Path(value).name if is_file else value
        return words | {"overlap": self.overlap, "all-touched": self.all_touched}


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """Polygons of one raster, before their classes are known."""

    shapes: NDArray[Any]
    """In pixels."""
    values: list[str | None]
    """What each is said to be."""
    placed: bool
    """Whether they have a place on Earth, so that they may lie elsewhere than the scene."""
    legend: Legend | None = None
    """Classes that the file names itself."""
    notes: tuple[str, ...] = ()
    """What a user should know of it, a sentence each without its full stop."""


@dataclass(kw_only=True)
class Count:
    """Sums over all rasters."""

    polygons: Counter[str] = field(default_factory=Counter)
    no_class: Counter[str] = field(default_factory=Counter)
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))


def said_by(annotation: Annotation) -> list[str | None]:
    """Return what shapes are said to be; None where that is nothing."""
    return [label or None for label in annotation.labels]


def of_labelme(annotation: Annotation) -> Drawn:
    """Shapes of an annotation."""
    return Drawn(shapes=annotation.shapes, values=said_by(annotation), placed=False)


def left_out(annotations: Iterable[Annotation]) -> list[str]:
    """Say which shapes are no polygons; nothing if all are."""
    kinds: Counter[str] = Counter()
    for annotation in annotations:
        kinds.update(annotation.left_out)
    if not kinds:
        return []
    several = {kind: kind.replace(" ", "s ", 1) if " " in kind else f"{kind}s" for kind in kinds}
    shown = ", ".join(
        f"{count:,} {kind if count == 1 else several[kind]}"
        for kind, count in sorted(kinds.items())
    )
    return [f"shapes without area are left out: {shown}"]


def of_vector(source: str, grid: Grid, settings: RasteriseSettings) -> Drawn:
    """Read polygons and the field that says what they are."""
    # Imported here: it takes a second, and LabelMe needs none of it.
    from geoseg.raster.vector import Purpose, read_features, read_tags  # noqa: PLC0415

    purpose = Purpose(
        name="a class raster", hint="give a file of polygons, or LabelMe's JSON", of_classes=True
    )
    features = read_features(source, purpose=purpose, fields=True)
    there = ", ".join(features.columns) or "no field"
    wanted = settings.field
    carried = None
    if settings.classes is None or wanted is None:
        carried = carried_legend(features.columns, read_tags(source))
    shapes = to_pixels(features.on_grid(grid), grid)
    only = _only_class(settings)
    if wanted is None and (carried is None or only not in (None, *carried.legend.names)):
        if only is None:
            raise OptionError(
                f"{source}: say with --field which field names the class (it has {there}), or give"
                " one class with --classes if all polygons are of it"
            )
        return Drawn(shapes=shapes, values=[only] * len(shapes), placed=True)
    folded = {name.casefold(): name for name in features.columns}
    ids_tell = settings.classes is None or (carried is not None and _is_nameless(carried.legend))
    field = wanted or (CLASS if ids_tell else NAME)
    name = field if field in features.columns else folded.get(field.casefold())
    if name is None:
        raise VectorError(f"{source}: has no field {wanted!r}; it has {there}")
    is_id = settings.classes is not None and name.casefold() == CLASS
    if carried is None or is_id or name.casefold() not in carried.by_field:
        values = [_text(value) for value in features.columns[name].tolist()]
        return Drawn(shapes=shapes, values=values, placed=True)
    notes = []
    if carried.differing:
        notes.append(
            f"{source}: {carried.differing:,} polygons have the {CLASS} of one class and the"
            f" {NAME} of another; the field {name} decides"
        )
    return Drawn(
        shapes=shapes,
        values=carried.by_field[name.casefold()],
        placed=True,
        legend=carried.legend,
        notes=tuple(notes),
    )


def _is_nameless(legend: Legend) -> bool:
    """Tell whether classes are called by their ids, as those of a raster that names none."""
    return all(c.name == f"class {c.id}" for c in legend.classes)


def _only_class(settings: RasteriseSettings) -> str | None:
    """Name of the one class that polygons can be of; None where there are several, or none."""
    if settings.classes is None:
        return None
    legend = parse_legend(settings.classes)
    ground = None if settings.background is None else legend.find(settings.background)
    names = [name for index, name in enumerate(legend.names) if index != ground]
    return names[0] if len(names) == 1 else None


def _text(value: Any) -> str | None:
    """Read a cell: whole numbers without a point; None where it is empty."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def legend_of(
    settings: RasteriseSettings, values: Iterable[str | None], carried: Legend | None = None
) -> tuple[Legend, list[str]]:
    """Classes as they were given, else as the file names them, else those of the values."""
    if settings.classes is not None:
        return parse_legend(settings.classes), []
    if carried is not None:
        return _with_background(carried, settings.background), []
    names = sorted({v for v in values if v is not None} - BACKGROUND_LABELS - IGNORE_LABELS)
    if not names and settings.background is None:
        raise LabelError("no polygon says what it is; name the classes with --classes")
    if len(names) > _MOST_CLASSES:
        raise LabelError(
            f"there are {len(names)} different values ({listed(names, 3)}), which look like"
            " descriptions and not like classes: choose another field, or give --classes"
        )
    if names and all(re.fullmatch(r"[0-9]{1,9}", name) for name in names):
        legend = Legend.of_values(map(int, names))
    else:
        legend = Legend.of((number, name, None, ()) for number, name in enumerate(names, start=1))
    legend = _with_background(legend, settings.background)
    shown = ", ".join(f"{c.id} {c.name}" for c in legend.classes[:12])
    more = ", …" if len(legend) > 12 else ""
    return legend, [f"classes by name: {shown}{more}; choose others with --classes"]


def _with_background(legend: Legend, extra: str | None) -> Legend:
    """Add a class 0 for what is in no polygon, unless one of that name is there."""
    if extra is None or legend.find(extra) is not None:
        return legend
    if 0 in legend.ids:
        raise LabelError(
            f"--background {extra}: no such class; there is {listed(legend.names, 12)}"
        )
    rows = [(0, extra, None, ()), *((c.id, c.name, c.color, c.values) for c in legend.classes)]
    return Legend.of(rows)


def codes_of(
    values: Sequence[str | None], legend: Legend, background: int, count: Count
) -> NDArray[np.int16]:
    """(features,) int16: class indices, `IGNORED` where a value means none, `MARKED` on purpose."""
    found = np.full(len(values), IGNORED, np.int16)
    for place, value in enumerate(values):
        index = None if value is None else legend.find(value)
        if index is None and value in BACKGROUND_LABELS:
            plain = legend.find("background")
            found[place] = background if plain is None else plain
            continue
        if index is None and value in IGNORE_LABELS:
            found[place] = MARKED  # wanted so, and nothing to be told
        elif index is None:
            count.no_class[value or ""] += 1
        else:
            found[place] = index
            count.polygons[legend.names[index]] += 1
    return found


def refuse_none(count: Count, legend: Legend) -> None:
    """Refuse polygons of which not one is of a class: their raster would say nothing.

    Raises
    ------
    LabelError
        There are some, and all have values that mean no class.
    """
    if count.no_class and not count.polygons:
        raise LabelError(
            f"no polygon is of a class: their values are {values_text(count, 6)}, the classes"
            f" {listed(legend.names, 6)}; check --field and --classes"
        )


def values_text(count: Count, most: int) -> str:
    """Put values that mean no class into a sentence, the most frequent first."""
    found = [f"{name or '(empty)'} {n:,}" for name, n in count.no_class.most_common()]
    return listed(found, most)


def other_pictures(pairs: Iterable[tuple[Annotation, str]]) -> list[str]:
    """Say which annotations name another picture than the one that they are laid on."""
    found = [
        f"{annotation.path.name} names {annotation.picture} and not {picture}"
        for annotation, picture in pairs
        if annotation.picture
        and Path(annotation.picture).stem.casefold() != Path(picture).stem.casefold()
    ]
    if not found:
        return []
    many = "an annotation names" if len(found) == 1 else f"{len(found):,} annotations name"
    return [f"{many} another picture than the one below: {listed(found, 3)}"]


def no_field(settings: RasteriseSettings) -> None:
    """Refuse a field where there are none."""
    if settings.field is not None:
        raise OptionError("--field names a column; shapes of LabelMe have labels and no columns")


def listed(words: Sequence[str], most: int) -> str:
    """Put words into a sentence, not all if there are many."""
    return ", ".join(words[:most]) + (", …" if len(words) > most else "")
