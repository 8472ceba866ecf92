"""Codes applied to one raster: what it holds, values or colours, and how they are looked up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import BandError, OptionError
from geoseg.raster.labels.codes import Codes, colours_of, values_of
from geoseg.raster.legend import Legend
from geoseg.raster.legend.carried import color_table, raster_names
from geoseg.raster.legend.palette import Color, hex_of
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.opening.heads import FileHead
from geoseg.raster.scene import Scene

_COLOURS = 1 << 24


def names_of(head: FileHead) -> dict[int, str]:
    """Names that a raster gives to its values."""
    return raster_names(Path(head.path)) if is_local_file(head.path) else {}


def _palette(head: FileHead) -> dict[int, tuple[int, int, int]]:
    return color_table(Path(head.path)) if head.palette else {}


def codes_for(
    codes: Codes, given: Legend | None, head: FileHead, threshold: int | None
) -> tuple[Codes, bool]:
    """Codes for one raster, names replaced by its values; and whether they are of colours."""
    by_colour = bool(codes.colours)
    if not (codes.colours or codes.values or codes.names):
        # The list of classes alone says what becomes what: by what the raster holds.
        looks = set(() if given is None else given.colors)
        bare = head.palette and not names_of(head)
        by_colour = len(head.bands) > 1 or (bare and looks <= set(_palette(head).values()))
    if not by_colour:
        if threshold is not None:
            raise OptionError(
                f"--threshold is of colours, and {head.path} is looked up by its values"
            )
        if len(head.bands) != 1:
            raise BandError(
                f"{head.path}: has {len(head.bands)} bands, and values are of one; if they are"
                " colours, write codes as '#00ffff=1'"
            )
        return values_of(codes, given).named_by(names_of(head), head.path), False
    codes = colours_of(codes, given)
    if threshold is not None:
        off = [c for c in codes.colours if not {0, 255}.issuperset(c)]
        if off:
            raise OptionError(
                f"--threshold makes each channel 00 or ff, and {hex_of(off[0])} has others:"
                " leave it out, or list such colours alone"
            )
    return codes, True


def open_classes(head: FileHead, codes: Codes, by_colour: bool) -> Scene:
    """Open a raster with the bands that hold its values or colours.

    Nodata that a person listed is none to them. That of three bands is left to `Look`: one channel
    of a colour may well be what all three are where there is nothing.
    """
    scene = Scene.of_files([head.path])
    if not by_colour:
        nodata = scene.bands[0].nodata
        return scene.with_nodata([None]) if nodata in codes.values else scene
    colours = [band.colour for band in head.bands]
    types = {band.dtype for band in head.bands}
    if types != {"uint8"} or len(colours) not in (1, 3, 4):
        raise BandError(
            f"{head.path}: has {len(colours)} bands of {', '.join(sorted(types))}; colours are one"
            " or three of uint8"
        )
    if len(colours) == 1:
        return scene.with_nodata([None]) if _gap(head) in codes.colours else scene
    scene = scene.select([scene.band_names[k] for k in _order(head)])
    return scene.with_nodata([None] * 3)


def _order(head: FileHead) -> list[int]:
    """Places of red, green and blue; of the only band of one."""
    colours = [band.colour for band in head.bands]
    if len(colours) == 1:
        return [0]
    wanted = ("red", "green", "blue")
    return [colours.index(c) if c in colours else k for k, c in enumerate(wanted)]


def _gap(head: FileHead) -> Color | None:
    """Colour of pixels that are nodata in every band; None where there is no such colour."""
    found = [head.bands[k].nodata for k in _order(head)]
    values = [int(v) for v in found if v is not None and v in range(256)]
    if len(values) != len(found):
        return None
    if len(values) == 1:
        return _palette(head).get(values[0], (values[0],) * 3)
    return values[0], values[1], values[2]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the pixels of one raster are looked up."""

    codes: Codes
    """Of values, or of colours."""
    table: NDArray[np.int16] | None
    """Class id by key; None where values are too many for a table."""
    palette: NDArray[np.int32] | None
    """(256,) colours by value, for one band of colours."""
    threshold: int | None
    """Where channels are on; None for exact colours."""
    by_colour: bool
    """Whether the raster holds colours."""
    gap: Color | None
    """Colour that three bands have where there is nothing; None where there is no such colour."""

    @classmethod
    def of(
        cls, head: FileHead, codes: Codes, by_colour: bool, scene: Scene, threshold: int | None
    ) -> Look:
        """Prepare to look up a raster that was opened with `open_classes`."""
        palette = table = None
        if by_colour:
            table = colour_table(codes)
            palette = np.arange(256, dtype=np.int32) * 0x010101  # grey
            for value, color in _palette(head).items():
                palette[value] = packed(color)
        elif scene.dtype.kind in "iu" and scene.dtype.itemsize <= 2:
            table = value_table(codes, scene.dtype)
        gap = _gap(head) if by_colour and len(scene.bands) == 3 else None
        return cls(
            codes=codes,
            table=table,
            palette=palette,
            threshold=threshold,
            by_colour=by_colour,
            gap=None if gap in codes.colours else gap,
        )

    def there(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(rows, cols): whether there is something to look up, of what was read (bands, …)."""
        if self.gap is None:
            return valid
        there: NDArray[np.bool_] = valid & (data != np.array(self.gap)[:, None, None]).any(axis=0)
        return there

    def ids(
        self, data: NDArray[Any], valid: NDArray[np.bool_], path: str
    ) -> tuple[NDArray[Any], NDArray[np.int16]]:
        """(rows, cols) each: what was looked up, and class ids, `UNLISTED` where there is none."""
        keys = self._colours(data) if self.by_colour else data[0]
        if self.table is None:
            return keys, self._search(keys, valid, path)
        if keys.dtype.kind == "i" and not self.by_colour:
            return keys, np.take(self.table, keys.view(f"u{keys.dtype.itemsize}"))
        return keys, np.take(self.table, keys)

    def _colours(self, data: NDArray[Any]) -> NDArray[np.int32]:
        """(rows, cols): one number of each pixel's colour."""
        if len(data) == 1 and self.palette is not None:
            keys: NDArray[np.int32] = np.take(self.palette, data[0])
            if self.threshold is None:
                return keys
            data = np.stack([keys >> 16, keys >> 8 & 255, keys & 255])
        if self.threshold is not None:
            data = np.where(data >= self.threshold, np.uint8(255), np.uint8(0))
        packs: NDArray[np.int32] = data[0].astype(np.int32)
        for channel in data[1:]:
            packs <<= 8
            packs |= channel
        return packs

    def _search(self, keys: NDArray[Any], valid: NDArray[np.bool_], path: str) -> NDArray[np.int16]:
        if keys.dtype.kind == "f":
            odd = valid & (keys != np.floor(keys))
            if odd.any():
                raise BandError(
                    f"{path}: holds values such as {keys[odd][0]:g}, which are measurements and no"
                    " class codes"
                )
        pairs = sorted(self.codes.values.items())
        ids = np.full(keys.shape, self.codes.rest, np.int16)
        if pairs:
            kind = np.float64 if keys.dtype.kind == "f" else np.int64
            known = np.array([value for value, _ in pairs], kind)
            place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            found = np.array([id_ for _, id_ in pairs], np.int16)
            ids = np.where(known[place] == keys, found[place], ids)
        return ids


def colour_table(codes: Codes) -> NDArray[np.int16]:
    """(2 ** 24,) int16: class id by colour, red · 65536 + green · 256 + blue."""
    table = np.full(_COLOURS, codes.rest, np.int16)
    for color, id_ in codes.colours.items():
        table[packed(color)] = id_
    return table


def value_table(codes: Codes, dtype: np.dtype[np.generic]) -> NDArray[np.int16]:
    """(256,) or (65536,) int16: class id by value, for integers of one or two bytes.

    Signed values are looked up by their unsigned view.
    """
    info = np.iinfo(dtype.name)
    table = np.full(1 << info.bits, codes.rest, np.int16)
    for value, id_ in codes.values.items():
        if info.min <= value <= info.max:
            table[value % (1 << info.bits)] = id_
    return table


def packed(color: Color) -> int:
    """One number of a colour."""
    red, green, blue = color
    return red << 16 | green << 8 | blue


def unpacked(number: int) -> Color:
    """Colour of one number."""
    return number >> 16, number >> 8 & 255, number & 255
