"""A photograph with what was found in it: classes tinted and outlined, and what that amounts to.

The only import of Pillow, which matplotlib brings.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from geoseg.errors import RasterReadError
from geoseg.raster.legend import NODATA, Legend

MOST_SIDE = 1280
"""Longest side of a preview in pixels; larger photographs are reduced by a whole number."""

_MARK = b"preview by geoseg"
_TINT = 0.45
_DARK = 0.45
_PAPER, _INK = (255, 255, 255), (32, 36, 42)


def preview(
    picture: NDArray[np.uint8],
    index: NDArray[np.uint8],
    legend: Legend,
    *,
    target: Sequence[int],
    excluded: Sequence[int],
    title: str,
    comment: bytes = b"",
) -> bytes:
    """Draw a photograph with its classes, a legend and a line of text below it, as JPEG.

    Parameters
    ----------
    picture
        (rows, cols, 3): red, green, blue.
    index
        (rows, cols) class index, 255 where there is none.
    legend
        The classes.
    target
        Indices of the classes that are measured: tinted in their colours.
    excluded
        Indices of those that count for nothing: darkened, as is what has no class.
    title
        What the line says.
    comment
        What the file says of itself, at most 60,000 bytes.
    """
    colors = np.zeros((256, 3), np.float32)
    colors[: len(legend)] = legend.colors
    shown = picture.astype(np.float32)
    wanted = np.isin(index, list(target))
    shown[wanted] += _TINT * (colors[index[wanted]] - shown[wanted])
    shown[np.isin(index, [*excluded, NODATA])] *= _DARK
    border = _borders(index)
    shown[border] = colors[index[border]]
    found = Image.fromarray(np.clip(np.rint(shown), 0, 255).astype(np.uint8))
    there = [i for i in range(len(legend)) if (index == i).any()]
    page = _page(found, legend, there, title)
    out = io.BytesIO()
    page.save(out, "JPEG", quality=88, subsampling=0, comment=_MARK + b" " + comment)
    return out.getvalue()


def encode_photograph(picture: NDArray[np.uint8], form: Literal["JPEG", "PNG"]) -> bytes:
    """Encode pixels as a file of pictures: JPEG of quality 92, or PNG.

    Parameters
    ----------
    picture
        (rows, cols, 3) red, green and blue, or (rows, cols) greys (or classes, as PNG).
    form
        The format.
    """
    out = io.BytesIO()
    options: dict[str, int] = {"quality": 92, "subsampling": 0} if form == "JPEG" else {}
    Image.fromarray(np.ascontiguousarray(picture)).save(out, form, **options)
    return out.getvalue()


def small_picture(path: Path, side: int) -> bytes:
    """Make a small JPEG of a picture in a file.

    Parameters
    ----------
    path
        A PNG or JPEG file.
    side
        Longest side in pixels; smaller pictures stay as large as they are.

    Raises
    ------
    RasterReadError
        It cannot be read.
    """
    try:
        with Image.open(path) as found:
            found.draft("RGB", (side, side))
            found.thumbnail((side, side))
            whole = found.convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise RasterReadError(f"{path}: cannot be read as a picture") from error
    page = Image.new("RGB", whole.size, _PAPER)
    page.paste(whole, mask=whole.getchannel("A"))
    out = io.BytesIO()
    page.save(out, "JPEG", quality=85)
    return out.getvalue()


def is_folder_of_previews(folder: Path) -> bool:
    """Tell whether a folder holds nothing but previews; photographs are none."""
    return all(
        path.is_file() and path.suffix == ".jpg" and _MARK in path.read_bytes()[:4096]
        for path in folder.iterdir()
    )


def _borders(index: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(rows, cols): pixels of a class beside those of another."""
    found = np.zeros(index.shape, bool)
    down, along = index[1:] != index[:-1], index[:, 1:] != index[:, :-1]
    found[1:] |= down
    found[:-1] |= down
    found[:, 1:] |= along
    found[:, :-1] |= along
    found &= index != NODATA
    return found


def _page(found: Image.Image, legend: Legend, there: Sequence[int], title: str) -> Image.Image:
    """Put text and legend below a picture."""
    size = max(11, round(max(found.size) / 48))
    font = _font(size)
    gap, line = size // 2, round(1.6 * size)
    width = max(found.width, 24 * size)
    places: list[tuple[int, int, int]] = []
    x, y = gap, gap + line
    for i in there:
        long = round(font.getlength(legend.names[i])) + 2 * size + gap
        if x + long > width and x > gap:
            x, y = gap, y + line
        places.append((i, x, y))
        x += long
    page = Image.new("RGB", (width, found.height + y + line + gap), _PAPER)
    page.paste(found, ((width - found.width) // 2, 0))
    draw = ImageDraw.Draw(page)
    draw.text((gap, found.height + gap), title, fill=_INK, font=font)
    for i, left, top in places:
        low = found.height + top
        draw.rectangle((left, low, left + size, low + size), fill=legend.colors[i], outline=_INK)
        draw.text((left + size + gap, low - size // 8), legend.names[i], fill=_INK, font=font)
    return page


def _font(size: int) -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path  # noqa: PLC0415 — only who draws waits for it

    path = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size)
