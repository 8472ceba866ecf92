"""Scene: named bands on one grid, read by window, with one mask of what is valid.

A scene knows which files hold which of its pixels and opens them when it is asked to read. It holds
no pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import BandError, ColourError, GridError, RasterReadError
from geoseg.raster.bands import Band, find_bands, said_files
from geoseg.raster.fingerprint import fingerprint_files, local_files
from geoseg.raster.grid import Grid
from geoseg.raster.opening.handles import Handles, is_local_file
from geoseg.raster.opening.heads import expand
from geoseg.raster.pieces import Mask, Pieces
from geoseg.raster.recolour import Recolour
from geoseg.raster.resampling.gather import gather
from geoseg.raster.resampling.lookup import Lookup
from geoseg.raster.sources import plan
from geoseg.raster.window import Window

__all__ = ["Band", "Pixels", "Scene"]


@dataclass(frozen=True)
class Pixels:
    """Pixels of a window."""

    data: NDArray[Any]
    """(bands, rows, cols) in the scene's dtype, as in the file: not scaled, nodata values left as
    they are. Where no file has a pixel it is 0."""
    valid: Mask
    """(rows, cols), True where every band has a reading."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Named bands on one grid, read lazily by window.

    `open` makes one; `select`, `renamed`, `recoloured`, `on_grid`, `assume_grid` give other views
    of the same files. Reading is safe from any number of threads; a scene can be pickled and then
    opens its files anew.

    A pixel is invalid where any of the scene's bands is NaN or infinite or equals its own nodata
    value, where an internal mask or an alpha band says so, and where no file has it.
    """

    name: str
    """For people: name of the file, folder, export or product."""
    grid: Grid
    """Where the pixels lie."""
    bands: tuple[Band, ...]
    """The bands, in reading order."""
    paths: tuple[str, ...]
    """The files."""
    tags: dict[str, str]
    """Metadata that all of the files carry alike."""
    in_order: bool
    """Whether the files can only be decoded from the top, as PNG and JPEG."""
    photograph: bool
    """Whether they are pictures without a place on Earth."""
    _native: Grid
    _block: tuple[int, int]
    _pieces: Pieces
    _offset: tuple[int, int] = (0, 0)
    _lookup: Lookup | None = None

    @classmethod
    def open(
        cls, source: str | Path | Sequence[str | Path], *, band_names: Sequence[str] | None = None
    ) -> Scene:
        """Open one scene.

        Parameters
        ----------
        source
            A file (anything that GDAL reads, VRT and URL included); a folder or a pattern; or
            several files that are bands of one scene (same grid), tiles of one export (same bands,
            pixels on one lattice), or both. Where tiles overlap, the first wins where it is valid
            and the next fills the rest.
        band_names
            Names to use instead of those in the files, one a band.

        Raises
        ------
        RasterReadError
            A file cannot be opened.
        BandError
            Names and bands do not match in number, files hold the same bands twice, or tiles
            differ.
        GridError
            Files do not lie on one grid.
        """
        name = None
        if isinstance(source, (str, Path)):
            text = str(source)
            if is_local_file(text) and Path(text).is_dir():
                name = Path(text).resolve().name
            source = [source]
        paths = expand(source)
        if not paths:
            raise RasterReadError("no file given; name at least one raster")
        return cls.of_files(paths, name=name, band_names=band_names)

    @classmethod
    def of_files(
        cls,
        paths: Sequence[str],
        *,
        name: str | None = None,
        band_names: Sequence[str] | None = None,
    ) -> Scene:
        """Put files together into one scene; as `open`, but paths are taken as they are."""
        layout = plan(paths, name=name, band_names=band_names)
        return cls(
            name=layout.name,
            grid=layout.grid,
            bands=layout.bands,
            paths=layout.paths,
            tags=layout.tags,
            in_order=layout.in_order,
            photograph=layout.photograph,
            _native=layout.grid,
            _block=layout.block_shape,
            _pieces=Pieces(layout.pieces, _common_type(layout.bands), Handles(known=layout.paths)),
        )

    def _with(self, **changes: Any) -> Scene:
        return Scene(**({f.name: getattr(self, f.name) for f in fields(self)} | changes))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that holds every band's pixels."""
        return self._lookup.dtype(self._pieces.dtype) if self._lookup else self._pieces.dtype

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(band.name for band in self.bands)

    @property
    def bands_are_named(self) -> bool:
        """Whether no band's name was made up: all come from the file, its name or the user."""
        return all(band.named for band in self.bands)

    @property
    def is_warped(self) -> bool:
        """Whether pixels are looked up in another grid's (see `on_grid`) and not just read."""
        return self._lookup is not None

    @property
    def is_recoloured(self) -> bool:
        """Whether readings are changed on their way out of the files (see `recoloured`)."""
        return self._pieces.recolour is not None

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns that are decoded at once; of a warped scene, about as many of `grid`."""
        if self._lookup is None:
            return self._block
        down, across = self._lookup.scale()
        return max(1, math.ceil(self._block[0] / down)), max(1, math.ceil(self._block[1] / across))

    @property
    def block_origin(self) -> tuple[int, int]:
        """A row and a column of `grid` at which a block begins."""
        rows, cols = self.block_shape
        return -self._offset[0] % rows, -self._offset[1] % cols

    def select(self, names: Sequence[str]) -> Scene:
        """Return the scene with these bands, in this order.

        A name means the band of that name (upper and lower case alike); else that of whose name it
        is the first word, or a word at all ("blue" means "blue B2"); else, where names were made
        up, the band of that number, from 1.

        Raises
        ------
        BandError
            A name means no band or several; the message lists what there is.
        """
        alphas = {s.alpha for p in self._pieces.pieces for s in p.sources if s.alpha is not None}
        hint = (
            f" (band {min(alphas)} is an alpha mask; to use it, name all bands)" if alphas else ""
        )
        order = find_bands(self.bands, names, where=said_files(self.paths), hint=hint)
        bands = tuple(self.bands[i] for i in order)
        # What did not fit when a scene was recoloured was clipped to the type of all its bands.
        dtype = self._pieces.dtype if self.is_recoloured else _common_type(bands)
        return self._with(bands=bands, _pieces=self._pieces.select(order, dtype))

    def renamed(self, names: Sequence[str]) -> Scene:
        """Return the scene with its bands called otherwise, one name a band.

        Raises
        ------
        BandError
            Not as many names as bands, or a name comes twice.
        """
        if len(names) != len(self.bands):
            count = f"{len(names)} band names for {len(self.bands)} bands"
            raise BandError(f"{said_files(self.paths)}: {count}; give one a band")
        if len({name.casefold() for name in names}) != len(names):
            twice = f"a band name comes twice: {', '.join(names)}"
            raise BandError(f"{said_files(self.paths)}: {twice}")
        pairs = zip(self.bands, names, strict=True)
        return self._with(bands=tuple(replace(b, name=n, named=True) for b, n in pairs))

    def with_nodata(self, values: Sequence[float | None]) -> Scene:
        """Return the scene with these nodata values, one a band, in place of the files' own."""
        bands = tuple(replace(b, nodata=v) for b, v in zip(self.bands, values, strict=True))
        pieces = tuple(piece.with_nodata(values) for piece in self._pieces.pieces)
        return self._with(bands=bands, _pieces=replace(self._pieces, pieces=pieces))

    def recoloured(self, recolour: Recolour | None) -> Scene:
        """Return the scene with every reading changed before anything else sees it.

        Whatever grid the scene is seen on, readings are changed by their place in its own. What is
        invalid stays so: nodata values are compared with what is in the files.

        Parameters
        ----------
        recolour
            Made for the bands that the scene has now, in their order; bands can be selected later.
            None for the scene as it is in the files.

        Raises
        ------
        ColourError
            The scene has been recoloured already.
        """
        if recolour is not None and self.is_recoloured:
            raise ColourError(
                f"{self.name}: has been brought to another colour already; give the scene as it is"
                " in its files"
            )
        return self._with(_pieces=replace(self._pieces, recolour=recolour))

    def opened_by(self, handles: Handles) -> Scene:
        """Return the scene that opens its files through `handles`, which several may share."""
        handles.know_as(self._pieces.handles)
        return self._with(_pieces=replace(self._pieces, handles=handles))

    def assume_grid(self, grid: Grid) -> Scene:
        """Return the scene as if its pixels lay on this grid, whatever the files say.

        Raises
        ------
        GridError
            The sizes differ, or the scene is a view on another grid already.
        """
        if self.grid != self._native:
            raise GridError(f"{self.name}: has been brought to another grid already")
        if (grid.height, grid.width) != (self.grid.height, self.grid.width):
            raise GridError(
                f"{self.paths[0]}: has {_size(self.grid)} and cannot be taken as aligned with "
                f"{_size(grid)}"
            )
        return self._with(grid=grid, _native=grid)

    def on_grid(self, grid: Grid, *, resampling: str = "nearest") -> Scene:
        """Return the scene as seen on another grid.

        Where the pixels of both coincide they are read as they are; otherwise a pixel of `grid`
        gets the pixel in which its centre lies (on a border, that to the right or below), or, by
        "bilinear" or "cubic", floats between those around (`geoseg.raster.resampling`). The result
        is that of transforming every pixel's centre and does not depend on the windows it is read
        by. Outside the scene pixels are invalid.

        Raises
        ------
        GridError
            The two do not overlap, or it cannot be known whether they do.
        OptionError
            The resampling is not known.
        """
        native = self._native
        lookup = Lookup(source=native, target=grid, resampling=resampling)
        if (grid.crs is None) != (native.crs is None):
            which = "it has" if native.crs is None else "the grid to bring it to has"
            raise GridError(
                f"{self.paths[0]}: {which} no coordinate system, so where it lies is not known; "
                "give it one (gdal_edit -a_srs), or say that the pixels are the same "
                "(--assume-aligned)"
            )
        same_size = (grid.height, grid.width) == (native.height, native.width)
        if not (grid.is_georeferenced or native.is_georeferenced or same_size):
            raise GridError(
                f"{self.paths[0]}: has {_size(native)}, the grid to bring it to {_size(grid)}, and "
                "neither has a place on Earth; resample one to the other's size first"
            )
        offset = grid.offset_in(native)
        if offset is not None:
            there = Window(*offset, grid.height, grid.width)
            if there.intersection(native.window) is not None:
                return self._with(grid=grid, _offset=offset, _lookup=None)
        if offset is not None or not lookup.overlaps():
            raise GridError(
                f"{self.paths[0]}: does not overlap the grid to bring it to: it covers "
                f"{native.ground()}, that one {grid.ground()}; do they belong together?"
            )
        return self._with(grid=grid, _offset=(0, 0), _lookup=lookup)

    def read(self, window: Window, *, out: NDArray[Any] | None = None) -> Pixels:
        """Read a window of all bands; safe from any thread.

        Parameters
        ----------
        window
            Rows and columns of `grid`, wholly inside.
        out
            (bands, rows, cols) array of the scene's dtype to read into; a view will do.

        Raises
        ------
        RasterReadError
            A file cannot be read there, truncated perhaps; the message names it.
        GridError
            The window lies outside.
        """
        if window.height < 1 or window.width < 1 or not self.grid.window.contains(window):
            raise GridError(f"{self.name}: {window} does not lie in {_size(self.grid)}")
        shape = (len(self.bands), window.height, window.width)
        if out is None:
            out = np.empty(shape, self.dtype)
        elif out.shape != shape or out.dtype != self.dtype:
            raise ValueError(f"out is {out.dtype}{out.shape}, wanted {self.dtype}{shape}")
        if self._lookup is not None:
            return Pixels(out, gather(self._pieces, self._lookup, window, out))
        row, col = self._offset
        there = Window(window.row + row, window.col + col, window.height, window.width)
        inside = there.intersection(self._native.window)
        if inside == there:
            return Pixels(out, self._pieces.read(there, out))
        out[...] = 0
        valid = np.zeros(shape[1:], bool)
        if inside is not None:
            at = inside.slices(row_origin=there.row, col_origin=there.col)
            valid[at] = self._pieces.read(inside, out[(slice(None), *at)])
        return Pixels(out, valid)

    def read_overview(self, pixels: int) -> Iterator[Pixels] | None:
        """Read the whole scene coarsely, about `pixels` pixels, piece by piece.

        Returns None where every block would have to be decoded for it: a file has no overviews, or
        the scene is seen on another grid or in another colour.
        """
        factor = math.sqrt(self.grid.height * self.grid.width / pixels)
        if self.grid != self._native or self.is_recoloured:
            return None
        if not self._pieces.have_overviews(factor):
            return None
        return self._read_coarsely(max(1.0, factor))

    def _read_coarsely(self, factor: float) -> Iterator[Pixels]:
        for piece in self._pieces.pieces:
            height, width = piece.window.height, piece.window.width
            shape = (max(1, int(height / factor)), max(1, int(width / factor)))
            data = np.empty((len(self.bands), *shape), self.dtype)
            yield Pixels(data, self._pieces.read_piece(piece, piece.window, data))

    def fingerprint(self) -> str:
        """Return a short digest of the files' contents; see `geoseg.raster.fingerprint`.

        What lies beside them and changes how they are read enters; neither names and places of the
        files nor the view (`select`, `on_grid`) do.
        """
        return fingerprint_files(self.paths)

    @property
    def files(self) -> list[str]:
        """Files in the file system that are read, the sources of a VRT included."""
        return local_files(self.paths)

    def close(self) -> None:
        """Close the files, in all threads and for all views; a later read opens them again."""
        self._pieces.handles.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def _common_type(bands: Sequence[Band]) -> np.dtype[Any]:
    return np.result_type(*(np.dtype(band.dtype) for band in bands))


def _size(grid: Grid) -> str:
    return f"{grid.width} × {grid.height} px"
