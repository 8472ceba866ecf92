"""Putting files together: bands in separate files, tiles of one export, or both, into one scene.

Works on the heads of files alone; reads no pixels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import BandError, GridError, InputError
from geoseg.raster.bands import Band, Piece, join_sources, unique_names
from geoseg.raster.grid import Grid
from geoseg.raster.naming import (
    common_name,
    is_date,
    names_from_stems,
    product_and_band,
    shard_of,
    stem,
)
from geoseg.raster.opening.handles import is_local_file
from geoseg.raster.opening.heads import FileBand, FileHead, read_head
from geoseg.raster.window import Window

# Descriptions that programs give every file's band; of bands in separate files they tell nothing.
_SAYS_NOTHING = re.compile(r"(?:band|layer|lyr|channel|gray|grey)?[\s_.#-]*\d*", re.IGNORECASE)
_LATTICE_TOLERANCE = 1e-2
"""By how many pixels tiles of one export may be off: exports round their corners."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A scene put together from files; see `geoseg.raster.scene.Scene` for the meaning."""

    name: str
    grid: Grid
    bands: tuple[Band, ...]
    pieces: tuple[Piece, ...]
    paths: tuple[str, ...]
    block_shape: tuple[int, int]
    in_order: bool
    photograph: bool
    tags: dict[str, str]


def plan(paths: Sequence[str], *, name: str | None, band_names: Sequence[str] | None) -> Layout:
    """Put files together into one scene.

    Files on the same pixels are bands of a stack; stacks on other pixels of one lattice are its
    tiles.

    Raises
    ------
    RasterReadError
        A file cannot be opened.
    BandError
        Names and bands do not match in number, files hold the same bands twice, or tiles differ in
        bands.
    GridError
        Files lie on grids that are not parts of one.
    """
    heads = [read_head(path) for path in paths]
    if band_names is not None and any(head.alpha for head in heads):
        whole = [read_head(path, alpha_is_band=True) for path in paths]
        if sum(len(head.bands) for head in _stacks(whole)[0]) == len(band_names):
            heads = whole
    stacks = _stacks(heads)
    named = [_name_bands(stack, band_names) for stack in stacks]
    for stack, bands in zip(stacks[1:], named[1:], strict=True):
        _check_same_bands(stack[0].path, bands, stacks[0][0].path, named[0])
    grid, windows = _union([stack[0] for stack in stacks])
    pieces = [
        Piece(window, join_sources([head.source(band) for head, band in _flat(stack)]))
        for stack, window in zip(stacks, windows, strict=True)
    ]
    first = stacks[0]
    return Layout(
        name=name or (stem(paths[0]) if len(paths) == 1 else common_name([stem(p) for p in paths])),
        grid=grid,
        bands=tuple(named[0]),
        pieces=tuple(pieces),
        paths=tuple(paths),
        # Where files differ, the largest block: cut by it, no block is decoded twice.
        block_shape=(
            min(grid.height, max(head.block_shape[0] for head in first)),
            min(grid.width, max(head.block_shape[1] for head in first)),
        ),
        in_order=any(head.in_order for head in heads),
        photograph=all(head.photograph for head in heads),
        tags={k: v for k, v in heads[0].tags.items() if all(h.tags.get(k) == v for h in heads)},
    )


def _flat(stack: Sequence[FileHead]) -> list[tuple[FileHead, FileBand]]:
    return [(head, band) for head in stack for band in head.bands]


def _stacks(heads: Sequence[FileHead]) -> list[list[FileHead]]:
    """Files that lie on the same pixels, in the order given."""
    stacks: list[list[FileHead]] = []
    for head in heads:
        for stack in stacks:
            if _near(stack[0].grid, head.grid) and stack[0].grid.same_pixels(head.grid):
                stack.append(head)
                break
        else:
            stacks.append([head])
    return stacks


def _near(one: Grid, other: Grid) -> bool:
    """Cheap look before `Grid.same_pixels`, since a mosaic may have thousands of files."""
    a, b = one.transform, other.transform
    return (one.height, one.width) == (other.height, other.width) and (
        abs(a.c - b.c) + abs(a.f - b.f) < abs(a.a) + abs(a.b) + abs(a.d) + abs(a.e)
    )


def _check_same_bands(
    path: str, bands: Sequence[Band], first_path: str, first: Sequence[Band]
) -> None:
    def listed(of: Sequence[Band]) -> str:
        return ", ".join(f"{band.name} {band.dtype}" for band in of)

    if [(b.name.casefold(), b.dtype) for b in bands] != [
        (b.name.casefold(), b.dtype) for b in first
    ]:
        raise BandError(
            f"{path}: its bands ({listed(bands)}) are not those of {first_path} "
            f"({listed(first)}), so they are no tiles of one scene; give the scenes one by one"
        )


