"""Stages of coverage: "20 to 39 % is II". Pure numbers; knows nothing of rasters.

A stage holds whole percents, both ends included. The percent of a share is rounded down, so 19.5 %
belongs to a stage that ends at 19, and 95.9 % to one that ends at 95.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError
from geoseg.raster.legend import Legend
from geoseg.raster.legend.palette import Color, class_colors, of_hex, parse_color

OTHER = "other"
"""Name of what belongs to no stage."""

_OTHER_COLOR = "#969696"
_JUST_BELOW = 1e-9
_MOST = 100
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage."""

    name: str
    """What it is called."""
    low: int
    """Least whole percent."""
    high: int
    """Greatest whole percent, itself included."""
    color: Color
    """Red, green, blue, each 0…255."""


@dataclass(frozen=True, kw_only=True)
class StageTable:
    """Stages that do not overlap; percents of none of them are "other"."""

    source: str
    """What the table is called: its name, or its file."""
    stages: tuple[Stage, ...]
    """In the order given."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise LabelError(f"{self.source} holds no stage; give lines of name, low, high")
        if len(self.stages) > 253:
            raise LabelError(f"{self.source} holds {len(self.stages)} stages; at most 253 can be")
        for stage in self.stages:
            if not 0 <= stage.low <= stage.high <= _MOST:
                raise LabelError(
                    f"{self.source}: stage {stage.name!r} runs from {stage.low} to {stage.high};"
                    " give whole percents from 0 to 100, the lower first"
                )
        names = [stage.name.casefold() for stage in self.stages]
        for name in names:
            if names.count(name) > 1 or name in ("", OTHER):
                why = "is what belongs to no stage" if name == OTHER else "must be given, and once"
                raise LabelError(f"{self.source}: the stage name {name!r} {why}")
        ordered = sorted(self.stages, key=lambda stage: stage.low)
        for one, other in pairwise(ordered):
            if other.low <= one.high:
                raise LabelError(
                    f"{self.source}: {other.low} % would be both {one.name!r} and {other.name!r};"
                    " low and high are both of the stage, as 0 to 19 and 20 to 39"
                )

    @classmethod
    def agde(cls) -> StageTable:
        """Degradation of grassland, Table 1 of the paper: I to V by twenty percents, V to 95."""
        rows = (
            ("I", 0, 19, "#ffffb2"),
            ("II", 20, 39, "#fecc5c"),
            ("III", 40, 59, "#fd8d3c"),
            ("IV", 60, 79, "#f03b20"),
            ("V", 80, 95, "#bd0026"),
        )
        return cls(
            source="agde",
            stages=tuple(
                Stage(name=name, low=low, high=high, color=of_hex(color))
                for name, low, high, color in rows
            ),
        )

    @classmethod
    def parse(cls, name_or_path: str | Path) -> StageTable:
        """Table that a person names.

        Parameters
        ----------
        name_or_path
            "agde", or a CSV file with a header: name, low, high and, if wanted, color or colour.

        Raises
        ------
        LabelError
            Not readable, or no table of stages; with the line where that is known.
        """
        text = str(name_or_path)
        if text == "agde":
            return cls.agde()
        try:
            with Path(text).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise LabelError(f"{text} is too large for a table of stages; check the path")
            content = data.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise LabelError(
                f"{text} cannot be read as stages ({why}); give agde, or a CSV file with name, low,"
                " high"
            ) from None
        return cls(source=text, stages=_of_csv(content, text))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the stages by index, "other" last."""
        return (*(stage.name for stage in self.stages), OTHER)

    def legend(self) -> Legend:
        """Classes of a raster of stages: ids from 1 in the order given, "other" the last."""
        rows: list[tuple[int, str, Color | None, tuple[int, ...]]] = [
            (number, stage.name, stage.color, ())
            for number, stage in enumerate(self.stages, start=1)
        ]
        return Legend.of([*rows, (len(rows) + 1, OTHER, of_hex(_OTHER_COLOR), ())])

    def index(
        self, part: NDArray[np.float64] | float, whole: NDArray[np.float64] | float
    ) -> NDArray[np.uint8]:
        """Stages of shares.

        Parameters
        ----------
        part, whole
            (…,) amounts, as in `geoseg.assessment.coverage.share.Shares`.

        Returns
        -------
        (…,) uint8: place in `stages`; ``len(stages)`` for "other", an empty whole among it.
        """
        lut = np.full(_MOST + 2, len(self.stages), np.uint8)
        for place, stage in enumerate(self.stages):
            lut[stage.low : stage.high + 1] = place
        return np.asarray(lut[integer_percent(part, whole)])

    def of(
        self, part: NDArray[np.float64] | float, whole: NDArray[np.float64] | float
    ) -> NDArray[np.str_]:
        """Names of the stages of shares; as `index`."""
        return np.asarray(np.array(self.names)[self.index(part, whole)])


def integer_percent(
    part: NDArray[np.float64] | float, whole: NDArray[np.float64] | float
) -> NDArray[np.int64]:
    """Percent rounded down.

    Of whole numbers, such as counts of pixels, it is ``100 · part // whole`` in integer arithmetic.
    Otherwise (parts of pixels, square metres) it is the floor of the ratio, where a ratio less than
    10⁻⁹ percent below a whole percent is that percent: so far rounding of sums may reach.

    Parameters
    ----------
    part, whole
        (…,) not negative, part no greater than whole but for rounding.

    Returns
    -------
    (…,) int64 from 0 to 100; −1 where the whole is empty.
    """
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    found = np.full(part.shape, -1, np.int64)
    full = whole > 0
    # 100 · part must be exact, and fit.
    exact = full & (part == np.rint(part)) & (whole == np.rint(whole)) & (whole < 2**53)
    found[exact] = 100 * part[exact].astype(np.int64) // whole[exact].astype(np.int64)
    other = full & ~exact
    ratio = 100.0 * part[other] / whole[other]
    found[other] = np.floor(ratio + _JUST_BELOW).astype(np.int64)
    return np.minimum(found, _MOST)


def _of_csv(content: str, source: str) -> tuple[Stage, ...]:
    try:
        rows = list(csv.reader(io.StringIO(content)))
    except csv.Error as error:
        raise LabelError(f"{source}: is no table ({error})") from None
    numbered = [(n, row) for n, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]
    header = [cell.strip().casefold() for cell in numbered[0][1]] if numbered else []
    missing = [key for key in ("name", "low", "high") if key not in header]
    if missing:
        raise LabelError(
            f"{source}: no column {missing[0]!r}; the first line of stages is name,low,high or"
            " name,low,high,color"
        )
    found: list[tuple[str, int, int, Color | None]] = []
    for number, row in numbered[1:]:
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        limits = [cells.get(key, "") for key in ("low", "high")]
        color = cells.get("color") or cells.get("colour")
        if not all(re.fullmatch(r"[0-9]{1,3}", limit) for limit in limits):
            raise LabelError(
                f"{source}, line {number}: low and high are whole percents from 0 to 100, not"
                f" {limits[0]!r} and {limits[1]!r}"
            )
        try:
            parsed = parse_color(color) if color else None
        except ValueError as error:
            raise LabelError(f"{source}, line {number}: {error}") from None
        found.append((cells.get("name", ""), int(limits[0]), int(limits[1]), parsed))
    colors = class_colors([row[0] for row in found], [row[3] for row in found])
    return tuple(
        Stage(name=name, low=low, high=high, color=color)
        for (name, low, high, _), color in zip(found, colors, strict=True)
    )