def _name_bands(stack: Sequence[FileHead], given: Sequence[str] | None) -> list[Band]:
    flat = _flat(stack)
    if given is not None:
        names: list[str | None] = [*given]
        if len(given) != len(flat):
            raise BandError(
                f"{stack[0].path}: {len(given)} band names for {len(flat)} bands; give one a band"
            )
        if len({name.casefold() for name in given}) != len(given):
            raise BandError(f"{stack[0].path}: a band name comes twice: {', '.join(given)}")
    else:
        names = _names_of_one(stack[0]) if len(stack) == 1 else _names_of_many(stack)
    unique = unique_names([name or f"band_{i}" for i, name in enumerate(names, start=1)])
    return [
        Band(
            name=final,
            dtype=band.dtype,
            nodata=band.nodata,
            path=head.path,
            index=band.index,
            scale=band.scale,
            offset=band.offset,
            named=name is not None,
        )
        for final, name, (head, band) in zip(unique, names, flat, strict=True)
    ]


def _names_of_one(head: FileHead) -> list[str | None]:
    if any(band.description for band in head.bands):
        return [band.description for band in head.bands]
    if len(head.bands) == 1:
        return [product_and_band(stem(head.path))[1]]
    return [band.colour for band in head.bands]


def _names_of_many(stack: Sequence[FileHead]) -> list[str | None]:
    flat = _flat(stack)
    told = [band.description for _, band in flat]
    if all(name and not _SAYS_NOTHING.fullmatch(name) for name in told) and _differ(told):
        return told
    found = names_from_stems([stem(head.path) for head in stack])
    dates = all(is_date(name) for name in found)
    if len(flat) != len(stack) or dates or not _differ(found):
        raise BandError(
            f"{stack[1].path}: lies on the grid of {stack[0].path} and holds the same bands "
            "(another date?), so they are not one scene; give them one by one, or name the bands"
        )
    return [*found]


def _differ(names: Sequence[str | None]) -> bool:
    return len({(name or "").casefold() for name in names}) == len(names)


def _union(heads: Sequence[FileHead]) -> tuple[Grid, list[Window]]:
    """Grid around all tiles, on the first one's lattice, and where each lies in it."""
    base = heads[0].grid
    windows = []
    for head in heads:
        offset = head.grid.offset_in(base, tolerance=_LATTICE_TOLERANCE)
        if offset is None:
            raise GridError(
                f"{head.path}: its pixels ({head.grid.describe()}) do not fall on those of "
                f"{heads[0].path} ({base.describe()}), so they are not parts of one scene; give "
                "them one by one"
            )
        windows.append(Window(*offset, head.grid.height, head.grid.width))
    if len(heads) == 1:
        return base, windows
    row, col = min(w.row for w in windows), min(w.col for w in windows)
    height = max(w.row_stop for w in windows) - row
    width = max(w.col_stop for w in windows) - col
    grid = base.crop(Window(row, col, height, width))
    return grid, [Window(w.row - row, w.col - col, w.height, w.width) for w in windows]


def group_files(
    paths: Sequence[str], *, mosaic: bool
) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Sort files into scenes; see `geoseg.raster.grouping.group_scenes`.

    Returns
    -------
    groups, failed
        The files of each scene; and (path, reason) of those that cannot be opened.
    """
    heads: list[FileHead] = []
    failed: list[tuple[str, str]] = []
    for path in paths:
        try:
            heads.append(read_head(path))
        except InputError as error:
            failed.append((path, str(error)))
    if mosaic:
        return ([[head.path for head in heads]] if heads else []), failed
    groups: dict[tuple[str, ...], list[FileHead]] = {}
    for head in heads:
        groups.setdefault(_group_key(head), []).append(head)
    result: list[list[str]] = []
    for key, members in groups.items():
        if key[0] != "bands":
            result.append([head.path for head in members])
            continue
        for stack in _stacks(members):
            together = [head.path for head in stack]
            result += [together] if _are_bands(stack) else [[path] for path in together]
    order = {head.path: number for number, head in enumerate(heads)}
    return sorted(result, key=lambda group: order[group[0]]), failed


def _group_key(head: FileHead) -> tuple[str, ...]:
    local = is_local_file(head.path)
    folder = str(Path(head.path).parent) if local else head.path.rpartition("/")[0]
    name = stem(head.path)
    shard = shard_of(name)
    if shard is not None:
        return ("shards", folder, shard)
    if len(head.bands) == 1 and not head.palette:
        product, band = product_and_band(name)
        return ("bands", folder, product if band else "")
    return ("file", head.path)


def _are_bands(stack: Sequence[FileHead]) -> bool:
    if len(stack) == 1:
        return True
    try:
        names = _names_of_many(stack)
    except BandError:
        return False
    # Photographs in grey are numbered; numbers are no names of bands.
    counted = all(name is not None and name.isdecimal() for name in names)
    return not (counted and all(head.photograph for head in stack))
